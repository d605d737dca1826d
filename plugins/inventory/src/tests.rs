//! The handlers against the store's reference model.

use plugin_sdk::{
    Access, Collection, Context, FieldKind, FieldOperation, Problem, Request, Value, json,
    mock::{MockHost, RecordedAnswer, descriptor_faults, request_faults, response_faults},
    natural_id,
};
use proptest::prelude::*;

use crate::{
    Inventory, LEVELS, PRODUCTS, RESERVATIONS,
    model::{Level, QUANTITY_MAX},
    rules,
};

/// A host with the part of the products that stock looks at, and products with the SKUs `A` and `B`.
fn host() -> MockHost {
    let host = MockHost::new::<Inventory>();
    host.declare(vec![
        Collection::new(PRODUCTS, "prod").field("status", FieldKind::Text, Access::Index).multi_field(
            "variants.sku",
            FieldKind::Text,
            Access::Unique,
        ),
    ]);
    for sku in ["A", "B"] {
        host.put(PRODUCTS, &format!("prod_{sku}"), &json!({"status": "draft", "variants": [{"sku": sku}]}));
    }
    host
}

fn request(operation: &str, body: &Value) -> Request {
    Request { operation_id: operation.to_owned(), body: body.to_string().into_bytes(), ..Request::default() }
}

fn adjustment(sku: &str, delta: i64) -> Request {
    request("adjustInventory", &json!({"sku": sku, "delta": delta, "reason": "received", "reference": null}))
}

fn adjust(host: &MockHost, sku: &str, delta: i64) -> Result<Value, Problem> {
    let answer = host.answered::<Inventory>(adjustment(sku, delta))?;
    assert_eq!(response_faults::<Inventory>("adjustInventory", 200, &answer.body), Vec::<String>::new());
    Ok(answer.body)
}

fn patch(host: &MockHost, sku: &str, body: &Value) -> Result<RecordedAnswer, Problem> {
    let params = vec![("sku".to_owned(), sku.to_owned())];
    host.answered::<Inventory>(Request { params, ..request("updateInventoryLevel", body) })
}

fn numbers(level: &Value) -> [i64; 5] {
    ["onHand", "reserved", "incoming", "safetyStock", "available"].map(|name| level[name].as_i64().unwrap())
}

/// What an order will do.
fn reserve(host: &MockHost, sku: &str, quantity: i64) {
    let mut commit = Context::new(host, b"").commit();
    let increment = |path: &str, by| FieldOperation::Increment { path: path.to_owned(), by };
    let operations = vec![increment("reserved", quantity), increment("available", -quantity)];
    commit.update(LEVELS, &natural_id("inv", sku), operations);
    commit.apply().unwrap();
}

#[track_caller]
fn refused(answer: Result<Value, Problem>, status: u16, code: &str) -> Problem {
    let problem = answer.expect_err("a problem");
    assert_eq!((problem.status, problem.code.as_str()), (status, code), "{problem:?}");
    problem
}

#[test]
fn the_descriptor_is_complete() {
    assert_eq!(descriptor_faults::<Inventory>(), Vec::<String>::new());
}

#[test]
fn the_schema_refuses_what_rules_need_not_look_at() {
    let good = json!({"sku": "A", "delta": 1, "reason": "received"});
    assert_eq!(request_faults::<Inventory>("adjustInventory", &good), Vec::<String>::new());
    for (member, value) in [
        ("sku", json!("")),
        ("delta", json!(1.5)),
        ("delta", json!("1")),
        ("reason", json!("Received")),
        ("reason", json!("")),
        ("reference", json!("")),
        ("colour", json!("red")),
    ] {
        let mut wrong = good.clone();
        wrong[member] = value;
        assert_ne!(request_faults::<Inventory>("adjustInventory", &wrong), Vec::<String>::new(), "{wrong}");
    }
    for wrong in [json!({"safetyStock": -1}), json!({"incoming": QUANTITY_MAX + 1}), json!({"x": 1})] {
        assert_ne!(request_faults::<Inventory>("updateInventoryLevel", &wrong), Vec::<String>::new());
    }
}

