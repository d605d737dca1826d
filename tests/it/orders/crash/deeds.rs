//! What is under way when a host dies.

use std::{collections::BTreeMap, sync::Arc};

use hyper::Method;
use platform_tests::{
    checkout::{Shopper, address, post_with_key, sell},
    crash::{Errand, Stage, system_ms},
    host::TestHost,
    shop::{documents, id},
    store::mongod::TestDatabase,
};
use serde_json::{Value, json};

use super::{Repeat, Schedule};

/// How long before the crash the scene is set: longer than any order waits.
const BEFORE_MS: i64 = 3_600_000;

/// What a host does when it dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Orders a cart, with this token.
    Checkout(&'static str),
    /// Makes an order of all that there is of something, without a cart.
    StaffOrder,
    /// Pays an order anew whose first payment was given up.
    Pay,
    Capture,
    Refund,
    Cancel,
    /// Sends the void of an order that was cancelled.
    Void,
    /// Asks about a payment whose outcome never came.
    FindOut,
    /// Lets an order expire whose customer did nothing.
    Expire,
}

/// A shop, and what clients are going to ask for.
pub(super) struct Scene {
    pub(super) stage: Stage,
    pub(super) errands: Vec<Errand>,
}

impl Deed {
    /// The boundaries between its writes, in their order.
    pub(super) fn points(self) -> Vec<String> {
        let paying = |operation: &str, verb: &str| {
            let mut points = around("commit", operation, 1);
            points.extend(calling(verb));
            points.extend(around("commit", operation, 2));
            points
        };
        let asking = || around("provider", "hook:payment.status", 1);
        match self {
            Self::Checkout("tok_decline") => {
                let mut points = paying("createOrder", "authorize");
                // The answer of what wrote something and came to nothing.
                points.extend(around("commit", "createOrder", 3));
                points
            }
            Self::Checkout(_) | Self::StaffOrder => paying("createOrder", "authorize"),
            Self::Pay => paying("payOrder", "authorize"),
            Self::Capture => paying("capturePayment", "capture"),
            Self::Refund => paying("refundPayment", "refund"),
            Self::Cancel => around("commit", "cancelOrder", 1),
            Self::Void => [calling("void"), around("commit", "settleOrders", 1)].concat(),
            Self::FindOut => [asking(), around("commit", "settleOrders", 1)].concat(),
            Self::Expire => [
                asking(),
                around("commit", "settleOrders", 1),
                calling("void"),
                around("commit", "settleOrders", 2),
            ]
            .concat(),
        }
    }

    /// How many of the last ones differ from what other deeds go through: the usual run plays these.
    pub(super) fn own_points(self) -> usize {
        match self {
            Self::Checkout("tok_approve") | Self::Capture => 8,
            Self::Checkout("tok_timeout") | Self::Refund => 3,
            Self::StaffOrder | Self::Pay => 4,
            Self::Expire => 6,
            Self::Checkout(_) | Self::Cancel | Self::Void | Self::FindOut => 2,
        }
    }

