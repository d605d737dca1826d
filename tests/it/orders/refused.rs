//! What is wrong with an order, a cart or a payment is refused with its code and what there is to know, and leaves no
//! trace.

use std::time::Duration;

use hyper::Method;
use platform_tests::{
    checkout::{Shopper, address, items_order, key, post_with_key, sell, usd},
    client::{Answer, Client},
    conservation,
    host::{TestHost, TestHostBuilder},
    shop::{id, product, stock, with, writes_nothing},
    wait::eventually,
};
use serde_json::{Value, json};

on_each_backend!(
    shop().start(), shop().on_mongodb().start();
    more_money_than_there_is_does_not_move,
    carts_without_anything_to_sell_are_not_ordered,
    coupons_that_do_not_count_are_not_used,
    an_order_goes_only_where_it_can,
    parcels_and_returns_have_only_what_there_is,
    the_carts_and_orders_of_others_do_not_exist,
    absurd_quantities_and_amounts_are_refused,
    an_order_needs_all_that_makes_it_one,
);

fn shop() -> TestHostBuilder {
    TestHostBuilder::shop().patient()
}

/// A POST under a key of its own.
async fn post(client: &Client, path: &str, body: &Value) -> Answer {
    static KEYS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = KEYS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    post_with_key(client, path, &key(&format!("refused-{number}")), body).await
}

async fn more_money_than_there_is_does_not_move(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 5).await;
    let order = post(&admin, "/orders", &items_order(&[("CUP", 1)])).await.expect(201);
    let payment = format!("/payments/{}", order["payments"][0]["id"].as_str().unwrap());
    let (capture, refund, void) =
        (format!("{payment}/capture"), format!("{payment}/refund"), format!("{payment}/void"));
    let amount = |amount: Value| json!({ "amount": amount });
    writes_nothing(&host, async {
        for much in [1_781, i64::MAX] {
            let refused = post(&admin, &capture, &amount(usd(much))).await;
            assert_eq!(refused.expect_problem(422, "capture_exceeds_authorization")["remaining"], usd(1_780));
        }
        let refused = post(&admin, &refund, &json!({})).await;
        assert_eq!(refused.expect_problem(422, "refund_exceeds_capture")["remaining"], usd(0));
        for little in [0, -1, i64::MIN] {
            for path in [&capture, &refund] {
                post(&admin, path, &amount(usd(little))).await.expect_problem(422, "amount_out_of_range");
            }
        }
        let foreign = amount(json!({"amount": 1, "currency": "EUR"}));
        for path in [&capture, &refund] {
            post(&admin, path, &foreign).await.expect_problem(409, "currency_mismatch");
        }
        for (wrong, pointer) in [
            (json!("12.90"), "/amount"),
            (json!({"amount": 12.9, "currency": "USD"}), "/amount/amount"),
            (json!({"amount": "1290", "currency": "USD"}), "/amount/amount"),
            (json!({"amount": 1, "currency": "usd"}), "/amount/currency"),
            (json!({"amount": 1}), "/amount/currency"),
        ] {
            let refused = post(&admin, &capture, &amount(wrong)).await;
            refused.expect_error_at(422, "validation_failed", pointer, "validation_failed");
        }
        // All of it is on its way already.
        let paying = json!({"provider": "payment-sandbox", "token": "tok_approve"});
        let refused = post(&admin, &format!("/orders/{}/payments", id(&order)), &paying).await;
        assert_eq!(refused.expect_problem(422, "amount_out_of_range")["remaining"], usd(0));
        let nowhere = json!({"provider": "payment-nowhere"});
        let refused = post(&admin, &format!("/orders/{}/payments", id(&order)), &nowhere).await;
        refused.expect_error_at(422, "validation_failed", "/provider", "validation_failed");
        for path in
            ["/payments/pay_nowhere/capture", "/payments/pay_nowhere/refund", "/orders/ord_x/payments"]
        {
            post(&admin, path, &with(json!({}), "provider", "payment-sandbox"))
                .await
                .expect_status_in(&[404, 422]);
        }
    })
    .await;
    post(&admin, &capture, &amount(usd(1_000))).await.expect(200);
    writes_nothing(&host, async {
        let refused = post(&admin, &capture, &amount(usd(781))).await;
        assert_eq!(refused.expect_problem(422, "capture_exceeds_authorization")["remaining"], usd(780));
        let refused = post(&admin, &refund, &amount(usd(1_001))).await;
        assert_eq!(refused.expect_problem(422, "refund_exceeds_capture")["remaining"], usd(1_000));
        let refused = post(&admin, &refund, &json!({"returnId": "ret_nowhere"})).await;
        refused.expect_error_at(422, "validation_failed", "/returnId", "validation_failed");
    })
    .await;
    post(&admin, &void, &json!({})).await.expect(200);
    writes_nothing(&host, async {
        post(&admin, &void, &json!({})).await.expect_problem(409, "conflict");
        let refused = post(&admin, &capture, &amount(usd(1))).await;
        assert_eq!(refused.expect_problem(422, "capture_exceeds_authorization")["remaining"], usd(0));
    })
    .await;
    conservation::check(&host).await;
}

