//! What sells without stock: it is owed, sent once it is there, and given up without a trace.

use platform_tests::{
    checkout::{Shopper, key},
    client::Client,
    conservation,
    host::TestHost,
    shop::{id, product, stock, writes_nothing},
};
use serde_json::{Value, json};

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    what_sells_without_stock_is_owed_until_it_is_there,
    what_nobody_counts_is_sold_and_sent,
);

async fn sell_without_stock(admin: &Client, sku: &str, pieces: i64) {
    let mut body = product(&format!("Thing {sku}"), sku);
    body["variants"][0]["backorder"] = json!("allow");
    admin.post("/products", &body).await.expect(201);
    if pieces > 0 {
        stock(admin, sku, pieces).await.expect(200);
    }
}

/// What is on hand, reserved and available.
async fn level(admin: &Client, sku: &str) -> [Value; 3] {
    let level = admin.get(&format!("/inventory/{sku}")).await.expect(200);
    ["onHand", "reserved", "available"].map(|member| level[member].clone())
}

async fn order(host: &TestHost, sku: &str, pieces: u32, name: &str) -> Value {
    let guest = Shopper::with(host.anonymous(), &[(sku, pieces)]).await;
    guest.checkout(&key(name), &guest.order("tok_approve")).await.expect(201)
}

async fn pack(admin: &Client, order: &Value) -> String {
    let path = format!("/orders/{}/fulfillments", id(order));
    let parcel = admin.post(&path, &json!({})).await.expect(201);
    format!("/fulfillments/{}", id(&parcel))
}

async fn what_sells_without_stock_is_owed_until_it_is_there(mut host: TestHost) {
    let admin = host.admin().await;
    sell_without_stock(&admin, "CUP", 2).await;
    let owed = order(&host, "CUP", 5, "owed").await;
    assert_eq!(level(&admin, "CUP").await, [2, 5, -3].map(Value::from));
    let given_up = order(&host, "CUP", 4, "given-up").await;
    assert_eq!(level(&admin, "CUP").await, [2, 9, -7].map(Value::from));
    conservation::check(&host).await;
    admin.post(&format!("/orders/{}/cancel", id(&given_up)), &json!({})).await.expect(200);
    assert_eq!(level(&admin, "CUP").await, [2, 5, -3].map(Value::from));
    conservation::check(&host).await;

    let parcel = pack(&admin, &owed).await;
    let ship = format!("{parcel}/ship");
    writes_nothing(&host, async {
        let early = admin.post(&ship, &json!({})).await.expect_problem(409, "insufficient_stock");
        assert_eq!(early["items"], json!([{"sku": "CUP", "requested": 5, "available": 2}]));
    })
    .await;
    stock(&admin, "CUP", 3).await.expect(200);
    assert_eq!(level(&admin, "CUP").await, [5, 5, 0].map(Value::from));
    assert_eq!(admin.post(&ship, &json!({})).await.expect(200)["status"], "shipped");
    assert_eq!(level(&admin, "CUP").await, [0, 0, 0].map(Value::from));
    conservation::check(&host).await;
    // It is owed again.
    order(&host, "CUP", 1, "once-more").await;
    assert_eq!(level(&admin, "CUP").await, [0, 1, -1].map(Value::from));
    conservation::check(&host).await;
}

async fn what_nobody_counts_is_sold_and_sent(mut host: TestHost) {
    let admin = host.admin().await;
    sell_without_stock(&admin, "CARD", 0).await;
    admin.get("/inventory/CARD").await.expect_problem(404, "not_found");
    let sent = order(&host, "CARD", 7, "sent").await;
    let cancelled = order(&host, "CARD", 2, "cancelled").await;
    conservation::check(&host).await;
    let parcel = pack(&admin, &sent).await;
    assert_eq!(admin.post(&format!("{parcel}/ship"), &json!({})).await.expect(200)["status"], "shipped");
    let over = admin.post(&format!("/orders/{}/cancel", id(&cancelled)), &json!({})).await.expect(200);
    assert_eq!(over["status"], "cancelled");
    admin.get("/inventory/CARD").await.expect_problem(404, "not_found");
    conservation::check(&host).await;
}
