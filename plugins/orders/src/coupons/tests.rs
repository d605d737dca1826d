//! The staff's operations on coupons against the store's reference model.

use plugin_sdk::{Problem, Request, Value, json, mock::MockHost};

use crate::{
    COUPONS, Orders,
    carts::tests::{admin, change, host, request, send},
    shop::refused,
};

fn create(host: &MockHost, body: &Value) -> Result<Value, Problem> {
    send(host, &request(&admin(), "createCoupon", &[], body)).map(|answer| answer.body)
}

fn on(host: &MockHost, operation: &str, id: &str, body: &Value) -> Result<Value, Problem> {
    send(host, &request(&admin(), operation, &[("id", id)], body)).map(|answer| answer.body)
}

fn id(coupon: &Value) -> &str {
    coupon["id"].as_str().unwrap()
}

#[test]
fn a_coupon_is_made_changed_and_deleted() {
    let host = host();
    let input = json!({"code": "spring-26", "ruleId": "spring", "startsAt": "2026-03-01T01:00:00+01:00"});
    let made = create(&host, &input).unwrap();
    assert_eq!((&made["code"], &made["used"]), (&json!("SPRING-26"), &json!(0)));
    assert_eq!(made["startsAt"], "2026-03-01T00:00:00.000Z");
    assert_eq!((&made["limit"], &made["endsAt"]), (&Value::Null, &Value::Null));
    assert_eq!(on(&host, "getCoupon", id(&made), &Value::Null).unwrap(), made);
    let listed = host.answered::<Orders>(request(&admin(), "listCoupons", &[], &Value::Null)).unwrap();
    assert_eq!(listed.body, json!([made]));

    let change = json!({"limit": 5, "startsAt": null, "endsAt": "2026-06-01T00:00:00Z"});
    let changed = on(&host, "updateCoupon", id(&made), &change).unwrap();
    assert_eq!((&changed["limit"], &changed["startsAt"]), (&json!(5), &Value::Null));
    assert_eq!((&changed["code"], &changed["version"]), (&json!("SPRING-26"), &json!(2)));
    on(&host, "deleteCoupon", id(&made), &Value::Null).unwrap();
    refused(on(&host, "getCoupon", id(&made), &Value::Null), 404, "not_found");
    refused(on(&host, "updateCoupon", id(&made), &json!({})), 404, "not_found");
    refused(on(&host, "deleteCoupon", id(&made), &Value::Null), 404, "not_found");
}

#[test]
fn codes_are_unique_whatever_their_letter_case() {
    let host = host();
    create(&host, &json!({"code": "A", "ruleId": "r"})).unwrap();
    let problem = refused(create(&host, &json!({"code": "a", "ruleId": "r"})), 409, "already_exists");
    assert_eq!(problem.errors[0].pointer, "/code");
    let other = create(&host, &json!({"code": "B", "ruleId": "r"})).unwrap();
    let problem =
        refused(on(&host, "updateCoupon", id(&other), &json!({"code": "a"})), 409, "already_exists");
    assert_eq!(problem.errors[0].pointer, "/code");
}

#[test]
fn times_are_in_order() {
    let host = host();
    let pointers = |starts_at: &str, ends_at: &str| {
        let body = json!({"code": "A", "ruleId": "r", "startsAt": starts_at, "endsAt": ends_at});
        let problem = refused(create(&host, &body), 422, "validation_failed");
        problem.errors.into_iter().map(|error| error.pointer).collect::<Vec<_>>()
    };
    assert_eq!(pointers("2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z"), ["/endsAt"]);
    assert_eq!(pointers("today", "tomorrow"), ["/startsAt", "/endsAt"]);
}

#[test]
fn uses_are_not_lost_and_not_set() {
    let host = host();
    let made = create(&host, &json!({"code": "A", "ruleId": "r"})).unwrap();
    let use_it = |host: &MockHost, id: &str| {
        change(host, COUPONS, id, |coupon| coupon["used"] = json!(coupon["used"].as_i64().unwrap() + 1));
    };
    let coupon = id(&made).to_owned();
    host.before_commit(0, move |host| use_it(host, &coupon));
    let changed = on(&host, "updateCoupon", id(&made), &json!({"limit": 7})).unwrap();
    assert_eq!((&changed["used"], &changed["limit"]), (&json!(1), &json!(7)));
    let problem = refused(on(&host, "deleteCoupon", id(&made), &Value::Null), 409, "reference_in_use");
    assert!(problem.detail.is_some());
    // The host takes `used` out of requests; what is left of one is no member.
    let raw = request(&admin(), "createCoupon", &[], &json!({"code": "C", "ruleId": "r", "used": 3}));
    refused(host.answered::<Orders>(raw), 422, "unknown_field");
}

#[test]
fn a_client_may_insist_on_a_version() {
    let host = host();
    let made = create(&host, &json!({"code": "A", "ruleId": "r"})).unwrap();
    let stale = |operation: &str| Request {
        if_match: Some(7),
        ..request(&admin(), operation, &[("id", id(&made))], &json!({"limit": 1}))
    };
    refused(send(&host, &stale("updateCoupon")), 412, "version_conflict");
    let delete = Request { body: b"null".to_vec(), ..stale("deleteCoupon") };
    refused(send(&host, &delete), 412, "version_conflict");
}
