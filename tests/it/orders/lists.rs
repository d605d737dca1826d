//! Lists of orders and coupons, what staff write of an order, and what becomes of carts that nobody looks after.

use std::time::Duration;

use hyper::Method;
use platform_tests::{
    checkout::{Shopper, address, items_order, post_with_key, sell},
    client::Client,
    conservation,
    host::{TestHost, TestHostBuilder},
    shop::{documents, id, with},
    wait::eventually,
};
use serde_json::{Value, json};

on_each_backend!(
    shop().start(), shop().on_mongodb().start();
    orders_are_found_sorted_and_paged,
    coupons_are_found_changed_and_deleted,
    what_the_staff_writes_of_an_order_is_replaced_or_changed,
    a_return_is_rejected_and_a_parcel_taken_back,
    carts_whose_time_is_over_end,
);

fn shop() -> TestHostBuilder {
    TestHostBuilder::shop().patient()
}

/// The ids of a list, in its order.
async fn ids(client: &Client, path: &str) -> Vec<String> {
    let list = client.get(path).await.expect(200);
    list.as_array().unwrap().iter().map(|it| id(it).to_owned()).collect()
}

async fn orders_are_found_sorted_and_paged(mut host: TestHost) {
    let admin = host.admin().await;
    for sku in ["CUP", "POT"] {
        sell(&admin, sku, 20).await;
    }
    let mut made = Vec::new();
    for (number, (sku, count)) in [("CUP", 3), ("POT", 1), ("CUP", 1), ("CUP", 2)].into_iter().enumerate() {
        let body = with(items_order(&[(sku, count)]), "email", format!("ada{number}@example.com"));
        made.push(post_with_key(&admin, "/orders", &format!("made-{number}"), &body).await.expect(201));
        host.clock.advance(Duration::from_secs(60));
    }
    let made: Vec<&str> = made.iter().map(id).collect();
    admin.post(&format!("/orders/{}/cancel", made[1]), &json!({})).await.expect(200);

    assert_eq!(ids(&admin, "/orders").await, [made[3], made[2], made[1], made[0]], "the latest first");
    assert_eq!(ids(&admin, "/orders?sort=-totals.grand.amount,placedAt").await[..2], [made[0], made[3]]);
    for (query, found) in [
        ("filter[items.sku][eq]=POT", vec![made[1]]),
        ("filter[status][eq]=cancelled", vec![made[1]]),
        ("filter[status][ne]=cancelled&sort=placedAt", vec![made[0], made[2], made[3]]),
        ("filter[email][eq]=ada2@example.com", vec![made[2]]),
        ("filter[placedAt][gte]=2026-01-01T00:02:00.000Z&sort=placedAt", vec![made[2], made[3]]),
        ("filter[totals.grand.amount][gt]=3000&sort=placedAt", vec![made[0], made[3]]),
        ("q=ada3", vec![made[3]]),
        ("filter={\"status\":\"cancelled\"}&range=[0,9]&sort=[\"placedAt\",\"ASC\"]", vec![made[1]]),
    ] {
        let query = query.replace('"', "%22").replace('{', "%7B").replace('}', "%7D");
        assert_eq!(ids(&admin, &format!("/orders?{query}")).await, found, "{query}");
    }
    admin.get("/orders?filter[colour][eq]=red").await.expect_problem(400, "unknown_filter");
    admin.get("/orders?sort=notes").await.expect_problem(400, "unknown_sort");

    let first = admin.get("/orders?limit=3&sort=placedAt").await;
    assert_eq!(first.header("x-total-count"), Some("4"));
    assert_eq!(first.header("content-range"), Some("orders 0-2/4"));
    let next = first.header("x-next-cursor").unwrap().to_owned();
    assert_eq!(ids(&admin, &format!("/orders?limit=3&sort=placedAt&cursor={next}")).await, [made[3]]);
    let other = admin.get(&format!("/orders?limit=3&sort=-placedAt&cursor={next}")).await;
    other.expect_problem(400, "cursor_mismatch");
    let sparse = admin.get("/orders?fields=id,number&limit=1").await.expect(200);
    let members: Vec<&String> = sparse[0].as_object().unwrap().keys().collect();
    assert_eq!(members, ["id", "number"]);
    // Hidden, and kept.
    admin.delete(&format!("/orders/{}", made[1])).await.expect_status(204);
    assert_eq!(ids(&admin, "/orders").await, [made[3], made[2], made[0]]);
    admin.get(&format!("/orders/{}", made[1])).await.expect_problem(404, "not_found");
    assert_eq!(documents(&host, "orders").await.len(), 4);
    conservation::check(&host).await;
}

async fn coupons_are_found_changed_and_deleted(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 5).await;
    let mut coupons = Vec::new();
    for (code, end) in [("spring-1", "2026-03-01"), ("spring-2", "2026-02-01"), ("autumn", "2026-10-01")] {
        let ends_at = format!("{end}T00:00:00Z");
        let coupon = json!({"code": code, "ruleId": "welcome", "endsAt": ends_at});
        coupons.push(admin.post("/coupons", &coupon).await.expect(201));
    }
    let all: Vec<&str> = coupons.iter().map(id).collect();
    assert_eq!(ids(&admin, "/coupons?sort=endsAt").await, [all[1], all[0], all[2]]);
    assert_eq!(ids(&admin, "/coupons?filter[code][prefix]=SPRING&sort=code").await, [all[0], all[1]]);
    let twice = admin.post("/coupons", &json!({"code": "Autumn", "ruleId": "welcome"})).await;
    twice.expect_problem(409, "already_exists");
    let changed = admin.patch(&format!("/coupons/{}", all[2]), &json!({"limit": 1, "endsAt": null})).await;
    let changed = changed.expect(200);
    assert_eq!((&changed["limit"], &changed["endsAt"]), (&json!(1), &Value::Null));

    let guest = Shopper::with(host.anonymous(), &[("CUP", 1)]).await;
    guest.send(Method::POST, "/coupons", &json!({"code": "AUTUMN"})).await.expect(200);
    guest.checkout("an-order-with-a-key-of-its-own", &guest.order("tok_approve")).await.expect(201);
    assert_eq!(admin.get(&format!("/coupons/{}", all[2])).await.expect(200)["used"], 1);
    admin.delete(&format!("/coupons/{}", all[2])).await.expect_problem(409, "reference_in_use");
    // A guard that fails each time is not tried until the time is over.
    let tries = host.calls("deleteCoupon", "problem").await;
    assert!((1..=8).contains(&tries), "{tries}");
    admin.delete(&format!("/coupons/{}", all[0])).await.expect_status(204);
    admin.get(&format!("/coupons/{}", all[0])).await.expect_problem(404, "not_found");
    conservation::check(&host).await;
}

