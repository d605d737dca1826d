//! What Stripe tells, and who may tell it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use plugin_sdk::{
    Context, Money, Value, json,
    mock::MockHost,
    payment::{Kind, Notice, Outcome, PaymentProvider as _, State, Webhook, WebhookError},
};
use proptest::prelude::*;
use sha2::Sha256;

use super::{host, intent, refund};
use crate::PaymentStripe;

fn sign(secret: &str, time: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hear(host: &MockHost, signature: Option<String>, body: &[u8]) -> Result<Vec<Notice>, WebhookError> {
    let headers = signature.map(|it| ("stripe-signature".to_owned(), it)).into_iter().collect();
    let webhook = Webhook { headers, body: body.to_vec() };
    PaymentStripe::parse_webhook(&Context::new(host, b""), &webhook)
}

fn signed(host: &MockHost, body: &[u8]) -> Result<Vec<Notice>, WebhookError> {
    let time = (Context::new(host, b"").now_ms() / 1000).to_string();
    let signature = format!("t={time},v1={}", sign("whsec_1", &time, body));
    hear(host, Some(signature), body)
}

fn event(kind: &str, object: &Value, previous: &Value) -> Vec<u8> {
    let data = json!({"object": object, "previous_attributes": previous});
    json!({"id": "evt_1", "object": "event", "type": kind, "data": data}).to_string().into_bytes()
}

#[test]
fn events_become_notices() {
    let host = host();
    let mut capturable = intent("requires_capture", 1290);
    capturable["amount_capturable"] = json!(1290);
    let mut refused = intent("requires_payment_method", 1290);
    refused["last_payment_error"] =
        json!({"type": "card_error", "code": "card_declined", "decline_code": "lost_card"});
    let mut automatic = intent("succeeded", 1290);
    automatic["capture_method"] = json!("automatic");
    let named_refund = |status: &str| {
        let mut refund = refund(status, 300);
        refund["metadata"] = json!({"payment_id": "pay_1"});
        refund
    };
    let outcome = |state| Outcome::new(state, "pi_1");
    let lost = Outcome { code: Some("lost_card".to_owned()), ..outcome(State::Failed) };
    let captured = Outcome { captured: true, ..outcome(State::Succeeded) };
    let failed = Outcome { code: Some("failed".to_owned()), ..outcome(State::Failed) };
    for (kind, object, previous, expected, told, amount) in [
        (
            "payment_intent.amount_capturable_updated",
            capturable,
            json!({}),
            Kind::Authorization,
            outcome(State::Succeeded),
            Some(1290),
        ),
        (
            "payment_intent.succeeded",
            intent("succeeded", 1290),
            json!({}),
            Kind::Capture,
            outcome(State::Succeeded),
            Some(1290),
        ),
        ("payment_intent.succeeded", automatic, json!({}), Kind::Authorization, captured, Some(1290)),
        ("payment_intent.payment_failed", refused, json!({}), Kind::Authorization, lost, Some(1290)),
        (
            "payment_intent.canceled",
            intent("canceled", 1290),
            json!({}),
            Kind::Void,
            outcome(State::Succeeded),
            Some(1290),
        ),
        (
            "refund.created",
            named_refund("succeeded"),
            json!({}),
            Kind::Refund,
            outcome(State::Succeeded),
            Some(300),
        ),
        (
            "refund.updated",
            named_refund("succeeded"),
            json!({}),
            Kind::Refund,
            outcome(State::Succeeded),
            Some(300),
        ),
        ("refund.updated", named_refund("failed"), json!({}), Kind::Refund, failed, Some(300)),
    ] {
        let id = match expected {
            Kind::Refund => format!("re_1 {}", told.state.as_str()),
            _ => "evt_1".to_owned(),
        };
        let notice = Notice {
            id,
            kind: expected,
            payment_id: Some("pay_1".to_owned()),
            outcome: told,
            amount: amount.map(|amount| Money::new(amount, "USD")),
        };
        assert_eq!(signed(&host, &event(kind, &object, &previous)), Ok(vec![notice]), "{kind}");
    }
}

#[test]
fn events_about_other_things_are_heard_and_mean_nothing() {
    let host = host();
    for (kind, object) in [
        ("customer.created", json!({"id": "cus_1"})),
        ("payment_intent.created", intent("requires_confirmation", 5)),
        ("charge.refunded", json!({"amount_refunded": 5, "currency": "usd", "payment_intent": "pi_1"})),
        ("refund.updated", json!({"id": "re_1", "amount": 5, "currency": "usd", "status": "succeeded"})),
        ("refund.updated", refund("splendid", 5)),
    ] {
        assert_eq!(signed(&host, &event(kind, &object, &Value::Null)), Ok(Vec::new()), "{kind}");
    }
    // What others make on the same account has no payment of ours.
    let mut foreign = intent("succeeded", 5);
    foreign["metadata"] = json!({});
    let notices = signed(&host, &event("payment_intent.succeeded", &foreign, &Value::Null)).unwrap();
    assert_eq!(notices[0].payment_id, None);
}

#[test]
fn events_must_make_sense() {
    let host = host();
    let mut nameless = intent("succeeded", 5);
    nameless["id"] = json!("pi_1/..");
    for body in [
        b"".to_vec(),
        b"{}".to_vec(),
        b"\xff".to_vec(),
        event("payment_intent.succeeded", &json!({}), &Value::Null),
        event("payment_intent.succeeded", &nameless, &Value::Null),
        event("refund.updated", &json!([]), &Value::Null),
        json!({"id": "1", "type": "x", "data": {"object": {}}}).to_string().into_bytes(),
    ] {
        let answer = signed(&host, &body);
        assert!(matches!(answer, Err(WebhookError::Malformed(_))), "{answer:?}");
    }
}

#[test]
fn signatures_are_checked_with_their_time() {
    let host = host();
    let body = event("customer.created", &json!({}), &Value::Null);
    let now = Context::new(&host, b"").now_ms() / 1000;
    let at = |seconds: i64| {
        let time = seconds.to_string();
        let signature = sign("whsec_1", &time, &body);
        (time, signature)
    };
    for seconds in [now, now - 300, now + 300] {
        let (time, signature) = at(seconds);
        assert!(hear(&host, Some(format!("t={time},v1={signature}")), &body).is_ok());
        // While the secret is replaced there are two, and others may come that are not known.
        let several = format!("t={time}, v1={}, v1={signature}, v0=x", sign("old", &time, &body));
        assert!(hear(&host, Some(several), &body).is_ok());
        assert!(hear(&host, Some(format!("t={time},v1={}", signature.to_uppercase())), &body).is_ok());
    }
    let (time, good) = at(now);
    let (stale, old) = at(now - 301);
    let (early, soon) = at(now + 301);
    let wrong = "0".repeat(64);
    for signature in [
        None,
        Some(String::new()),
        Some("t=,v1=".to_owned()),
        Some(format!("v1={good}")),
        Some(format!("t={time}")),
        Some(format!("t={time},v0={good}")),
        Some(format!("t={time},v1={wrong}")),
        Some(format!("t={time},v1={}", &good[..62])),
        Some(format!("t={time},v1={good}00")),
        Some(format!("t={time},v1=é{}", &good[2..])),
        Some(format!("t=+{time},v1={good}")),
        Some(format!("t={stale},v1={old}")),
        Some(format!("t={early},v1={soon}")),
        Some(format!("t={time},v1={old}")),
        Some(format!("t={},v1={good}", i64::MIN)),
        Some(format!("t={time},{}v1={good}", format!("v1={wrong},").repeat(4))),
    ] {
        let answer = hear(&host, signature.clone(), &body);
        assert!(matches!(answer, Err(WebhookError::Unauthenticated(_))), "{signature:?} {answer:?}");
    }
    let other = hear(&host, Some(format!("t={time},v1={good}")), b"{}");
    assert!(matches!(other, Err(WebhookError::Unauthenticated(_))));
    let poor = MockHost::empty();
    let answer = hear(&poor, Some(format!("t={time},v1={good}")), &body);
    assert!(matches!(answer, Err(WebhookError::Unauthenticated(_))));
}

proptest! {
    #[test]
    fn no_header_or_body_breaks_a_webhook(header in ".{0,200}", body in prop::collection::vec(any::<u8>(), 0..200)) {
        let answer = hear(&host(), Some(header), &body);
        prop_assert!(matches!(answer, Err(WebhookError::Unauthenticated(_))));
        let _ = signed(&host(), &body);
    }
}
