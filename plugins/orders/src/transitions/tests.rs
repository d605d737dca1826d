use plugin_sdk::{Context, Filter, Problem, Value, json};

use crate::{
    CARTS, COUPONS, ORDERS, RESERVATIONS,
    model::{OrderStatus, StoredReservation, TransactionState, TransactionType},
    shop::{Shop, ada, guest, on, powerless, refused, staff},
};

fn go(shop: &Shop, operation: &str, id: &str) -> Result<Value, Problem> {
    Ok(shop.call(&on(operation, id, &Value::Null, &staff()))?.body)
}

fn reservation(shop: &Shop, order: &str) -> Value {
    let ctx = shop.ctx();
    let found = ctx.find_one::<Value>(RESERVATIONS, Filter::eq("orderId", order)).unwrap();
    found.unwrap().data
}

#[test]
fn an_order_goes_its_way() {
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Pending, &[("A", 2), ("N", 1)]);
    assert_eq!(reservation(&shop, &id)["state"], "held");
    let order = go(&shop, "confirmOrder", &id).unwrap();
    assert_eq!((&order["status"], &order["version"]), (&json!("confirmed"), &json!(2)));
    let held = reservation(&shop, &id);
    assert_eq!((&held["state"], &held["expiresAt"]), (&json!("committed"), &Value::Null));
    assert_eq!(shop.stored(&id).expires_at, None);
    assert_eq!(go(&shop, "holdOrder", &id).unwrap()["status"], "onHold");
    assert_eq!(go(&shop, "releaseOrder", &id).unwrap()["status"], "confirmed");
    assert_eq!(go(&shop, "processOrder", &id).unwrap()["status"], "processing");
    assert_eq!(go(&shop, "holdOrder", &id).unwrap()["status"], "onHold");
    assert_eq!(go(&shop, "releaseOrder", &id).unwrap()["status"], "processing");
    assert_eq!(shop.stored(&id).held_from, None);
    assert_eq!(shop.topics(), ["order.status_changed"; 6]);
    assert_eq!(shop.history(&id), ["order.status_changed"; 6]);
    let events = shop.host.events();
    let first = events.iter().find(|event| event.topic == "order.status_changed").unwrap();
    assert_eq!((&first.data["from"], &first.data["status"]), (&json!("pending"), &json!("confirmed")));
    // Customers hear events too.
    assert!(events.iter().all(|event| event.data.get("notes").is_none()));
    let entries = shop.call(&on("listOrderHistory", &id, &Value::Null, &ada())).unwrap().body;
    assert_eq!(entries[0]["data"], json!({"from": "pending", "to": "confirmed"}));
    assert_eq!(entries[0]["actor"], json!({"kind": "admin", "id": "usr_staff"}));
    assert_eq!(entries[0]["orderVersion"], 2);
}

#[test]
fn only_what_is_covered_is_confirmed() {
    let shop = Shop::new();
    let failed = |order: &mut crate::model::StoredOrder| {
        order.order.payments[0].transactions[0].state = TransactionState::Pending;
    };
    let id = shop.order_with(OrderStatus::Pending, &[("A", 1)], failed);
    let problem = refused_transition(go(&shop, "confirmOrder", &id));
    assert_eq!(problem.extras["allowed"], json!(["cancelled"]));
    assert!(problem.detail.unwrap().contains("cover"));
    let promised = shop.order_with(OrderStatus::Pending, &[("A", 1)], |order| {
        failed(order);
        order.order.payments[0].offline = true;
    });
    assert_eq!(go(&shop, "confirmOrder", &promised).unwrap()["status"], "confirmed");
    let free = shop.order_with(OrderStatus::Pending, &[("A", 1)], |order| {
        order.order.payments.clear();
        order.order.totals.grand.amount = 0;
    });
    assert_eq!(go(&shop, "confirmOrder", &free).unwrap()["status"], "confirmed");
}

#[track_caller]
fn refused_transition(answer: Result<Value, Problem>) -> Problem {
    let problem = answer.expect_err("a problem");
    assert_eq!((problem.status, problem.code.as_str()), (409, "invalid_transition"), "{problem:?}");
    problem
}