async fn carts_without_anything_to_sell_are_not_ordered(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 2).await;
    sell(&admin, "MUG", 5).await;
    let empty = Shopper::with(host.anonymous(), &[]).await;
    let greedy = Shopper::with(host.anonymous(), &[("CUP", 3), ("MUG", 5)]).await;
    let both = Shopper::with(host.anonymous(), &[("CUP", 1), ("MUG", 1)]).await;
    let ordered = Shopper::with(host.anonymous(), &[("MUG", 1)]).await;
    ordered.checkout(&key("ordered"), &ordered.order("tok_approve")).await.expect(201);
    let deleted = Shopper::with(host.anonymous(), &[("MUG", 1)]).await;
    deleted.send(Method::DELETE, "", &Value::Null).await.expect(204);
    let old = Shopper::with(host.anonymous(), &[("MUG", 1)]).await;
    writes_nothing(&host, async {
        empty.checkout(&key("empty"), &empty.order("tok_approve")).await.expect_problem(409, "cart_empty");
        empty.send(Method::POST, "/quote", &json!({})).await.expect_problem(409, "cart_empty");
        let refused = greedy.checkout(&key("greedy"), &greedy.order("tok_approve")).await;
        assert_eq!(
            refused.expect_problem(409, "insufficient_stock")["items"],
            json!([
                {"sku": "CUP", "requested": 3, "available": 2},
                {"sku": "MUG", "requested": 5, "available": 4},
            ])
        );
        let refused = ordered.checkout(&key("ordered-again"), &ordered.order("tok_approve")).await;
        refused.expect_problem(409, "cart_not_active");
        let item = json!({"sku": "MUG", "quantity": 1});
        ordered.send(Method::POST, "/items", &item).await.expect_problem(409, "cart_not_active");
        ordered.send(Method::POST, "/quote", &json!({})).await.expect_problem(409, "cart_not_active");
        let refused = deleted.checkout(&key("deleted"), &deleted.order("tok_approve")).await;
        refused.expect_problem(404, "not_found");
        let unsold = json!({"sku": "NOTHING", "quantity": 1});
        let refused = empty.send(Method::POST, "/items", &unsold).await;
        refused.expect_error_at(422, "validation_failed", "/sku", "validation_failed");
    })
    .await;
    // Sold out by others, and taken out of the shop.
    stock(&admin, "CUP", -2).await.expect(200);
    writes_nothing(&host, async {
        let cart = both.send(Method::GET, "", &Value::Null).await.expect(200);
        assert_eq!(
            (&cart["problems"][0]["code"], &cart["problems"][0]["available"]),
            (&json!("insufficient_stock"), &json!(0))
        );
        let refused = both.checkout(&key("sold-out"), &both.order("tok_approve")).await;
        let told = json!([{"sku": "CUP", "requested": 1, "available": 0}]);
        assert_eq!(refused.expect_problem(409, "insufficient_stock")["items"], told);
    })
    .await;
    let mug = admin.get("/products?filter[variants.sku][eq]=MUG").await.expect(200);
    let archived = json!({"status": "archived"});
    admin.patch(&format!("/products/{}", id(&mug[0])), &archived).await.expect(200);
    writes_nothing(&host, async {
        let refused = both.checkout(&key("archived"), &both.order("tok_approve")).await;
        let told = json!([{"sku": "MUG", "requested": 1, "available": 0}]);
        assert_eq!(refused.expect_problem(409, "insufficient_stock")["items"], told);
    })
    .await;
    host.clock.advance(Duration::from_secs(31 * 86_400));
    let refused = old.checkout(&key("old"), &old.order("tok_approve")).await;
    refused.expect_problem(409, "cart_not_active");
    conservation::check(&host).await;
}

