use plugin_sdk::{Filter, Problem, Query, Value, json};
use proptest::prelude::*;

use crate::{
    INVENTORY, MOVEMENTS, RESERVATIONS,
    model::{FulfillmentState, OrderStatus, ReservationState, StoredReservation},
    shop::{Shop, ada, guest, on, powerless, refused, staff},
    stock,
};

fn part(shop: &Shop, operation: &str, id: &str, body: &Value) -> Result<Value, Problem> {
    Ok(shop.call(&on(operation, id, body, &staff()))?.body)
}

fn pack(shop: &Shop, order: &str, lines: &[(&str, u32)]) -> Result<String, Problem> {
    let body = json!({ "lines": of(lines) });
    Ok(part(shop, "createFulfillment", order, &body)?["id"].as_str().unwrap().to_owned())
}

fn of(lines: &[(&str, u32)]) -> Value {
    lines
        .iter()
        .map(|(sku, quantity)| json!({"itemId": format!("itm_{sku}"), "quantity": quantity}))
        .collect()
}

fn ship(shop: &Shop, parcel: &str) -> Result<Value, Problem> {
    part(shop, "shipFulfillment", parcel, &json!({}))
}

#[track_caller]
fn cannot(answer: Result<Value, Problem>, status: u16, code: &str) -> Problem {
    let problem = answer.expect_err("a problem");
    assert_eq!((problem.status, problem.code.as_str()), (status, code), "{problem:?}");
    problem
}

fn reservation(shop: &Shop, order: &str) -> StoredReservation {
    let found = shop.ctx().find_one(RESERVATIONS, Filter::eq("orderId", order)).unwrap();
    found.unwrap().data
}

fn movements(shop: &Shop, number: &str) -> Vec<(String, i64, String)> {
    let query = Query { filter: Filter::eq("reference", number), limit: 100, ..Query::default() };
    let found = shop.ctx().find::<Value>(MOVEMENTS, &query).unwrap().items;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let told = found
        .into_iter()
        .map(|it| (text(&it.data["sku"]), it.data["delta"].as_i64().unwrap(), text(&it.data["reason"])));
    told.collect()
}

#[test]
fn an_order_is_packed_sent_and_delivered() {
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Confirmed, &[("A", 3), ("N", 1)]);
    let answer = shop
        .call(&on("createFulfillment", &id, &json!({"lines": of(&[("A", 2)]), "carrier": "DHL"}), &staff()))
        .unwrap();
    assert_eq!((answer.status, &answer.body["status"]), (201, &json!("pending")));
    assert_eq!(answer.headers, [("location".to_owned(), format!("/orders/{id}"))]);
    let first = answer.body["id"].as_str().unwrap();
    assert_eq!(shop.level("A"), [10, 3, 7]);
    let body = json!({"trackingNumber": "123"});
    let sent = part(&shop, "shipFulfillment", first, &body).unwrap();
    assert_eq!((&sent["status"], &sent["carrier"]), (&json!("shipped"), &json!("DHL")));
    assert_eq!(
        (&sent["trackingNumber"], &sent["shippedAt"]),
        (&json!("123"), &json!("2026-01-01T00:00:00.000Z"))
    );
    assert_eq!(shop.level("A"), [8, 1, 7]);
    let number = format!("N-{id}");
    assert_eq!(movements(&shop, &number), [("A".to_owned(), -2, "shipped".to_owned())]);
    let order = shop.stored(&id).order;
    assert_eq!(order.status, OrderStatus::Processing);
    assert_eq!(shop.history(&id), ["fulfillment.created", "order.status_changed", "fulfillment.shipped"]);
    assert_eq!(shop.topics(), ["fulfillment.created", "order.status_changed", "fulfillment.shipped"]);
    // The rest, without naming it.
    let rest = part(&shop, "createFulfillment", &id, &json!({})).unwrap();
    assert_eq!(rest["lines"], of(&[("A", 1), ("N", 1)]));
    ship(&shop, rest["id"].as_str().unwrap()).unwrap();
    assert_eq!(shop.level("A"), [7, 0, 7]);
    assert_eq!(reservation(&shop, &id).state, ReservationState::Consumed);
    assert_eq!(movements(&shop, &number).len(), 2, "nobody counts `N`");
    for parcel in [first, rest["id"].as_str().unwrap()] {
        let delivered = part(&shop, "deliverFulfillment", parcel, &Value::Null).unwrap();
        assert_eq!(delivered["deliveredAt"], "2026-01-01T00:00:00.000Z");
    }
    let order = part(&shop, "getOrder", &id, &Value::Null).unwrap();
    assert_eq!((&order["fulfillmentStatus"], &order["status"]), (&json!("delivered"), &json!("processing")));
}

