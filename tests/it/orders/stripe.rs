//! A shop that is paid through Stripe: whatever a customer's card and Stripe do, one order is one charge.

mod webhooks;

use std::{collections::BTreeSet, time::Duration};

use hyper::Method;
use platform_tests::{
    checkout::{Shopper, key, post_with_key, sell, usd},
    client::{Answer, Client, Draft},
    conservation,
    host::{TestHost, TestHostBuilder},
    shop::{documents, dump, id},
    stripe::{API_KEY, Event, FakeStripe, Trouble, WEBHOOK_SECRET},
    wait::eventually,
};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::retries::{is_replayed, told};

on_each_backend!(
    start(shop()), start(shop().on_mongodb());
    an_order_is_authorized_captured_and_refunded_in_parts,
    what_is_not_captured_is_voided_and_paid_anew,
    what_a_part_capture_lets_go_is_paid_anew,
    whoever_is_declined_has_the_cart_and_the_shop_its_stock_back,
    a_customer_whose_bank_asks_is_confirmed_by_a_webhook,
    a_customer_is_sent_to_the_bank_where_there_is_a_way_back,
    a_customer_who_fails_at_the_bank_has_the_cart_back,
    whatever_stripe_does_an_order_is_charged_once,
    what_stripe_could_not_say_it_tells_by_a_webhook,
    a_webhook_that_is_faster_than_the_answer_counts,
    a_capture_and_a_refund_without_an_answer_are_settled_once,
    a_refund_that_takes_time_ends_by_a_webhook,
    its_key_is_nowhere_but_in_requests_to_stripe,
);

/// What is left unanswered is asked about after a minute and a part of it.
const OUTCOME: Duration = Duration::from_secs(120);
/// Two cups and their shipping.
const GRAND: i64 = 3_070;
const CAPTURABLE: &str = "payment_intent.amount_capturable_updated";

/// The shop of a test, and what stands in Stripe's place.
struct Shop {
    host: TestHost,
    stripe: FakeStripe,
    admin: Client,
}

fn shop() -> TestHostBuilder {
    TestHostBuilder::shop().plugin("payment-stripe").patient()
}

/// A configuration with what Stripe gave the shop.
fn secrets(webhook: &str) -> impl FnOnce(&mut host::config::Config) + 'static {
    let webhook = SecretString::from(webhook);
    move |config| {
        config.payment.gateway_key = Some(SecretString::from(API_KEY));
        config.secrets.given.insert("STRIPE_WEBHOOK_SECRET".to_owned(), webhook);
    }
}

/// Points the plugins file to the server in Stripe's place, as an operator turns Stripe on.
fn paid_through(builder: TestHostBuilder, stripe: &FakeStripe) -> TestHostBuilder {
    let base = stripe.base();
    builder
        .regrant(
            "enabled = false\nhttp = [\"api.stripe.com\"]",
            &format!("http = [\"api.stripe.com\", \"{base}\"]"),
        )
        .grants(&format!("\n[plugins.payment-stripe.config]\napiBase = \"{base}\"\n"))
}

async fn start(builder: TestHostBuilder) -> Shop {
    let stripe = FakeStripe::start().await;
    let builder = paid_through(builder, &stripe).configure_more(secrets(WEBHOOK_SECRET));
    let mut host = builder.start().await;
    assert_eq!(host.refusals(), []);
    let admin = host.admin().await;
    sell(&admin, "CUP", 20).await;
    Shop { host, stripe, admin }
}

/// The body of an order that is paid with this payment method of Stripe's.
fn paying(shopper: &Shopper, method: &str) -> Value {
    let mut body = shopper.order(method);
    body["payment"]["provider"] = json!("payment-stripe");
    body
}

/// What a payment is moved by.
fn amount(amount: i64) -> Value {
    json!({ "amount": usd(amount) })
}

/// The states of an order's transactions, in their order.
fn transactions(order: &Value) -> Vec<(String, String, i64)> {
    let payments = order["payments"].as_array().into_iter().flatten();
    let all = payments.flat_map(|payment| payment["transactions"].as_array().into_iter().flatten());
    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    all.map(|it| (text(&it["type"]), text(&it["state"]), it["amount"]["amount"].as_i64().unwrap())).collect()
}

fn moved(kind: &str, state: &str, amount: i64) -> (String, String, i64) {
    (kind.to_owned(), state.to_owned(), amount)
}

