//! Checkout and payments against the reference model of the store and a gateway that misbehaves. After every test what
//! must always hold is checked: stock against reservations, ledgers against totals and the gateway, coupons against
//! orders.

mod checkout;
mod coupons;
mod payments;
mod random;
mod recovery;
mod webhooks;

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
};

use plugin_sdk::{
    Access, Caller, Collection, Context, FieldKind, Filter, Problem, Query, Request, Value, json,
    mock::{MockHost, RecordedAnswer, RecordedPayment, response_faults},
    natural_id,
    payment::{Kind, Outcome, PaymentError, State},
    time::timestamp,
};
use serde::de::DeserializeOwned;

use crate::{
    CARTS, COUPONS, INVENTORY, MOVEMENTS, ORDERS, Orders, PRODUCTS, RESERVATIONS,
    ledger::Sums,
    model::{
        OrderStatus, ReservationState, StoredOrder, StoredReservation, TransactionState, TransactionType,
    },
    shop::refused,
};

/// How the gateway takes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    Captures,
    Declines,
    WantsAction,
    TellsLater,
    Offline,
    /// Does it and says nothing.
    SilentAfter,
    /// Does not do it and says nothing.
    SilentBefore,
    /// Cannot be reached.
    Away,
    /// Does it, and then the host dies.
    DiesAfter,
    /// The host dies before it is reached.
    DiesBefore,
}

/// What one payment came to at the gateway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Charge {
    /// How often money was authorised for it: never more than once.
    pub(super) times: u32,
    pub(super) authorized: i64,
    pub(super) waiting: i64,
    pub(super) captured: i64,
    pub(super) refunded: i64,
    pub(super) voided: i64,
}

impl Charge {
    /// What the shop holds of the customer's money.
    pub(super) fn held(&self) -> i64 {
        self.authorized - self.voided - self.refunded
    }
}

/// A gateway that keeps a ledger by idempotency key.
#[derive(Default)]
pub(super) struct Gateway {
    pub(super) moods: VecDeque<Mood>,
    answers: BTreeMap<String, Result<Outcome, PaymentError>>,
    pub(super) charges: BTreeMap<String, Charge>,
}

impl Gateway {
    fn call(&mut self, call: &RecordedPayment) -> Result<Outcome, PaymentError> {
        let mood = self.moods.pop_front().unwrap_or(Mood::Good);
        let silent = || Err(PaymentError::Unknown("no answer".to_owned()));
        match mood {
            Mood::Away => {
                let problem = Problem::new(503, "plugin_unavailable").detail("The breaker is open.");
                return Err(PaymentError::Invalid(problem));
            }
            Mood::SilentBefore => return silent(),
            Mood::DiesBefore => panic!("the host dies before the gateway is reached"),
            _ => {}
        }
        let reference = format!("gw_{}", call.operation.payment_id);
        let key = call.operation.idempotency_key.clone();
        let answer = match (self.answers.get(&key), call.status) {
            (Some(answer), _) => answer.clone(),
            (None, true) => Ok(Outcome::new(State::Failed, "")),
            (None, false) => {
                let answer = self.act(call, mood, &reference);
                self.answers.insert(key, answer.clone());
                answer
            }
        };
        match mood {
            Mood::SilentAfter => silent(),
            Mood::DiesAfter => panic!("the host dies before it hears the gateway"),
            _ => answer,
        }
    }