async fn coupons_that_do_not_count_are_not_used(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 20).await;
    let promotion = json!({
        "id": "spring", "name": "Spring", "coupon": true, "action": {"type": "percentage", "basisPoints": 1_000},
    });
    let config = json!({"promotions": [promotion]});
    admin.put("/plugins/pricing-promotions/config", &config).await.expect(200);
    for (code, member, value) in [
        ("SOON", "startsAt", json!("2026-02-01T00:00:00Z")),
        ("OVER", "endsAt", json!("2025-12-31T00:00:00Z")),
        ("BRIEF", "endsAt", json!("2026-01-01T00:05:00Z")),
        ("ONCE", "limit", json!(1)),
        ("EACH", "perCustomer", json!(1)),
    ] {
        let coupon = with(json!({"code": code, "ruleId": "spring"}), member, value);
        admin.post("/coupons", &coupon).await.expect(201);
    }
    let enter = async |shopper: &Shopper, code: &str| {
        shopper.send(Method::POST, "/coupons", &json!({ "code": code })).await
    };
    let guest = async || Shopper::with(host.anonymous(), &[("CUP", 1)]).await;
    let (brief, first, second) = (guest().await, guest().await, guest().await);
    enter(&brief, "brief").await.expect(200);
    let cart = enter(&first, "ONCE").await.expect(200);
    assert_eq!(cart["totals"]["discount"], usd(-129));
    enter(&second, "ONCE").await.expect(200);
    writes_nothing(&host, async {
        for code in ["NONE", "SOON", "OVER"] {
            enter(&first, code).await.expect_problem(409, "coupon_invalid");
        }
        for wrong in ["", "a b", &"X".repeat(65)] {
            let refused = enter(&first, wrong).await.expect_status_in(&[409, 422]);
            assert!(["coupon_invalid", "validation_failed"].contains(&refused["code"].as_str().unwrap()));
        }
        let twice = json!({"code": "once", "ruleId": "spring"});
        admin.post("/coupons", &twice).await.expect_problem(409, "already_exists");
        let gone = first.send(Method::DELETE, "/coupons/NONE", &Value::Null).await;
        gone.expect_problem(404, "not_found");
    })
    .await;
    let order = first.checkout(&key("once"), &first.order("tok_approve")).await.expect(201);
    assert_eq!((&order["coupons"], &order["totals"]["discount"]), (&json!(["ONCE"]), &usd(-129)));
    host.clock.advance(Duration::from_secs(5 * 60));
    let third = guest().await;
    writes_nothing(&host, async {
        let refused = second.checkout(&key("twice"), &second.order("tok_approve")).await;
        refused.expect_problem(409, "coupon_exhausted");
        enter(&third, "ONCE").await.expect_problem(409, "coupon_exhausted");
        let refused = brief.checkout(&key("brief"), &brief.order("tok_approve")).await;
        refused.expect_problem(409, "coupon_invalid");
    })
    .await;
    // Both use what each may use once, as the same person.
    let each = [guest().await, guest().await];
    for shopper in &each {
        enter(shopper, "EACH").await.expect(200);
    }
    each[0].checkout(&key("each-1"), &each[0].order("tok_approve")).await.expect(201);
    writes_nothing(&host, async {
        let refused = each[1].checkout(&key("each-2"), &each[1].order("tok_approve")).await;
        refused.expect_problem(409, "coupon_exhausted");
    })
    .await;
    // What is cancelled gives its use back.
    admin.post(&format!("/orders/{}/cancel", id(&order)), &json!({})).await.expect(200);
    second.checkout(&key("thrice"), &second.order("tok_approve")).await.expect(201);
    eventually("the money is given back", async || {
        admin.get(&format!("/orders/{}", id(&order))).await.expect(200)["paymentStatus"] == "voided"
    })
    .await;
    conservation::check(&host).await;
}

