//! From active to over.

use plugin_sdk::time::timestamp;

use super::*;
use crate::QUOTES;

const MONTH_MS: i64 = 30 * DAY_MS;

fn expire(host: &MockHost) {
    host.call::<Orders>(Request { operation_id: "expireCarts".to_owned(), ..Request::default() }).unwrap();
}

fn status(host: &MockHost, cart: &Value) -> Value {
    host.document(CARTS, id(cart)).map_or(Value::Null, |cart| cart["status"].clone())
}

#[test]
fn a_cart_that_is_ordered_is_left_alone() {
    let host = host();
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[("S", 1)]);
    let item = cart["items"][0]["id"].as_str().unwrap();
    let commands = || {
        let on = |operation: &str, body: Value| on(&host, &ada, operation, id(&cart), &body);
        [
            on("addCartItem", json!({"sku": "S", "quantity": 1})),
            on("addCartCoupon", json!({"code": "X"})),
            on("replaceCartAddresses", json!({})),
            on("replaceCartShipping", json!({"shippingMethod": "x"})),
            on("quoteCart", Value::Null),
            on("deleteCart", Value::Null),
            on_item(&host, &ada, "updateCartItem", id(&cart), item, &json!({"quantity": 2})),
            on_item(&host, &ada, "deleteCartItem", id(&cart), item, &Value::Null),
        ]
    };
    for (status, code) in
        [("completing", "cart_locked"), ("ordered", "cart_not_active"), ("expired", "cart_not_active")]
    {
        change(&host, CARTS, id(&cart), |cart| cart["status"] = json!(status));
        for refusal in commands() {
            refused(refusal, 409, code);
        }
        let read = on(&host, &ada, "getCart", id(&cart), &Value::Null).unwrap();
        assert_eq!((&read["status"], lines(&read)), (&json!(status), vec![("S", 1)]));
    }
    // While an order is being made of it, there is no other.
    change(&host, CARTS, id(&cart), |cart| cart["status"] = json!("completing"));
    let same = send(&host, &request(&ada, "createCart", &[], &json!({}))).unwrap();
    assert_eq!((same.status, id(&same.body)), (200, id(&cart)));
    let more = json!({"items": [{"sku": "S", "quantity": 1}]});
    refused(send(&host, &request(&ada, "createCart", &[], &more)), 409, "cart_locked");
}

#[test]
fn a_deleted_cart_is_gone_and_another_can_be_made() {
    let host = host();
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[("S", 1)]);
    let deleted = send(&host, &request(&ada, "deleteCart", &[("id", id(&cart))], &Value::Null)).unwrap();
    assert_eq!(deleted.status, 204);
    refused(on(&host, &ada, "getCart", id(&cart), &Value::Null), 404, "not_found");
    let euros = send(&host, &request(&ada, "createCart", &[], &json!({"currency": "EUR"}))).unwrap();
    assert_eq!((euros.status, &euros.body["currency"]), (201, &json!("EUR")));
}

#[test]
fn carts_expire_after_their_last_change() {
    let host = host();
    host.configure(&json!({"cartDays": 30}));
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[("S", 1)]);
    assert_eq!(cart["expiresAt"], timestamp(START_MS + MONTH_MS));
    host.set_now_ms(START_MS + MONTH_MS - 1);
    expire(&host);
    let cart = add(&host, &ada, id(&cart), "S", 1).unwrap();
    assert_eq!(cart["expiresAt"], timestamp(START_MS + 2 * MONTH_MS - 1));
    host.set_now_ms(START_MS + 2 * MONTH_MS - 1);
    // Before the job has seen it already.
    assert_eq!(on(&host, &ada, "getCart", id(&cart), &Value::Null).unwrap()["status"], "expired");
    refused(add(&host, &ada, id(&cart), "S", 1), 409, "cart_not_active");
    expire(&host);
    assert_eq!(status(&host, &cart), "expired");
    assert_ne!(id(&make(&host, &ada, &[])), id(&cart));
}

#[test]
fn an_outlived_cart_is_in_nobodys_way() {
    let host = host();
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[("S", 1)]);
    host.set_now_ms(START_MS + MONTH_MS);
    let new = make(&host, &ada, &[("S", 2)]);
    assert_ne!(id(&new), id(&cart));
    assert_eq!((status(&host, &cart), status(&host, &new)), (json!("expired"), json!("active")));

    // Also where it is merged into.
    let guests = make(&host, &guest(""), &[("CUP", 1)]);
    host.set_now_ms(START_MS + 2 * MONTH_MS);
    let known = Caller { guest: guest(guests["cartToken"].as_str().unwrap()).guest, ..ada };
    change(&host, CARTS, id(&guests), |cart| cart["expiresAt"] = json!(timestamp(START_MS + 3 * MONTH_MS)));
    let body = json!({"cartId": guests["id"]});
    let merged = send(&host, &request(&known, "mergeCart", &[], &body)).unwrap().body;
    assert_eq!(lines(&merged), [("CUP", 1)]);
    assert_eq!(status(&host, &new), "expired");
}

#[test]
fn a_change_at_the_last_moment_keeps_a_cart() {
    let host = host();
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[("S", 1)]);
    make(&host, &customer("usr_bob"), &[]);
    host.set_now_ms(START_MS + MONTH_MS);
    let kept = id(&cart).to_owned();
    host.before_commit(0, move |host| {
        change(host, CARTS, &kept, |cart| cart["expiresAt"] = json!(timestamp(START_MS + 2 * MONTH_MS)));
    });
    expire(&host);
    assert_eq!(status(&host, &cart), "active");
    let expired = Filter::eq("status", "expired");
    assert_eq!(Context::new(&host, b"").count(CARTS, &expired).unwrap(), 1);
}

#[test]
fn what_nobody_asks_for_any_more_is_cleared_away() {
    let host = host();
    let quotes = || Context::new(&host, b"").count(QUOTES, &Filter::all()).unwrap();
    let ada = customer("usr_ada");
    let cart = make(&host, &ada, &[("S", 1)]);
    for _ in 0..150 {
        on(&host, &ada, "quoteCart", id(&cart), &Value::Null).unwrap();
    }
    let quoted_until = START_MS + 10 * 60_000;
    host.set_now_ms(quoted_until + DAY_MS - 1);
    expire(&host);
    assert_eq!(quotes(), 150);
    host.set_now_ms(quoted_until + DAY_MS);
    expire(&host);
    assert_eq!(quotes(), 0);

    for (customer_id, status) in [("usr_b", "ordered"), ("usr_c", "merged"), ("usr_d", "completing")] {
        let other = make(&host, &customer(customer_id), &[]);
        change(&host, CARTS, id(&other), |cart| cart["status"] = json!(status));
    }
    host.set_now_ms(START_MS + MONTH_MS + 90 * DAY_MS - 1);
    expire(&host);
    assert_eq!((status(&host, &cart), count(&host)), (json!("expired"), 4));
    host.set_now_ms(START_MS + MONTH_MS + 93 * DAY_MS);
    expire(&host);
    // One of which an order is being made is never cleared away.
    assert_eq!(count(&host), 1);
}
