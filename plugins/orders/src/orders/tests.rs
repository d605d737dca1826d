use plugin_sdk::{
    Caller, ListQuery, Request, SortKey, Value, json,
    mock::{descriptor_faults, request_faults},
};

use crate::{
    Orders,
    model::OrderStatus,
    shop::{ADA, Shop, ada, guest, on, powerless, refused, staff},
};

fn address() -> Value {
    json!({"name": "Ada", "line1": "Hafenstr. 1", "city": "Kiel", "postalCode": "24103", "country": "DE"})
}

fn list(operation: &str, caller: &Caller, list: ListQuery) -> Request {
    Request { list: Some(list), ..on(operation, "", &Value::Null, caller) }
}

fn ids(body: &Value) -> Vec<String> {
    body.as_array().unwrap().iter().map(|order| order["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_descriptor_is_complete() {
    assert_eq!(descriptor_faults::<Orders>(), Vec::<String>::new());
}

#[test]
fn the_schema_refuses_what_handlers_need_not_look_at() {
    for (operation, wrong) in [
        ("updateOrder", json!({"status": "sold"})),
        ("updateOrder", json!({"status": "held_from"})),
        ("updateOrder", json!({"colour": "red"})),
        ("updateOrder", json!({"_hidden": true})),
        ("updateOrder", json!({"notes": 1})),
        ("replaceOrder", json!({"shippingAddress": {"name": "Ada"}})),
        ("createFulfillment", json!({"lines": [{"itemId": "itm_A", "quantity": 0}]})),
        ("createFulfillment", json!({"lines": [{"itemId": "itm_A", "quantity": 1.5}]})),
        ("createFulfillment", json!({"status": "shipped"})),
        ("shipFulfillment", json!({"trackingNumber": ""})),
        ("createReturn", json!({"lines": []})),
        ("createReturn", json!({"lines": [{"itemId": "itm_A", "quantity": -1}]})),
    ] {
        assert_ne!(request_faults::<Orders>(operation, &wrong), Vec::<String>::new(), "{wrong}");
    }
    // What was read can be sent back.
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Confirmed, &[("A", 1)]);
    let read = shop.call(&on("getOrder", &id, &Value::Null, &staff())).unwrap().body;
    for operation in ["updateOrder", "replaceOrder"] {
        assert_eq!(request_faults::<Orders>(operation, &read), Vec::<String>::new());
    }
}

#[test]
fn notes_are_for_the_staff() {
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Confirmed, &[("A", 1)]);
    for (caller, notes) in [(staff(), "Only for us"), (ada(), ""), (guest(), "")] {
        let read = shop.call(&on("getOrder", &id, &Value::Null, &caller)).unwrap().body;
        assert_eq!(read["notes"], notes);
        let listed = shop.call(&list("listOrders", &caller, ListQuery::default())).unwrap().body;
        assert_eq!(listed, json!([read]));
        let request = Request {
            params: vec![("number".to_owned(), format!("N-{id}"))],
            query: vec![("email".to_owned(), "ada@example.com".to_owned())],
            ..on("getOrderByNumber", "", &Value::Null, &caller)
        };
        assert_eq!(shop.call(&request).unwrap().body, read);
    }
    for operation in ["listOrders", "getOrder", "getOrderByNumber", "listOrderHistory"] {
        refused(shop.call(&on(operation, &id, &Value::Null, &powerless())), 403, "forbidden");
    }
}

#[test]
fn an_order_is_found_by_its_number() {
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Confirmed, &[("A", 1)]);
    let by = |number: &str, caller: &Caller| {
        let params = vec![("number".to_owned(), number.to_owned())];
        shop.call(&Request { params, ..on("getOrderByNumber", "", &Value::Null, caller) })
    };
    let number = format!("N-{id}");
    assert_eq!(by(&number, &staff()).unwrap().body["id"], json!(id));
    assert_eq!(by(&number, &ada()).unwrap().body["id"], json!(id));
    refused(by("N-0", &staff()), 404, "not_found");
    let nobody = Caller { kind: "anonymous".to_owned(), ..Caller::default() };
    assert_eq!(refused(by(&number, &nobody), 400, "invalid_parameter").errors[0].pointer, "email");
}