/// Asserts that each of these is refused for where the order is, with what could be done instead.
async fn goes_nowhere(
    host: &TestHost,
    client: &Client,
    order: &str,
    from: &str,
    ways: &[(&str, &str)],
    allowed: &[&str],
) {
    writes_nothing(host, async {
        for (verb, to) in ways {
            let refused = client.post(&format!("/orders/{order}/{verb}"), &json!({})).await;
            let problem = refused.expect_problem(409, "invalid_transition");
            assert_eq!((&problem["from"], &problem["to"]), (&json!(from), &json!(to)), "{verb}");
            assert_eq!(problem["allowed"], json!(allowed), "{verb}");
        }
    })
    .await;
}

async fn an_order_goes_only_where_it_can(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 9).await;
    let mut body = items_order(&[("CUP", 1)]);
    body["payment"]["token"] = json!("tok_action");
    let pending = post(&admin, "/orders", &body).await.expect(202);
    let ways =
        [("confirm", "confirmed"), ("process", "processing"), ("complete", "completed"), ("hold", "onHold")];
    goes_nowhere(&host, &admin, id(&pending), "pending", &ways, &["cancelled"]).await;
    goes_nowhere(&host, &admin, id(&pending), "pending", &[("release", "pending")], &["cancelled"]).await;

    let order = post(&admin, "/orders", &items_order(&[("CUP", 1)])).await.expect(201);
    let path = format!("/orders/{}", id(&order));
    let ways = [("confirm", "confirmed"), ("complete", "completed"), ("release", "confirmed")];
    goes_nowhere(&host, &admin, id(&order), "confirmed", &ways, &["processing", "onHold", "cancelled"]).await;
    writes_nothing(&host, async {
        for (to, code) in [("completed", 409), ("pending", 409), ("expired", 409), ("lost", 422)] {
            let refused = admin.patch(&path, &json!({ "status": to })).await;
            let problem = refused.expect_status_in(&[code]);
            if code == 409 {
                assert_eq!((&problem["code"], &problem["to"]), (&json!("invalid_transition"), &json!(to)));
            }
        }
        admin.delete(&path).await.expect_status_in(&[409]);
    })
    .await;
    admin.post(&format!("{path}/hold"), &json!({})).await.expect(200);
    let ways = [("process", "processing"), ("complete", "completed"), ("hold", "onHold")];
    goes_nowhere(&host, &admin, id(&order), "onHold", &ways, &["confirmed", "cancelled"]).await;
    admin.post(&format!("{path}/release"), &json!({})).await.expect(200);
    admin.post(&format!("{path}/process"), &json!({})).await.expect(200);
    let ways = [("confirm", "confirmed"), ("process", "processing"), ("complete", "completed")];
    goes_nowhere(&host, &admin, id(&order), "processing", &ways, &["onHold", "cancelled"]).await;
    admin.post(&format!("{path}/cancel"), &json!({})).await.expect(200);
    eventually("the authorisation is voided", async || {
        admin.get(&path).await.expect(200)["paymentStatus"] == "voided"
    })
    .await;
    let all = [
        ("confirm", "confirmed"),
        ("process", "processing"),
        ("complete", "completed"),
        ("hold", "onHold"),
        ("cancel", "cancelled"),
    ];
    goes_nowhere(&host, &admin, id(&order), "cancelled", &all, &[]).await;
    writes_nothing(&host, async {
        let paying = json!({"provider": "payment-sandbox", "token": "tok_approve"});
        post(&admin, &format!("{path}/payments"), &paying).await.expect_problem(409, "conflict");
        admin.post(&format!("{path}/fulfillments"), &json!({})).await.expect_problem(409, "conflict");
    })
    .await;

    let ada = host.customer("ada@example.com").await;
    let shopper = Shopper::with(ada.clone(), &[("CUP", 1)]).await;
    let own = shopper.checkout("own", &shopper.order("tok_approve")).await.expect(201);
    let own_path = format!("/orders/{}", id(&own));
    admin.post(&format!("{own_path}/process"), &json!({})).await.expect(200);
    writes_nothing(&host, async {
        let refused = ada.post(&format!("{own_path}/cancel"), &json!({})).await;
        let problem = refused.expect_problem(409, "invalid_transition");
        assert_eq!((&problem["from"], &problem["to"]), (&json!("processing"), &json!("cancelled")));
        for verb in ["confirm", "process", "complete", "hold", "release"] {
            ada.post(&format!("{own_path}/{verb}"), &json!({})).await.expect_problem(403, "forbidden");
        }
    })
    .await;
    conservation::check(&host).await;
}

