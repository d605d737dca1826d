//! The gateway against the store's reference model.

use plugin_sdk::{
    Context, Filter, Money, Value, json,
    mock::MockHost,
    payment::{
        Kind, Notice, Operation, Outcome, PaymentError, PaymentProvider as _, State, Webhook, WebhookError,
    },
};
use proptest::prelude::*;

use crate::{CHARGES, OPERATIONS, PaymentSandbox, rules::Charge, token::Token, webhook};

const SECRET: &str = "whsec_sandbox";

type Answer = Result<Outcome, PaymentError>;

fn host() -> MockHost {
    let host = MockHost::empty();
    host.declare(PaymentSandbox::collections());
    host
}

fn config() -> Vec<u8> {
    json!({"webhookSecret": SECRET, "actionUrl": "https://pay.example/3ds?shop=1"}).to_string().into_bytes()
}

fn operation(key: &str, amount: i64) -> Operation {
    Operation {
        order_id: "ord_1".to_owned(),
        payment_id: "pay_1".to_owned(),
        reference: None,
        amount: Money::new(amount, "EUR"),
        token: None,
        idempotency_key: key.to_owned(),
    }
}

fn authorize(host: &MockHost, key: &str, token: &str, amount: i64) -> Answer {
    let operation = Operation { token: Some(token.to_owned()), ..operation(key, amount) };
    PaymentSandbox::authorize(&Context::new(host, &config()), &operation)
}

fn on(reference: &str, key: &str, amount: i64) -> Operation {
    Operation { reference: Some(reference.to_owned()), ..operation(key, amount) }
}

fn act(host: &MockHost, kind: Kind, operation: &Operation) -> Answer {
    let config = config();
    let ctx = Context::new(host, &config);
    match kind {
        Kind::Authorization => PaymentSandbox::authorize(&ctx, operation),
        Kind::Capture => PaymentSandbox::capture(&ctx, operation),
        Kind::Refund => PaymentSandbox::refund(&ctx, operation),
        Kind::Void => PaymentSandbox::void(&ctx, operation),
    }
}

fn status(host: &MockHost, kind: Kind, operation: &Operation) -> Answer {
    PaymentSandbox::status(&Context::new(host, &config()), kind, operation)
}

fn with_token(token: &str, operation: Operation) -> Operation {
    Operation { token: Some(token.to_owned()), ..operation }
}

/// What is in the ledger: captured, refunded, voided.
fn sums(host: &MockHost, reference: &str) -> [i64; 3] {
    let charge = host.document(CHARGES, reference).expect("a charge");
    ["captured", "refunded", "voided"].map(|name| charge[name].as_i64().unwrap())
}

fn count(host: &MockHost, collection: &str) -> u64 {
    Context::new(host, b"").count(collection, &Filter::all()).unwrap()
}

fn send(host: &MockHost, body: &Value) -> Result<Vec<Notice>, WebhookError> {
    let body = body.to_string().into_bytes();
    let headers = vec![(webhook::SIGNATURE.to_owned(), webhook::sign(SECRET, &body))];
    PaymentSandbox::parse_webhook(&Context::new(host, &config()), &Webhook { headers, body })
}