fn statuses(order: &Value) -> (&str, &str) {
    (order["status"].as_str().unwrap_or_default(), order["paymentStatus"].as_str().unwrap_or_default())
}

impl Shop {
    async fn guest(&self) -> Shopper {
        Shopper::with(self.host.anonymous(), &[("CUP", 2)]).await
    }

    /// An order of a guest's, paid with this payment method, and the guest.
    async fn order(&self, name: &str, method: &str) -> (Shopper, Answer) {
        let guest = self.guest().await;
        let answer = guest.checkout(&key(name), &paying(&guest, method)).await;
        (guest, answer)
    }

    async fn read(&self, order: &Value) -> Value {
        self.admin.get(&format!("/orders/{}", id(order))).await.expect(200)
    }

    /// Moves the money of an order's payment that has this number.
    async fn act(&self, order: &Value, number: usize, verb: &str, name: &str, body: &Value) -> Answer {
        let payment = id(&order["payments"][number]);
        post_with_key(&self.admin, &format!("/payments/{payment}/{verb}"), name, body).await
    }

    async fn available(&self) -> i64 {
        self.admin.get("/inventory/CUP").await.expect(200)["available"].as_i64().unwrap()
    }

    /// What Stripe calls the only payment of an order.
    fn intent(&self, order: &Value) -> String {
        let intents = self.stripe.intents(id(order));
        assert_eq!(intents.len(), 1, "{intents:?}");
        id(&intents[0]).to_owned()
    }

    fn event(&self, kind: &str, about: &str) -> Event {
        self.stripe.event(kind, about, self.now_ms())
    }

    fn now_ms(&self) -> i64 {
        self.host.app.store().clock().now_ms()
    }

    /// Lets calls of Stripe last so long at most from now on.
    async fn hasten(&self, timeout_ms: u32) {
        let file = self.host.data_dir().join("plugins.toml");
        let text = std::fs::read_to_string(file).unwrap();
        let section = "[plugins.payment-stripe.limits]\ntimeout_ms = ";
        let (before, after) = text.split_once(section).unwrap();
        let rest = after.trim_start_matches(|it: char| it.is_ascii_digit());
        let report = self.host.grant(&format!("{before}{section}{timeout_ms}{rest}")).await;
        assert_eq!((&report["swapped"], &report["refused"]), (&json!(true), &json!([])));
    }

    /// The keys with which Stripe was asked to do this, in the order in which it was.
    fn keys(&self, what: &str) -> Vec<String> {
        let came = self.stripe.requests().into_iter().filter(|it| it.what == what);
        came.map(|it| it.key.unwrap_or_default()).collect()
    }
}

/// A webhook that proves itself by this header, or by none.
fn webhook(client: &Client, body: &str, signature: Option<&str>) -> Draft {
    let draft = client.request(Method::POST, "/payments/webhooks/payment-stripe");
    let draft = draft.header("content-type", "application/json").text(body);
    match signature {
        Some(signature) => draft.header("stripe-signature", signature),
        None => draft,
    }
}

/// Delivers an event as Stripe does.
async fn deliver(host: &TestHost, event: &Event) -> Answer {
    let client = host.anonymous();
    client.send(webhook(&client, &event.body, Some(&event.signature))).await
}

