//! The plugin against a server that the test plays.

mod webhooks;

use std::{cell::RefCell, rc::Rc};

use plugin_sdk::{
    Context, Money, Problem, Value,
    http_client::{Request, Response, SendError},
    json,
    mock::MockHost,
    money::currency_exponent,
    payment::{Kind, Operation, Outcome, PaymentError, PaymentProvider as _, State},
};
use proptest::prelude::*;

use crate::{
    API_KEY, ATTEMPTS, PaymentStripe, WEBHOOK_SECRET,
    amount::{from_stripe, to_stripe},
};

type Answer = Result<Outcome, PaymentError>;
type Sent = Result<Response, SendError>;

fn host() -> MockHost {
    let host = MockHost::empty();
    host.declare(PaymentStripe::collections());
    host.secret(API_KEY, "sk_test_1");
    host.secret(WEBHOOK_SECRET, "whsec_1");
    host
}

fn operation(amount: i64, currency: &str) -> Operation {
    Operation {
        order_id: "ord_1".to_owned(),
        payment_id: "pay_1".to_owned(),
        reference: None,
        amount: Money::new(amount, currency),
        token: Some("pm_card_visa".to_owned()),
        idempotency_key: "key-1".to_owned(),
    }
}

fn on_intent(amount: i64) -> Operation {
    Operation { reference: Some("pi_1".to_owned()), token: None, ..operation(amount, "USD") }
}

fn act(host: &MockHost, kind: Kind, operation: &Operation) -> Answer {
    act_as(host, &json!({}), kind, operation)
}

fn act_as(host: &MockHost, config: &Value, kind: Kind, operation: &Operation) -> Answer {
    let config = config.to_string();
    let ctx = Context::new(host, config.as_bytes());
    match kind {
        Kind::Authorization => PaymentStripe::authorize(&ctx, operation),
        Kind::Capture => PaymentStripe::capture(&ctx, operation),
        Kind::Refund => PaymentStripe::refund(&ctx, operation),
        Kind::Void => PaymentStripe::void(&ctx, operation),
    }
}

fn status(host: &MockHost, kind: Kind, operation: &Operation) -> Answer {
    PaymentStripe::status(&Context::new(host, b""), kind, operation)
}

fn response(status: u16, body: &Value) -> Sent {
    Ok(Response { status, body: body.to_string().into_bytes(), ..Response::default() })
}

fn replayed(status: u16, body: &Value) -> Sent {
    let headers = vec![("idempotent-replayed".to_owned(), "true".to_owned())];
    response(status, body).map(|response| Response { headers, ..response })
}

fn error(kind: &str, code: &str) -> Value {
    json!({"error": {"type": kind, "code": code, "message": format!("About {code}.")}})
}

fn intent(status: &str, amount: i64) -> Value {
    json!({
        "id": "pi_1", "object": "payment_intent", "status": status, "amount": amount, "currency": "usd",
        "amount_received": if status == "succeeded" { amount } else { 0 }, "amount_capturable": 0,
        "capture_method": "manual", "client_secret": "pi_1_secret_2", "next_action": null,
        "metadata": {"order_id": "ord_1", "payment_id": "pay_1"},
    })
}

fn refund(status: &str, amount: i64) -> Value {
    json!({"id": "re_1", "object": "refund", "status": status, "amount": amount, "currency": "usd", "payment_intent": "pi_1"})
}

/// A host whose server always answers the same.
fn answering(answer: Sent) -> MockHost {
    let host = host();
    host.serve(move |_| answer.clone());
    host
}