async fn parcels_and_returns_have_only_what_there_is(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 5).await;
    let order = post(&admin, "/orders", &items_order(&[("CUP", 3)])).await.expect(201);
    let path = format!("/orders/{}", id(&order));
    let lines = |item: &Value, quantity: i64| json!({"lines": [{"itemId": item, "quantity": quantity}]});
    let (item, nowhere) = (&order["items"][0]["id"], json!("itm_nowhere"));
    let parcels = format!("{path}/fulfillments");
    let returns = format!("{path}/returns");
    writes_nothing(&host, async {
        for (path, body, pointer) in [
            (&parcels, lines(item, 4), "/lines/0/quantity"),
            (&parcels, lines(item, 0), "/lines/0/quantity"),
            (&parcels, lines(item, -1), "/lines/0/quantity"),
            (&parcels, lines(&nowhere, 1), "/lines/0/itemId"),
            (&returns, lines(item, 1), "/lines/0/quantity"),
            (&returns, json!({"lines": []}), "/lines"),
        ] {
            let refused = admin.post(path, &body).await;
            refused.expect_error_at(422, "validation_failed", pointer, "validation_failed");
        }
        let twice = json!({"lines": [{"itemId": item, "quantity": 2}, {"itemId": item, "quantity": 2}]});
        let refused = admin.post(&parcels, &twice).await;
        refused.expect_error_at(422, "validation_failed", "/lines/1/quantity", "validation_failed");
    })
    .await;
    let parcel = admin.post(&parcels, &lines(item, 2)).await.expect(201);
    let parcel_path = format!("/fulfillments/{}", id(&parcel));
    writes_nothing(&host, async {
        let refused = admin.post(&parcels, &lines(item, 2)).await;
        refused.expect_error_at(422, "validation_failed", "/lines/0/quantity", "validation_failed");
        let early = admin.post(&format!("{parcel_path}/deliver"), &json!({})).await;
        let early = early.expect_problem(409, "invalid_transition");
        assert_eq!((&early["from"], &early["to"]), (&json!("pending"), &json!("delivered")));
        assert_eq!(early["allowed"], json!(["shipped", "cancelled"]));
    })
    .await;
    admin.post(&format!("{parcel_path}/ship"), &json!({})).await.expect(200);
    writes_nothing(&host, async {
        let again = admin.post(&format!("{parcel_path}/ship"), &json!({})).await;
        let again = again.expect_problem(409, "invalid_transition");
        assert_eq!(again["allowed"], json!(["delivered", "cancelled"]));
        let cancelled = admin.post(&format!("{path}/cancel"), &json!({})).await;
        let cancelled = cancelled.expect_problem(409, "invalid_transition");
        assert_eq!(cancelled["allowed"], json!(["onHold"]));
        let refused = admin.post(&returns, &lines(item, 3)).await;
        refused.expect_error_at(422, "validation_failed", "/lines/0/quantity", "validation_failed");
    })
    .await;
    let back = admin.post(&returns, &lines(item, 2)).await.expect(201);
    writes_nothing(&host, async {
        let early = admin.post(&format!("/returns/{}/receive", id(&back)), &json!({})).await;
        let early = early.expect_problem(409, "invalid_transition");
        assert_eq!(early["allowed"], json!(["approved", "rejected"]));
        let more = admin.post(&returns, &lines(item, 1)).await;
        more.expect_error_at(422, "validation_failed", "/lines/0/quantity", "validation_failed");
        admin.post(&format!("{parcel_path}/cancel"), &json!({})).await.expect_problem(409, "conflict");
    })
    .await;
    conservation::check(&host).await;
}