    /// Sets the scene.
    pub(super) async fn scene(self, database: Option<Arc<TestDatabase>>) -> Scene {
        let mut host = Stage::new(database).host(system_ms() - BEFORE_MS).await;
        assert_eq!(host.refusals(), []);
        let admin = host.admin().await;
        sell(&admin, "CUP", 5).await;
        sell(&admin, "POT", 9).await;
        let coupon = json!({"code": "TENTH", "ruleId": "tenth", "limit": 3, "perCustomer": 2});
        admin.post("/coupons", &coupon).await.expect(201);
        let guest = Shopper::with(host.anonymous(), &[("CUP", 2), ("POT", 1)]).await;
        let ada = host.customer("ada@example.com").await;
        let customer = Shopper::with(ada.clone(), &[("CUP", 1)]).await;
        customer.send(Method::POST, "/coupons", &json!({"code": "TENTH"})).await.expect(200);
        let errands = match self {
            Self::Checkout(token) => [&guest, &customer].map(|it| checkout(it, token)).to_vec(),
            Self::StaffOrder => {
                let body = json!({
                    "items": [{"sku": "POT", "quantity": 9}],
                    "email": "ada@example.com",
                    "shippingAddress": address(),
                    "shippingMethod": "shipping-flat:standard",
                    "payment": {"provider": "payment-sandbox", "token": "tok_approve"},
                });
                vec![Errand::new(admin.clone(), "/orders", "an-order-of-the-staff", body)]
            }
            Self::Pay => {
                let mut errands = Vec::new();
                for (shopper, token) in [(&guest, "tok_approve"), (&customer, "tok_timeout")] {
                    let order =
                        checkout(shopper, "tok_approve").send(host.origin()).await.unwrap().expect(201);
                    let void = format!("/payments/{}/void", id(&order["payments"][0]));
                    post_with_key(&admin, &void, token, &json!({})).await.expect(200);
                    let body = json!({"provider": "payment-sandbox", "token": token});
                    let path = format!("/orders/{}/payments", id(&order));
                    errands.push(Errand::new(admin.clone(), path, format!("pay-{token}"), body));
                }
                errands
            }
            Self::Capture | Self::Refund => {
                let (verb, is_refund) =
                    if self == Self::Refund { ("refund", true) } else { ("capture", false) };
                let mut errands = Vec::new();
                for (shopper, token) in
                    [(&guest, "tok_approve".to_owned()), (&customer, format!("tok_timeout_{verb}"))]
                {
                    let order = checkout(shopper, &token).send(host.origin()).await.unwrap().expect(201);
                    let payment = order["payments"][0]["id"].as_str().unwrap();
                    let way = |verb: &str| format!("/payments/{payment}/{verb}");
                    if is_refund {
                        post_with_key(&admin, &way("capture"), &token, &json!({})).await.expect(200);
                    }
                    errands.push(Errand::new(admin.clone(), way(verb), format!("{verb}-{token}"), json!({})));
                }
                errands
            }
            Self::Cancel | Self::Void => {
                let mut errands = Vec::new();
                for (shopper, client, token) in
                    [(&guest, &admin, "tok_timeout_void"), (&customer, &ada, "tok_approve")]
                {
                    let order = checkout(shopper, token).send(host.origin()).await.unwrap().expect(201);
                    let path = format!("/orders/{}/cancel", id(&order));
                    errands.push(Errand::new(client.clone(), path, format!("cancel-{token}"), json!({})));
                }
                errands
            }
            Self::FindOut | Self::Expire => {
                let token = if self == Self::FindOut { "tok_timeout" } else { "tok_action" };
                let errands = vec![checkout(&customer, token)];
                errands[0].send(host.origin()).await.unwrap().expect_status(202);
                errands
            }
        };
        Scene { stage: Stage::of(host).await, errands }
    }

    /// What is wrong with how it ended.
    pub(super) async fn faults(
        self,
        host: &TestHost,
        scene: &Scene,
        schedule: &Schedule,
        told: Option<(u16, Value)>,
    ) -> Vec<String> {
        let orders = documents(host, "orders").await;
        let errand = &scene.errands[schedule.errand];
        let mut faults = Vec::new();
        let mut expect = |what: &str, found: Value, expected: Value| {
            if found != expected {
                faults.push(format!("{what} is {found} and not {expected}"));
            }
        };
        let at = self.points().iter().position(|point| *point == schedule.point).unwrap();
        // Who died before the first write, and is not asked again, has done nothing.
        let is_begun = at > 0 || schedule.repeat != Repeat::Never;
        match self {
            Self::Checkout(_) | Self::StaffOrder => {
                expect("the number of orders", json!(orders.len()), json!(usize::from(is_begun)));
                if let Some(order) = orders.values().next() {
                    expect("the order", order["status"].clone(), json!(self.fate(at, schedule.repeat)));
                }
            }
            Self::Pay => {
                let order = &orders[errand.path.split('/').nth(2).unwrap()];
                expect("the order", order["status"].clone(), json!("confirmed"));
                let payments = order["payments"].as_array().unwrap();
                expect("the number of payments", json!(payments.len()), json!(1 + usize::from(is_begun)));
                let state = if self.is_sent(at, schedule.repeat) { "succeeded" } else { "failed" };
                if let Some(second) = payments.get(1) {
                    expect("the payment", second["transactions"][0]["state"].clone(), json!(state));
                }
            }
            Self::FindOut | Self::Expire => {
                let fate = if self == Self::FindOut { "confirmed" } else { "expired" };
                expect("the order", only(&orders)["status"].clone(), json!(fate));
            }
            Self::Capture | Self::Refund => {
                let id = errand.path.split('/').nth(2).unwrap();
                let order = orders.values().find(|it| it["payments"][0]["id"] == id).unwrap();
                let (total, whole) =
                    if self == Self::Capture { ("paid", "grand") } else { ("refunded", "paid") };
                let expected = if is_begun { order["totals"][whole]["amount"].clone() } else { json!(0) };
                expect(total, order["totals"][total]["amount"].clone(), expected);
            }
            Self::Cancel | Self::Void => {
                let order = &orders[errand.path.split('/').nth(2).unwrap()];
                let is_begun = is_begun || self == Self::Void;
                expect(
                    "the order",
                    order["status"].clone(),
                    json!(if is_begun { "cancelled" } else { "confirmed" }),
                );
            }
        }
        if let Some((status, body)) = told {
            faults.extend(lie(&orders, errand, status, &body));
        }
        faults
    }

