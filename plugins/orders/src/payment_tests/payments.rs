//! Capture, void, refund, sync, and paying again.

use super::*;
use crate::carts::tests::change;

/// A confirmed order of `A` twice, 20.00, and its payment.
fn ordered(shop: &Shop, mood: Mood) -> (String, String) {
    let cart = shop.cart(&[("A", 2)], &json!({}));
    shop.moods(&[mood]);
    let order = shop.checkout(&cart, &format!("order {cart}")).unwrap().body;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&order["id"]), text(&order["payments"][0]["id"]))
}

fn states(payment: &Value) -> Vec<(String, String, i64)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    payment["transactions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (text(&it["type"]), text(&it["state"]), it["amount"]["amount"].as_i64().unwrap()))
        .collect()
}

fn state(kind: &str, state: &str, amount: i64) -> (String, String, i64) {
    (kind.to_owned(), state.to_owned(), amount)
}

#[test]
fn captures_and_refunds_never_exceed_what_there_is() {
    let shop = Shop::new();
    let (order, payment) = ordered(&shop, Mood::Good);
    let act = |operation: &str, key: &str, amount: i64| {
        shop.call(operation, &payment, key, &json!({"amount": usd(amount)}))
    };
    assert_eq!(act("capturePayment", "c1", 1_500).unwrap().status, 200);
    assert_eq!(shop.order(&order).order.totals.due.amount, 500);
    let problem = refused(act("capturePayment", "c2", 501), 422, "capture_exceeds_authorization");
    assert_eq!(problem.extras["remaining"], usd(500));
    refused(act("capturePayment", "c3", 0), 422, "amount_out_of_range");
    refused(act("capturePayment", "c4", -1), 422, "amount_out_of_range");
    let euros = json!({"amount": {"amount": 1, "currency": "EUR"}});
    refused(shop.call("capturePayment", &payment, "c5", &euros), 409, "currency_mismatch");
    let rest = shop.call("capturePayment", &payment, "c6", &Value::Null).unwrap().body;
    assert_eq!(states(&rest)[2], state("capture", "succeeded", 500));
    refused(shop.call("capturePayment", &payment, "c7", &Value::Null), 422, "capture_exceeds_authorization");

    let problem = refused(act("refundPayment", "r1", 2_001), 422, "refund_exceeds_capture");
    assert_eq!(problem.extras["remaining"], usd(2_000));
    act("refundPayment", "r2", 700).unwrap();
    assert_eq!(shop.order(&order).order.totals.due.amount, 0, "it was given back for good");
    let owed = json!({"amount": usd(300), "credit": false, "reason": "charged too early"});
    shop.call("refundPayment", &payment, "r3", &owed).unwrap();
    assert_eq!(shop.order(&order).order.totals.due.amount, 300);
    refused(act("refundPayment", "r4", 1_001), 422, "refund_exceeds_capture");
    shop.call("refundPayment", &payment, "r5", &json!({})).unwrap();
    assert_eq!(shop.charge(&payment).refunded, 2_000);
    refused(shop.call("refundPayment", "pay_none", "r6", &json!({})), 404, "not_found");
    shop.check_settled();
}

#[test]
fn what_is_under_way_counts() {
    let shop = Shop::new();
    let (_, payment) = ordered(&shop, Mood::Good);
    let amount = json!({"amount": usd(1_500)});
    let other = shop.request("capturePayment", &payment, "other", &amount);
    // Both are checked against the same state, and one of them is first.
    let answer = Rc::new(RefCell::new(None));
    let told = Rc::clone(&answer);
    shop.host.before_commit(0, move |host| *told.borrow_mut() = Some(host.call::<Orders>(other)));
    refused(shop.call("capturePayment", &payment, "c", &amount), 422, "capture_exceeds_authorization");
    assert!(answer.borrow().as_ref().unwrap().is_ok());
    assert_eq!(shop.charge(&payment).captured, 1_500);

    // A refund whose outcome nobody knows holds its amount.
    shop.moods(&[Mood::SilentBefore]);
    let problem = refused(
        shop.call("refundPayment", &payment, "r1", &json!({"amount": usd(1_000)})),
        504,
        "payment_unknown",
    );
    assert!(problem.extras.contains_key("transactionId"));
    shop.check();
    refused(
        shop.call("refundPayment", &payment, "r2", &json!({"amount": usd(501)})),
        422,
        "refund_exceeds_capture",
    );
    // It was never heard of, so it is sent again with its key.
    shop.advance(5 * MINUTE_MS);
    shop.settle();
    assert_eq!(shop.charge(&payment).refunded, 1_000);
    shop.check_settled();
}