#[test]
fn the_first_adjustment_makes_the_level_and_others_change_it() {
    let host = host();
    let level = adjust(&host, "A", 10).unwrap();
    assert_eq!((level["sku"].as_str(), level["version"].as_u64()), (Some("A"), Some(1)));
    assert_eq!(numbers(&level), [10, 0, 0, 0, 10]);
    assert_eq!(numbers(&adjust(&host, "A", -4).unwrap()), [6, 0, 0, 0, 6]);
    assert_eq!(numbers(&adjust(&host, "A", 0).unwrap()), [6, 0, 0, 0, 6]);
    let moved = host.answered::<Inventory>(request("listInventoryMovements", &Value::Null)).unwrap().body;
    assert_eq!(response_faults::<Inventory>("listInventoryMovements", 200, &moved), Vec::<String>::new());
    let mut deltas: Vec<i64> =
        moved.as_array().unwrap().iter().map(|it| it["delta"].as_i64().unwrap()).collect();
    deltas.sort_unstable();
    assert_eq!(deltas, [-4, 0, 10]);
    let topics: Vec<String> = host.events().into_iter().map(|event| event.topic).collect();
    assert_eq!(topics, ["inventory.changed"; 3]);
}

#[test]
fn a_sku_that_no_product_has_is_refused() {
    let host = host();
    assert_eq!(refused(adjust(&host, "C", 1), 422, "validation_failed").errors[0].pointer, "/sku");
    // Also when the product loses it between the look and the commit.
    host.before_commit(0, |host| {
        let mut commit = Context::new(host, b"").commit();
        commit.replace(PRODUCTS, "prod_A", &json!({"status": "draft", "variants": []}));
        commit.apply().unwrap();
    });
    assert_eq!(refused(adjust(&host, "A", 1), 422, "validation_failed").errors[0].pointer, "/sku");
    assert_eq!(host.document(LEVELS, &natural_id("inv", "A")), None);
}

#[test]
fn two_first_adjustments_add_up() {
    let host = host();
    host.before_commit(0, |host| {
        adjust(host, "A", 3).unwrap();
    });
    assert_eq!(numbers(&adjust(&host, "A", 4).unwrap()), [7, 0, 0, 0, 7]);
}

#[test]
fn what_is_not_there_or_reserved_cannot_go() {
    let host = host();
    let items = |problem: &Problem| problem.extras["items"].clone();
    let problem = refused(adjust(&host, "A", -1), 409, "insufficient_stock");
    assert_eq!(items(&problem), json!([{"sku": "A", "requested": 1, "available": 0}]));
    adjust(&host, "A", 10).unwrap();
    reserve(&host, "A", 4);
    patch(&host, "A", &json!({"safetyStock": 5})).unwrap();
    // The safety stock keeps from selling and not from taking.
    let problem = refused(adjust(&host, "A", -7), 409, "insufficient_stock");
    assert_eq!(items(&problem), json!([{"sku": "A", "requested": 7, "available": 6}]));
    assert_eq!(numbers(&adjust(&host, "A", -6).unwrap()), [4, 4, 0, 5, -5]);
    // Somebody else is faster.
    adjust(&host, "A", 1).unwrap();
    host.before_commit(0, |host| reserve(host, "A", 1));
    refused(adjust(&host, "A", -1), 409, "insufficient_stock");
}

#[test]
fn reasons_of_orders_and_absurd_numbers_are_refused() {
    let host = host();
    let body = json!({"sku": "A", "delta": 1, "reason": "shipped"});
    let answer = host.answered::<Inventory>(request("adjustInventory", &body)).map(|it| it.body);
    assert_eq!(refused(answer, 422, "validation_failed").errors[0].pointer, "/reason");
    for delta in [QUANTITY_MAX + 1, -QUANTITY_MAX - 1, i64::MAX, i64::MIN] {
        refused(adjust(&host, "A", delta), 422, "amount_out_of_range");
    }
    adjust(&host, "A", QUANTITY_MAX).unwrap();
    refused(adjust(&host, "A", 1), 422, "amount_out_of_range");
    assert_eq!(numbers(&adjust(&host, "A", -1).unwrap())[0], QUANTITY_MAX - 1);
}

#[test]
fn a_patch_sets_what_may_be_set_while_stock_moves() {
    let host = host();
    assert_eq!(patch(&host, "A", &json!({})).unwrap_err().code, "not_found");
    adjust(&host, "A", 10).unwrap();
    let level = patch(&host, "A", &json!({"safetyStock": 3, "incoming": 20})).unwrap().body;
    assert_eq!(numbers(&level), [10, 0, 20, 3, 7]);
    host.before_commit(0, |host| {
        adjust(host, "A", 5).unwrap();
    });
    let level = patch(&host, "A", &json!({"safetyStock": 1})).unwrap().body;
    assert_eq!(numbers(&level), [15, 0, 20, 1, 14]);
    let level = patch(&host, "A", &json!({"safetyStock": null, "incoming": null})).unwrap().body;
    assert_eq!(numbers(&level), [15, 0, 0, 0, 15]);
    // Another change of the safety stock is a conflict, and the host runs the handler again.
    host.before_commit(0, |host| {
        patch(host, "A", &json!({"safetyStock": 9})).unwrap();
    });
    assert_eq!(patch(&host, "A", &json!({"safetyStock": 2})).unwrap_err().code, "conflict");
}