#[track_caller]
fn refused(answer: Answer, status: u16, code: &str) {
    match answer {
        Err(PaymentError::Invalid(problem)) => {
            assert_eq!((problem.status, problem.code.as_str()), (status, code), "{problem:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn declined(answer: Answer) {
    assert!(matches!(answer, Err(PaymentError::Declined(_))), "{answer:?}");
}

#[test]
fn an_approved_payment_is_captured_and_refunded_in_parts() {
    let host = host();
    let outcome = authorize(&host, "a", "tok_approve", 100).unwrap();
    assert_eq!(outcome, Outcome::new(State::Succeeded, outcome.reference.as_str()));
    let reference = outcome.reference.as_str();
    let done = Ok(Outcome::new(State::Succeeded, reference));
    assert_eq!(act(&host, Kind::Capture, &on(reference, "c1", 60)), done);
    refused(act(&host, Kind::Capture, &on(reference, "c2", 41)), 422, "capture_exceeds_authorization");
    assert_eq!(act(&host, Kind::Capture, &on(reference, "c3", 30)), done);
    assert_eq!(act(&host, Kind::Refund, &on(reference, "r1", 50)), done);
    refused(act(&host, Kind::Refund, &on(reference, "r2", 41)), 422, "refund_exceeds_capture");
    assert_eq!(act(&host, Kind::Void, &on(reference, "v1", 10)), done);
    assert_eq!(sums(&host, reference), [90, 50, 10]);
    refused(act(&host, Kind::Void, &on(reference, "v2", 10)), 409, "conflict");
    refused(act(&host, Kind::Capture, &on(reference, "c4", 1)), 422, "capture_exceeds_authorization");
    assert_eq!(act(&host, Kind::Refund, &on(reference, "r3", 40)), done);
    assert_eq!(sums(&host, reference), [90, 90, 10]);
}

#[test]
fn a_repeat_answers_the_same_and_changes_nothing() {
    let host = host();
    let outcome = authorize(&host, "a", "tok_approve", 100);
    assert_eq!(authorize(&host, "a", "tok_approve", 100), outcome);
    assert_eq!(count(&host, CHARGES), 1);
    let reference = outcome.unwrap().reference;
    for (kind, key, amount) in
        [(Kind::Capture, "c", 70), (Kind::Refund, "r", 70), (Kind::Void, "v", 30), (Kind::Capture, "c", 70)]
    {
        let operation = on(&reference, key, amount);
        let first = act(&host, kind, &operation);
        assert!(first.is_ok(), "{first:?}");
        assert_eq!(act(&host, kind, &operation), first);
    }
    assert_eq!(sums(&host, &reference), [70, 70, 30]);
    assert_eq!(count(&host, OPERATIONS), 4);
    // Declines as well.
    let decline = authorize(&host, "d", "tok_decline", 5);
    declined(decline.clone());
    assert_eq!(authorize(&host, "d", "tok_decline", 5), decline);
}

#[test]
fn a_key_is_for_one_operation() {
    let host = host();
    let reference = authorize(&host, "a", "tok_approve", 100).unwrap().reference;
    refused(authorize(&host, "a", "tok_approve", 101), 422, "idempotency_key_reused");
    refused(authorize(&host, "a", "tok_decline", 100), 422, "idempotency_key_reused");
    refused(act(&host, Kind::Capture, &on(&reference, "a", 100)), 422, "idempotency_key_reused");
    let dollars = Operation { amount: Money::new(100, "USD"), ..operation("a", 0) };
    refused(
        act(&host, Kind::Authorization, &with_token("tok_approve", dollars)),
        422,
        "idempotency_key_reused",
    );
    let other = authorize(&host, "b", "tok_approve", 100).unwrap().reference;
    act(&host, Kind::Capture, &on(&reference, "c", 10)).unwrap();
    refused(act(&host, Kind::Capture, &on(&other, "c", 10)), 422, "idempotency_key_reused");
    refused(act(&host, Kind::Capture, &on(&reference, "c", 11)), 422, "idempotency_key_reused");
    refused(act(&host, Kind::Refund, &on(&reference, "c", 10)), 422, "idempotency_key_reused");
    refused(status(&host, Kind::Refund, &on(&reference, "c", 10)), 422, "idempotency_key_reused");
    assert_eq!(sums(&host, &reference), [10, 0, 0]);
    assert_eq!(sums(&host, &other), [0, 0, 0]);
}

#[test]
fn two_calls_with_one_key_make_one_charge() {
    let host = host();
    host.before_commit(0, |host| {
        authorize(host, "a", "tok_approve", 100).unwrap();
    });
    let reference = authorize(&host, "a", "tok_approve", 100).unwrap().reference;
    assert_eq!((count(&host, CHARGES), count(&host, OPERATIONS)), (1, 1));
    for (kind, expected) in [(Kind::Capture, [100, 0, 0]), (Kind::Refund, [100, 100, 0])] {
        let operation = on(&reference, kind.as_str(), 100);
        let twin = operation.clone();
        host.before_commit(0, move |host| {
            act(host, kind, &twin).unwrap();
        });
        assert_eq!(act(&host, kind, &operation), Ok(Outcome::new(State::Succeeded, reference.as_str())));
        assert_eq!(sums(&host, &reference), expected);
    }
    // Another amount under the same key loses, however late it sees the first.
    host.before_commit(0, |host| {
        authorize(host, "b", "tok_approve", 100).unwrap();
    });
    refused(authorize(&host, "b", "tok_approve", 200), 422, "idempotency_key_reused");
}

#[test]
fn two_operations_at_the_same_time_keep_the_sums() {
    let host = host();
    let reference = authorize(&host, "a", "tok_approve", 100).unwrap().reference;
    let rival = on(&reference, "c1", 60);
    host.before_commit(0, move |host| {
        act(host, Kind::Capture, &rival).unwrap();
    });
    refused(act(&host, Kind::Capture, &on(&reference, "c2", 60)), 422, "capture_exceeds_authorization");
    let rival = on(&reference, "c3", 10);
    host.before_commit(0, move |host| {
        act(host, Kind::Capture, &rival).unwrap();
    });
    // What is given up is what is left at the moment of the commit.
    act(&host, Kind::Void, &on(&reference, "v", 40)).unwrap();
    assert_eq!(sums(&host, &reference), [70, 0, 30]);
}

#[test]
fn declines_say_so_and_leave_no_charge() {
    let host = host();
    for (key, token) in
        [("d", "tok_decline"), ("x", "4242"), ("y", "tok_"), ("z", "tok_timeout_authorization")]
    {
        declined(authorize(&host, key, token, 100));
        let outcome = status(&host, Kind::Authorization, &with_token(token, operation(key, 100))).unwrap();
        assert_eq!((outcome.state, outcome.code.as_deref()), (State::Failed, Some("declined")));
    }
    assert_eq!(count(&host, CHARGES), 0);
    refused(act(&host, Kind::Authorization, &operation("n", 100)), 422, "validation_failed");
}

#[test]
fn a_payment_may_be_captured_at_once() {
    let host = host();
    let outcome = authorize(&host, "a", "tok_captured", 100).unwrap();
    assert!(outcome.captured);
    assert_eq!(sums(&host, &outcome.reference), [100, 0, 0]);
    refused(act(&host, Kind::Capture, &on(&outcome.reference, "c", 1)), 422, "capture_exceeds_authorization");
    act(&host, Kind::Refund, &on(&outcome.reference, "r", 100)).unwrap();
    assert!(authorize(&host, "a", "tok_captured", 100).unwrap().captured);
}

#[test]
fn who_was_not_answered_learns_it_from_the_status() {
    let host = host();
    let lost = authorize(&host, "a", "tok_timeout", 100);
    assert!(matches!(lost, Err(PaymentError::Unknown(_))), "{lost:?}");
    let asked = with_token("tok_timeout", operation("a", 100));
    let outcome = status(&host, Kind::Authorization, &asked).unwrap();
    assert_eq!(outcome.state, State::Succeeded);
    // A repeat makes no second charge and is answered.
    assert_eq!(act(&host, Kind::Authorization, &asked), Ok(outcome));
    assert_eq!(count(&host, CHARGES), 1);
}

#[test]
fn what_follows_can_go_wrong_as_well() {
    for kind in [Kind::Capture, Kind::Refund, Kind::Void] {
        let host = host();
        let authorized = |key: &str, trouble: &str| {
            let reference =
                authorize(&host, key, &format!("tok_{trouble}_{}", kind.as_str()), 100).unwrap().reference;
            if kind == Kind::Refund {
                act(&host, Kind::Capture, &on(&reference, &format!("{key}-capture"), 100)).unwrap();
            }
            reference
        };
        let reference = authorized("a", "decline");
        let before = sums(&host, &reference);
        declined(act(&host, kind, &on(&reference, "x", 100)));
        assert_eq!(sums(&host, &reference), before);
        assert_eq!(status(&host, kind, &on(&reference, "x", 100)).unwrap().state, State::Failed);

        let reference = authorized("b", "timeout");
        let before = sums(&host, &reference);
        let lost = act(&host, kind, &on(&reference, "y", 100));
        assert!(matches!(lost, Err(PaymentError::Unknown(_))), "{lost:?}");
        assert_ne!(sums(&host, &reference), before);
        assert_eq!(status(&host, kind, &on(&reference, "y", 100)).unwrap().state, State::Succeeded);
    }
}

#[test]
fn garbage_is_answered_once_and_the_status_is_sound() {
    let host = host();
    let outcome = authorize(&host, "a", "tok_garbage", 100).unwrap();
    assert!(outcome.reference.len() >= 1 << 20 && outcome.reference.contains('\0'));
    assert!(outcome.next_action.unwrap().to_string().len() >= 1 << 20);
    let asked = with_token("tok_garbage", operation("a", 100));
    let sound = status(&host, Kind::Authorization, &asked).unwrap();
    assert_eq!(sound.state, State::Succeeded);
    refused(act(&host, Kind::Capture, &on(&outcome.reference, "c", 1)), 404, "not_found");
    act(&host, Kind::Capture, &on(&sound.reference, "c", 1)).unwrap();
}

#[test]
fn an_operation_that_never_came_has_failed() {
    let host = host();
    for kind in Kind::ALL {
        let outcome = status(&host, kind, &operation("never", 100)).unwrap();
        assert_eq!((outcome.state, outcome.code.as_deref()), (State::Failed, Some("unknown_operation")));
    }
    // And may come yet.
    assert!(authorize(&host, "never", "tok_approve", 100).is_ok());
}

#[test]
fn operations_on_nothing_or_in_another_currency_are_refused() {
    let host = host();
    let reference = authorize(&host, "a", "tok_approve", 100).unwrap().reference;
    for kind in [Kind::Capture, Kind::Refund, Kind::Void] {
        refused(act(&host, kind, &operation("n", 1)), 404, "not_found");
        for nonsense in ["", "sbc_1", "../sbc", "\0", &"x".repeat(30)] {
            refused(act(&host, kind, &on(nonsense, "n", 1)), 404, "not_found");
        }
        let dollars = Operation { amount: Money::new(1, "USD"), ..on(&reference, "n", 1) };
        refused(act(&host, kind, &dollars), 409, "currency_mismatch");
    }
    for kind in [Kind::Authorization, Kind::Capture, Kind::Refund] {
        for amount in [0, -1, i64::MIN] {
            refused(act(&host, kind, &on(&reference, "n", amount)), 422, "amount_out_of_range");
        }
    }
    refused(act(&host, Kind::Refund, &on(&reference, "n", i64::MAX)), 422, "refund_exceeds_capture");
    assert_eq!(count(&host, OPERATIONS), 1);
}

#[test]
fn a_payment_waits_until_a_webhook_completes_it() {
    for (token, state) in [("tok_action", State::RequiresAction), ("tok_pending", State::Pending)] {
        let host = host();
        let outcome = authorize(&host, "a", token, 100).unwrap();
        assert_eq!(outcome.state, state);
        let url = format!("https://pay.example/3ds?shop=1&reference={}", outcome.reference);
        let action = (state == State::RequiresAction).then(|| json!({"type": "redirect", "url": url}));
        assert_eq!(outcome.next_action, action);
        let asked = with_token(token, operation("a", 100));
        assert_eq!(status(&host, Kind::Authorization, &asked), Ok(outcome.clone()));
        refused(act(&host, Kind::Capture, &on(&outcome.reference, "c", 1)), 409, "conflict");

        let event = json!({
            "id": "evt_1", "kind": "authorization", "reference": outcome.reference, "state": "succeeded",
            "amount": {"amount": 100, "currency": "EUR"},
        });
        let notice = Notice {
            id: "evt_1".to_owned(),
            kind: Kind::Authorization,
            payment_id: None,
            outcome: Outcome::new(State::Succeeded, outcome.reference.as_str()),
            amount: Some(Money::new(100, "EUR")),
        };
        assert_eq!(send(&host, &event), Ok(vec![notice.clone()]));
        assert_eq!(send(&host, &event), Ok(vec![notice]));
        assert_eq!(status(&host, Kind::Authorization, &asked).unwrap().state, State::Succeeded);
        act(&host, Kind::Capture, &on(&outcome.reference, "c", 100)).unwrap();
        // What is complete stays so.
        send(
            &host,
            &json!({"id": "evt_2", "kind": "authorization", "paymentId": "pay_1", "state": "failed"}),
        )
        .unwrap();
        assert_eq!(status(&host, Kind::Authorization, &asked).unwrap().state, State::Succeeded);
    }
}

#[test]
fn a_payment_that_waits_may_fail_or_be_given_up() {
    let host = host();
    let outcome = authorize(&host, "a", "tok_action", 100).unwrap();
    let event = json!({"id": "evt_1", "kind": "authorization", "paymentId": "pay_1", "state": "failed"});
    let notices = send(&host, &event).unwrap();
    assert_eq!((notices[0].outcome.state, notices[0].payment_id.as_deref()), (State::Failed, Some("pay_1")));
    assert_eq!(notices[0].outcome.reference, outcome.reference);
    let asked = with_token("tok_action", operation("a", 100));
    assert_eq!(status(&host, Kind::Authorization, &asked).unwrap().state, State::Failed);
    declined(authorize(&host, "a", "tok_action", 100));
    refused(act(&host, Kind::Void, &on(&outcome.reference, "v", 100)), 409, "conflict");

    let outcome = authorize(&host, "b", "tok_pending", 100).unwrap();
    act(&host, Kind::Void, &on(&outcome.reference, "w", 100)).unwrap();
    let asked = with_token("tok_pending", operation("b", 100));
    assert_eq!(status(&host, Kind::Authorization, &asked).unwrap().state, State::Failed);
    // Too late.
    let event =
        json!({"id": "evt_2", "kind": "authorization", "reference": outcome.reference, "state": "succeeded"});
    send(&host, &event).unwrap();
    assert_eq!(status(&host, Kind::Authorization, &asked).unwrap().state, State::Failed);
}

#[test]
fn a_webhook_that_meets_a_void_leaves_it() {
    let host = host();
    let reference = authorize(&host, "a", "tok_action", 100).unwrap().reference;
    let void = on(&reference, "v", 100);
    host.before_commit(0, move |host| {
        act(host, Kind::Void, &void).unwrap();
    });
    let event = json!({"id": "evt_1", "kind": "authorization", "reference": reference, "state": "succeeded"});
    send(&host, &event).unwrap();
    assert_eq!(host.document(CHARGES, &reference).unwrap()["status"], "canceled");
}

#[test]
fn reports_of_other_operations_change_nothing() {
    let host = host();
    let reference = authorize(&host, "a", "tok_approve", 100).unwrap().reference;
    for kind in [Kind::Capture, Kind::Refund, Kind::Void] {
        let event = json!({"id": "e", "kind": kind.as_str(), "reference": reference, "state": "succeeded"});
        assert_eq!(send(&host, &event).unwrap()[0].kind, kind);
    }
    assert_eq!(sums(&host, &reference), [0, 0, 0]);
    let foreign =
        json!({"id": "e", "kind": "authorization", "reference": "elsewhere\0", "state": "succeeded"});
    assert_eq!(send(&host, &foreign).unwrap()[0].outcome.reference, "elsewhere\0");
}

#[test]
fn webhooks_must_be_signed() {
    let host = host();
    let body = json!({"id": "e", "kind": "refund", "reference": "r", "state": "succeeded"}).to_string();
    let read = |config: &[u8], signature: Option<&str>, body: &str| {
        let headers: Vec<(String, String)> =
            signature.map(|it| (webhook::SIGNATURE.to_owned(), it.to_owned())).into_iter().collect();
        let webhook = Webhook { headers, body: body.as_bytes().to_vec() };
        PaymentSandbox::parse_webhook(&Context::new(&host, config), &webhook)
    };
    let good = webhook::sign(SECRET, body.as_bytes());
    assert!(read(&config(), Some(&good), &body).is_ok());
    let empty = json!({"webhookSecret": ""}).to_string();
    for (config, signature, body) in [
        (config(), None, body.clone()),
        (config(), Some(""), body.clone()),
        (config(), Some("é"), body.clone()),
        (config(), Some(&good[1..]), body.clone()),
        (config(), Some(&webhook::sign("other", body.as_bytes())), body.clone()),
        (config(), Some(&good), format!("{body} ")),
        (Vec::new(), Some(&good), body.clone()),
        (empty.into_bytes(), Some(&webhook::sign("", body.as_bytes())), body.clone()),
    ] {
        let answer = read(&config, signature, &body);
        assert!(matches!(answer, Err(WebhookError::Unauthenticated(_))), "{answer:?}");
    }
}

#[test]
fn webhooks_must_make_sense() {
    let host = host();
    let good = json!({"id": "e", "kind": "refund", "reference": "r", "state": "succeeded"});
    assert!(send(&host, &good).is_ok());
    for (member, value) in [
        ("id", json!("")),
        ("id", json!(1)),
        ("kind", json!("gift")),
        ("state", json!("splendid")),
        ("amount", json!(100)),
        ("amount", json!({"amount": 1.5, "currency": "EUR"})),
        ("colour", json!("red")),
        ("reference", Value::Null),
    ] {
        let mut wrong = good.clone();
        wrong[member] = value;
        let answer = send(&host, &wrong);
        assert!(matches!(answer, Err(WebhookError::Malformed(_))), "{wrong}: {answer:?}");
    }
    for nobody in ["pay_2", "\0"] {
        let mut wrong = json!({"id": "e", "kind": "refund", "state": "succeeded"});
        wrong["paymentId"] = json!(nobody);
        assert!(matches!(send(&host, &wrong), Err(WebhookError::Malformed(_))));
    }
    assert!(matches!(send(&host, &json!([])), Err(WebhookError::Malformed(_))));
}

#[test]
fn every_verb_has_its_troubles() {
    let known = ["approve", "captured", "decline", "action", "pending", "timeout", "garbage"];
    let later =
        ["decline", "timeout"].map(|it| ["capture", "refund", "void"].map(|kind| format!("{it}_{kind}")));
    for token in known.iter().map(|&it| it.to_owned()).chain(later.into_iter().flatten()) {
        assert!(Token::parse(&format!("tok_{token}")).is_some(), "{token}");
    }
    for token in ["", "approve", "tok_Approve", "tok_approve ", "tok_garbage_capture", "tok_decline_"] {
        assert_eq!(Token::parse(token), None, "{token}");
    }
}

proptest! {
    /// Whatever comes in whatever order: a key has one outcome, and the sums hold.
    #[test]
    fn the_ledger_adds_up(
        steps in prop::collection::vec((0..4_usize, 0..6_u8, prop_oneof![-1..40_i64, Just(i64::MAX)]), 1..40)
    ) {
        let host = host();
        let reference = authorize(&host, "first", "tok_approve", 100).unwrap().reference;
        for (kind, key, amount) in steps {
            let kind = Kind::ALL[kind];
            let step = with_token("tok_approve", on(&reference, &key.to_string(), amount));
            let first = act(&host, kind, &step);
            let before = host.document(CHARGES, &reference);
            let answered = match status(&host, kind, &step) {
                Ok(outcome) if outcome.state == State::Failed => None,
                other => Some(other),
            };
            match &first {
                Ok(outcome) => prop_assert_eq!(answered, Some(Ok(outcome.clone()))),
                Err(_) => prop_assert!(!matches!(answered, Some(Ok(_)))),
            }
            if first.is_ok() {
                prop_assert_eq!(act(&host, kind, &step), first);
                prop_assert_eq!(host.document(CHARGES, &reference), before);
            }
            let charge: Charge = serde_json::from_value(host.document(CHARGES, &reference).unwrap()).unwrap();
            prop_assert!(charge.captured + charge.voided <= charge.authorized);
            prop_assert!(0 <= charge.refunded && charge.refunded <= charge.captured && 0 <= charge.voided);
        }
    }
}
