//! What providers tell by themselves.

use plugin_sdk::{
    Money,
    payment::{Notice, Webhook, WebhookError},
};

use super::*;
use crate::NOTICES;

/// Bodies are `id kind payment state amount`, with `-` for what is left out.
fn read_webhooks(shop: &Shop) {
    shop.host.read_webhooks(|webhook: &Webhook| {
        if !webhook.headers.iter().any(|(name, value)| name == "signature" && value == "good") {
            return Err(WebhookError::Unauthenticated("the signature is wrong".to_owned()));
        }
        let text = String::from_utf8(webhook.body.clone()).unwrap();
        let words: Vec<&str> = text.split(' ').collect();
        let [id, kind, payment, state, amount] = words[..] else {
            return Err(WebhookError::Malformed("five words".to_owned()));
        };
        let (payment_id, reference) = match payment.strip_prefix("gw_") {
            Some(_) => (None, payment.to_owned()),
            None => (Some(payment.to_owned()), format!("gw_{payment}")),
        };
        Ok(vec![Notice {
            id: id.to_owned(),
            kind: Kind::parse(kind).unwrap(),
            payment_id,
            outcome: Outcome::new(State::parse(state).unwrap(), reference),
            amount: amount.parse().ok().map(|amount| Money::new(amount, "USD")),
        }])
    });
}

fn deliver(shop: &Shop, provider: &str, body: &str) -> Result<RecordedAnswer, Problem> {
    let mut request = shop.request("receivePaymentWebhook", provider, "", &Value::Null);
    request.caller = Caller { kind: "anonymous".to_owned(), ..Caller::default() };
    request.headers = vec![("signature".to_owned(), "good".to_owned())];
    request.body = body.as_bytes().to_vec();
    shop.send(request)
}

fn waiting(shop: &Shop) -> (String, String, String) {
    read_webhooks(shop);
    let cart = shop.cart(&[("A", 2)], &json!({}));
    shop.moods(&[Mood::WantsAction]);
    let order = shop.checkout(&cart, &cart).unwrap().body;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (cart, text(&order["id"]), text(&order["payments"][0]["id"]))
}

#[test]
fn a_webhook_confirms_an_order_once() {
    let shop = Shop::new();
    let (cart, order, payment) = waiting(&shop);
    shop.gateway.borrow_mut().complete(&payment, true);
    let body = format!("e1 authorization {payment} succeeded 2000");
    let answer = deliver(&shop, "pay", &body).unwrap();
    assert_eq!((answer.status, &answer.body), (200, &json!({"received": true})));
    let confirmed = shop.order(&order);
    assert_eq!(confirmed.order.status, OrderStatus::Confirmed);
    assert_eq!(shop.cart_status(&cart), "ordered");
    // The same one, another one that says the same, and older ones that come late.
    for body in [
        body.clone(),
        format!("e2 authorization gw_{payment} succeeded 2000"),
        format!("e3 authorization {payment} pending 2000"),
        format!("e4 authorization {payment} failed 2000"),
        format!("e5 authorization {payment} requires_action -"),
    ] {
        deliver(&shop, "pay", &body).unwrap();
        let now = shop.order(&order);
        assert_eq!(now.order.payments, confirmed.order.payments, "{body}");
        assert_eq!(now.order.status, OrderStatus::Confirmed);
    }
    let topics = shop.host.events().into_iter().filter(|event| event.topic == "payment.authorized").count();
    assert_eq!(topics, 1);
    shop.check_settled();
}

#[test]
fn a_failure_that_is_told_gives_everything_back() {
    let shop = Shop::new();
    let (cart, order, payment) = waiting(&shop);
    shop.gateway.borrow_mut().complete(&payment, false);
    deliver(&shop, "pay", &format!("e1 authorization {payment} failed -")).unwrap();
    assert_eq!(shop.order(&order).order.status, OrderStatus::Cancelled);
    assert_eq!((shop.cart_status(&cart).as_str(), shop.level("A")), ("active", (10, 0, 10)));
    shop.check_settled();
}

#[test]
fn money_for_an_order_that_expired_goes_back() {
    let shop = Shop::new();
    let (cart, order, payment) = waiting(&shop);
    shop.advance(11 * MINUTE_MS);
    // The customer agrees at the moment at which the reconciler has asked about it.
    shop.settle();
    assert_eq!(shop.order(&order).order.status, OrderStatus::Expired);
    assert_eq!((shop.cart_status(&cart).as_str(), shop.level("A")), ("active", (10, 0, 10)));
    shop.check();
    shop.gateway.borrow_mut().complete(&payment, true);
    deliver(&shop, "pay", &format!("e1 authorization {payment} succeeded 2000")).unwrap();
    assert_eq!(shop.order(&order).order.status, OrderStatus::Expired);
    shop.wait_out();
    assert_eq!(shop.charge(&payment).held(), 0);
    shop.check_settled();
}