async fn an_order_is_authorized_captured_and_refunded_in_parts(shop: Shop) {
    let (guest, answer) = shop.order("approve", "pm_card_visa").await;
    let order = answer.expect(201);
    assert_eq!(statuses(&order), ("confirmed", "authorized"));
    assert_eq!(transactions(&order), [moved("authorization", "succeeded", GRAND)]);
    let order_id = id(&order);
    assert_eq!((shop.stripe.charges(order_id), shop.stripe.captured(order_id)), (1, 0));
    let intent = &shop.stripe.intents(order_id)[0];
    assert_eq!((&intent["amount"], &intent["currency"]), (&json!(GRAND), &json!("usd")));
    assert_eq!(order["payments"][0]["transactions"][0]["providerReference"], intent["id"]);

    let over = shop.act(&order, 0, "capture", "over", &amount(GRAND + 1)).await;
    over.expect_problem(422, "capture_exceeds_authorization");
    shop.act(&order, 0, "capture", "capture", &json!({})).await.expect(200);
    assert_eq!(shop.stripe.captured(order_id), GRAND);
    assert_eq!(statuses(&shop.read(&order).await), ("confirmed", "paid"));
    // Nothing is left to be given up.
    shop.act(&order, 0, "void", "void", &json!({})).await.expect_problem(409, "conflict");

    shop.act(&order, 0, "refund", "part", &amount(500)).await.expect(200);
    assert_eq!(shop.stripe.refunded(order_id), 500);
    assert_eq!(statuses(&shop.read(&order).await), ("confirmed", "partiallyRefunded"));
    let over = shop.act(&order, 0, "refund", "too-much", &amount(GRAND - 499)).await;
    assert_eq!(over.expect_problem(422, "refund_exceeds_capture")["remaining"], usd(GRAND - 500));
    shop.act(&order, 0, "refund", "rest", &json!({})).await.expect(200);
    assert_eq!(shop.stripe.refunded(order_id), GRAND);
    let order = shop.read(&order).await;
    assert_eq!(statuses(&order), ("confirmed", "refunded"));

    // Every repeat is answered from the record, and Stripe hears of none.
    let before = shop.stripe.requests();
    let again = guest.checkout(&key("approve"), &paying(&guest, "pm_card_visa")).await;
    assert!(is_replayed(&again));
    again.expect(201);
    for (verb, name, body) in
        [("capture", "capture", json!({})), ("refund", "part", amount(500)), ("refund", "rest", json!({}))]
    {
        let again = shop.act(&order, 0, verb, name, &body).await;
        assert!(is_replayed(&again), "{verb}");
        again.expect(200);
    }
    assert_eq!(shop.stripe.requests(), before);
    conservation::check(&shop.host).await;
}

async fn what_is_not_captured_is_voided_and_paid_anew(shop: Shop) {
    let order = shop.order("void", "pm_card_visa").await.1.expect(201);
    shop.act(&order, 0, "void", "void", &json!({})).await.expect(200);
    assert_eq!(shop.stripe.intents(id(&order))[0]["status"], "canceled");
    let voided = shop.read(&order).await;
    assert_eq!(statuses(&voided), ("confirmed", "voided"));
    assert_eq!(voided["totals"]["due"], usd(GRAND));
    let late = shop.act(&order, 0, "capture", "late", &json!({})).await;
    assert_eq!(late.expect_problem(422, "capture_exceeds_authorization")["remaining"], usd(0));

    let paying = json!({"provider": "payment-stripe", "token": "pm_card_mastercard"});
    let path = format!("/orders/{}/payments", id(&order));
    post_with_key(&shop.admin, &path, "anew", &paying).await.expect(201);
    let order = shop.read(&order).await;
    assert_eq!(statuses(&order), ("confirmed", "authorized"));
    shop.act(&order, 1, "capture", "capture", &json!({})).await.expect(200);
    assert_eq!((shop.stripe.charges(id(&order)), shop.stripe.captured(id(&order))), (2, GRAND));
    conservation::check(&shop.host).await;
}

async fn what_a_part_capture_lets_go_is_paid_anew(shop: Shop) {
    let order = shop.order("part", "pm_card_visa").await.1.expect(201);
    shop.act(&order, 0, "capture", "part", &amount(1_000)).await.expect(200);
    assert_eq!(statuses(&shop.read(&order).await), ("confirmed", "partiallyPaid"));
    // Stripe has let the rest go already.
    shop.act(&order, 0, "capture", "rest", &amount(2_000)).await.expect_problem(409, "conflict");
    shop.act(&order, 0, "void", "void", &json!({})).await.expect(200);
    let path = format!("/orders/{}/payments", id(&order));
    let paying = json!({"provider": "payment-stripe", "token": "pm_card_visa"});
    let payment = post_with_key(&shop.admin, &path, "anew", &paying).await.expect(201);
    assert_eq!(payment["amount"], usd(GRAND - 1_000));
    let order = shop.read(&order).await;
    shop.act(&order, 1, "capture", "all", &json!({})).await.expect(200);
    assert_eq!(shop.stripe.captured(id(&order)), GRAND);
    let order = shop.read(&order).await;
    assert_eq!(
        (statuses(&order), &order["totals"]["paid"], &order["totals"]["due"]),
        (("confirmed", "paid"), &usd(GRAND), &usd(0))
    );
    conservation::check(&shop.host).await;
}