#[test]
fn a_client_may_name_the_version_it_knows() {
    let host = host();
    let named = |version, delta| {
        let request = Request { if_match: Some(version), ..adjustment("A", delta) };
        host.answered::<Inventory>(request).map(|answer| answer.body)
    };
    refused(named(1, 5), 412, "version_conflict");
    adjust(&host, "A", 5).unwrap();
    assert_eq!(named(1, 5).unwrap()["version"], 2);
    refused(named(1, 5), 412, "version_conflict");
    host.before_commit(0, |host| {
        adjust(host, "A", 1).unwrap();
    });
    refused(named(2, 5), 412, "version_conflict");
}

#[test]
fn what_was_reserved_too_long_is_shown_as_available() {
    let host = host();
    for sku in ["A", "B"] {
        adjust(&host, sku, 10).unwrap();
        reserve(&host, sku, 6);
    }
    let read = |sku: &str| {
        let params = vec![("sku".to_owned(), sku.to_owned())];
        let asked = Request { params, ..request("getInventoryLevel", &Value::Null) };
        let level = host.answered::<Inventory>(asked).unwrap().body;
        let listed = host.answered::<Inventory>(request("listInventory", &Value::Null)).unwrap().body;
        assert_eq!(response_faults::<Inventory>("listInventory", 200, &listed), Vec::<String>::new());
        assert!(listed.as_array().unwrap().contains(&level));
        numbers(&level)
    };
    // Without the plugin that has the reservations, all counts.
    assert_eq!(read("A"), [10, 6, 0, 0, 4]);
    host.declare(vec![
        Collection::new(RESERVATIONS, "rsv")
            .field("state", FieldKind::Text, Access::Scan)
            .field("expiresAt", FieldKind::Timestamp, Access::Scan)
            .multi_field("items.sku", FieldKind::Text, Access::Index),
    ]);
    for (id, state, end, quantity) in [
        ("rsv_1", "held", Some("2026-01-01T00:10:00.000Z"), 1),
        ("rsv_2", "held", Some("2026-01-01T00:20:00.000Z"), 2),
        ("rsv_3", "committed", None, 3),
        ("rsv_4", "released", Some("2026-01-01T00:10:00.000Z"), 9),
    ] {
        let items = json!([{"sku": "A", "quantity": quantity}]);
        host.put(RESERVATIONS, id, &json!({"state": state, "expiresAt": end, "items": items}));
    }
    let start = 1_767_225_600_000;
    for (minutes, reserved) in [(0, 6), (9, 6), (10, 5), (19, 5), (20, 3), (60, 3)] {
        host.set_now_ms(start + minutes * 60_000);
        assert_eq!(read("A"), [10, reserved, 0, 0, 10 - reserved], "after {minutes} minutes");
        assert_eq!(read("B"), [10, 6, 0, 0, 4]);
    }
}

proptest! {
    #[test]
    fn the_guard_says_what_the_rule_says(
        on_hand in prop_oneof![0..20_i64, QUANTITY_MAX - 5..=QUANTITY_MAX],
        reserved in 0..20_i64,
        safety_stock in 0..20_i64,
        delta in prop_oneof![-30..30_i64, Just(QUANTITY_MAX), Just(-QUANTITY_MAX)],
    ) {
        let reserved = reserved.min(on_hand);
        let host = host();
        let stored = json!({
            "sku": "A", "onHand": on_hand, "reserved": reserved, "incoming": 0, "safetyStock": safety_stock,
            "available": on_hand - reserved - safety_stock,
        });
        host.put(LEVELS, "inv_1", &stored);
        let ctx = Context::new(&host, b"");
        let level = ctx.get::<Level>(LEVELS, "inv_1").unwrap().unwrap().data;
        let mut commit = ctx.commit();
        let held = commit.check(LEVELS, "inv_1");
        commit.guard(held, rules::guard(&level, delta));
        let fits = rules::check_fit("A", Some(&level), delta).is_ok();
        prop_assert_eq!(commit.apply().is_ok(), fits);
        prop_assert_eq!(fits, (reserved..=QUANTITY_MAX).contains(&(on_hand + delta)));
    }
}