#[test]
fn late_payment_and_expiry_have_one_winner() {
    let shop = Shop::new();
    let (_, order, payment) = waiting(&shop);
    shop.gateway.borrow_mut().complete(&payment, true);
    shop.advance(11 * MINUTE_MS);
    // The webhook comes between the reconciler's read and its commit.
    shop.gateway.borrow_mut().moods = [Mood::SilentBefore].into();
    let mut request = shop.request("receivePaymentWebhook", "pay", "", &Value::Null);
    request.headers = vec![("signature".to_owned(), "good".to_owned())];
    request.body = format!("e1 authorization {payment} succeeded 2000").into_bytes();
    shop.host.before_commit(0, |host| drop(host.call::<Orders>(request).unwrap()));
    shop.settle();
    assert_eq!(shop.order(&order).order.status, OrderStatus::Confirmed);
    shop.check_settled();
}

#[test]
fn what_is_done_at_the_providers_desk_is_written_down() {
    let shop = Shop::new();
    let (_, order, payment) = waiting(&shop);
    deliver(&shop, "pay", &format!("e1 authorization {payment} succeeded -")).unwrap();
    deliver(&shop, "pay", &format!("e2 capture {payment} succeeded 1500")).unwrap();
    deliver(&shop, "pay", &format!("e2 capture {payment} succeeded 1500")).unwrap();
    deliver(&shop, "pay", &format!("e3 refund {payment} succeeded 400")).unwrap();
    let totals = shop.order(&order).order.totals;
    assert_eq!((totals.paid.amount, totals.refunded.amount), (1_500, 400));
    // What cannot be is not believed.
    deliver(&shop, "pay", &format!("e4 capture {payment} succeeded 501")).unwrap();
    deliver(&shop, "pay", &format!("e5 refund {payment} succeeded 1101")).unwrap();
    deliver(&shop, "pay", &format!("e6 refund {payment} failed 100")).unwrap();
    assert_eq!(shop.order(&order).order.totals, totals);
    shop.check();
}

#[test]
fn what_has_failed_comes_to_life_as_far_as_there_is_money() {
    let shop = Shop::new();
    let (_, order, payment) = waiting(&shop);
    deliver(&shop, "pay", &format!("e1 authorization {payment} succeeded -")).unwrap();
    deliver(&shop, "pay", &format!("e2 capture {payment} succeeded 2000")).unwrap();
    let refund = |amount: i64, key: &str| {
        shop.moods(&[Mood::Declines]);
        refused(
            shop.call("refundPayment", &payment, key, &json!({"amount": usd(amount)})),
            402,
            "payment_declined",
        );
    };
    let told = |event: &str, amount: i64| {
        deliver(&shop, "pay", &format!("{event} refund {payment} succeeded {amount}")).unwrap();
        shop.check();
        shop.order(&order).order.totals.refunded.amount
    };
    refund(300, "k1");
    refund(800, "k2");
    // It was done after all; nobody tells of it twice.
    assert_eq!((told("e3", 300), told("e4", 300)), (300, 300));
    // Other refunds have left too little.
    assert_eq!((told("e5", 1_200), told("e6", 800)), (1_500, 1_500));
}

#[test]
fn only_a_good_signature_counts_and_only_for_the_providers_own() {
    let shop = Shop::new();
    let (_, order, payment) = waiting(&shop);
    shop.host.add_provider("other");
    let body = format!("e1 authorization {payment} succeeded 2000");
    let mut forged = shop.request("receivePaymentWebhook", "pay", "", &Value::Null);
    forged.body = body.clone().into_bytes();
    refused(shop.send(forged), 401, "unauthenticated");
    refused(deliver(&shop, "pay", "nonsense"), 422, "validation_failed");
    deliver(&shop, "other", &body).unwrap();
    shop.settle();
    assert_eq!(shop.order(&order).order.status, OrderStatus::Pending);
    shop.check();
}

