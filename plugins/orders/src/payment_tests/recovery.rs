//! Hosts that die in the middle.

use plugin_sdk::FieldOperation;

use super::*;

/// The ways in which a host dies while an order is made: before its first commit, around the call of the gateway, and
/// before its last commit.
fn deaths() -> [(&'static str, Option<usize>, Option<Mood>); 4] {
    [
        ("before A", Some(0), None),
        ("before B", None, Some(Mood::DiesBefore)),
        ("after B", None, Some(Mood::DiesAfter)),
        ("before C", Some(1), None),
    ]
}

fn die(shop: &Shop, request: Request, commit: Option<usize>, mood: Option<Mood>) {
    if let Some(commit) = commit {
        shop.host.before_commit(commit, |_| panic!("the host dies before a commit"));
    }
    shop.moods(&mood.into_iter().collect::<Vec<_>>());
    assert!(!shop.survives(request));
    shop.moods(&[]);
}

#[test]
fn what_a_crash_leaves_of_an_order_is_settled() {
    for (name, commit, mood) in deaths() {
        let shop = Shop::new();
        let cart = shop.cart(&[("A", 2)], &json!({}));
        die(&shop, shop.request("createOrder", "", "k", &order_of(&cart)), commit, mood);
        shop.check();
        shop.settle();
        shop.advance(2 * MINUTE_MS);
        shop.settle();
        shop.check_settled();
        match name {
            "before A" => assert_eq!(shop.orders().len(), 0),
            "before B" => {
                assert_eq!(shop.the_order().order.status, OrderStatus::Cancelled);
                assert_eq!((shop.level("A"), shop.cart_status(&cart).as_str()), ((10, 0, 10), "active"));
            }
            _ => {
                assert_eq!(shop.the_order().order.status, OrderStatus::Confirmed, "{name}");
                assert_eq!((shop.level("A"), shop.cart_status(&cart).as_str()), ((10, 2, 8), "ordered"));
            }
        }
    }
}

#[test]
fn a_repeat_goes_on_where_a_crash_has_ended_it() {
    for (name, commit, mood) in deaths() {
        for wait in [0, 2 * MINUTE_MS] {
            let shop = Shop::new();
            let cart = shop.cart(&[("A", 2)], &json!({}));
            die(&shop, shop.request("createOrder", "", "k", &order_of(&cart)), commit, mood);
            shop.advance(wait);
            let answer = shop.checkout(&cart, "k").unwrap();
            assert_eq!((answer.status, &answer.body["status"]), (201, &json!("confirmed")), "{name}");
            let order = shop.the_order();
            assert_eq!(shop.charge(&order.order.payments[0].id).times, 1, "{name}");
            shop.check_settled();
        }
    }
}

#[test]
fn a_repeat_of_an_order_without_a_cart_finds_the_last_pieces_that_it_holds() {
    for (name, commit, mood) in deaths() {
        for wait in [0, 2 * MINUTE_MS] {
            let shop = Shop::new();
            let body = json!({
                "items": [{"sku": "B", "quantity": 5}], "email": "ada@example.com",
                "payment": {"provider": "pay", "token": "tok"},
            });
            let request = || {
                let request = shop.request("createOrder", "", "k", &body);
                let request_key = request.caller.request_key.clone();
                Request { caller: Caller { request_key, ..staff() }, ..request }
            };
            die(&shop, request(), commit, mood);
            shop.advance(wait);
            let answer = shop.send(request()).unwrap();
            assert_eq!((answer.status, &answer.body["status"]), (201, &json!("confirmed")), "{name}");
            assert_eq!((shop.orders().len(), shop.level("B")), (1, (5, 5, 0)), "{name}");
            shop.check_settled();
        }
    }
}

#[test]
fn a_repeat_after_the_reconciler_hears_what_came_of_it() {
    for (name, commit, mood) in deaths() {
        let shop = Shop::new();
        let cart = shop.cart(&[("A", 2)], &json!({}));
        die(&shop, shop.request("createOrder", "", "k", &order_of(&cart)), commit, mood);
        shop.advance(2 * MINUTE_MS);
        shop.settle();
        let answer = shop.checkout(&cart, "k");
        match name {
            // Given up, because nothing was ever asked for: it stays so, and the cart can be ordered anew.
            "before B" => {
                let problem = refused(answer, 402, "payment_declined");
                assert_eq!(problem.extras["orderId"], shop.the_order().order.id);
                assert_eq!(shop.checkout(&cart, "k2").unwrap().status, 201);
            }
            _ => {
                let order = shop.the_order();
                assert_eq!(answer.unwrap().body["id"], order.order.id, "{name}");
                assert_eq!(shop.charge(&order.order.payments[0].id).times, 1, "{name}");
            }
        }
        shop.check_settled();
    }
}

#[test]
fn a_declined_repeat_stays_declined() {
    let shop = Shop::new();
    let cart = shop.cart(&[("A", 2)], &json!({}));
    shop.moods(&[Mood::Declines]);
    shop.host.before_commit(1, |_| panic!("the host dies before a commit"));
    assert!(!shop.survives(shop.request("createOrder", "", "k", &order_of(&cart))));
    refused(shop.checkout(&cart, "k"), 402, "payment_declined");
    assert_eq!((shop.level("A"), shop.cart_status(&cart).as_str()), ((10, 0, 10), "active"));
    shop.check_settled();
}

#[test]
fn an_answer_that_comes_after_everybody_gave_up_is_taken_back() {
    let shop = Shop::new();
    let cart = shop.cart(&[("A", 2)], &json!({}));
    // While the gateway's answer is on its way, the reconciler hears of nothing and gives the order up.
    let early = Rc::clone(&shop.gateway);
    shop.host.before_commit(1, move |host| {
        let known = std::mem::take(&mut *early.borrow_mut());
        host.set_now_ms(START_MS + 2 * MINUTE_MS);
        let system = Caller { kind: "system".to_owned(), ..Caller::default() };
        let request =
            Request { operation_id: "settleOrders".to_owned(), caller: system, ..Request::default() };
        host.call::<Orders>(request).unwrap();
        *early.borrow_mut() = known;
    });
    let problem = refused(shop.checkout(&cart, "k"), 409, "reservation_expired");
    let order = shop.the_order();
    assert_eq!(problem.extras["orderId"], order.order.id);
    assert_eq!(order.order.status, OrderStatus::Cancelled);
    shop.check();
    shop.wait_out();
    assert_eq!(shop.charge(&order.order.payments[0].id).held(), 0);
    shop.check_settled();
}

#[test]
fn what_a_crash_leaves_of_a_movement_is_settled_or_resumed() {
    for operation in ["capturePayment", "refundPayment", "voidPayment", "payOrder"] {
        for (name, commit, mood) in deaths() {
            for is_repeated in [false, true] {
                let shop = Shop::new();
                let cart = shop.cart(&[("A", 2)], &json!({}));
                let order = shop.checkout(&cart, "order").unwrap().body;
                let order_id = order["id"].as_str().unwrap();
                let payment = order["payments"][0]["id"].as_str().unwrap();
                if operation == "refundPayment" {
                    shop.call("capturePayment", payment, "c", &Value::Null).unwrap();
                }
                if operation == "payOrder" {
                    shop.call("voidPayment", payment, "v", &Value::Null).unwrap();
                }
                let (id, body) = match operation {
                    "payOrder" => (order_id, json!({"provider": "pay", "token": "tok"})),
                    _ => (payment, Value::Null),
                };
                die(&shop, shop.request(operation, id, "k", &body), commit, mood);
                shop.check();
                if is_repeated || name == "before A" {
                    let status = if operation == "payOrder" { 201 } else { 200 };
                    assert_eq!(shop.call(operation, id, "k", &body).unwrap().status, status, "{name}");
                } else {
                    shop.wait_out();
                }
                shop.check_settled();
                let charge = shop.charge(payment);
                let is_done = match operation {
                    "capturePayment" => charge.captured == 2_000,
                    "refundPayment" => charge.refunded == 2_000,
                    "voidPayment" => charge.voided == 2_000,
                    // Nobody waits for an authorization that was never asked for.
                    _ => true,
                };
                assert!(is_done, "{operation} {name} {charge:?}");
            }
        }
    }
}

#[test]
fn a_reconciler_that_dies_goes_on() {
    for (_, commit, mood) in deaths() {
        let shop = Shop::new();
        let cart = shop.cart(&[("A", 2)], &json!({}));
        let order = shop.checkout(&cart, "order").unwrap().body;
        shop.call("cancelOrder", order["id"].as_str().unwrap(), "x", &Value::Null).unwrap();
        let system = Caller { kind: "system".to_owned(), ..Caller::default() };
        let request = shop.request("settleOrders", "", "", &Value::Null);
        let commit = commit.map(|_| 0);
        die(&shop, Request { caller: system, ..request }, commit, mood);
        shop.check();
        shop.settle();
        shop.advance(MINUTE_MS);
        shop.settle();
        assert_eq!(shop.charge(order["payments"][0]["id"].as_str().unwrap()).held(), 0);
        shop.check_settled();
    }
}

#[test]
fn one_order_that_cannot_be_settled_keeps_no_other_waiting() {
    let shop = Shop::new();
    for _ in 0..2 {
        let cart = shop.cart(&[("A", 1)], &json!({}));
        shop.moods(&[Mood::SilentAfter]);
        shop.checkout(&cart, &cart).unwrap();
    }
    // Its reservation is gone, as after a repair by hand that went wrong.
    let broken = shop.orders().remove(0);
    let mut commit = Context::new(&shop.host, b"").commit();
    commit.delete(RESERVATIONS, &broken.reservation_id);
    commit.apply().unwrap();
    shop.advance(2 * MINUTE_MS);
    shop.settle();
    let status = |order: &StoredOrder| shop.order(&order.order.id).order.status;
    assert_eq!(status(&shop.orders()[1]), OrderStatus::Confirmed);
    // It holds no stock, so it is given up, and its money goes back.
    assert_eq!(status(&broken), OrderStatus::Expired);
}

#[test]
fn an_order_that_cannot_be_read_keeps_the_others_from_nothing() {
    let shop = Shop::new();
    shop.moods(&[Mood::WantsAction, Mood::WantsAction]);
    for key in ["k1", "k2"] {
        shop.checkout(&shop.cart(&[("A", 1)], &json!({})), key).unwrap();
    }
    let [first, second] = [0, 1].map(|at| shop.orders()[at].order.id.clone());
    let context = Context::new(&shop.host, b"");
    let mut commit = context.commit();
    let broken = [("adjustments", json!("nobody knows")), ("_dueAt", json!("2026-01-01T00:00:00.000Z"))];
    let broken = broken.into_iter().map(|(path, value)| FieldOperation::set(path, value)).collect();
    commit.update(ORDERS, &first, broken);
    commit.apply().unwrap();
    shop.advance(11 * MINUTE_MS);
    shop.settle();
    assert_eq!(shop.order(&second).order.status, OrderStatus::Expired);
    assert!(shop.host.log_lines().iter().any(|line| line.contains("could not be looked after")));
}

#[test]
fn an_order_is_asked_about_before_it_expires() {
    for syncs in [0, 7] {
        let shop = Shop::new();
        shop.moods(&[Mood::WantsAction]);
        let order = shop.checkout(&shop.cart(&[("A", 2)], &json!({})), "k").unwrap().body;
        let (id, payment) = (order["id"].as_str().unwrap(), order["payments"][0]["id"].as_str().unwrap());
        // A storefront that asks all the time.
        for _ in 0..syncs {
            shop.advance(1_000);
            shop.call("syncPayment", payment, "", &Value::Null).unwrap();
        }
        let due = shop.order(id).due_at.unwrap();
        assert!(due < timestamp(START_MS + 2 * MINUTE_MS), "{syncs} questions pushed it away to {due}");
        shop.gateway.borrow_mut().complete(payment, true);
        shop.advance(11 * MINUTE_MS);
        shop.settle();
        assert_eq!(shop.order(id).order.status, OrderStatus::Confirmed);
        shop.check_settled();
    }
}

#[test]
fn who_asks_how_a_payment_stands_does_not_end_what_is_under_way() {
    let shop = Shop::new();
    let cart = shop.cart(&[("A", 2)], &json!({}));
    // The provider hears of it later.
    die(&shop, shop.request("createOrder", "", "k", &order_of(&cart)), None, Some(Mood::DiesBefore));
    let order = shop.the_order();
    let payment = order.order.payments[0].id.clone();
    let told = shop.call("syncPayment", &payment, "", &Value::Null).unwrap().body;
    assert_eq!(told["transactions"][0]["state"], "pending");
    assert_eq!(shop.the_order().order.status, OrderStatus::Pending);
    shop.advance(2 * MINUTE_MS);
    let told = shop.call("syncPayment", &payment, "", &Value::Null).unwrap().body;
    assert_eq!(told["transactions"][0]["state"], "failed");
    shop.check_settled();
}