    fn act(&mut self, call: &RecordedPayment, mood: Mood, reference: &str) -> Result<Outcome, PaymentError> {
        let charge = self.charges.entry(call.operation.payment_id.clone()).or_default();
        let amount = call.operation.amount.amount;
        let good = Ok(Outcome::new(State::Succeeded, reference));
        let nonsense = || Err(PaymentError::Invalid(Problem::conflict("That is more than there is.")));
        match (call.kind, mood) {
            (_, Mood::Declines) => Err(PaymentError::Declined("The card was declined.".to_owned())),
            (Kind::Authorization, Mood::WantsAction) => {
                charge.waiting = amount;
                let action = Some(json!({"type": "redirect", "url": "https://pay.example/1"}));
                Ok(Outcome { next_action: action, ..Outcome::new(State::RequiresAction, reference) })
            }
            (Kind::Authorization, Mood::TellsLater) => {
                charge.waiting = amount;
                Ok(Outcome::new(State::Pending, reference))
            }
            (Kind::Authorization, Mood::Offline) => Ok(Outcome::new(State::Offline, reference)),
            (Kind::Authorization, _) => {
                charge.times += 1;
                charge.authorized = amount;
                let captured = mood == Mood::Captures;
                charge.captured = if captured { amount } else { 0 };
                Ok(Outcome { captured, ..Outcome::new(State::Succeeded, reference) })
            }
            (Kind::Capture, _) if charge.captured + charge.voided + amount > charge.authorized => nonsense(),
            (Kind::Capture, _) => {
                charge.captured += amount;
                good
            }
            (Kind::Refund, _) if charge.refunded + amount > charge.captured => nonsense(),
            (Kind::Refund, _) => {
                charge.refunded += amount;
                good
            }
            (Kind::Void, _) if charge.waiting > 0 => {
                charge.waiting = 0;
                let authorization = natural_id("txn", &call.operation.payment_id);
                self.answers.insert(authorization, Ok(Outcome::new(State::Failed, reference)));
                good
            }
            (Kind::Void, _) if charge.authorized == charge.captured + charge.voided => nonsense(),
            (Kind::Void, _) => {
                charge.voided = charge.authorized - charge.captured;
                good
            }
        }
    }

    /// The customer has done what was asked, or has not. Whether anything was asked.
    pub(super) fn complete(&mut self, payment: &str, is_good: bool) -> bool {
        let Some(charge) = self.charges.get_mut(payment).filter(|charge| charge.waiting > 0) else {
            return false;
        };
        let state = if is_good { State::Succeeded } else { State::Failed };
        if is_good {
            charge.times += 1;
            charge.authorized = charge.waiting;
        }
        charge.waiting = 0;
        let answer = Ok(Outcome::new(state, format!("gw_{payment}")));
        self.answers.insert(natural_id("txn", payment), answer);
        true
    }
}

pub(super) struct Shop {
    pub(super) host: MockHost,
    pub(super) gateway: Rc<RefCell<Gateway>>,
    clock: std::cell::Cell<i64>,
    carts: std::cell::Cell<u32>,
}

pub(super) const START_MS: i64 = 1_767_225_600_000;
pub(super) const MINUTE_MS: i64 = 60_000;

impl Shop {
    /// A shop that sells `A` (10 pieces at 10.00), `B` (5 pieces at 25.00) and `FREE`.
    pub(super) fn new() -> Self {
        let host = MockHost::new::<Orders>();
        host.declare(vec![
            Collection::new(INVENTORY, "inv")
                .field("sku", FieldKind::Text, Access::Unique)
                .field("onHand", FieldKind::Integer, Access::Index)
                .field("available", FieldKind::Integer, Access::Index),
            Collection::new(MOVEMENTS, "mov")
                .field("sku", FieldKind::Text, Access::Index)
                .field("reason", FieldKind::Text, Access::Index)
                .field("delta", FieldKind::Integer, Access::Index)
                .field("reference", FieldKind::Text, Access::Index),
            Collection::new(PRODUCTS, "prod")
                .multi_field("variants.id", FieldKind::Text, Access::Unique)
                .multi_field("variants.sku", FieldKind::Text, Access::Unique),
        ]);
        host.add_provider("pay");
        let gateway = Rc::new(RefCell::new(Gateway::default()));
        let answering = Rc::clone(&gateway);
        host.provide(move |call| {
            // Not held while it panics.
            let outcome = catch_unwind(AssertUnwindSafe(|| answering.borrow_mut().call(call)));
            outcome.unwrap_or_else(|death| std::panic::resume_unwind(death))
        });
        let shop =
            Self { host, gateway, clock: std::cell::Cell::new(START_MS), carts: std::cell::Cell::default() };
        shop.product("A", 1_000, Some(10), "deny");
        shop.product("B", 2_500, Some(5), "deny");
        shop.product("FREE", 0, Some(5), "deny");
        shop
    }