async fn the_carts_and_orders_of_others_do_not_exist(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 9).await;
    let ada = host.customer("ada@example.com").await;
    let bob = host.customer("bob@example.com").await;
    let hers = Shopper::with(ada.clone(), &[("CUP", 1)]).await;
    let cart = hers.send(Method::GET, "", &Value::Null).await.expect(200);
    let guests = Shopper::with(host.anonymous(), &[("CUP", 1)]).await;
    let order = post(&admin, "/orders", &items_order(&[("CUP", 1)])).await.expect(201);
    let item = id(&cart["items"][0]).to_owned();
    let absent = bob.get("/carts/cart_00000000000000000000000000").await.expect_problem(404, "not_found");
    let stranger = host.anonymous();
    writes_nothing(&host, async {
        for who in [&bob, &stranger] {
            for cart in [&hers.cart, &guests.cart] {
                let at = |path: &str| format!("/carts/{cart}{path}");
                let told = who.get(&at("")).await.expect_problem(404, "not_found");
                assert_eq!(told["detail"], absent["detail"]);
                let line = json!({"sku": "CUP", "quantity": 1});
                who.post(&at("/items"), &line).await.expect_problem(404, "not_found");
                let items = at(&format!("/items/{item}"));
                who.patch(&items, &json!({"quantity": 9})).await.expect_problem(404, "not_found");
                who.delete(&items).await.expect_problem(404, "not_found");
                who.post(&at("/quote"), &json!({})).await.expect_problem(404, "not_found");
                who.post(&at("/coupons"), &json!({"code": "X"})).await.expect_problem(404, "not_found");
                let addresses = json!({ "shippingAddress": address() });
                who.put(&at("/addresses"), &addresses).await.expect_problem(404, "not_found");
                who.get(&at("/shipping-options")).await.expect_problem(404, "not_found");
                who.delete(&at("")).await.expect_problem(404, "not_found");
                let body = with(guests.order("tok_approve"), "cartId", cart.as_str());
                post(who, "/orders", &body).await.expect_problem(404, "not_found");
            }
            // What only the staff may do is not theirs, whether it is there or not.
            for path in [format!("/orders/{}", id(&order)), "/orders/ord_nowhere".to_owned()] {
                who.get(&path).await.expect_problem(404, "not_found");
                who.post(&format!("{path}/cancel"), &json!({})).await.expect_problem(404, "not_found");
                who.get(&format!("{path}/history")).await.expect_problem(404, "not_found");
            }
        }
        // The token of another guest's cart opens only that one.
        let other = guests.draft(Method::GET, &format!("/carts/{}", hers.cart));
        guests.client.send(other).await.expect_problem(404, "not_found");
        // A line of another cart is no line of one's own.
        let foreign = guests.send(Method::PATCH, &format!("/items/{item}"), &json!({"quantity": 9})).await;
        foreign.expect_status_in(&[404, 415]);
    })
    .await;
    conservation::check(&host).await;
}

async fn absurd_quantities_and_amounts_are_refused(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 5).await;
    let mut dear = product("Dear", "DEAR");
    dear["variants"][0]["prices"][0]["amount"] = json!(9_007_199_254_740_991_i64);
    dear["variants"][0]["trackInventory"] = json!(false);
    admin.post("/products", &dear).await.expect(201);
    let guest = Shopper::with(host.anonymous(), &[("CUP", 1)]).await;
    let cart = guest.send(Method::GET, "", &Value::Null).await.expect(200);
    let line = format!("/items/{}", id(&cart["items"][0]));
    writes_nothing(&host, async {
        let absurd = [
            json!(-1),
            json!(100_001),
            json!(1.5),
            json!("1"),
            json!(null),
            json!(i64::MAX),
            json!(u64::MAX),
        ];
        for quantity in absurd.iter().chain([&json!(0)]) {
            let item = json!({"sku": "CUP", "quantity": quantity});
            let refused = guest.send(Method::POST, "/items", &item).await;
            refused.expect_error_at(422, "validation_failed", "/quantity", "validation_failed");
            let mut order = items_order(&[("CUP", 1)]);
            order["items"][0] = item.clone();
            let refused = post(&admin, "/orders", &order).await;
            refused.expect_error_at(422, "validation_failed", "/items/0/quantity", "validation_failed");
            let refused = host.anonymous().post("/carts", &json!({ "items": [item] })).await;
            refused.expect_error_at(422, "validation_failed", "/items/0/quantity", "validation_failed");
        }
        for quantity in absurd.iter().filter(|it| !it.is_null()) {
            let draft = guest.draft(Method::PATCH, &format!("/carts/{}{line}", guest.cart));
            let draft = draft.header("content-type", "application/merge-patch+json");
            let refused = guest.client.send(draft.text(json!({ "quantity": quantity }).to_string())).await;
            refused.expect_error_at(422, "validation_failed", "/quantity", "validation_failed");
        }
        // Together too many, although each is not.
        let item = json!({"sku": "CUP", "quantity": 100_000});
        let refused = guest.send(Method::POST, "/items", &item).await;
        refused.expect_error_at(422, "validation_failed", "/quantity", "validation_failed");
        // More money than there is.
        let item = json!({"sku": "DEAR", "quantity": 100_000});
        guest.send(Method::POST, "/items", &item).await.expect_problem(422, "amount_out_of_range");
        let order = items_order(&[("DEAR", 100_000)]);
        post(&admin, "/orders", &order).await.expect_problem(422, "amount_out_of_range");
        let lines = vec![("DEAR", 100); 100];
        let refused = post(&admin, "/orders", &items_order(&lines)).await;
        refused.expect_problem(422, "amount_out_of_range");
    })
    .await;
    conservation::check(&host).await;
}

