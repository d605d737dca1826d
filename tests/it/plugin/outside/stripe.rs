//! The Stripe plugin against a server that speaks its API and misbehaves: a customer is charged once, whatever happens.

use std::time::Duration;

use hyper::Method;
use platform_tests::{
    host::{START_MS, TestHost, TestHostBuilder},
    stripe::{API_KEY, FakeStripe, Trouble, WEBHOOK_SECRET, sign},
    wait::eventually,
};
use secrecy::SecretString;
use serde_json::{Value, json};

/// What a shop that is paid through Stripe has in its plugins file, with the server in Stripe's place.
fn grants(stripe: &FakeStripe) -> String {
    format!(
        "[plugins.asker]\ncalls = [\"pricing\", \"shipping\", \"payment\"]\n\
         [plugins.payment-stripe]\nhttp = [\"api.stripe.com\", \"{base}\"]\n\
         secrets = [\"PAYMENT_GATEWAY_KEY\", \"STRIPE_WEBHOOK_SECRET\"]\n\
         [plugins.payment-stripe.limits]\ntimeout_ms = 1500\n\
         [plugins.payment-stripe.config]\napiBase = \"{base}\"\n",
        base = stripe.base()
    )
}

fn shop(key: &'static str) -> TestHostBuilder {
    TestHostBuilder::empty().fixture("asker").plugin("payment-stripe").configure(move |config| {
        config.payment.gateway_key = (!key.is_empty()).then(|| SecretString::from(key));
        let webhook = SecretString::from(WEBHOOK_SECRET);
        config.secrets.given.insert("STRIPE_WEBHOOK_SECRET".to_owned(), webhook);
    })
}

async fn start() -> (FakeStripe, TestHost) {
    let stripe = FakeStripe::start().await;
    let host = shop(API_KEY).grants(&grants(&stripe)).start().await;
    assert_eq!(host.refusals(), []);
    (stripe, host)
}

/// An authorization, or what comes after it when it has a reference. The order is also the payment and the key.
fn operation(kind: &str, order: &str, token: &str) -> Value {
    json!({
        "provider": "payment-stripe", "kind": kind, "token": token, "key": format!("{kind}-{order}"),
        "amount": 500, "currency": "EUR", "orderId": order, "paymentId": order,
    })
}

async fn pay(host: &TestHost, operation: &Value) -> Value {
    host.anonymous().post("/asker/pay", operation).await.expect(200)
}

/// What became of it.
async fn ask(host: &TestHost, operation: &Value) -> Value {
    let mut operation = operation.clone();
    operation["ask"] = json!(true);
    pay(host, &operation).await
}

async fn authorized(host: &TestHost, order: &str) -> String {
    let outcome = pay(host, &operation("authorization", order, "pm_card_visa")).await;
    assert_eq!(outcome["state"], "succeeded", "{outcome}");
    outcome["reference"].as_str().unwrap().to_owned()
}