    pub(super) fn product(&self, sku: &str, price: i64, stock: Option<i64>, backorder: &str) {
        let product = json!({
            "name": format!("Product {sku}"),
            "status": "active",
            "categoryIds": [],
            "variants": [{
                "id": format!("var_{sku}"),
                "sku": sku,
                "prices": [{"amount": price, "currency": "USD"}],
                "trackInventory": true,
                "backorder": backorder,
            }],
        });
        self.host.put(PRODUCTS, &format!("prod_{sku}"), &product);
        if let Some(stock) = stock {
            let level = json!({
                "sku": sku, "onHand": stock, "reserved": 0, "incoming": 0, "safetyStock": 0, "available": stock,
            });
            self.host.put(INVENTORY, &crate::stock::level_id(sku), &level);
        }
    }

    /// A guest's cart.
    pub(super) fn cart(&self, lines: &[(&str, u32)], more: &Value) -> String {
        let number = self.carts.get() + 1;
        self.carts.set(number);
        let lines: serde_json::Map<String, Value> = lines
            .iter()
            .map(|(sku, quantity)| {
                let line = json!({
                    "id": format!("itm_{number}_{sku}"), "productId": format!("prod_{sku}"), "sku": sku,
                    "quantity": quantity, "seenPrice": 0,
                });
                (format!("var_{sku}"), line)
            })
            .collect();
        let mut cart = json!({
            "customerId": null, "currency": "USD", "coupons": [], "shippingAddress": null,
            "billingAddress": null, "shippingMethod": null, "status": "active", "orderId": null,
            "expiresAt": "2027-01-01T00:00:00.000Z", "_owner": "gst_1", "_activeOf": null, "_lines": lines,
        });
        if let (Some(cart), Some(more)) = (cart.as_object_mut(), more.as_object()) {
            cart.extend(more.clone());
        }
        let id = format!("cart_{number}");
        self.host.put(CARTS, &id, &cart);
        id
    }

    pub(super) fn coupon(&self, code: &str, limit: Option<i64>, per_customer: Option<i64>) {
        let coupon = json!({
            "code": code, "ruleId": "ten", "limit": limit, "perCustomer": per_customer, "startsAt": null,
            "endsAt": null, "used": 0,
        });
        self.host.put(COUPONS, &format!("cpn_{code}"), &coupon);
    }

    pub(super) fn moods(&self, moods: &[Mood]) {
        self.gateway.borrow_mut().moods = moods.iter().copied().collect();
    }

    pub(super) fn advance(&self, by_ms: i64) {
        self.clock.set(self.clock.get() + by_ms);
        self.host.set_now_ms(self.clock.get());
    }

    pub(super) fn now(&self) -> String {
        timestamp(self.clock.get())
    }

    pub(super) fn request(&self, operation: &str, id: &str, key: &str, body: &Value) -> Request {
        let is_customers = ["createOrder", "payOrder"].contains(&operation);
        let mut caller = if is_customers { guest() } else { staff() };
        caller.request_key = (!key.is_empty()).then(|| format!("{operation} {id} {key}"));
        Request {
            operation_id: operation.to_owned(),
            params: vec![("id".to_owned(), id.to_owned()), ("provider".to_owned(), id.to_owned())],
            body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
            caller,
            ..Request::default()
        }
    }

    pub(super) fn call(
        &self,
        operation: &str,
        id: &str,
        key: &str,
        body: &Value,
    ) -> Result<RecordedAnswer, Problem> {
        self.send(self.request(operation, id, key, body))
    }

    pub(super) fn send(&self, request: Request) -> Result<RecordedAnswer, Problem> {
        let operation = request.operation_id.clone();
        let answer = self.host.answered::<Orders>(request)?;
        let faults = response_faults::<Orders>(&operation, answer.status, &answer.body);
        assert_eq!(faults, Vec::<String>::new(), "{}", answer.body);
        Ok(answer)
    }

    /// Whether the host lived through the call.
    pub(super) fn survives(&self, request: Request) -> bool {
        catch_unwind(AssertUnwindSafe(|| drop(self.host.call::<Orders>(request)))).is_ok()
    }