#[test]
fn a_silent_provider_is_asked_and_not_told_again() {
    let shop = Shop::new();
    let (_, payment) = ordered(&shop, Mood::Good);
    shop.moods(&[Mood::SilentAfter]);
    refused(shop.call("capturePayment", &payment, "c", &Value::Null), 504, "payment_unknown");
    // The provider does not answer questions either: the pauses grow.
    let before = shop.host.payment_calls().len();
    for _ in 0..60 {
        shop.moods(&[Mood::SilentBefore]);
        shop.advance(MINUTE_MS);
        shop.settle();
    }
    let asked = shop.host.payment_calls().len() - before;
    assert!((3..=6).contains(&asked), "asked {asked} times in an hour");
    shop.moods(&[]);
    let synced = shop.call("syncPayment", &payment, "", &Value::Null).unwrap().body;
    assert_eq!(states(&synced)[1], state("capture", "succeeded", 2_000));
    assert_eq!(shop.charge(&payment).captured, 2_000);
    // Nothing is open: it is answered as it is.
    assert_eq!(shop.call("syncPayment", &payment, "", &Value::Null).unwrap().body, synced);
    shop.check_settled();
}

#[test]
fn a_refused_movement_changes_nothing() {
    let shop = Shop::new();
    let (order, payment) = ordered(&shop, Mood::Good);
    shop.moods(&[Mood::Declines]);
    refused(shop.call("capturePayment", &payment, "c1", &Value::Null), 402, "payment_declined");
    shop.moods(&[Mood::Away]);
    refused(shop.call("capturePayment", &payment, "c2", &Value::Null), 503, "plugin_unavailable");
    assert_eq!(shop.order(&order).order.totals.due.amount, 2_000);
    assert_eq!(shop.call("capturePayment", &payment, "c3", &Value::Null).unwrap().status, 200);
    shop.check_settled();
}