#[test]
fn nothing_is_packed_that_was_not_ordered() {
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Confirmed, &[("A", 3), ("B", 1)]);
    let pointers = |answer: Result<String, Problem>| -> Vec<String> {
        let problem = answer.expect_err("a problem");
        assert_eq!(problem.code, "validation_failed");
        problem.errors.into_iter().map(|error| error.pointer).collect()
    };
    assert_eq!(pointers(pack(&shop, &id, &[("A", 4), ("X", 1)])), ["/lines/0/quantity", "/lines/1/itemId"]);
    assert_eq!(pointers(pack(&shop, &id, &[("A", 2), ("B", 1), ("A", 2)])), ["/lines/2/quantity"]);
    let parcel = pack(&shop, &id, &[("A", 2)]).unwrap();
    assert_eq!(pointers(pack(&shop, &id, &[("A", 2)])), ["/lines/0/quantity"]);
    part(&shop, "cancelFulfillment", &parcel, &Value::Null).unwrap();
    pack(&shop, &id, &[("A", 3), ("B", 1)]).unwrap();
    let all = part(&shop, "createFulfillment", &id, &json!({})).map(|it| it["id"].to_string());
    assert_eq!(pointers(all), ["/lines"]);
}

#[test]
fn only_open_orders_are_packed_and_sent() {
    for status in [OrderStatus::Pending, OrderStatus::OnHold, OrderStatus::Completed, OrderStatus::Cancelled]
    {
        let shop = Shop::new();
        let items: &[(&str, u32)] =
            if matches!(status, OrderStatus::Pending | OrderStatus::OnHold) { &[("A", 1)] } else { &[] };
        let id = shop.order(status, items);
        cannot(pack(&shop, &id, &[("A", 1)]).map(Value::from), 409, "conflict");
    }
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Confirmed, &[("A", 1)]);
    let parcel = pack(&shop, &id, &[("A", 1)]).unwrap();
    part(&shop, "holdOrder", &id, &Value::Null).unwrap();
    let problem = cannot(ship(&shop, &parcel), 409, "invalid_transition");
    assert_eq!(problem.extras["allowed"], json!(["cancelled"]));
    assert_eq!(problem.detail.unwrap(), "The order is onHold.");
    part(&shop, "releaseOrder", &id, &Value::Null).unwrap();
    ship(&shop, &parcel).unwrap();
    for (operation, code) in [("shipFulfillment", "invalid_transition"), ("createFulfillment", "not_found")] {
        cannot(
            part(&shop, operation, &parcel, &json!({})),
            if code == "not_found" { 404 } else { 409 },
            code,
        );
    }
    cannot(ship(&shop, "ful_0"), 404, "not_found");
}

#[test]
fn a_parcel_goes_its_way() {
    let ways: [(FulfillmentState, &[&str]); 4] = [
        (FulfillmentState::Pending, &["shipFulfillment", "cancelFulfillment"]),
        (FulfillmentState::Shipped, &["deliverFulfillment", "cancelFulfillment"]),
        (FulfillmentState::Delivered, &[]),
        (FulfillmentState::Cancelled, &[]),
    ];
    for (state, ways) in ways {
        for operation in ["shipFulfillment", "deliverFulfillment", "cancelFulfillment"] {
            let shop = Shop::new();
            let id = shop.order(OrderStatus::Confirmed, &[("A", 1)]);
            let parcel = pack(&shop, &id, &[("A", 1)]).unwrap();
            let steps: &[&str] = match state {
                FulfillmentState::Pending => &[],
                FulfillmentState::Shipped => &["shipFulfillment"],
                FulfillmentState::Delivered => &["shipFulfillment", "deliverFulfillment"],
                FulfillmentState::Cancelled => &["cancelFulfillment"],
            };
            for step in steps {
                part(&shop, step, &parcel, &json!({})).unwrap();
            }
            let answer = part(&shop, operation, &parcel, &json!({}));
            if ways.contains(&operation) {
                answer.unwrap();
            } else {
                let problem = cannot(answer, 409, "invalid_transition");
                assert_eq!(problem.extras["from"], json!(state));
                assert_eq!(problem.extras["allowed"].as_array().unwrap().len(), ways.len());
            }
        }
    }
}