    pub(super) fn checkout(&self, cart: &str, key: &str) -> Result<RecordedAnswer, Problem> {
        self.call("createOrder", "", key, &order_of(cart))
    }

    /// Runs the reconciler.
    pub(super) fn settle(&self) {
        let request = Request {
            caller: Caller { kind: "system".to_owned(), ..Caller::default() },
            ..self.request("settleOrders", "", "", &Value::Null)
        };
        self.host.call::<Orders>(request).unwrap();
    }

    pub(super) fn all<T: DeserializeOwned>(&self, collection: &str) -> Vec<T> {
        let context = Context::new(&self.host, b"");
        let query = Query { limit: 1_000, ..Query::default() };
        context.find::<T>(collection, &query).unwrap().items.into_iter().map(|it| it.data).collect()
    }

    pub(super) fn orders(&self) -> Vec<StoredOrder> {
        self.all(ORDERS)
    }

    pub(super) fn order(&self, id: &str) -> StoredOrder {
        Context::new(&self.host, b"").get::<StoredOrder>(ORDERS, id).unwrap().unwrap().data
    }

    pub(super) fn the_order(&self) -> StoredOrder {
        let mut orders = self.orders();
        assert_eq!(orders.len(), 1);
        orders.remove(0)
    }

    pub(super) fn level(&self, sku: &str) -> (i64, i64, i64) {
        let level = self.host.document(INVENTORY, &crate::stock::level_id(sku)).unwrap();
        let number = |member: &str| level[member].as_i64().unwrap();
        (number("onHand"), number("reserved"), number("available"))
    }

    pub(super) fn cart_status(&self, id: &str) -> String {
        self.host.document(CARTS, id).unwrap()["status"].as_str().unwrap().to_owned()
    }

    pub(super) fn charge(&self, payment: &str) -> Charge {
        self.gateway.borrow().charges.get(payment).copied().unwrap_or_default()
    }

    /// Waits until nothing is due any more.
    pub(super) fn wait_out(&self) {
        self.moods(&[]);
        for _ in 0..100 {
            let context = Context::new(&self.host, b"");
            let open = Filter::Exists("_dueAt".to_owned(), true);
            if context.count(ORDERS, &open).unwrap() == 0 {
                return;
            }
            self.advance(30 * MINUTE_MS);
            self.settle();
        }
    }

    /// What holds at every moment.
    #[track_caller]
    pub(super) fn check(&self) {
        let orders = self.orders();
        let reservations: BTreeMap<String, StoredReservation> = self
            .all::<StoredReservation>(RESERVATIONS)
            .into_iter()
            .map(|reservation| (reservation.order_id.clone(), reservation))
            .collect();
        let mut held: BTreeMap<String, i64> = BTreeMap::new();
        for reservation in reservations.values() {
            if matches!(reservation.state, ReservationState::Held | ReservationState::Committed) {
                for item in &reservation.items {
                    *held.entry(item.sku.clone()).or_default() += item.quantity;
                }
            }
        }
        for level in self.all::<Value>(INVENTORY) {
            let number = |member: &str| level[member].as_i64().unwrap();
            let sku = level["sku"].as_str().unwrap();
            assert_eq!(number("reserved"), held.get(sku).copied().unwrap_or_default(), "{sku}");
            let free = number("onHand") - number("reserved") - number("safetyStock");
            assert_eq!(number("available"), free, "{sku}");
        }
        for order in &orders {
            self.check_order(order, &reservations[&order.order.id]);
        }
        for coupon in self.all::<Value>(COUPONS) {
            let id = coupon["id"].as_str().unwrap().to_owned();
            let using = orders.iter().filter(|it| !is_void(it) && it.counted.coupons.contains(&id)).count();
            assert_eq!(coupon["used"], using, "{coupon}");
        }
        for (payment, charge) in &self.gateway.borrow().charges {
            assert!(charge.times <= 1, "{payment} was charged {} times", charge.times);
        }
    }