#[test]
fn an_authorization_is_given_up() {
    let shop = Shop::new();
    let (order, payment) = ordered(&shop, Mood::Good);
    shop.call("capturePayment", &payment, "c", &json!({"amount": usd(500)})).unwrap();
    let voided = shop.call("voidPayment", &payment, "v", &Value::Null).unwrap().body;
    assert_eq!(states(&voided)[2], state("void", "succeeded", 1_500));
    refused(shop.call("voidPayment", &payment, "v2", &Value::Null), 409, "conflict");
    refused(shop.call("capturePayment", &payment, "c2", &Value::Null), 422, "capture_exceeds_authorization");
    assert_eq!(shop.charge(&payment).voided, 1_500);
    shop.check_settled();

    // What is due then is paid in another way, once.
    let pay = |key: &str, more: Value| {
        let mut body = json!({"provider": "pay", "token": "tok"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        shop.call("payOrder", &order, key, &body)
    };
    let too_much = refused(pay("p1", json!({"amount": usd(1_501)})), 422, "amount_out_of_range");
    assert_eq!(too_much.extras["remaining"], usd(1_500));
    refused(pay("p2", json!({"provider": "none"})), 422, "validation_failed");
    let paid = pay("p3", json!({})).unwrap();
    assert_eq!((paid.status, &paid.body["amount"]), (201, &usd(1_500)));
    refused(pay("p4", json!({})), 422, "amount_out_of_range");
    shop.check_settled();
}

#[test]
fn an_attempt_that_is_under_way_is_not_doubled() {
    let shop = Shop::new();
    let (order, payment) = ordered(&shop, Mood::WantsAction);
    let body = json!({"provider": "pay"});
    refused(shop.call("payOrder", &order, "p1", &body), 422, "amount_out_of_range");
    // The customer gives it up: nothing is hoped for any more.
    let voided = shop.call("voidPayment", &payment, "v", &Value::Null).unwrap().body;
    assert_eq!(states(&voided)[0], state("authorization", "failed", 2_000));
    assert_eq!(shop.order(&order).order.status, OrderStatus::Cancelled);
    refused(shop.call("payOrder", &order, "p2", &body), 409, "conflict");
    shop.check_settled();
}

#[test]
fn promised_money_is_captured_when_it_comes_or_paid_by_card() {
    let shop = Shop::new();
    let (order, payment) = ordered(&shop, Mood::Offline);
    shop.gateway
        .borrow_mut()
        .charges
        .insert(payment.clone(), Charge { authorized: 2_000, ..Charge::default() });
    shop.call("capturePayment", &payment, "c", &json!({"amount": usd(800)})).unwrap();
    assert_eq!(shop.order(&order).order.totals.due.amount, 1_200);
    let paid = shop.call("payOrder", &order, "p", &json!({"provider": "pay"})).unwrap();
    assert_eq!(paid.body["amount"], usd(1_200));
    shop.check();
}

#[test]
fn an_attempt_that_the_customer_leaves_is_given_up_after_a_day() {
    let shop = Shop::new();
    let (order, payment) = ordered(&shop, Mood::Good);
    shop.call("voidPayment", &payment, "v", &Value::Null).unwrap();
    shop.moods(&[Mood::WantsAction]);
    let body = json!({"provider": "pay"});
    let waiting = shop.call("payOrder", &order, "p", &body).unwrap();
    assert_eq!((waiting.status, &waiting.body["nextAction"]["type"]), (202, &json!("redirect")));
    shop.advance(12 * 60 * MINUTE_MS);
    shop.settle();
    shop.settle();
    assert_eq!(shop.charge(waiting.body["id"].as_str().unwrap()).waiting, 2_000);
    shop.wait_out();
    assert_eq!(shop.charge(waiting.body["id"].as_str().unwrap()).waiting, 0);
    assert_eq!(shop.call("payOrder", &order, "p2", &body).unwrap().status, 201);
    shop.check_settled();
}

#[test]
fn a_cancelled_order_gives_all_money_back() {
    for (mood, capture) in [(Mood::Good, 0), (Mood::Good, 700), (Mood::Captures, 0), (Mood::WantsAction, 0)] {
        let shop = Shop::new();
        let (order, payment) = ordered(&shop, mood);
        if capture > 0 {
            shop.call("capturePayment", &payment, "c", &json!({"amount": usd(capture)})).unwrap();
        }
        shop.call("cancelOrder", &order, "x", &Value::Null).unwrap();
        shop.check();
        assert_eq!(shop.level("A"), (10, 0, 10));
        shop.settle();
        assert_eq!(shop.charge(&payment).held(), 0, "{mood:?}");
        assert_eq!(shop.order(&order).due_at, None);
        shop.check_settled();
    }
}

#[test]
fn a_void_that_is_refused_is_left_to_people() {
    let shop = Shop::new();
    let (order, _) = ordered(&shop, Mood::Good);
    shop.call("cancelOrder", &order, "x", &Value::Null).unwrap();
    shop.moods(&[Mood::Away]);
    shop.settle();
    assert!(shop.order(&order).due_at.is_some(), "out of reach: later");
    shop.advance(5 * MINUTE_MS);
    shop.moods(&[Mood::Good, Mood::Declines]);
    shop.settle();
    assert_eq!(shop.order(&order).due_at, None);
    assert!(shop.host.log_lines().iter().any(|line| line.contains("could not be given back")));
    shop.check_settled();
}

#[test]
fn an_answer_that_makes_no_sense_is_none() {
    let shop = Shop::new();
    let cart = shop.cart(&[("A", 1)], &json!({}));
    let garbage = "garbage\0".repeat(10_000);
    shop.host.provide(move |_| Ok(Outcome::new(State::Succeeded, garbage.as_str())));
    let answer = shop.checkout(&cart, "k").unwrap();
    assert_eq!((answer.status, &answer.body["paymentStatus"]), (202, &json!("unknown")));
    shop.host.provide(|_| {
        let action = Some(json!({"$where": {"a.b": 1}}));
        Ok(Outcome { next_action: action, ..Outcome::new(State::RequiresAction, "ref") })
    });
    let answer = shop.checkout(&shop.cart(&[("A", 1)], &json!({})), "k2").unwrap();
    assert_eq!((answer.status, &answer.body["paymentStatus"]), (202, &json!("unknown")));
    shop.host.provide(|_| Err(PaymentError::Declined("no\0".repeat(10_000))));
    refused(shop.checkout(&shop.cart(&[("A", 1)], &json!({})), "k3"), 402, "payment_declined");
    shop.check();
}

#[test]
fn a_return_is_refunded_once_and_only_if_it_is_approved() {
    let shop = Shop::new();
    let order = shop.checkout(&shop.cart(&[("A", 2)], &json!({})), "k").unwrap().body;
    let (id, payment) = (order["id"].as_str().unwrap(), order["payments"][0]["id"].as_str().unwrap());
    shop.call("capturePayment", payment, "c", &Value::Null).unwrap();
    let standing = |status: &str| {
        change(&shop.host, ORDERS, id, |order| {
            let refund = order["returns"][0]["refundId"].clone();
            order["returns"] = json!([{
                "id": "ret_1", "orderId": id, "status": status, "lines": [], "refundId": refund,
                "createdAt": shop.now(), "receivedAt": null,
            }]);
        });
    };
    let refund = |key: &str| {
        shop.call("refundPayment", payment, key, &json!({"amount": usd(500), "returnId": "ret_1"}))
    };
    for (status, why) in [("requested", "approve"), ("rejected", "rejected")] {
        standing(status);
        assert!(refused(refund(status), 409, "conflict").detail.unwrap().contains(why));
    }
    standing("approved");
    shop.moods(&[Mood::Declines]);
    refused(refund("r1"), 402, "payment_declined");
    // What failed has given nothing back.
    standing("received");
    refund("r2").unwrap();
    let second = &shop.order(id).order.payments[0].transactions.last().unwrap().id.clone();
    assert_eq!(shop.order(id).order.returns[0].refund_id.as_ref(), Some(second));
    refused(refund("r3"), 409, "conflict");
    assert_eq!(shop.order(id).order.totals.refunded.amount, 500);
    shop.check_settled();
}

#[test]
fn whoever_tries_out_cards_comes_to_an_end() {
    let shop = Shop::new();
    shop.moods(&[Mood::Offline]);
    let order = shop.checkout(&shop.cart(&[("A", 1)], &json!({})), "k").unwrap().body;
    let id = order["id"].as_str().unwrap();
    let pay = |key: usize| {
        shop.moods(&[Mood::Declines]);
        shop.call("payOrder", id, &format!("p{key}"), &json!({"provider": "pay", "token": "stolen"}))
    };
    for attempt in 1..crate::payments::PAYMENTS_MAX {
        refused(pay(attempt), 402, "payment_declined");
    }
    refused(pay(99), 409, "conflict");
    assert_eq!(shop.order(id).order.payments.len(), crate::payments::PAYMENTS_MAX);
}

#[test]
fn money_that_came_by_another_way_is_given_back_by_people() {
    let shop = Shop::new();
    shop.moods(&[Mood::Offline]);
    let order = shop.checkout(&shop.cart(&[("A", 1)], &json!({})), "k").unwrap().body;
    let (id, payment) = (order["id"].as_str().unwrap(), order["payments"][0]["id"].as_str().unwrap());
    // Staff say that it has come.
    shop.gateway.borrow_mut().charges.entry(payment.to_owned()).or_default().authorized = 1_000;
    shop.call("capturePayment", payment, "c", &Value::Null).unwrap();
    shop.call("cancelOrder", id, "", &Value::Null).unwrap();
    shop.wait_out();
    let cancelled = shop.order(id).order;
    assert_eq!(cancelled.status, OrderStatus::Cancelled);
    assert_eq!((cancelled.totals.refunded.amount, shop.charge(payment).refunded), (0, 0));
    assert!(shop.host.log_lines().iter().any(|line| line.contains("its money is to be sent back")));
    // And that it was sent back.
    shop.call("refundPayment", payment, "r", &Value::Null).unwrap();
    assert_eq!(shop.order(id).order.totals.refunded.amount, 1_000);
    shop.check();
}