#[test]
fn a_parcel_that_came_back_can_be_sent_again() {
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Confirmed, &[("A", 2), ("N", 1)]);
    let parcel = pack(&shop, &id, &[("A", 2), ("N", 1)]).unwrap();
    ship(&shop, &parcel).unwrap();
    assert_eq!(shop.level("A"), [8, 0, 8]);
    part(&shop, "cancelFulfillment", &parcel, &Value::Null).unwrap();
    assert_eq!(shop.level("A"), [10, 2, 8]);
    assert_eq!(reservation(&shop, &id).state, ReservationState::Committed);
    let told: Vec<i64> =
        movements(&shop, &format!("N-{id}")).into_iter().map(|(_, delta, _)| delta).collect();
    assert_eq!(told.iter().sum::<i64>(), 0);
    let again = pack(&shop, &id, &[("A", 2)]).unwrap();
    ship(&shop, &again).unwrap();
    assert_eq!(shop.level("A"), [8, 0, 8]);
    part(&shop, "cancelFulfillment", &again, &Value::Null).unwrap();
    // Nothing is sent any more, so the order can be given up.
    part(&shop, "cancelOrder", &id, &Value::Null).unwrap();
    assert_eq!(shop.level("A"), [10, 0, 10]);
}

#[test]
fn what_is_not_on_hand_is_not_sent() {
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Confirmed, &[("A", 9)]);
    let parcel = pack(&shop, &id, &[("A", 9)]).unwrap();
    // As for a backorder: more is promised than there is.
    let ctx = shop.ctx();
    let mut commit = ctx.commit();
    let increment = |path: &str, by| plugin_sdk::FieldOperation::Increment { path: path.to_owned(), by };
    commit.update(
        INVENTORY,
        &stock::level_id("A"),
        vec![increment("onHand", -4), increment("available", -4)],
    );
    commit.insert(MOVEMENTS, &json!({"sku": "A", "delta": -4, "reason": "lost", "reference": null}));
    commit.apply().unwrap();
    let problem = cannot(ship(&shop, &parcel), 409, "insufficient_stock");
    assert_eq!(problem.extras["items"], json!([{"sku": "A", "requested": 9, "available": 6}]));
    assert_eq!(shop.stored(&id).order.status, OrderStatus::Confirmed);
}

#[test]
fn of_two_who_send_a_parcel_one_does() {
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Confirmed, &[("A", 2)]);
    let parcel = pack(&shop, &id, &[("A", 2)]).unwrap();
    let other = on("shipFulfillment", &parcel, &json!({}), &staff());
    shop.host.before_commit(0, move |host| {
        host.answered::<crate::Orders>(other).unwrap();
    });
    cannot(ship(&shop, &parcel), 409, "invalid_transition");
    assert_eq!(shop.level("A"), [8, 0, 8]);

    // Or the customer cancels the order meanwhile.
    let id = shop.order(OrderStatus::Confirmed, &[("A", 2)]);
    let parcel = pack(&shop, &id, &[("A", 2)]).unwrap();
    let other = on("cancelOrder", &id, &Value::Null, &ada());
    shop.host.before_commit(0, move |host| {
        host.answered::<crate::Orders>(other).unwrap();
    });
    cannot(ship(&shop, &parcel), 409, "invalid_transition");
    assert_eq!(shop.level("A"), [8, 0, 8]);
}

#[test]
fn two_parcels_of_one_order_are_sent_at_once() {
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Confirmed, &[("A", 2)]);
    let parcels = [pack(&shop, &id, &[("A", 1)]).unwrap(), pack(&shop, &id, &[("A", 1)]).unwrap()];
    let other = on("shipFulfillment", &parcels[1], &json!({}), &staff());
    shop.host.before_commit(0, move |host| {
        host.answered::<crate::Orders>(other).unwrap();
    });
    ship(&shop, &parcels[0]).unwrap();
    assert_eq!(shop.level("A"), [8, 0, 8]);
    assert_eq!(reservation(&shop, &id).state, ReservationState::Consumed);
}

fn returned(shop: &Shop, order: &str, lines: &[(&str, u32)]) -> Result<String, Problem> {
    let body = json!({ "lines": of(lines) });
    Ok(part(shop, "createReturn", order, &body)?["id"].as_str().unwrap().to_owned())
}