async fn whoever_is_declined_has_the_cart_and_the_shop_its_stock_back(shop: Shop) {
    let guest = shop.guest().await;
    for (number, (method, why)) in [
        ("pm_card_chargeDeclined", "Your card was declined."),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "Your card was declined."),
    ]
    .into_iter()
    .enumerate()
    {
        let declined = guest.checkout(&key(&format!("declined-{number}")), &paying(&guest, method)).await;
        let problem = declined.expect_problem(402, "payment_declined");
        assert_eq!(problem["detail"], why);
        let order = shop.admin.get(&format!("/orders/{}", problem["orderId"].as_str().unwrap())).await;
        let order = order.expect(200);
        assert_eq!(statuses(&order), ("cancelled", "failed"));
        assert_eq!((shop.stripe.charges(id(&order)), shop.available().await), (0, 20));
        let cart = guest.send(Method::GET, "", &Value::Null).await.expect(200);
        assert_eq!((&cart["status"], &cart["orderId"]), (&json!("active"), &Value::Null));
    }
    // What Stripe does not know is the client's mistake, and says where.
    let unknown = guest.checkout(&key("unknown"), &paying(&guest, "pm_nobody")).await;
    unknown.expect_error_at(422, "validation_failed", "/payment/token", "validation_failed");
    assert_eq!(shop.available().await, 20);
    let order = guest.checkout(&key("anew"), &paying(&guest, "pm_card_visa")).await.expect(201);
    assert_eq!((shop.stripe.charges(id(&order)), shop.available().await), (1, 18));
    conservation::check(&shop.host).await;
}

async fn a_customer_whose_bank_asks_is_confirmed_by_a_webhook(shop: Shop) {
    let (guest, answer) = shop.order("asked", "pm_card_authenticationRequired").await;
    let order = answer.expect(202);
    assert_eq!(statuses(&order), ("pending", "requiresAction"));
    let intent = shop.intent(&order);
    // What the client gives to Stripe's scripts.
    let action = json!({"type": "stripe", "clientSecret": format!("{intent}_secret_harness")});
    assert_eq!(order["payments"][0]["nextAction"], action);
    assert_eq!(shop.stripe.charges(id(&order)), 0);
    let other = guest.checkout(&key("meanwhile"), &paying(&guest, "pm_card_visa")).await;
    assert_eq!(other.expect_problem(409, "cart_locked")["orderId"], order["id"]);

    shop.stripe.complete(&intent, true);
    let told = deliver(&shop.host, &shop.event(CAPTURABLE, &intent)).await;
    assert_eq!(told.expect(200), json!({"received": true}));
    let confirmed = shop.read(&order).await;
    assert_eq!(statuses(&confirmed), ("confirmed", "authorized"));
    assert_eq!(confirmed["payments"][0]["nextAction"], Value::Null);
    assert_eq!(guest.send(Method::GET, "", &Value::Null).await.expect(200)["status"], "ordered");
    assert_eq!(shop.stripe.charges(id(&order)), 1);
    shop.act(&order, 0, "capture", "capture", &json!({})).await.expect(200);
    assert_eq!(shop.stripe.captured(id(&order)), GRAND);
    // What Stripe tells of the capture is known.
    deliver(&shop.host, &shop.event("payment_intent.succeeded", &intent)).await.expect(200);
    let paid = shop.read(&order).await;
    assert_eq!(
        transactions(&paid),
        [moved("authorization", "succeeded", GRAND), moved("capture", "succeeded", GRAND)]
    );
    conservation::check(&shop.host).await;
}

async fn a_customer_is_sent_to_the_bank_where_there_is_a_way_back(shop: Shop) {
    let config = json!({"apiBase": shop.stripe.base(), "returnUrl": "https://shop.example/back"});
    shop.admin.put("/plugins/payment-stripe/config", &config).await.expect(200);
    let order = shop.order("sent", "pm_card_threeDSecure2Required").await.1.expect(202);
    let intent = shop.intent(&order);
    let url = format!("https://hooks.stripe.example/redirect/{intent}");
    assert_eq!(order["payments"][0]["nextAction"], json!({"type": "redirect", "url": url}));
    // Nobody tells that they were there: the shop asks.
    shop.stripe.complete(&intent, true);
    let payment = id(&order["payments"][0]);
    shop.admin.post(&format!("/payments/{payment}/sync"), &json!({})).await.expect(200);
    assert_eq!(statuses(&shop.read(&order).await), ("confirmed", "authorized"));
    assert_eq!(shop.stripe.charges(id(&order)), 1);
    conservation::check(&shop.host).await;
}