    /// What becomes of an order during whose checkout the host died.
    fn fate(self, at: usize, repeat: Repeat) -> &'static str {
        match self {
            Self::Checkout("tok_decline") => "cancelled",
            _ if !self.is_sent(at, repeat) => "cancelled",
            Self::Checkout("tok_action") => "expired",
            _ => "confirmed",
        }
    }

    /// Whether the provider gets the authorization. One that it never got is not sent by the reconciler, which gives it
    /// up. A repeat sends it before that, and makes it where there is none.
    fn is_sent(self, at: usize, repeat: Repeat) -> bool {
        let points = self.points();
        let charged = points.iter().position(|it| it == "payment-sandbox/after-commit/1").unwrap();
        at >= charged || repeat == Repeat::BeforeSettling || (repeat == Repeat::AfterSettling && at == 0)
    }
}

/// How an answer and what is stored contradict each other.
fn lie(orders: &BTreeMap<String, Value>, errand: &Errand, status: u16, body: &Value) -> Option<String> {
    let order = |id: &Value| orders.get(id.as_str().unwrap_or_default());
    let is = |id: &Value, statuses: &[&str]| {
        order(id).is_some_and(|order| statuses.iter().any(|status| order["status"] == *status))
    };
    let is_true = match (errand.path.as_str(), status) {
        ("/orders", 201) => is(&body["id"], &["confirmed"]),
        ("/orders", 202) => order(&body["id"]).is_some(),
        ("/orders", 402) => is(&body["orderId"], &["cancelled", "expired"]),
        (path, 200) if path.ends_with("/cancel") => is(&body["id"], &["cancelled"]),
        (path, 201 | 202 | 402) if path.ends_with("/payments") => {
            let order = order(&json!(path.split('/').nth(2)));
            let second = order.map_or(&Value::Null, |order| &order["payments"][1]);
            let is_paid = second["transactions"][0]["state"] == "succeeded";
            match status {
                402 => !is_paid,
                201 => is_paid && second["id"] == body["id"],
                _ => second["id"] == body["id"],
            }
        }
        // The payment; the sandbox was silent.
        (path, 200 | 504) => path.starts_with("/payments/"),
        _ => false,
    };
    (!is_true).then(|| format!("the client was told {status}: {body}"))
}

fn checkout(shopper: &Shopper, token: &str) -> Errand {
    let key = format!("a-long-key-of-{}-{token}", shopper.cart);
    Errand::new(shopper.client.clone(), "/orders", key, shopper.order(token)).with_cart_token(shopper.token())
}

fn only(orders: &BTreeMap<String, Value>) -> &Value {
    assert_eq!(orders.len(), 1);
    orders.values().next().unwrap()
}

/// Before and after.
fn around(what: &str, operation: &str, time: u32) -> Vec<String> {
    ["before", "after"].iter().map(|when| format!("{operation}/{when}-{what}/{time}")).collect()
}

/// The boundaries of one call of the sandbox that writes.
fn calling(verb: &str) -> Vec<String> {
    let mut points = around("provider", &format!("hook:payment.{verb}"), 1);
    points.splice(1..1, around("commit", "payment-sandbox", 1));
    points
}