#[test]
fn lists_come_newest_first_and_without_what_was_deleted() {
    let shop = Shop::new();
    let mut made = Vec::new();
    for hour in 0..3 {
        shop.host.set_now_ms(crate::shop::START_MS + hour * 3_600_000);
        made.push(shop.order(OrderStatus::Confirmed, &[("A", 1)]));
    }
    shop.order_with(OrderStatus::Cancelled, &[], |order| order.hidden = true);
    let other = shop.order_with(OrderStatus::Confirmed, &[], |order| {
        order.order.customer_id = None;
        order.order.email = Some("eve@example.com".to_owned());
    });
    made.push(other.clone());
    let all = shop.call(&list("listOrders", &staff(), ListQuery::default())).unwrap().body;
    let mut newest_first = made.clone();
    newest_first[2..].sort();
    newest_first[..2].reverse();
    newest_first.rotate_left(2);
    assert_eq!(ids(&all), newest_first);
    let sorted = ListQuery { sort: vec![SortKey::ascending("number")], ..ListQuery::default() };
    made.sort();
    assert_eq!(ids(&shop.call(&list("listOrders", &staff(), sorted)).unwrap().body), made);
    let own = shop.call(&list("listOwnOrders", &ada(), ListQuery::default())).unwrap().body;
    assert_eq!(own.as_array().unwrap().len(), 3);
    assert!(own.as_array().unwrap().iter().all(|order| order["customerId"] == ADA));
    let text = ListQuery { text: Some("eve".to_owned()), ..ListQuery::default() };
    assert_eq!(ids(&shop.call(&list("listOrders", &staff(), text)).unwrap().body), [other]);
}

#[test]
fn the_staff_changes_what_it_may() {
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Confirmed, &[("A", 1)]);
    let patch = |body: Value| shop.call(&on("updateOrder", &id, &body, &staff()));
    let order = patch(json!({"notes": "Ring twice", "metadata": {"erp": 1}, "shippingAddress": address()}));
    let order = order.unwrap().body;
    assert_eq!((&order["notes"], &order["metadata"]), (&json!("Ring twice"), &json!({"erp": 1})));
    assert_eq!(order["shippingAddress"]["city"], "Kiel");
    let order = patch(json!({"shippingAddress": {"city": "Bonn"}, "metadata": {"crm": 2}})).unwrap().body;
    assert_eq!(
        (&order["shippingAddress"]["city"], &order["shippingAddress"]["name"]),
        (&json!("Bonn"), &json!("Ada"))
    );
    assert_eq!(order["metadata"], json!({"erp": 1, "crm": 2}));
    // A replacement says all; what it does not say is gone, but for the status.
    let order = shop.call(&on("replaceOrder", &id, &json!({"notes": "New"}), &staff())).unwrap().body;
    assert_eq!((&order["shippingAddress"], &order["metadata"]), (&Value::Null, &json!({})));
    assert_eq!((&order["notes"], &order["status"]), (&json!("New"), &json!("confirmed")));
    assert_eq!(shop.topics(), ["order.updated"; 3]);
    assert!(shop.host.events().iter().all(|event| !event.data.to_string().contains("New")));

    for (body, pointer) in [
        (
            json!({"shippingAddress": {"country": "XX", "name": "A", "line1": "1", "city": "C", "postalCode": ""}}),
            "/shippingAddress/country",
        ),
        (json!({"metadata": {"a.b": 1}}), "/metadata/a.b"),
        (json!({"billingAddress": {"name": "A"}}), "/billingAddress/line1"),
    ] {
        assert_eq!(refused(patch(body), 422, "validation_failed").errors[0].pointer, pointer);
    }
    let mut request = on("updateOrder", &id, &json!({"notes": "x"}), &staff());
    request.if_match = Some(2);
    refused(shop.call(&request), 412, "version_conflict");
    assert_eq!(patch(json!({})).unwrap().body["notes"], "New");
}