#[test]
fn stock_that_was_let_go_keeps_an_order_from_being_confirmed() {
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Pending, &[("A", 1)]);
    let reservation = shop.stored(&id).reservation_id;
    shop.host.before_commit(0, move |host| {
        let ctx = Context::new(host, b"");
        let held = ctx.get::<StoredReservation>(RESERVATIONS, &reservation).unwrap().unwrap();
        let mut commit = ctx.commit();
        crate::release::release_reservation(&mut commit, &reservation, held.version, &held.data);
        commit.apply().unwrap();
    });
    assert_eq!(go(&shop, "confirmOrder", &id).unwrap_err().code, "conflict");
    assert_eq!(shop.level("A"), [10, 0, 10]);
}

#[test]
fn there_is_no_way_but_those_there_are() {
    use OrderStatus::{Cancelled, Completed, Confirmed, Expired, OnHold, Pending, Processing};
    let ways: [(&str, &[OrderStatus]); 6] = [
        ("confirmOrder", &[Pending]),
        // The order on hold was in the works before.
        ("processOrder", &[Confirmed, OnHold]),
        ("completeOrder", &[]),
        ("holdOrder", &[Confirmed, Processing]),
        ("releaseOrder", &[OnHold]),
        ("cancelOrder", &[Pending, Confirmed, Processing, OnHold]),
    ];
    for (operation, from) in ways {
        for status in [Pending, Confirmed, Processing, OnHold, Completed, Cancelled, Expired] {
            let shop = Shop::new();
            // Nothing was in those that are over.
            let items: &[(&str, u32)] = match status {
                Completed | Cancelled | Expired => &[],
                _ => &[("A", 1)],
            };
            let id = shop.order_with(status, items, |order| {
                order.held_from = (status == OnHold).then_some(Processing);
            });
            let answer = go(&shop, operation, &id);
            if from.contains(&status) {
                assert!(answer.is_ok(), "{operation} from {status:?}: {answer:?}");
                // What holds already is no transition.
                if operation != "releaseOrder" {
                    refused_transition(go(&shop, operation, &id));
                }
            } else {
                let problem = refused_transition(answer);
                assert_eq!(problem.extras["from"], json!(status), "{operation}");
                assert_eq!(shop.stored(&id).order.version, 1);
            }
        }
    }
}

#[test]
fn an_order_is_complete_when_all_is_sent_and_paid() {
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Processing, &[("A", 2)]);
    assert_eq!(
        refused_transition(go(&shop, "completeOrder", &id)).detail.unwrap(),
        "Not everything is sent."
    );
    let parcel = shop.call(&on("createFulfillment", &id, &json!({}), &staff())).unwrap().body;
    let parcel = parcel["id"].as_str().unwrap();
    shop.call(&on("shipFulfillment", parcel, &json!({}), &staff())).unwrap();
    let problem = refused_transition(go(&shop, "completeOrder", &id));
    assert_eq!(problem.detail.unwrap(), "There is something to pay yet.");
    assert_eq!(problem.extras["allowed"], json!(["onHold"]));
    refused_transition(go(&shop, "cancelOrder", &id));
    shop.capture(&id);
    assert_eq!(go(&shop, "completeOrder", &id).unwrap()["status"], "completed");
}

#[test]
fn cancelling_gives_everything_back() {
    let shop = Shop::new();
    shop.host.put(COUPONS, "cpn_1", &json!({"code": "RENAMED", "ruleId": "ten", "used": 3}));
    let id = shop.order_with(OrderStatus::Confirmed, &[("A", 2), ("B", 1), ("N", 1)], |order| {
        order.order.coupons.push("TEN".to_owned());
        order.counted.coupons.push("cpn_1".to_owned());
    });
    let parcel = shop.call(&on("createFulfillment", &id, &json!({}), &staff())).unwrap().body;
    assert_eq!(shop.level("A"), [10, 2, 8]);
    let order = go(&shop, "cancelOrder", &id).unwrap();
    assert_eq!((&order["status"], &order["totals"]["due"]["amount"]), (&json!("cancelled"), &json!(0)));
    assert_eq!(order["fulfillments"][0]["status"], "cancelled");
    assert_eq!([shop.level("A"), shop.level("B")], [[10, 0, 10]; 2]);
    assert_eq!(shop.host.document(COUPONS, "cpn_1").unwrap()["used"], 2);
    let stored = shop.stored(&id);
    let planned = stored.order.payments[0].transactions.last().unwrap();
    assert_eq!((planned.kind, planned.state), (TransactionType::Void, TransactionState::Pending));
    assert!(stored.due_at.is_some(), "somebody sends it");
    let parcel = parcel["id"].as_str().unwrap();
    refused(shop.call(&on("shipFulfillment", parcel, &json!({}), &staff())), 409, "invalid_transition");

    let paid = shop.order(OrderStatus::Processing, &[("A", 2)]);
    shop.capture(&paid);
    let order = go(&shop, "cancelOrder", &paid).unwrap();
    let planned = order["payments"][0]["transactions"].as_array().unwrap().last().unwrap();
    assert_eq!((&planned["type"], &planned["amount"]["amount"]), (&json!("refund"), &json!(2_000)));
}