async fn a_customer_who_fails_at_the_bank_has_the_cart_back(shop: Shop) {
    let (guest, answer) = shop.order("failing", "pm_card_threeDSecure2Required").await;
    let order = answer.expect(202);
    assert_eq!(shop.available().await, 18);
    let intent = shop.intent(&order);
    shop.stripe.complete(&intent, false);
    deliver(&shop.host, &shop.event("payment_intent.payment_failed", &intent)).await.expect(200);
    let failed = shop.read(&order).await;
    assert_eq!(statuses(&failed), ("cancelled", "failed"));
    assert_eq!(failed["payments"][0]["transactions"][0]["reason"], "authentication_required");
    assert_eq!((shop.available().await, shop.stripe.charges(id(&order))), (20, 0));
    let cart = guest.send(Method::GET, "", &Value::Null).await.expect(200);
    assert_eq!((&cart["status"], &cart["orderId"]), (&json!("active"), &Value::Null));
    guest.checkout(&key("anew"), &paying(&guest, "pm_card_visa")).await.expect(201);
    conservation::check(&shop.host).await;
}

async fn whatever_stripe_does_an_order_is_charged_once(shop: Shop) {
    let mut sent = Vec::new();
    for (number, (trouble, at_once)) in [
        (Trouble::DoThenHang, 202),
        // The host repeats it with the same key, and Stripe its answer.
        (Trouble::DoThenClose, 201),
        (Trouble::DoThenGarbage, 202),
        (Trouble::Hang, 202),
        (Trouble::Fail, 202),
    ]
    .into_iter()
    .enumerate()
    {
        let before = shop.keys("POST /v1/payment_intents").len();
        shop.stripe.misbehave([trouble]);
        let name = format!("trouble-{number}");
        let hangs = matches!(trouble, Trouble::DoThenHang | Trouble::Hang);
        if hangs {
            shop.hasten(1_500).await;
        }
        let (guest, first) = shop.order(&name, "pm_card_visa").await;
        if hangs {
            shop.hasten(20_000).await;
        }
        let first_told = told(&first);
        let order = first.expect(at_once);
        if at_once == 202 {
            assert_eq!(statuses(&order), ("pending", "unknown"), "{trouble:?}");
            let again = guest.checkout(&key(&name), &paying(&guest, "pm_card_visa")).await;
            assert!(is_replayed(&again));
            assert_eq!(told(&again), first_told, "{trouble:?}");
            let another =
                guest.checkout(&key(&format!("{name}-again")), &paying(&guest, "pm_card_visa")).await;
            another.expect_problem(409, "cart_locked");
        }
        shop.host.clock.advance(OUTCOME);
        eventually("it is known what became of it", async || {
            statuses(&shop.read(&order).await) == ("confirmed", "authorized")
        })
        .await;
        assert_eq!(shop.stripe.charges(id(&order)), 1, "{trouble:?}");
        assert_eq!(shop.stripe.intents(id(&order)).len(), 1, "{trouble:?}");
        // One key, however often it was sent.
        let keys = shop.keys("POST /v1/payment_intents").split_off(before);
        assert!(keys.len() > 1 && keys.iter().all(|key| *key == keys[0]), "{trouble:?}: {keys:?}");
        sent.push(keys[0].clone());
        shop.act(&order, 0, "capture", &format!("{name}-capture"), &json!({})).await.expect(200);
        assert_eq!(shop.stripe.captured(id(&order)), GRAND, "{trouble:?}");
    }
    assert_eq!(sent.iter().collect::<BTreeSet<_>>().len(), sent.len(), "each order has a key of its own");
    assert_eq!(documents(&shop.host, "orders").await.len(), sent.len());
    conservation::check(&shop.host).await;
}