async fn after(host: &TestHost, kind: &str, order: &str, reference: &str) -> Value {
    let mut operation = operation(kind, order, "");
    operation["reference"] = json!(reference);
    pay(host, &operation).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_authorized_captured_and_refunded() {
    let (stripe, host) = start().await;
    let reference = authorized(&host, "ord_1").await;
    assert_eq!(authorized(&host, "ord_1").await, reference, "the same key");
    assert_eq!((stripe.charges("ord_1"), stripe.captured("ord_1")), (1, 0));
    assert_eq!(after(&host, "capture", "ord_1", &reference).await["state"], "succeeded");
    assert_eq!(stripe.captured("ord_1"), 500);
    assert_eq!(after(&host, "refund", "ord_1", &reference).await["state"], "succeeded");
    assert_eq!(after(&host, "refund", "ord_1", &reference).await["state"], "succeeded");
    assert_eq!(stripe.refunded("ord_1"), 500);

    let reference = authorized(&host, "ord_2").await;
    assert_eq!(after(&host, "void", "ord_2", &reference).await["state"], "succeeded");
    assert_eq!(stripe.captured("ord_2"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_part_capture_has_released_is_void() {
    let (stripe, host) = start().await;
    let reference = authorized(&host, "ord_1").await;
    let mut part = operation("capture", "ord_1", "");
    (part["reference"], part["amount"]) = (json!(reference), json!(200));
    assert_eq!(pay(&host, &part).await["state"], "succeeded");
    let mut rest = operation("void", "ord_1", "");
    (rest["reference"], rest["amount"]) = (json!(reference), json!(300));
    assert_eq!(pay(&host, &rest).await["state"], "succeeded");
    assert_eq!(ask(&host, &rest).await["state"], "succeeded");
    assert_eq!(stripe.captured("ord_1"), 200);

    // What was captured whole is not given up.
    let reference = authorized(&host, "ord_2").await;
    after(&host, "capture", "ord_2", &reference).await;
    assert_ne!(after(&host, "void", "ord_2", &reference).await["state"], "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_declined_or_asks_the_customer_something() {
    let (stripe, host) = start().await;
    let declined = pay(&host, &operation("authorization", "ord_1", "pm_card_chargeDeclined")).await;
    assert!(declined["declined"].is_string(), "{declined}");
    assert_eq!(stripe.charges("ord_1"), 0);

    let asks = operation("authorization", "ord_2", "pm_card_authenticationRequired");
    let outcome = pay(&host, &asks).await;
    assert_eq!(outcome["state"], "requires_action", "{outcome}");
    stripe.complete(outcome["reference"].as_str().unwrap(), true);
    assert_eq!(ask(&host, &asks).await["state"], "succeeded");
    assert_eq!(stripe.charges("ord_2"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_a_customer_is_charged_once() {
    let (stripe, host) = start().await;
    let (succeeded, unknown) = (Some("succeeded"), None);
    for (number, (trouble, at_once, asked)) in [
        (Trouble::DoThenHang, unknown, succeeded),
        // The host repeats it with the same key, and Stripe its answer.
        (Trouble::DoThenClose, succeeded, succeeded),
        (Trouble::DoThenFail, unknown, unknown),
        (Trouble::DoThenGarbage, unknown, succeeded),
        (Trouble::Hang, unknown, succeeded),
        (Trouble::Fail, unknown, succeeded),
    ]
    .into_iter()
    .enumerate()
    {
        let order = format!("ord_{number}");
        let operation = operation("authorization", &order, "pm_card_visa");
        stripe.misbehave([trouble]);
        let outcome = pay(&host, &operation).await;
        assert_eq!(outcome["state"].as_str(), at_once, "{trouble:?} {outcome}");
        assert_eq!(outcome["unknown"].is_string(), at_once.is_none(), "{trouble:?} {outcome}");
        let outcome = ask(&host, &operation).await;
        assert_eq!(outcome["state"].as_str(), asked, "{trouble:?} {outcome}");
        assert_eq!(stripe.charges(&order), 1, "{trouble:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_payment_is_unknown_until_it_is_done() {
    let (stripe, host) = start().await;
    let operation = operation("authorization", "ord_1", "pm_card_visa");
    stripe.misbehave([Trouble::Slow(Duration::from_millis(2_500))]);
    let outcome = pay(&host, &operation).await;
    assert!(outcome["unknown"].is_string(), "{outcome}");
    let outcome = ask(&host, &operation).await;
    assert!(outcome["unknown"].is_string() || outcome["state"] == "succeeded", "{outcome}");
    eventually("it is done", async || ask(&host, &operation).await["state"] == "succeeded").await;
    assert_eq!(stripe.charges("ord_1"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_are_nobodys_charge() {
    let (stripe, host) = start().await;
    stripe.misbehave([Trouble::TooMany]);
    let operation = operation("authorization", "ord_1", "pm_card_visa");
    assert_eq!(pay(&host, &operation).await["invalid"], "unavailable");
    assert_eq!(stripe.charges("ord_1"), 0);
    assert_eq!(pay(&host, &operation).await["state"], "succeeded");
    assert_eq!(stripe.charges("ord_1"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_or_a_server_that_is_not_there_charges_nobody() {
    let stripe = FakeStripe::start().await;
    let host = shop("sk_test_wrong").grants(&grants(&stripe)).start().await;
    let operation = operation("authorization", "ord_1", "pm_card_visa");
    assert_eq!(pay(&host, &operation).await["invalid"], "payment_failed");
    assert_eq!(stripe.charges("ord_1"), 0);
    let grants = grants(&stripe);
    drop(stripe);
    eventually("the server is gone", async || pay(&host, &operation).await["invalid"] == "unavailable").await;

    // The configuration points to where the operator lets nothing go.
    let other = grants.replace("apiBase = \"http://127.0.0.1", "apiBase = \"http://127.0.0.2");
    host.grant(&other).await;
    assert_eq!(pay(&host, &operation).await["invalid"], "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_believed_with_its_signature_and_within_five_minutes() {
    let (stripe, host) = start().await;
    let reference = authorized(&host, "ord_1").await;
    let client = host.anonymous();
    let post = async |body: &str, signature: &str| {
        let draft = client.request(Method::POST, "/asker/webhook").text(body.to_owned());
        client.send(draft.header("stripe-signature", signature)).await.expect(200)
    };
    let kind = "payment_intent.amount_capturable_updated";
    let told = |age_s: i64| stripe.event(kind, &reference, START_MS - age_s * 1_000);
    for age_s in [0, 299, -299] {
        let event = told(age_s);
        assert_eq!(post(&event.body, &event.signature).await["notices"][0]["payment"], "ord_1", "{age_s}");
    }
    for age_s in [302, -302, 86_400] {
        let event = told(age_s);
        assert!(post(&event.body, &event.signature).await["unauthenticated"].is_string(), "{age_s}");
    }
    let event = told(0);
    let forged = sign(&event.body, "whsec_forged", START_MS);
    let altered = event.body.replace("ord_1", "ord_2");
    for (body, signature) in [(&event.body, &forged.signature), (&altered, &event.signature)] {
        assert!(post(body, signature).await["unauthenticated"].is_string());
    }
    assert!(post(&event.body, "").await["unauthenticated"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_loads_with_its_host_and_its_key_and_says_which_line_is_missing() {
    let stripe = FakeStripe::start().await;
    let host = shop(API_KEY).grants("[plugins.asker]\ncalls = [\"pricing\", \"shipping\", \"payment\"]\n");
    let host = host.start().await;
    let (reason, _) = host.refusal();
    assert!(reason.contains("`http = [\"api.stripe.com\"]` under `[plugins.payment-stripe]`"), "{reason}");
    host.grant(&grants(&stripe).replace("secrets = ", "#")).await;
    let (reason, _) = host.refusal();
    assert!(
        reason.contains("`secrets = [\"PAYMENT_GATEWAY_KEY\"]` under `[plugins.payment-stripe]`"),
        "{reason}"
    );

    let host = shop("").grants(&grants(&stripe)).start().await;
    let (reason, _) = host.refusal();
    assert!(reason.contains("PAYMENT_GATEWAY_KEY_FILE"), "{reason}");
}