#[test]
fn customers_and_guests_cancel_until_the_shop_is_at_work() {
    for caller in [ada(), guest()] {
        for (status, may) in [
            (OrderStatus::Pending, true),
            (OrderStatus::Confirmed, true),
            (OrderStatus::Processing, false),
            (OrderStatus::OnHold, false),
        ] {
            let shop = Shop::new();
            let id = shop.order(status, &[("A", 1)]);
            let answer = shop.call(&on("cancelOrder", &id, &Value::Null, &caller));
            if may {
                let body = answer.unwrap().body;
                assert_eq!((&body["status"], &body["notes"]), (&json!("cancelled"), &json!("")));
                assert_eq!(shop.stored(&id).order.notes, "Only for us");
            } else {
                let problem = refused(answer, 409, "invalid_transition");
                assert!(!problem.extras["allowed"].as_array().unwrap().contains(&json!("cancelled")));
            }
        }
    }
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Pending, &[("A", 1)]);
    refused(shop.call(&on("cancelOrder", &id, &Value::Null, &powerless())), 403, "forbidden");
}

#[test]
fn of_two_who_are_at_an_order_both_see_what_the_other_did() {
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Confirmed, &[("A", 1)]);
    let cancelling = on("cancelOrder", &id, &Value::Null, &ada());
    shop.host.before_commit(0, move |host| {
        host.answered::<crate::Orders>(cancelling).unwrap();
    });
    refused_transition(go(&shop, "processOrder", &id));
    assert_eq!(shop.stored(&id).order.status, OrderStatus::Cancelled);
    assert_eq!(shop.level("A"), [10, 0, 10]);

    let id = shop.order(OrderStatus::Confirmed, &[("A", 1)]);
    let beginning = on("processOrder", &id, &Value::Null, &staff());
    shop.host.before_commit(0, move |host| {
        host.answered::<crate::Orders>(beginning).unwrap();
    });
    refused(shop.call(&on("cancelOrder", &id, &Value::Null, &ada())), 409, "invalid_transition");
    assert_eq!(shop.level("A"), [10, 1, 9]);
}

#[test]
fn a_client_may_name_the_version_it_knows() {
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Confirmed, &[("A", 1)]);
    let mut request = on("processOrder", &id, &Value::Null, &staff());
    request.if_match = Some(7);
    refused(shop.call(&request), 412, "version_conflict");
    request.if_match = Some(1);
    shop.call(&request).unwrap();
}

#[test]
fn the_cart_of_a_confirmed_order_is_done() {
    let shop = Shop::new();
    let id = shop.order_with(OrderStatus::Pending, &[("A", 1)], |order| {
        order.order.cart_id = Some("cart_1".to_owned());
    });
    shop.host.put(CARTS, "cart_1", &json!({"status": "completing", "_activeOf": "usr_ada", "orderId": id}));
    go(&shop, "confirmOrder", &id).unwrap();
    let cart = shop.host.document(CARTS, "cart_1").unwrap();
    assert_eq!((&cart["status"], &cart["_activeOf"]), (&json!("ordered"), &Value::Null));
}

#[test]
fn what_was_deleted_goes_no_way() {
    let shop = Shop::new();
    let id = shop.order_with(OrderStatus::Confirmed, &[], |order| order.hidden = true);
    for operation in ["confirmOrder", "processOrder", "holdOrder", "cancelOrder"] {
        assert_eq!(go(&shop, operation, &id).unwrap_err().code, "not_found");
    }
    assert_eq!(shop.host.document(ORDERS, &id).unwrap()["version"], 1);
}