    #[track_caller]
    fn check_order(&self, order: &StoredOrder, reservation: &StoredReservation) {
        let it = &order.order;
        for payment in &it.payments {
            let sums = Sums::of(payment);
            assert!(sums.captured + sums.capturing <= sums.authorized, "{payment:?}");
            assert!(sums.refunded + sums.refunding <= sums.captured, "{payment:?}");
        }
        let sums = Sums::of_all(&it.payments);
        let totals = &it.totals;
        assert_eq!((totals.paid.amount, totals.refunded.amount), (sums.captured, sums.refunded));
        let owed = totals.grand.amount - sums.credited - (sums.captured - sums.refunded);
        assert_eq!(totals.due.amount, if is_void(order) { 0 } else { owed });
        let open: Vec<&String> = it
            .payments
            .iter()
            .filter(|payment| !payment.offline)
            .flat_map(|payment| &payment.transactions)
            .filter(|it| matches!(it.state, TransactionState::Pending | TransactionState::Unknown))
            .map(|it| &it.id)
            .collect();
        // What is open is looked after.
        assert!(open.iter().all(|id| order.operations.contains_key(*id)), "{order:?}");
        assert_eq!(order.due_at.is_some(), !order.operations.is_empty() || order.expires_at.is_some());
        let cart = it.cart_id.as_ref().map(|cart| self.host.document(CARTS, cart).unwrap());
        let is_this = |cart: &Value| cart["orderId"] == it.id.as_str();
        match it.status {
            OrderStatus::Pending => {
                assert!(reservation.state != ReservationState::Committed);
                assert!(reservation.state == ReservationState::Held || order.expires_at <= Some(self.now()));
                assert!(cart.is_none_or(|cart| cart["status"] == "completing" && is_this(&cart)));
            }
            OrderStatus::Cancelled | OrderStatus::Expired => {
                assert_eq!(reservation.state, ReservationState::Released);
                assert!(cart.is_none_or(|cart| cart["status"] != "completing" || !is_this(&cart)));
            }
            _ => {
                assert_eq!(reservation.state, ReservationState::Committed);
                assert!(cart.is_none_or(|cart| cart["status"] == "ordered" && is_this(&cart)));
            }
        }
    }

    /// What holds when everything has come to its end.
    #[track_caller]
    pub(super) fn check_settled(&self) {
        self.check();
        for order in self.orders() {
            assert_eq!(order.due_at, None, "{order:?}");
            assert_ne!(order.order.status, OrderStatus::Pending);
            for payment in &order.order.payments {
                let charge = self.charge(&payment.id);
                let sums = Sums::of(payment);
                if !payment.offline {
                    assert_eq!(
                        (sums.captured, sums.refunded),
                        (charge.captured, charge.refunded),
                        "{payment:?}"
                    );
                }
                if is_void(&order) && !has_failed_to_give_back(&order) {
                    assert_eq!((charge.held(), charge.waiting), (0, 0), "{order:?}");
                }
            }
        }
    }
}

/// Whether the gateway has refused to give money back: then somebody has to look.
fn has_failed_to_give_back(order: &StoredOrder) -> bool {
    let mut transactions = order.order.payments.iter().flat_map(|payment| &payment.transactions);
    transactions.any(|it| {
        let gives_back = matches!(it.kind, TransactionType::Void | TransactionType::Refund);
        gives_back && it.state == TransactionState::Failed
    })
}

pub(super) fn is_void(order: &StoredOrder) -> bool {
    matches!(order.order.status, OrderStatus::Cancelled | OrderStatus::Expired)
}

pub(super) fn order_of(cart: &str) -> Value {
    json!({"cartId": cart, "email": "Ada@example.com", "payment": {"provider": "pay", "token": "tok"}})
}

pub(super) fn guest() -> Caller {
    Caller { kind: "anonymous".to_owned(), guest: Some("gst_1".to_owned()), ..Caller::default() }
}

pub(super) fn staff() -> Caller {
    Caller {
        kind: "admin".to_owned(),
        subject: Some("usr_staff".to_owned()),
        permissions: vec!["*".to_owned()],
        ..Caller::default()
    }
}

pub(super) fn usd(amount: i64) -> Value {
    json!({"amount": amount, "currency": "USD"})
}
