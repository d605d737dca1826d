//! From a filled cart to a paid, shipped, returned order, on both stores.

use hyper::Method;
use platform_tests::{
    checkout::{Shopper, post_with_key, sell},
    conservation,
    host::TestHost,
    shop::id,
};
use serde_json::json;

on_each_backend!(TestHost::shop(), TestHost::shop_on_mongodb();
    a_guest_buys_and_the_staff_sends_takes_back_and_refunds,
    a_customer_buys_sees_the_order_and_cancels_it,
    whoever_is_declined_has_the_cart_and_the_shop_its_stock_back,
    an_order_is_found_by_number_and_address_and_by_nothing_less,
);

async fn a_guest_buys_and_the_staff_sends_takes_back_and_refunds(mut host: TestHost) {
    assert_eq!(host.refusals(), []);
    let admin = host.admin().await;
    sell(&admin, "CUP", 5).await;
    let guest = Shopper::with(host.anonymous(), &[("CUP", 2)]).await;
    let quote = guest.quote().await;
    assert_eq!(quote["totals"]["items"], json!({"amount": 2_580, "currency": "USD"}));
    let mut body = guest.order("tok_approve");
    body["quoteId"] = quote["quoteId"].clone();
    let order = guest.checkout("guest-order-1-with-a-long-key", &body).await.expect(201);
    assert_eq!((&order["status"], &order["paymentStatus"]), (&json!("confirmed"), &json!("authorized")));
    assert_eq!(order["totals"]["grand"], quote["totals"]["grand"]);
    let level = admin.get("/inventory/CUP").await.expect(200);
    assert_eq!((&level["reserved"], &level["available"]), (&json!(2), &json!(3)));
    let again = guest.checkout("guest-order-1-with-a-long-key", &body).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(201), order);
    let twice = guest.checkout("guest-order-2-with-a-long-key", &body).await;
    assert_eq!(twice.expect_problem(409, "cart_not_active")["orderId"], order["id"]);
    conservation::check(&host).await;

    let path = format!("/orders/{}", id(&order));
    let payment = order["payments"][0]["id"].as_str().unwrap();
    let capture = format!("/payments/{payment}/capture");
    post_with_key(&admin, &capture, "capture-1", &json!({})).await.expect(200);
    let over =
        post_with_key(&admin, &capture, "capture-2", &json!({"amount": {"amount": 1, "currency": "USD"}}))
            .await;
    over.expect_problem(422, "capture_exceeds_authorization");
    let parcel = admin.post(&format!("{path}/fulfillments"), &json!({})).await.expect(201);
    admin.post(&format!("/fulfillments/{}/ship", id(&parcel)), &json!({"carrier": "DHL"})).await.expect(200);
    admin.post(&format!("/fulfillments/{}/deliver", id(&parcel)), &json!({})).await.expect(200);
    let level = admin.get("/inventory/CUP").await.expect(200);
    assert_eq!((&level["onHand"], &level["reserved"]), (&json!(3), &json!(0)));
    admin.post(&format!("{path}/complete"), &json!({})).await.expect(200);
    conservation::check(&host).await;

    let line = json!({"itemId": order["items"][0]["id"], "quantity": 1, "reason": "chipped"});
    let back = guest
        .client
        .send(guest.draft(Method::POST, &format!("{path}/returns")).json(&json!({"lines": [line]})));
    let back = back.await.expect(201);
    admin.post(&format!("/returns/{}/approve", id(&back)), &json!({})).await.expect(200);
    admin.post(&format!("/returns/{}/receive", id(&back)), &json!({})).await.expect(200);
    let refund = json!({"amount": {"amount": 1_290, "currency": "USD"}, "returnId": id(&back)});
    let refunding = format!("/payments/{payment}/refund");
    post_with_key(&admin, &refunding, "refund-1", &refund).await.expect(200);
    post_with_key(&admin, &refunding, "refund-2", &json!({"amount": {"amount": 99_999, "currency": "USD"}}))
        .await
        .expect_problem(422, "refund_exceeds_capture");
    let order = admin.get(&path).await.expect(200);
    assert_eq!(order["paymentStatus"], "partiallyRefunded");
    assert_eq!(admin.get("/inventory/CUP").await.expect(200)["onHand"], 4);
    let history = admin.get(&format!("{path}/history?limit=100")).await.expect(200);
    assert!(history.as_array().unwrap().len() >= 8, "{history:#}");
    conservation::check(&host).await;
    // Figures are of what was before now.
    host.clock.advance(std::time::Duration::from_secs(1));
    let figures = admin.get("/dashboard").await.expect(200);
    let dollars = &figures["currencies"][0];
    assert_eq!((&dollars["currency"], &dollars["orderCount"]), (&json!("USD"), &json!(1)));
    assert_eq!((&dollars["revenue"], &dollars["average"]), (&order["totals"]["grand"], &dollars["revenue"]));
    assert_eq!(dollars["days"][0]["revenue"], dollars["revenue"]);
    let (best, sold) = (&dollars["bestSellers"][0], &order["items"][0]);
    assert_eq!((&best["sku"], &best["quantity"]), (&json!("CUP"), &sold["quantity"]));
    assert_eq!(dollars["orders"], json!([{"status": order["status"], "count": 1}]));
}