async fn what_the_staff_writes_of_an_order_is_replaced_or_changed(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 5).await;
    let order = post_with_key(&admin, "/orders", "noted", &items_order(&[("CUP", 1)])).await.expect(201);
    let path = format!("/orders/{}", id(&order));
    let noted = admin.patch(&path, &json!({"notes": "Ring twice.", "metadata": {"erp": "4711"}})).await;
    assert_eq!(noted.expect(200)["metadata"], json!({"erp": "4711"}));
    let elsewhere = with(address(), "city", "Shelbyville");
    let body = json!({"shippingAddress": elsewhere, "billingAddress": address()});
    let replaced = admin.put(&path, &body).await.expect(200);
    assert_eq!((&replaced["notes"], &replaced["metadata"]), (&json!(""), &json!({})), "what is left out");
    assert_eq!(replaced["shippingAddress"]["city"], "Shelbyville");
    assert_eq!((&replaced["totals"], &replaced["items"]), (&order["totals"], &order["items"]));
    let stale = admin.request(Method::PUT, &path).header("if-match", "\"1\"").json(&body);
    let conflict = admin.send(stale).await.expect_problem(412, "version_conflict");
    assert_eq!((&conflict["expected"], &conflict["current"]), (&json!(1), &replaced["version"]));
    admin.put(&path, &with(body, "totals", json!({}))).await.expect_status_in(&[200, 422]);
    conservation::check(&host).await;
}

async fn a_return_is_rejected_and_a_parcel_taken_back(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 5).await;
    let order = post_with_key(&admin, "/orders", "sent", &items_order(&[("CUP", 2)])).await.expect(201);
    let path = format!("/orders/{}", id(&order));
    let parcel = admin.post(&format!("{path}/fulfillments"), &json!({})).await.expect(201);
    admin.post(&format!("/fulfillments/{}/ship", id(&parcel)), &json!({})).await.expect(200);
    assert_eq!(admin.get("/inventory/CUP").await.expect(200)["onHand"], 3);
    let taken_back =
        admin.post(&format!("/fulfillments/{}/cancel", id(&parcel)), &json!({})).await.expect(200);
    assert_eq!(taken_back["status"], "cancelled");
    let level = admin.get("/inventory/CUP").await.expect(200);
    assert_eq!(
        [&level["onHand"], &level["reserved"], &level["available"]],
        [&json!(5), &json!(2), &json!(3)]
    );
    let parcel = admin.post(&format!("{path}/fulfillments"), &json!({})).await.expect(201);
    admin.post(&format!("/fulfillments/{}/ship", id(&parcel)), &json!({})).await.expect(200);
    admin.post(&format!("/fulfillments/{}/deliver", id(&parcel)), &json!({})).await.expect(200);
    assert_eq!(admin.get(&path).await.expect(200)["fulfillmentStatus"], "delivered");

    let lines = json!({"lines": [{"itemId": order["items"][0]["id"], "quantity": 1, "reason": "too small"}]});
    let back = admin.post(&format!("{path}/returns"), &lines).await.expect(201);
    let rejected = admin.post(&format!("/returns/{}/reject", id(&back)), &json!({})).await.expect(200);
    assert_eq!(rejected["status"], "rejected");
    let approved = admin.post(&format!("/returns/{}/approve", id(&back)), &json!({})).await;
    assert_eq!(approved.expect_problem(409, "invalid_transition")["from"], "rejected");
    conservation::check(&host).await;
}

/// A host that goes on with the data of another, so many days later: what is scheduled runs at its start.
async fn days_later(host: TestHost, days: i64) -> TestHost {
    let at = host.app.store().clock().now_ms() + days * 86_400_000;
    let database = host.database();
    let builder = shop().with_data(host.stop().await).at_ms(at);
    match database {
        Some(database) => builder.on_database(database),
        None => builder,
    }
    .start()
    .await
}

async fn carts_whose_time_is_over_end(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 5).await;
    let mut guest = Shopper::with(host.anonymous(), &[("CUP", 1)]).await;
    let quote = guest.quote().await;
    let order = with(guest.order("tok_approve"), "quoteId", quote["quoteId"].clone());

    let host = days_later(host, 31).await;
    guest.client = host.anonymous();
    let late = guest.checkout("a-late-order-with-a-long-key", &order).await;
    late.expect_problem(409, "cart_not_active");
    eventually("the cart has ended, and its quote is gone", async || {
        let carts = documents(&host, "carts").await;
        let has_ended = carts.values().all(|cart| cart["status"] == "expired");
        has_ended && documents(&host, "quotes").await.is_empty()
    })
    .await;
    let host = days_later(host, 91).await;
    eventually("the cart is gone", async || documents(&host, "carts").await.is_empty()).await;
    conservation::check(&host).await;
}