fn form(request: &Request) -> Vec<(String, String)> {
    form_urlencoded::parse(&request.body).into_owned().collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[track_caller]
fn invalid(answer: Answer) -> Problem {
    match answer {
        Err(PaymentError::Invalid(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn unknown(answer: Answer) {
    assert!(matches!(answer, Err(PaymentError::Unknown(_))), "{answer:?}");
}

#[track_caller]
fn failed(answer: Answer, code: &str) {
    let outcome = answer.unwrap();
    assert_eq!((outcome.state, outcome.code.as_deref()), (State::Failed, Some(code)));
}

#[test]
fn an_authorization_confirms_an_intent_and_names_the_payment() {
    let host = answering(response(200, &intent("requires_capture", 1290)));
    let outcome = act(&host, Kind::Authorization, &operation(1290, "USD"));
    assert_eq!(outcome, Ok(Outcome::new(State::Succeeded, "pi_1")));
    let request = host.requests().remove(0);
    assert_eq!(
        (request.method.as_str(), request.url.as_str()),
        ("POST", "https://api.stripe.com/v1/payment_intents")
    );
    assert_eq!(request.idempotency_key.as_deref(), Some("key-1"));
    let expected = [("stripe-version", "2024-06-20"), ("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(request.headers, pairs(&expected));
    let secret = &request.secret_headers[0];
    assert_eq!(
        (secret.name.as_str(), secret.secret.as_str(), secret.prefix.as_str()),
        ("authorization", API_KEY, "Bearer ")
    );
    let expected = [
        ("amount", "1290"),
        ("currency", "usd"),
        ("capture_method", "manual"),
        ("confirm", "true"),
        ("payment_method", "pm_card_visa"),
        ("automatic_payment_methods[enabled]", "true"),
        ("automatic_payment_methods[allow_redirects]", "never"),
        ("metadata[order_id]", "ord_1"),
        ("metadata[payment_id]", "pay_1"),
    ];
    assert_eq!(form(&request), pairs(&expected));
}

#[test]
fn configuration_goes_into_the_request() {
    let host = answering(response(200, &intent("requires_capture", 1290)));
    let config = json!({
        "apiBase": "http://127.0.0.1:9", "returnUrl": "https://shop.example/back?a=1&b=2",
        "statementDescriptor": "SHIRTS & CO",
    });
    act_as(&host, &config, Kind::Authorization, &operation(1290, "USD")).unwrap();
    let request = host.requests().remove(0);
    assert_eq!(request.url, "http://127.0.0.1:9/v1/payment_intents");
    let form = form(&request);
    for pair in pairs(&[
        ("return_url", "https://shop.example/back?a=1&b=2"),
        ("statement_descriptor_suffix", "SHIRTS & CO"),
    ]) {
        assert!(form.contains(&pair), "{form:?}");
    }
    assert!(!form.iter().any(|(name, _)| name.contains("allow_redirects")));
}

#[test]
fn what_is_in_a_token_stays_in_its_parameter() {
    let host = answering(response(200, &intent("requires_capture", 1290)));
    let token = "pm_1&amount=1&metadata[order_id]=x\r\n%00é";
    let hostile = Operation { token: Some(token.to_owned()), ..operation(1290, "USD") };
    act(&host, Kind::Authorization, &hostile).unwrap();
    let form = form(&host.requests()[0]);
    assert_eq!(form.iter().filter(|(name, _)| name == "amount").count(), 1);
    assert!(form.contains(&("payment_method".to_owned(), token.to_owned())));
    for token in [None, Some(String::new()), Some("x".repeat(256))] {
        let problem = invalid(act(&host, Kind::Authorization, &Operation { token, ..operation(1, "USD") }));
        assert_eq!(problem.errors[0].pointer, "/token");
    }
    assert_eq!(host.requests().len(), 1);
}

#[test]
fn every_status_of_an_intent_has_its_meaning() {
    let authorize =
        |body: &Value| act(&answering(response(200, body)), Kind::Authorization, &operation(5, "USD"));
    assert!(authorize(&intent("succeeded", 5)).unwrap().captured);
    assert_eq!(authorize(&intent("processing", 5)).unwrap().state, State::Pending);
    let mut waiting = intent("requires_action", 5);
    waiting["next_action"] = json!({"type": "use_stripe_sdk", "use_stripe_sdk": {}});
    let outcome = authorize(&waiting).unwrap();
    assert_eq!(outcome.state, State::RequiresAction);
    assert_eq!(outcome.next_action, Some(json!({"type": "stripe", "clientSecret": "pi_1_secret_2"})));
    waiting["next_action"] =
        json!({"type": "redirect_to_url", "redirect_to_url": {"url": "https://bank.example/"}});
    let action = authorize(&waiting).unwrap().next_action;
    assert_eq!(action, Some(json!({"type": "redirect", "url": "https://bank.example/"})));
    // What is no address of a page is not handed to a browser.
    waiting["next_action"]["redirect_to_url"]["url"] = json!("javascript:alert(1)");
    assert_eq!(authorize(&waiting).unwrap().next_action.unwrap()["type"], "stripe");

    let mut declined = intent("requires_payment_method", 5);
    declined["last_payment_error"] = json!({"type": "card_error", "code": "card_declined", "message": "No."});
    assert_eq!(authorize(&declined), Err(PaymentError::Declined("No.".to_owned())));
    assert!(matches!(authorize(&intent("canceled", 5)), Err(PaymentError::Declined(_))));
    unknown(authorize(&intent("requires_confirmation", 5)));
    unknown(authorize(&intent("splendid", 5)));
}

#[test]
fn an_answer_about_something_else_is_not_believed() {
    let authorize =
        |body: &Value| act(&answering(response(200, body)), Kind::Authorization, &operation(5, "USD"));
    unknown(authorize(&intent("requires_capture", 6)));
    let with = |member: &str, value: Value| {
        let mut body = intent("requires_capture", 5);
        body[member] = value;
        body
    };
    for body in [
        with("currency", json!("eur")),
        with("currency", json!("usdx")),
        with("id", json!("")),
        with("id", json!("pi_1/../../v1/charges")),
        with("id", json!("x".repeat(1 << 20))),
        with("id", Value::Null),
        with("amount", json!("5")),
        json!([]),
        Value::Null,
    ] {
        unknown(authorize(&body));
    }
    unknown(act(
        &answering(Ok(Response { status: 200, ..Response::default() })),
        Kind::Authorization,
        &operation(5, "USD"),
    ));
    unknown(act(&answering(response(200, &intent("succeeded", 4))), Kind::Capture, &on_intent(5)));
    unknown(act(&answering(response(200, &intent("requires_capture", 5))), Kind::Capture, &on_intent(5)));
    unknown(act(&answering(response(200, &intent("succeeded", 5))), Kind::Void, &on_intent(5)));
    unknown(act(&answering(response(200, &refund("succeeded", 4))), Kind::Refund, &on_intent(5)));
    unknown(act(&answering(response(200, &refund("splendid", 5))), Kind::Refund, &on_intent(5)));
}

#[test]
fn what_stripe_refuses_is_told_apart() {
    let all = |answer: &Sent| {
        let authorize = act(&answering(answer.clone()), Kind::Authorization, &operation(5, "USD"));
        for kind in [Kind::Capture, Kind::Refund, Kind::Void] {
            assert_eq!(act(&answering(answer.clone()), kind, &on_intent(5)), authorize);
        }
        authorize
    };
    for declined in [
        response(402, &error("card_error", "card_declined")),
        response(400, &error("card_error", "card_declined")),
    ] {
        assert_eq!(all(&declined), Err(PaymentError::Declined("About card_declined.".to_owned())));
    }
    for (status, kind, code, expected) in [
        (400, "invalid_request_error", "amount_too_small", (422, "amount_out_of_range")),
        (400, "invalid_request_error", "amount_too_large", (422, "amount_out_of_range")),
        (400, "invalid_request_error", "payment_intent_unexpected_state", (409, "conflict")),
        (400, "invalid_request_error", "charge_already_refunded", (409, "conflict")),
        (400, "invalid_request_error", "parameter_unknown", (502, "payment_failed")),
        (404, "invalid_request_error", "resource_missing", (404, "not_found")),
        (401, "invalid_request_error", "", (502, "payment_failed")),
        (403, "invalid_request_error", "", (502, "payment_failed")),
        (429, "invalid_request_error", "rate_limit", (503, "unavailable")),
    ] {
        let problem = invalid(all(&response(status, &error(kind, code))));
        assert_eq!((problem.status, problem.code.as_str()), expected, "{status} {code}");
        // Stripe's words are for the shop's developers.
        assert!(!problem.detail.unwrap().contains("About"));
    }
    let mut missing = error("invalid_request_error", "resource_missing");
    missing["error"]["param"] = json!("payment_method");
    assert_eq!(invalid(all(&response(400, &missing))).errors[0].pointer, "/token");
    for uncertain in [
        response(400, &error("idempotency_error", "")),
        response(409, &error("idempotency_error", "idempotency_key_in_use")),
        response(500, &error("api_error", "")),
        response(503, &Value::Null),
        response(424, &Value::Null),
        response(302, &Value::Null),
        // Not Stripe's words.
        response(400, &json!("bad gateway")),
        response(402, &json!({"error": "x"})),
        response(404, &Value::Null),
        Err(SendError::Timeout),
        Err(SendError::Transport("reset".to_owned())),
        Err(SendError::TooLarge(1)),
    ] {
        unknown(all(&uncertain));
    }
    for never in [
        Err(SendError::Unreachable("refused".to_owned())),
        Err(SendError::Denied("not granted".to_owned())),
        Err(SendError::Invalid("no".to_owned())),
    ] {
        let problem = invalid(all(&never));
        assert_eq!((problem.status, problem.code.as_str()), (503, "unavailable"));
    }
}

#[test]
fn captures_refunds_and_voids_go_to_the_intent() {
    for (kind, answer, path, body) in [
        (
            Kind::Capture,
            intent("succeeded", 5),
            "/v1/payment_intents/pi_1/capture",
            pairs(&[("amount_to_capture", "5")]),
        ),
        (Kind::Void, intent("canceled", 9), "/v1/payment_intents/pi_1/cancel", Vec::new()),
        (
            Kind::Refund,
            refund("succeeded", 5),
            "/v1/refunds",
            pairs(&[
                ("payment_intent", "pi_1"),
                ("amount", "5"),
                ("metadata[order_id]", "ord_1"),
                ("metadata[payment_id]", "pay_1"),
            ]),
        ),
    ] {
        let host = answering(response(200, &answer));
        assert_eq!(act(&host, kind, &on_intent(5)), Ok(Outcome::new(State::Succeeded, "pi_1")));
        let request = host.requests().remove(0);
        assert_eq!(request.url, format!("https://api.stripe.com{path}"));
        assert_eq!(request.idempotency_key.as_deref(), Some("key-1"));
        assert_eq!(form(&request), body);
    }
}

#[test]
fn refunds_may_take_their_time_or_fail() {
    let ask = |status: &str| {
        act(&answering(response(200, &refund(status, 5))), Kind::Refund, &on_intent(5)).unwrap()
    };
    assert_eq!((ask("pending").state, ask("requires_action").state), (State::Pending, State::Pending));
    let outcome = ask("failed");
    assert_eq!((outcome.state, outcome.code.as_deref()), (State::Failed, Some("failed")));
    assert_eq!(ask("canceled").state, State::Failed);
}

#[test]
fn a_reference_that_is_no_intent_reaches_nobody() {
    let host = answering(response(200, &intent("succeeded", 5)));
    for reference in [
        "",
        "pi_",
        "ch_1",
        "pi_1/../x",
        "pi_1?x=1",
        "pi_1\r\nx: y",
        "pi_é",
        &format!("pi_{}", "1".repeat(300)),
    ] {
        let operation = Operation { reference: Some(reference.to_owned()), ..on_intent(5) };
        for kind in [Kind::Capture, Kind::Refund, Kind::Void] {
            assert_eq!(invalid(act(&host, kind, &operation)).code, "not_found", "{reference}");
        }
    }
    for kind in [Kind::Capture, Kind::Refund, Kind::Void] {
        invalid(act(&host, kind, &operation(5, "USD")));
    }
    for amount in [0, -5, i64::MIN] {
        for kind in [Kind::Authorization, Kind::Capture, Kind::Refund] {
            let operation = Operation { token: Some("pm_1".to_owned()), ..on_intent(amount) };
            assert_eq!(invalid(act(&host, kind, &operation)).code, "amount_out_of_range");
        }
    }
    assert_eq!(host.requests(), []);
}

#[test]
fn an_authorization_without_an_answer_is_repeated_to_the_letter() {
    let host = host();
    let calls = Rc::new(RefCell::new(0));
    let count = Rc::clone(&calls);
    host.serve(move |request| {
        *count.borrow_mut() += 1;
        match (*count.borrow(), request.method.as_str()) {
            (1, _) => Err(SendError::Timeout),
            (_, "POST") => replayed(200, &intent("requires_action", 5)),
            // Meanwhile the customer has done it.
            _ => response(200, &intent("requires_capture", 5)),
        }
    });
    unknown(act(&host, Kind::Authorization, &operation(5, "USD")));
    // Without the token, and with another configuration than at that time.
    let asked = Operation { token: None, ..operation(5, "USD") };
    let config = json!({"statementDescriptor": "NEW"}).to_string();
    let ctx = Context::new(&host, config.as_bytes());
    let outcome = PaymentStripe::status(&ctx, Kind::Authorization, &asked);
    assert_eq!(outcome, Ok(Outcome::new(State::Succeeded, "pi_1")));
    let requests = host.requests();
    assert_eq!(requests[0], requests[1]);
    assert_eq!((requests[2].method.as_str(), requests.len()), ("GET", 3));
    assert_eq!(requests[2].url, "https://api.stripe.com/v1/payment_intents/pi_1");
}

#[test]
fn what_was_never_sent_has_failed_without_asking() {
    let host = answering(response(200, &intent("requires_capture", 5)));
    failed(status(&host, Kind::Authorization, &operation(5, "USD")), "never_sent");
    failed(status(&host, Kind::Refund, &on_intent(5)), "never_sent");
    assert_eq!(host.requests(), []);
}

#[test]
fn nothing_is_repeated_when_stripe_may_have_forgotten_the_key() {
    let host = answering(Err(SendError::Timeout));
    unknown(act(&host, Kind::Authorization, &operation(5, "USD")));
    let refund = Operation { idempotency_key: "key-2".to_owned(), ..on_intent(5) };
    unknown(act(&host, Kind::Refund, &refund));
    let now = Context::new(&host, b"").now_ms();
    host.set_now_ms(now + 24 * 60 * 60 * 1000);
    host.serve(|_| response(200, &intent("requires_capture", 5)));
    let sent = host.requests().len();
    unknown(status(&host, Kind::Authorization, &operation(5, "USD")));
    unknown(status(&host, Kind::Refund, &refund));
    unknown(act(&host, Kind::Authorization, &operation(5, "USD")));
    assert_eq!(host.requests().len(), sent);
}

#[test]
fn an_attempt_is_written_down_once_and_before_it_is_sent() {
    let host = answering(response(200, &intent("requires_capture", 5)));
    host.before_commit(0, |host| assert_eq!(host.requests(), []));
    act(&host, Kind::Authorization, &operation(5, "USD")).unwrap();
    act(&host, Kind::Authorization, &operation(5, "USD")).unwrap();
    assert_eq!(Context::new(&host, b"").count(ATTEMPTS, &plugin_sdk::Filter::all()), Ok(1));
    assert_eq!(host.requests().len(), 2);
}

#[test]
fn the_status_of_a_payment_that_is_known_is_read() {
    for (kind, stripe, expected) in [
        (Kind::Authorization, "requires_capture", Some(State::Succeeded)),
        (Kind::Authorization, "processing", Some(State::Pending)),
        (Kind::Authorization, "requires_payment_method", None),
        (Kind::Authorization, "canceled", None),
        (Kind::Void, "canceled", Some(State::Succeeded)),
        (Kind::Void, "requires_capture", None),
        (Kind::Void, "succeeded", None),
    ] {
        let host = answering(response(200, &intent(stripe, 5)));
        let outcome = status(&host, kind, &on_intent(5)).unwrap();
        assert_eq!(outcome.state, expected.unwrap_or(State::Failed), "{kind:?} {stripe}");
        assert_eq!(outcome.reference, "pi_1");
        let request = host.requests().remove(0);
        assert_eq!((request.method.as_str(), request.idempotency_key), ("GET", None));
    }
}

#[test]
fn the_status_of_a_capture_is_that_of_its_repeat() {
    // However the payment stands: another capture may have come to the same amount.
    let host = answering(response(200, &intent("succeeded", 5)));
    failed(status(&host, Kind::Capture, &on_intent(5)), "never_sent");
    assert_eq!(host.requests(), []);

    let host = answering(Err(SendError::Timeout));
    unknown(act(&host, Kind::Capture, &on_intent(5)));
    host.serve(|request| match request.method.as_str() {
        "POST" => replayed(200, &intent("processing", 5)),
        _ => response(200, &intent("succeeded", 5)),
    });
    assert_eq!(status(&host, Kind::Capture, &on_intent(5)), Ok(Outcome::new(State::Succeeded, "pi_1")));
    assert_eq!(host.requests()[1], host.requests()[0]);
    let refused = error("invalid_request_error", "payment_intent_unexpected_state");
    host.serve(move |_| replayed(400, &refused));
    failed(status(&host, Kind::Capture, &on_intent(5)), "conflict");
}

#[test]
fn what_was_not_sent_is_sent_another_day() {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    for kind in [Kind::Authorization, Kind::Capture, Kind::Refund] {
        let host = answering(response(401, &Value::Null));
        let wanted = if kind == Kind::Authorization { operation(5, "USD") } else { on_intent(5) };
        act(&host, kind, &wanted).unwrap_err();
        host.set_now_ms(Context::new(&host, b"").now_ms() + 2 * DAY_MS);
        failed(status(&host, kind, &wanted), "never_sent");
        // It was repeated by somebody who does not know what came of it.
        host.serve(|_| Err(SendError::Timeout));
        unknown(act(&host, kind, &wanted));
        unknown(status(&host, kind, &wanted));
        host.serve(|_| response(401, &Value::Null));
        unknown(status(&host, kind, &wanted));
        host.set_now_ms(Context::new(&host, b"").now_ms() + 2 * DAY_MS);
        unknown(status(&host, kind, &wanted));
    }
}

#[test]
fn the_status_of_a_refund_is_that_of_its_repeat() {
    let host = answering(Err(SendError::Timeout));
    unknown(act(&host, Kind::Refund, &on_intent(5)));
    host.serve(|request| match request.method.as_str() {
        "POST" => replayed(200, &refund("pending", 5)),
        _ => response(200, &refund("succeeded", 5)),
    });
    assert_eq!(status(&host, Kind::Refund, &on_intent(5)), Ok(Outcome::new(State::Succeeded, "pi_1")));
    assert_eq!(host.requests().last().unwrap().url, "https://api.stripe.com/v1/refunds/re_1");
}

#[test]
fn a_question_that_is_not_answered_leaves_it_unknown() {
    for answer in [
        Err(SendError::Unreachable("refused".to_owned())),
        Err(SendError::Timeout),
        response(401, &Value::Null),
        response(429, &Value::Null),
        response(500, &Value::Null),
        response(200, &Value::Null),
        response(409, &error("idempotency_error", "idempotency_key_in_use")),
        response(400, &error("idempotency_error", "")),
    ] {
        for kind in [Kind::Authorization, Kind::Void] {
            unknown(status(&answering(answer.clone()), kind, &on_intent(5)));
        }
        let host = answering(Err(SendError::Timeout));
        unknown(act(&host, Kind::Authorization, &operation(5, "USD")));
        let answer = answer.clone();
        host.serve(move |_| answer.clone());
        unknown(status(&host, Kind::Authorization, &operation(5, "USD")));
    }
    let host = answering(Err(SendError::Timeout));
    unknown(act(&host, Kind::Authorization, &operation(5, "USD")));
    host.serve(|_| replayed(402, &error("card_error", "expired_card")));
    failed(status(&host, Kind::Authorization, &operation(5, "USD")), "expired_card");
    let host = answering(response(404, &error("invalid_request_error", "resource_missing")));
    failed(status(&host, Kind::Void, &on_intent(5)), "not_found");
}

#[test]
fn amounts_are_in_the_units_that_stripe_counts_in() {
    for (currency, ours, theirs) in [
        ("USD", 1290, Some(1290)),
        ("JPY", 500, Some(500)),
        // Stripe goes on counting hundredths that there are no more.
        ("ISK", 5, Some(500)),
        ("UGX", 5, Some(500)),
        // And counts no iraimbilanja.
        ("MGA", 500, Some(5)),
        ("MGA", 501, None),
        ("KWD", 5120, Some(5120)),
        ("KWD", 5124, None),
        ("BHD", 10, Some(10)),
        ("HUF", 1045, Some(1045)),
        ("TWD", 100, Some(100)),
        ("XAU", 1, None),
        ("ABC", 1, None),
        ("usd", 1, None),
        ("UGX", i64::MAX, None),
    ] {
        assert_eq!(to_stripe(&Money::new(ours, currency)).ok(), theirs, "{ours} {currency}");
        if let Some(theirs) = theirs {
            let back = from_stripe(theirs, &currency.to_lowercase());
            assert_eq!(back, Some(Money::new(ours, currency)));
        }
    }
    assert_eq!(from_stripe(501, "isk"), None);
    assert_eq!(from_stripe(1, "abc"), None);
    assert_eq!(from_stripe(i64::MAX, "mga"), None);
    assert_eq!(currency_exponent("MGA"), Some(2));
}

#[test]
fn secrets_stay_out_of_requests_and_logs() {
    let host = answering(response(402, &error("card_error", "card_declined")));
    let _ = act(&host, Kind::Authorization, &operation(5, "USD"));
    let seen = format!("{:?} {:?}", host.requests(), host.log_lines());
    assert!(!seen.contains("sk_test_1") && !seen.contains("whsec_1"));
}

proptest! {
    /// Whatever Stripe answers, money is moved for certain only where it says so in full.
    #[test]
    fn no_answer_is_taken_for_more_than_it_is(
        code in 100..600_u16,
        body in prop_oneof![
            ".{0,80}".prop_map(String::from),
            "[a-z_]{0,20}".prop_map(|status| intent(&status, 5).to_string()),
            ("[a-z_]{0,20}", "[a-z_]{0,20}").prop_map(|(kind, code)| error(&kind, &code).to_string()),
        ],
    ) {
        for kind in Kind::ALL {
            let response = Response { status: code, body: body.clone().into_bytes(), ..Response::default() };
            let operation = Operation { token: Some("pm_1".to_owned()), ..on_intent(5) };
            let answer = act(&answering(Ok(response)), kind, &operation);
            if let Ok(outcome) = answer {
                prop_assert!((200..300).contains(&code));
                prop_assert_eq!(outcome.reference, "pi_1");
            }
        }
    }

    #[test]
    fn an_amount_that_goes_to_stripe_comes_back(amount in 1..i64::MAX, currency in prop::sample::select(
        vec!["USD", "JPY", "ISK", "UGX", "MGA", "KWD", "TND", "CLP", "EUR", "XPF", "IQD"],
    )) {
        let money = Money::new(amount, currency);
        if let Ok(theirs) = to_stripe(&money) {
            prop_assert_eq!(from_stripe(theirs, &currency.to_lowercase()), Some(money));
        }
    }
}