async fn a_customer_buys_sees_the_order_and_cancels_it(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 5).await;
    let ada = host.customer("ada@example.com").await;
    let bob = host.customer("bob@example.com").await;
    let shopper = Shopper::with(ada.clone(), &[("CUP", 3)]).await;
    let order = shopper.checkout("k1", &shopper.order("tok_approve")).await.expect(201);
    let path = format!("/orders/{}", id(&order));
    assert_eq!(ada.get("/users/me/orders").await.expect(200)[0]["id"], order["id"]);
    bob.get(&path).await.expect_problem(404, "not_found");
    host.anonymous().get(&path).await.expect_problem(404, "not_found");
    bob.post(&format!("{path}/cancel"), &json!({})).await.expect_problem(404, "not_found");
    bob.get(&format!("/carts/{}", shopper.cart)).await.expect_problem(404, "not_found");
    let cancelled = ada.post(&format!("{path}/cancel"), &json!({})).await.expect(200);
    assert_eq!(cancelled["status"], "cancelled");
    let refused =
        ada.post(&format!("{path}/cancel"), &json!({})).await.expect_problem(409, "invalid_transition");
    assert_eq!((&refused["from"], &refused["allowed"]), (&json!("cancelled"), &json!([])));
    platform_tests::wait::eventually("the authorisation is voided", async || {
        admin.get(&path).await.expect(200)["paymentStatus"] == "voided"
    })
    .await;
    assert_eq!(admin.get("/inventory/CUP").await.expect(200)["available"], 5);
    conservation::check(&host).await;
}

async fn whoever_is_declined_has_the_cart_and_the_shop_its_stock_back(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 5).await;
    let guest = Shopper::with(host.anonymous(), &[("CUP", 5)]).await;
    let declined = guest.checkout("decline-1-with-a-long-key", &guest.order("tok_decline")).await;
    let declined = declined.expect_problem(402, "payment_declined");
    let order = declined["orderId"].as_str().unwrap();
    assert_eq!(admin.get(&format!("/orders/{order}")).await.expect(200)["status"], "cancelled");
    assert_eq!(admin.get("/inventory/CUP").await.expect(200)["available"], 5);
    assert_eq!(guest.send(Method::GET, "", &json!(null)).await.expect(200)["status"], "active");
    conservation::check(&host).await;
    guest.checkout("decline-2-with-a-long-key", &guest.order("tok_approve")).await.expect(201);
    conservation::check(&host).await;
}

async fn an_order_is_found_by_number_and_address_and_by_nothing_less(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 5).await;
    let guest = Shopper::with(host.anonymous(), &[("CUP", 1)]).await;
    let order = guest.checkout("found-1-with-a-long-key", &guest.order("tok_approve")).await.expect(201);
    let number = order["number"].as_str().unwrap();
    let anybody = host.anonymous();
    let found = anybody.get(&format!("/orders/by-number/{number}?email=ADA@example.com")).await.expect(200);
    assert_eq!(found["id"], order["id"]);
    for wrong in [
        format!("/orders/by-number/{number}?email=bob@example.com"),
        format!("/orders/by-number/{number}X?email=ada@example.com"),
    ] {
        anybody.get(&wrong).await.expect_problem(404, "not_found");
    }
}