#[test]
fn what_was_sent_comes_back() {
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Confirmed, &[("A", 3), ("N", 1)]);
    cannot(returned(&shop, &id, &[("A", 1)]).map(Value::from), 422, "validation_failed");
    let parcel = pack(&shop, &id, &[("A", 2), ("N", 1)]).unwrap();
    ship(&shop, &parcel).unwrap();
    for (caller, quantity) in [(ada(), 1), (guest(), 1)] {
        let line = json!({"itemId": "itm_A", "quantity": quantity, "reason": "Too small"});
        let answer = shop.call(&on("createReturn", &id, &json!({"lines": [line]}), &caller)).unwrap();
        assert_eq!((answer.status, &answer.body["status"]), (201, &json!("requested")));
        assert_eq!(answer.body["lines"][0]["reason"], "Too small");
    }
    let powerless = on("createReturn", &id, &json!({"lines": of(&[("N", 1)])}), &powerless());
    refused(shop.call(&powerless), 403, "forbidden");
    let problem = cannot(returned(&shop, &id, &[("A", 1)]).map(Value::from), 422, "validation_failed");
    assert_eq!(problem.errors[0].pointer, "/lines/0/quantity");
    let returns = shop.stored(&id).order.returns;
    let [first, second] = [&returns[0].id, &returns[1].id];
    cannot(part(&shop, "receiveReturn", first, &Value::Null), 409, "invalid_transition");
    part(&shop, "approveReturn", first, &Value::Null).unwrap();
    let received = part(&shop, "receiveReturn", first, &Value::Null).unwrap();
    assert_eq!(received["receivedAt"], "2026-01-01T00:00:00.000Z");
    assert_eq!(shop.level("A"), [9, 1, 8]);
    part(&shop, "rejectReturn", second, &Value::Null).unwrap();
    // What was rejected can be asked for again; what nobody counts comes back to nobody.
    let third = returned(&shop, &id, &[("A", 1), ("N", 1)]).unwrap();
    for step in ["approveReturn", "receiveReturn"] {
        part(&shop, step, &third, &Value::Null).unwrap();
    }
    assert_eq!(shop.level("A"), [10, 1, 9]);
    for step in ["approveReturn", "rejectReturn", "receiveReturn"] {
        let problem = cannot(part(&shop, step, &third, &Value::Null), 409, "invalid_transition");
        assert_eq!((&problem.extras["from"], &problem.extras["allowed"]), (&json!("received"), &json!([])));
    }
    let kinds = shop.history(&id);
    let kinds: Vec<&str> =
        kinds.iter().map(String::as_str).filter(|kind| kind.starts_with("return")).collect();
    assert_eq!(kinds.len(), 8, "{kinds:?}");
    cannot(part(&shop, "approveReturn", "ret_0", &Value::Null), 404, "not_found");
}

#[test]
fn a_parcel_does_not_come_back_twice() {
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Confirmed, &[("A", 2)]);
    let parcel = pack(&shop, &id, &[("A", 2)]).unwrap();
    ship(&shop, &parcel).unwrap();
    let back = returned(&shop, &id, &[("A", 1)]).unwrap();
    cannot(part(&shop, "cancelFulfillment", &parcel, &Value::Null), 409, "conflict");
    part(&shop, "rejectReturn", &back, &Value::Null).unwrap();
    part(&shop, "cancelFulfillment", &parcel, &Value::Null).unwrap();
    assert_eq!(shop.level("A"), [10, 2, 8]);
}

#[test]
fn of_two_who_receive_a_return_one_does() {
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Confirmed, &[("A", 2)]);
    let parcel = pack(&shop, &id, &[("A", 2)]).unwrap();
    ship(&shop, &parcel).unwrap();
    let back = returned(&shop, &id, &[("A", 2)]).unwrap();
    part(&shop, "approveReturn", &back, &Value::Null).unwrap();
    let other = on("receiveReturn", &back, &Value::Null, &staff());
    shop.host.before_commit(0, move |host| {
        host.answered::<crate::Orders>(other).unwrap();
    });
    cannot(part(&shop, "receiveReturn", &back, &Value::Null), 409, "invalid_transition");
    assert_eq!(shop.level("A"), [10, 0, 10]);
}