async fn an_order_needs_all_that_makes_it_one(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 5).await;
    let guest = Shopper::with(host.anonymous(), &[("CUP", 1)]).await;
    let good = guest.order("tok_approve");
    let without = |body: &Value, member: &str| {
        let mut body = body.clone();
        body.as_object_mut().unwrap().remove(member);
        body
    };
    let items = json!([{"sku": "CUP", "quantity": 1}]);
    writes_nothing(&host, async {
        for (body, pointer) in [
            (without(&good, "email"), "/email"),
            (without(&good, "payment"), "/payment"),
            (without(&good, "cartId"), "/cartId"),
            (with(good.clone(), "email", "nobody"), "/email"),
            (with(good.clone(), "items", items.clone()), "/items"),
            (with(good.clone(), "customerId", "usr_somebody"), "/customerId"),
            (with(good.clone(), "currency", "EUR"), "/currency"),
            (with(good.clone(), "payment", json!({"provider": "payment-nowhere"})), "/payment/provider"),
        ] {
            let refused = guest.checkout(&key("wrong"), &body).await;
            refused.expect_error_at(422, "validation_failed", pointer, "validation_failed");
        }
        guest
            .checkout(&key("wrong"), &with(good.clone(), "colour", "red"))
            .await
            .expect_problem(422, "unknown_field");
        // Naming items is the staff's.
        let direct = json!({"items": items, "email": "ada@example.com", "payment": good["payment"]});
        let refused = guest.checkout(&key("wrong"), &direct).await;
        refused.expect_error_at(422, "validation_failed", "/items", "validation_failed");
        let body = items_order(&[("CUP", 1)]);
        for (body, pointer) in [
            (with(body.clone(), "currency", "ZZZ"), "/currency"),
            (with(body.clone(), "items", json!([])), "/cartId"),
            (with(body.clone(), "items", json!([{"quantity": 1}])), "/items/0"),
            (with(body.clone(), "quoteId", "quo_nowhere"), "/quoteId"),
            (without(&body, "payment"), "/payment"),
        ] {
            let refused = post(&admin, "/orders", &body).await;
            refused.expect_error_at(422, "validation_failed", pointer, "validation_failed");
        }
        let yen = with(body.clone(), "currency", "JPY");
        let refused = post(&admin, "/orders", &yen).await;
        let told = json!([{"sku": "CUP", "requested": 1, "available": 0}]);
        assert_eq!(refused.expect_problem(409, "insufficient_stock")["items"], told);
        let euros = json!({"currency": "EUR", "items": items});
        let refused = host.anonymous().post("/carts", &euros).await;
        refused.expect_error_at(422, "validation_failed", "/items/0/sku", "validation_failed");
    })
    .await;
    let ada = host.customer("ada@example.com").await;
    ada.post("/carts", &json!({})).await.expect(201);
    writes_nothing(&host, async {
        ada.post("/carts", &json!({"currency": "EUR"})).await.expect_problem(409, "currency_mismatch");
        let refused = admin.post("/carts", &json!({})).await;
        refused.expect_problem(403, "forbidden");
    })
    .await;
    conservation::check(&host).await;
}