async fn what_stripe_could_not_say_it_tells_by_a_webhook(shop: Shop) {
    // Stripe charges, answers 500, and gives the same answer whenever it is asked under the key.
    shop.stripe.misbehave([Trouble::DoThenFail]);
    let order = shop.order("mute", "pm_card_visa").await.1.expect(202);
    assert_eq!(statuses(&order), ("pending", "unknown"));
    assert_eq!(order["payments"][0]["transactions"][0]["providerReference"], Value::Null);
    let payment = id(&order["payments"][0]);
    shop.admin.post(&format!("/payments/{payment}/sync"), &json!({})).await.expect(200);
    assert_eq!(statuses(&shop.read(&order).await), ("pending", "unknown"));
    assert_eq!(shop.stripe.charges(id(&order)), 1);

    let intent = shop.intent(&order);
    deliver(&shop.host, &shop.event(CAPTURABLE, &intent)).await.expect(200);
    let confirmed = shop.read(&order).await;
    assert_eq!(statuses(&confirmed), ("confirmed", "authorized"));
    assert_eq!(confirmed["payments"][0]["transactions"][0]["providerReference"], json!(intent));
    shop.act(&order, 0, "capture", "capture", &json!({})).await.expect(200);
    assert_eq!((shop.stripe.charges(id(&order)), shop.stripe.captured(id(&order))), (1, GRAND));
    conservation::check(&shop.host).await;
}

async fn a_webhook_that_is_faster_than_the_answer_counts(shop: Shop) {
    shop.hasten(5_000).await;
    shop.stripe.misbehave([Trouble::DoThenHang]);
    let guest = shop.guest().await;
    let asking = tokio::spawn({
        let guest = guest.clone();
        async move { guest.checkout(&key("slow"), &paying(&guest, "pm_card_visa")).await }
    });
    let order = async || documents(&shop.host, "orders").await.into_values().next().unwrap_or_default();
    eventually("Stripe has charged", async || {
        order().await["id"].as_str().is_some_and(|order| shop.stripe.charges(order) == 1)
    })
    .await;
    let pending = order().await;
    deliver(&shop.host, &shop.event(CAPTURABLE, &shop.intent(&pending))).await.expect(200);
    assert_eq!(statuses(&shop.read(&pending).await), ("confirmed", "authorized"));
    let told = asking.await.unwrap().expect(201);
    assert_eq!((&told["id"], statuses(&told)), (&pending["id"], ("confirmed", "authorized")));
    assert_eq!(shop.stripe.charges(id(&told)), 1);
    conservation::check(&shop.host).await;
}

async fn a_capture_and_a_refund_without_an_answer_are_settled_once(shop: Shop) {
    let order = shop.order("settled", "pm_card_visa").await.1.expect(201);
    for (verb, status, exceeds) in [
        ("capture", "paid", "capture_exceeds_authorization"),
        ("refund", "refunded", "refund_exceeds_capture"),
    ] {
        shop.hasten(1_500).await;
        shop.stripe.misbehave([Trouble::DoThenHang]);
        let silent = shop.act(&order, 0, verb, verb, &json!({})).await;
        silent.expect_problem(504, "payment_unknown");
        shop.hasten(20_000).await;
        let open = shop.read(&order).await;
        assert_eq!(transactions(&open).last(), Some(&moved(verb, "unknown", GRAND)));
        // Who does not believe it does not move it twice.
        let again = shop.act(&order, 0, verb, &format!("{verb}-again"), &json!({})).await;
        assert_eq!(again.expect_problem(422, exceeds)["remaining"], usd(0));
        shop.host.clock.advance(OUTCOME);
        eventually("it is known what became of it", async || {
            shop.read(&order).await["paymentStatus"] == status
        })
        .await;
        let settled = shop.read(&order).await;
        assert_eq!(transactions(&settled).last(), Some(&moved(verb, "succeeded", GRAND)));
        assert_eq!(transactions(&settled).len(), transactions(&open).len());
    }
    let order = id(&order);
    let at_stripe = (shop.stripe.charges(order), shop.stripe.captured(order), shop.stripe.refunded(order));
    assert_eq!(at_stripe, (1, GRAND, GRAND));
    let refunds = shop.keys("POST /v1/refunds");
    assert!(refunds.iter().all(|key| *key == refunds[0]), "{refunds:?}");
    conservation::check(&shop.host).await;
}