#[test]
fn what_the_staff_notes_is_no_ones_history() {
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Confirmed, &[("A", 1)]);
    for body in [json!({"notes": "Rude"}), json!({"notes": "Ruder", "metadata": {"a": 1}})] {
        shop.call(&on("updateOrder", &id, &body, &staff())).unwrap();
    }
    let query = plugin_sdk::Query { sort: vec![SortKey::ascending("createdAt")], ..Default::default() };
    let entries = shop.ctx().find::<Value>(crate::HISTORY, &query).unwrap().items;
    let told: Vec<_> =
        entries.iter().map(|entry| (entry.data["_owners"].clone(), entry.data["data"].clone())).collect();
    assert_eq!(
        told,
        [(json!([]), json!({"changed": ["notes"]})), (json!([ADA]), json!({"changed": ["metadata"]})),]
    );
}

#[test]
fn addresses_stay_once_something_is_sent() {
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Confirmed, &[("A", 2)]);
    shop.call(&on("updateOrder", &id, &json!({"shippingAddress": address()}), &staff())).unwrap();
    let parcel = json!({"lines": [{"itemId": "itm_A", "quantity": 1}]});
    let parcel = shop.call(&on("createFulfillment", &id, &parcel, &staff())).unwrap().body;
    let patch = |body: Value| shop.call(&on("updateOrder", &id, &body, &staff()));
    patch(json!({"billingAddress": address()})).unwrap();
    shop.call(&on("shipFulfillment", parcel["id"].as_str().unwrap(), &json!({}), &staff())).unwrap();
    for member in ["shippingAddress", "billingAddress"] {
        refused(patch(json!({member: {"city": "Bonn"}})), 409, "conflict");
        refused(patch(json!({member: null})), 409, "conflict");
    }
    patch(json!({"shippingAddress": address(), "notes": "Gone"})).unwrap();
}

#[test]
fn a_status_that_is_set_is_a_transition() {
    let shop = Shop::new();
    let id = shop.order(OrderStatus::Confirmed, &[("A", 2)]);
    let set = |status: &str| shop.call(&on("updateOrder", &id, &json!({"status": status}), &staff()));
    set("confirmed").unwrap();
    for status in ["pending", "completed", "expired"] {
        let problem = refused(set(status), 409, "invalid_transition");
        assert_eq!((&problem.extras["from"], &problem.extras["to"]), (&json!("confirmed"), &json!(status)));
        assert_eq!(problem.extras["allowed"], json!(["processing", "onHold", "cancelled"]));
    }
    set("onHold").unwrap();
    refused(set("processing"), 409, "invalid_transition");
    set("confirmed").unwrap();
    assert_eq!(shop.stored(&id).held_from, None);
    let both = json!({"status": "cancelled", "notes": "Changed her mind"});
    let order = shop.call(&on("updateOrder", &id, &both, &staff())).unwrap().body;
    assert_eq!((&order["status"], &order["notes"]), (&json!("cancelled"), &json!("Changed her mind")));
    assert_eq!(shop.level("A"), [10, 0, 10]);
    assert_eq!(shop.history(&id).last().map(String::as_str), Some("order.updated"));
}

#[test]
fn what_is_over_can_be_deleted_and_is_kept() {
    for status in [OrderStatus::Cancelled, OrderStatus::Expired] {
        let shop = Shop::new();
        let id = shop.order(status, &[]);
        let answer = shop.call(&on("deleteOrder", &id, &Value::Null, &staff())).unwrap();
        assert_eq!((answer.status, &answer.body), (204, &Value::Null));
        for operation in ["getOrder", "deleteOrder", "updateOrder", "listOrderHistory"] {
            refused(shop.call(&on(operation, &id, &json!({}), &staff())), 404, "not_found");
        }
        assert_eq!(shop.call(&list("listOrders", &staff(), ListQuery::default())).unwrap().body, json!([]));
        assert!(shop.stored(&id).hidden);
    }
    for status in
        [OrderStatus::Pending, OrderStatus::Confirmed, OrderStatus::Processing, OrderStatus::Completed]
    {
        let shop = Shop::new();
        let id = shop.order(status, &[]);
        refused(shop.call(&on("deleteOrder", &id, &Value::Null, &staff())), 409, "invalid_transition");
    }
}