/// Something that somebody does to an order.
#[derive(Debug, Clone)]
enum Step {
    Order(&'static str),
    Customer(&'static str),
    Pack(&'static str, u32),
    PackAll,
    Parcel(&'static str, usize),
    Return(&'static str, u32),
    Returned(&'static str, usize),
    Capture,
}

fn step() -> impl Strategy<Value = Step> {
    let sku = || prop::sample::select(vec!["A", "B", "N"]);
    let order =
        vec!["confirmOrder", "processOrder", "completeOrder", "holdOrder", "releaseOrder", "cancelOrder"];
    let parcel = vec!["shipFulfillment", "deliverFulfillment", "cancelFulfillment"];
    let back = vec!["approveReturn", "rejectReturn", "receiveReturn"];
    prop_oneof![
        3 => prop::sample::select(order).prop_map(Step::Order),
        1 => Just(Step::Customer("cancelOrder")),
        3 => (sku(), 1..4_u32).prop_map(|(sku, quantity)| Step::Pack(sku, quantity)),
        1 => Just(Step::PackAll),
        6 => (prop::sample::select(parcel), 0..6_usize).prop_map(|(step, which)| Step::Parcel(step, which)),
        3 => (sku(), 1..3_u32).prop_map(|(sku, quantity)| Step::Return(sku, quantity)),
        3 => (prop::sample::select(back), 0..4_usize).prop_map(|(step, which)| Step::Returned(step, which)),
        1 => Just(Step::Capture),
    ]
}

fn take(shop: &Shop, id: &str, step: &Step) -> Result<(), Problem> {
    let order = shop.stored(id).order;
    let request = match step {
        Step::Order(operation) => on(operation, id, &Value::Null, &staff()),
        Step::Customer(operation) => on(operation, id, &Value::Null, &ada()),
        Step::Pack(sku, quantity) => {
            on("createFulfillment", id, &json!({"lines": of(&[(sku, *quantity)])}), &staff())
        }
        Step::PackAll => on("createFulfillment", id, &json!({}), &staff()),
        Step::Parcel(operation, which) => match order.fulfillments.get(*which) {
            Some(parcel) => on(operation, &parcel.id, &json!({}), &staff()),
            None => return Ok(()),
        },
        Step::Return(sku, quantity) => {
            on("createReturn", id, &json!({"lines": of(&[(sku, *quantity)])}), &ada())
        }
        Step::Returned(operation, which) => match order.returns.get(*which) {
            Some(it) => on(operation, &it.id, &Value::Null, &staff()),
            None => return Ok(()),
        },
        Step::Capture => {
            if order.totals.paid.amount == 0 && order.payments[0].transactions.len() == 1 {
                shop.capture(id);
            }
            return Ok(());
        }
    };
    shop.call(&request).map(drop)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever is done to two orders, in whatever order: nothing is sent that was not ordered, and stock is neither
    /// lost nor made. What holds after every step is in [`Shop::check`].
    #[test]
    fn whatever_is_done_stock_is_conserved(steps in prop::collection::vec((step(), any::<bool>()), 1..40)) {
        let shop = Shop::new();
        let items: [&[(&str, u32)]; 2] = [&[("A", 3), ("N", 1)], &[("A", 2), ("B", 2)]];
        let orders = items.map(|items| shop.order(OrderStatus::Pending, items));
        for (step, second) in steps {
            let id = &orders[usize::from(second)];
            let before = shop.stored(id);
            let outcome = take(&shop, id, &step);
            let after = shop.stored(id);
            if let Err(problem) = outcome {
                prop_assert_eq!(&before, &after, "{:?} was refused: {:?}", step, problem);
                prop_assert!([409, 422].contains(&problem.status), "{:?}: {:?}", step, problem);
            }
            // What is not sent is held, until it is given back.
            let given_up = after.order.status == OrderStatus::Cancelled;
            let held = reservation(&shop, id);
            let holds =
                matches!(held.state, ReservationState::Held | ReservationState::Committed);
            for item in after.order.items.iter().filter(|item| item.sku != "N") {
                let sent = crate::ledger::sent(&after.order.fulfillments, &item.id);
                let wanted = if given_up { 0 } else { i64::from(item.quantity) - i64::try_from(sent).unwrap() };
                let reserved = stock::held(&held).get(&item.sku).copied().filter(|_| holds).unwrap_or_default();
                prop_assert_eq!(reserved, wanted, "{} after {:?}", item.sku, step);
            }
            let steps = |from: &crate::model::StoredOrder| from.order.version;
            prop_assert!(steps(&after) <= steps(&before) + 1);
        }
    }
}