async fn a_refund_that_takes_time_ends_by_a_webhook(shop: Shop) {
    let order = shop.order("slow-refund", "pm_card_visa").await.1.expect(201);
    shop.act(&order, 0, "capture", "capture", &json!({})).await.expect(200);
    shop.stripe.refunds_take_time();
    shop.act(&order, 0, "refund", "good", &amount(1_000)).await.expect(202);
    shop.act(&order, 0, "refund", "bad", &amount(2_000)).await.expect(202);
    let open = shop.read(&order).await;
    assert_eq!((statuses(&open), &open["totals"]["refunded"]), (("confirmed", "paid"), &usd(0)));
    // What is on its way counts.
    let over = shop.act(&order, 0, "refund", "over", &amount(GRAND - 2_999)).await;
    assert_eq!(over.expect_problem(422, "refund_exceeds_capture")["remaining"], usd(GRAND - 3_000));

    let refunds = shop.stripe.refunds(id(&order));
    for (refund, state, kind) in
        [(&refunds[0], "succeeded", "refund.updated"), (&refunds[1], "failed", "refund.failed")]
    {
        shop.stripe.settle(refund, state);
        deliver(&shop.host, &shop.event(kind, refund)).await.expect(200);
    }
    let over = shop.read(&order).await;
    assert_eq!(
        (statuses(&over), &over["totals"]["refunded"]),
        (("confirmed", "partiallyRefunded"), &usd(1_000))
    );
    let ended = &transactions(&over)[2..];
    assert_eq!(ended, [moved("refund", "succeeded", 1_000), moved("refund", "failed", 2_000)]);
    assert_eq!(shop.stripe.refunded(id(&order)), 1_000);
    conservation::check(&shop.host).await;
}

/// An order that waits for its customer, who has done what the bank asked, and what Stripe would tell of it.
async fn agreed(shop: &Shop, name: &str) -> (Value, String) {
    let order = shop.order(name, "pm_card_authenticationRequired").await.1.expect(202);
    let intent = shop.intent(&order);
    shop.stripe.complete(&intent, true);
    (order, intent)
}

async fn its_key_is_nowhere_but_in_requests_to_stripe(shop: Shop) {
    let order = shop.order("secret", "pm_card_visa").await.1.expect(201);
    shop.act(&order, 0, "capture", "capture", &amount(1_000)).await.expect(200);
    shop.act(&order, 0, "refund", "refund", &amount(500)).await.expect(200);
    let voided = shop.order("voided", "pm_card_visa").await.1.expect(201);
    shop.act(&voided, 0, "void", "void", &json!({})).await.expect(200);
    let declined = shop.order("declined", "pm_card_chargeDeclined").await.1;
    assert_eq!(declined.status, 402);
    let (waiting, intent) = agreed(&shop, "waiting").await;
    deliver(&shop.host, &shop.event(CAPTURABLE, &intent)).await.expect(200);

    let requests = shop.stripe.requests();
    let authorization = format!("Bearer {API_KEY}");
    let mut keys = BTreeSet::new();
    for came in &requests {
        assert_eq!(came.authorization.as_deref(), Some(authorization.as_str()), "{came:?}");
        if came.what.starts_with("POST ") {
            let key = came.key.as_deref().unwrap_or_else(|| panic!("no key: {came:?}"));
            assert!(keys.insert(key), "two operations have one key: {requests:?}");
        }
    }
    // Four authorizations, a capture, a refund and a void.
    assert_eq!(keys.len(), 7, "{requests:?}");

    // What the plugin was ever given or answered is in the store, or in what is shown.
    let mut shown: Vec<(String, String)> = vec![("declined".to_owned(), declined.text())];
    for ((collection, document), body) in dump(&shop.host).await {
        shown.push((format!("{collection} {document}"), body.to_string()));
    }
    assert!(shown.iter().any(|(what, _)| what.starts_with("stripe_attempts ")));
    for path in [
        format!("/orders/{}", id(&order)),
        format!("/orders/{}/history", id(&order)),
        format!("/orders/{}", id(&waiting)),
        "/plugins".to_owned(),
        "/plugins/payment-stripe".to_owned(),
        "/audit".to_owned(),
        "//metrics".to_owned(),
        "//openapi.json".to_owned(),
    ] {
        let answer = shop.admin.get(&path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        shown.push((path, answer.text()));
    }
    shown.push(("the report".to_owned(), shop.host.app.plugins_report().to_string()));
    for (what, text) in shown {
        for secret in [API_KEY, WEBHOOK_SECRET] {
            assert!(!text.contains(secret), "{secret} is in {what}: {text}");
        }
    }
    conservation::check(&shop.host).await;
}