#[test]
fn a_notice_that_is_faster_than_its_payment_is_kept() {
    let shop = Shop::new();
    read_webhooks(&shop);
    let cart = shop.cart(&[("A", 1)], &json!({}));
    let key = natural_id("pay", "createOrder  k");
    deliver(&shop, "pay", &format!("e1 authorization {key} succeeded 1000")).unwrap();
    deliver(&shop, "pay", &format!("e1 authorization {key} succeeded 1000")).unwrap();
    deliver(&shop, "pay", "e2 authorization pay_never succeeded 1000").unwrap();
    assert_eq!(shop.all::<Value>(NOTICES).len(), 2);
    shop.moods(&[Mood::SilentAfter]);
    assert_eq!(shop.checkout(&cart, "k").unwrap().status, 202);
    shop.settle();
    assert_eq!(shop.the_order().order.status, OrderStatus::Confirmed);
    assert_eq!(shop.all::<Value>(NOTICES).len(), 1);
    // One whose payment never comes is given up.
    for _ in 0..20 {
        shop.advance(MINUTE_MS * 10);
        shop.settle();
    }
    assert_eq!(shop.all::<Value>(NOTICES).len(), 0);
    shop.check_settled();
}

#[test]
fn an_order_remembers_a_bounded_number_of_notices() {
    let shop = Shop::new();
    let (_, order, payment) = waiting(&shop);
    for number in 0..150 {
        deliver(&shop, "pay", &format!("e{number} authorization {payment} pending 2000")).unwrap();
    }
    assert_eq!(shop.order(&order).notices.len(), 100);
    shop.check();
}

/// A confirmed order of 2000 that is authorised.
fn authorized(shop: &Shop) -> (String, String) {
    read_webhooks(shop);
    let order = shop.checkout(&shop.cart(&[("A", 2)], &json!({})), "k").unwrap().body;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&order["id"]), text(&order["payments"][0]["id"]))
}

#[test]
fn a_notice_of_what_is_done_does_not_finish_what_is_open() {
    for (verb, kind) in [("capturePayment", "capture"), ("refundPayment", "refund")] {
        let shop = Shop::new();
        let (order, payment) = authorized(&shop);
        if kind == "refund" {
            shop.call("capturePayment", &payment, "c", &Value::Null).unwrap();
        }
        let body = json!({"amount": usd(500)});
        shop.call(verb, &payment, "k1", &body).unwrap();
        // The second one has not reached the provider when the notice of the first comes.
        shop.moods(&[Mood::SilentBefore]);
        assert_eq!(shop.call(verb, &payment, "k2", &body).unwrap_err().code, "payment_unknown");
        deliver(&shop, "pay", &format!("e1 {kind} {payment} succeeded 500")).unwrap();
        let states = |shop: &Shop| -> Vec<TransactionState> {
            let payment = &shop.order(&order).order.payments[0];
            let of_kind = payment.transactions.iter().filter(|it| it.amount.amount == 500);
            of_kind.map(|it| it.state).collect()
        };
        assert_eq!(states(&shop), [TransactionState::Succeeded, TransactionState::Unknown], "{kind}");
        // It is asked about at once, and was never heard of.
        shop.settle();
        assert_eq!(states(&shop), [TransactionState::Succeeded, TransactionState::Succeeded], "{kind}");
        let charge = shop.charge(&payment);
        assert_eq!(if kind == "refund" { charge.refunded } else { charge.captured }, 1_000);
        shop.check_settled();
    }
}

#[test]
fn a_capture_that_is_told_before_its_authorization_waits_for_it() {
    let shop = Shop::new();
    let (_, order, payment) = waiting(&shop);
    deliver(&shop, "pay", &format!("e2 capture {payment} succeeded 2000")).unwrap();
    assert_eq!(shop.all::<Value>(NOTICES).len(), 1);
    shop.gateway.borrow_mut().complete(&payment, true);
    shop.gateway.borrow_mut().charges.get_mut(&payment).unwrap().captured = 2_000;
    deliver(&shop, "pay", &format!("e1 authorization {payment} succeeded 2000")).unwrap();
    shop.advance(MINUTE_MS);
    shop.settle();
    let paid = shop.order(&order).order;
    assert_eq!((paid.totals.paid.amount, paid.totals.due.amount), (2_000, 0));
    assert_eq!(shop.all::<Value>(NOTICES).len(), 0);
    shop.check_settled();
}

#[test]
fn a_webhook_that_cannot_be_looked_at_is_to_be_sent_again() {
    let shop = Shop::new();
    shop.host.read_webhooks(|_| Err(WebhookError::Unavailable("no ledger".to_owned())));
    let problem = deliver(&shop, "pay", "e1").unwrap_err();
    assert_eq!((problem.status, problem.code.as_str()), (503, "unavailable"));
}
