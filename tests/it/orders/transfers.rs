//! Money that comes by another way than a provider's: it is promised, comes in parts, and is sent back by hand.

use platform_tests::{
    checkout::{Shopper, key, post_with_key, read_order, sell, usd},
    client::{Answer, Client},
    conservation,
    host::TestHost,
    shop::{id, writes_nothing},
};
use serde_json::{Value, json};

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    money_that_comes_in_parts_pays_an_order,
    what_is_owed_again_is_paid_by_card,
    a_card_takes_the_place_of_a_promised_transfer,
    money_of_an_order_that_is_given_up_is_sent_back_by_hand,
);

/// Two cups and their shipping.
const GRAND: i64 = 3_070;

/// An order that somebody promised to pay.
async fn promised(host: &TestHost, admin: &Client) -> Value {
    sell(admin, "CUP", 20).await;
    let guest = Shopper::with(host.anonymous(), &[("CUP", 2)]).await;
    let mut body = guest.order("none");
    body["payment"] = json!({"provider": "payment-manual"});
    let order = guest.checkout(&key("promised"), &body).await.expect(201);
    assert_eq!(statuses(&order), ["confirmed", "pending"]);
    let payment = &order["payments"][0];
    assert_eq!((&payment["offline"], &payment["amount"]), (&json!(true), &usd(GRAND)));
    order
}

fn statuses(order: &Value) -> [&str; 2] {
    ["status", "paymentStatus"].map(|name| order[name].as_str().unwrap())
}

/// What of an order is paid, refunded, credited and due.
fn sums(order: &Value) -> [i64; 4] {
    ["paid", "refunded", "credited", "due"].map(|name| order["totals"][name]["amount"].as_i64().unwrap())
}

/// Moves the money of the order's payment with this number.
async fn act(admin: &Client, order: &Value, number: usize, verb: &str, name: &str, body: &Value) -> Answer {
    let order = read_order(admin, order).await;
    let path = format!("/payments/{}/{verb}", id(&order["payments"][number]));
    post_with_key(admin, &path, name, body).await
}

async fn money_that_comes_in_parts_pays_an_order(mut host: TestHost) {
    let admin = host.admin().await;
    let order = promised(&host, &admin).await;
    act(&admin, &order, 0, "capture", "part", &json!({"amount": usd(1_000)})).await.expect(200);
    let part = read_order(&admin, &order).await;
    assert_eq!(
        (statuses(&part), sums(&part)),
        (["confirmed", "partiallyPaid"], [1_000, 0, 0, GRAND - 1_000])
    );
    writes_nothing(&host, async {
        let over = act(&admin, &order, 0, "capture", "over", &json!({"amount": usd(GRAND)})).await;
        let over = over.expect_problem(422, "capture_exceeds_authorization");
        assert_eq!(over["remaining"], usd(GRAND - 1_000));
    })
    .await;
    act(&admin, &order, 0, "capture", "rest", &json!({})).await.expect(200);
    let paid = read_order(&admin, &order).await;
    assert_eq!((statuses(&paid), sums(&paid)), (["confirmed", "paid"], [GRAND, 0, 0, 0]));
    conservation::check(&host).await;
}

async fn what_is_owed_again_is_paid_by_card(mut host: TestHost) {
    let admin = host.admin().await;
    let order = promised(&host, &admin).await;
    act(&admin, &order, 0, "capture", "all", &json!({})).await.expect(200);
    let back = json!({"amount": usd(500), "credit": false, "reason": "paid twice"});
    act(&admin, &order, 0, "refund", "back", &back).await.expect(200);
    let owed = read_order(&admin, &order).await;
    assert_eq!((statuses(&owed)[1], sums(&owed)), ("partiallyRefunded", [GRAND, 500, 0, 500]));
    let over = act(&admin, &order, 0, "refund", "over", &json!({"amount": usd(GRAND - 499)})).await;
    assert_eq!(over.expect_problem(422, "refund_exceeds_capture")["remaining"], usd(GRAND - 500));

    let path = format!("/orders/{}/payments", id(&order));
    let card = json!({"provider": "payment-sandbox", "token": "tok_approve"});
    let payment = post_with_key(&admin, &path, "card", &card).await.expect(201);
    assert_eq!(payment["amount"], usd(500));
    act(&admin, &order, 1, "capture", "card-captured", &json!({})).await.expect(200);
    assert_eq!(sums(&read_order(&admin, &order).await), [GRAND + 500, 500, 0, 0]);
    // Given back for good it is not owed again.
    act(&admin, &order, 0, "refund", "for-good", &json!({"amount": usd(100)})).await.expect(200);
    assert_eq!(sums(&read_order(&admin, &order).await), [GRAND + 500, 600, 100, 0]);
    conservation::check(&host).await;
}

async fn a_card_takes_the_place_of_a_promised_transfer(mut host: TestHost) {
    let admin = host.admin().await;
    let order = promised(&host, &admin).await;
    let path = format!("/orders/{}/payments", id(&order));
    let card = json!({"provider": "payment-sandbox", "token": "tok_captured"});
    let payment = post_with_key(&admin, &path, "card", &card).await.expect(201);
    assert_eq!(payment["amount"], usd(GRAND));
    let paid = read_order(&admin, &order).await;
    assert_eq!((statuses(&paid), sums(&paid)), (["confirmed", "paid"], [GRAND, 0, 0, 0]));
    let again = post_with_key(&admin, &path, "again", &card).await;
    again.expect_problem(422, "amount_out_of_range");
    conservation::check(&host).await;
}

async fn money_of_an_order_that_is_given_up_is_sent_back_by_hand(mut host: TestHost) {
    let admin = host.admin().await;
    let order = promised(&host, &admin).await;
    act(&admin, &order, 0, "capture", "all", &json!({})).await.expect(200);
    admin.post(&format!("/orders/{}/cancel", id(&order)), &json!({})).await.expect(200);
    host.clock.advance(std::time::Duration::from_secs(600));
    let over = read_order(&admin, &order).await;
    assert_eq!((statuses(&over), sums(&over)), (["cancelled", "paid"], [GRAND, 0, 0, 0]));
    assert_eq!(admin.get("/inventory/CUP").await.expect(200)["available"], 20);
    conservation::check(&host).await;
    act(&admin, &order, 0, "refund", "by-hand", &json!({})).await.expect(200);
    let back = read_order(&admin, &order).await;
    assert_eq!((statuses(&back)[1], sums(&back)[1]), ("refunded", GRAND));
    conservation::check(&host).await;
}
