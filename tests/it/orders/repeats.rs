//! Whatever changes something takes an `Idempotency-Key`: a repeat is answered as the first request was, and does nothing.

use std::time::Duration;

use futures_util::future::join_all;
use hyper::Method;
use platform_tests::{
    checkout::{Shopper, address, items_order, key, sell},
    client::{Answer, Client, Draft},
    conservation,
    host::{TestHost, TestHostBuilder},
    shop::{documents, id, writes_nothing},
};
use serde_json::{Value, json};

use super::retries::{is_replayed, told};

on_each_backend!(
    shop().start(), shop().on_mongodb().start();
    commands_of_a_guests_cart_are_done_once,
    commands_of_a_customers_cart_are_done_once,
    repeats_at_once_add_once,
    what_was_refused_leaves_its_key_free,
    payments_are_made_and_moved_once,
    parcels_are_packed_and_sent_once,
    returns_are_made_and_taken_in_once,
    coupons_are_made_and_changed_once,
    transitions_of_an_order_are_repeated,
);

fn shop() -> TestHostBuilder {
    TestHostBuilder::shop().patient()
}

/// Asserts that a request under a key is answered so, and that its repeats are answered with the same and do nothing.
async fn twice(host: &TestHost, client: &Client, draft: Draft, status: u16) -> Value {
    let first = client.send(draft.clone()).await;
    assert!(!is_replayed(&first));
    let first_told = told(&first);
    let body = first.expect(status);
    writes_nothing(host, async {
        for _ in 0..2 {
            let again = client.send(draft.clone()).await;
            assert!(is_replayed(&again), "{}", again.text());
            assert_eq!(told(&again), first_told);
        }
    })
    .await;
    body
}

/// The same request with another body is refused.
async fn reused(host: &TestHost, client: &Client, draft: Draft) {
    writes_nothing(host, async {
        client.send(draft).await.expect_problem(422, "idempotency_key_reused");
    })
    .await;
}

/// A request about a cart, under a key.
fn keyed(shopper: &Shopper, method: Method, path: &str, name: &str) -> Draft {
    shopper.draft(method, &format!("/carts/{}{path}", shopper.cart)).header("idempotency-key", &key(name))
}

fn post(client: &Client, path: &str, name: &str, body: &Value) -> Draft {
    client.request(Method::POST, path).header("idempotency-key", &key(name)).json(body)
}

fn merge(draft: Draft, patch: &Value) -> Draft {
    draft.header("content-type", "application/merge-patch+json").text(patch.to_string())
}

fn quantities(cart: &Value) -> Vec<i64> {
    cart["items"].as_array().unwrap().iter().map(|it| it["quantity"].as_i64().unwrap()).collect()
}

async fn commands_of_a_guests_cart_are_done_once(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 10).await;
    sell(&admin, "MUG", 10).await;
    admin.post("/coupons", &json!({"code": "WELCOME", "ruleId": "welcome"})).await.expect(201);
    let public = host.anonymous();
    let items = json!({"items": [{"sku": "CUP", "quantity": 1}]});
    // The answer with the token is the same again, so that a guest who lost it is not locked out.
    let made = twice(&host, &public, post(&public, "/carts", "make", &items), 201).await;
    assert!(made["cartToken"].as_str().is_some_and(|token| token.len() > 20), "{made}");
    reused(
        &host,
        &public,
        post(&public, "/carts", "make", &json!({"items": [{"sku": "CUP", "quantity": 2}]})),
    )
    .await;
    // Who is nobody needs a key that nobody guesses.
    let short = public.request(Method::POST, "/carts").header("idempotency-key", "short").json(&items);
    public.send(short).await.expect_problem(400, "invalid_parameter");
    assert_eq!(documents(&host, "carts").await.len(), 1);

    let guest = Shopper::with(public.clone(), &[("CUP", 1)]).await;
    let add = |count: i64| {
        keyed(&guest, Method::POST, "/items", "add").json(&json!({"sku": "CUP", "quantity": count}))
    };
    assert_eq!(quantities(&twice(&host, &public, add(2), 200).await), [3]);
    reused(&host, &public, add(3)).await;
    // Another key is another wish, and a key is of one cart.
    let more = keyed(&guest, Method::POST, "/items", "more").json(&json!({"sku": "MUG", "quantity": 1}));
    let cart = twice(&host, &public, more, 200).await;
    assert_eq!(quantities(&cart), [3, 1]);
    let other = Shopper::with(public.clone(), &[("CUP", 1)]).await;
    let theirs = keyed(&other, Method::POST, "/items", "add").json(&json!({"sku": "CUP", "quantity": 2}));
    assert_eq!(quantities(&twice(&host, &public, theirs, 200).await), [3]);

    let (cup, mug) = (id(&cart["items"][0]), id(&cart["items"][1]));
    let fewer = keyed(&guest, Method::PATCH, &format!("/items/{cup}"), "fewer");
    assert_eq!(quantities(&twice(&host, &public, merge(fewer, &json!({"quantity": 2})), 200).await), [2, 1]);
    let out = keyed(&guest, Method::DELETE, &format!("/items/{mug}"), "out");
    assert_eq!(quantities(&twice(&host, &public, out, 200).await), [2]);
    let coupon = keyed(&guest, Method::POST, "/coupons", "coupon").json(&json!({"code": "welcome"}));
    assert_eq!(twice(&host, &public, coupon, 200).await["coupons"], json!(["WELCOME"]));
    let quote =
        twice(&host, &public, keyed(&guest, Method::POST, "/quote", "quote").json(&json!({})), 201).await;
    assert_eq!(documents(&host, "quotes").await.len(), 1);
    let gone = keyed(&guest, Method::DELETE, "/coupons/welcome", "coupon-out");
    assert_eq!(twice(&host, &public, gone, 200).await["coupons"], json!([]));
    // What the cart was then is not what it is now.
    let again = public.send(add(2)).await;
    assert!(is_replayed(&again));
    assert_eq!(quantities(&again.expect(200)), [3]);
    assert_eq!(quantities(&guest.send(Method::GET, "", &Value::Null).await.expect(200)), [2]);
    assert!(quote["quoteId"].is_string());

    // For a day.
    host.clock.advance(Duration::from_secs(24 * 3_600 - 1));
    assert!(is_replayed(&public.send(add(2)).await));
    host.clock.advance(Duration::from_secs(1));
    assert_eq!(quantities(&twice(&host, &public, add(2), 200).await), [4]);
    let deleted = keyed(&guest, Method::DELETE, "", "delete");
    twice(&host, &public, deleted, 204).await;
    conservation::check(&host).await;
}

async fn commands_of_a_customers_cart_are_done_once(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 10).await;
    let ada = host.customer("ada@example.com").await;
    let bob = host.customer("bob@example.com").await;
    let items = json!({"items": [{"sku": "CUP", "quantity": 2}]});
    // A customer has one cart: making it twice puts in twice, but not under one key.
    let made = twice(&host, &ada, post(&ada, "/carts", "make", &items), 201).await;
    assert_eq!(quantities(&made), [2]);
    let again = ada.send(post(&ada, "/carts", "make-again", &items)).await.expect(200);
    assert_eq!((&again["id"], quantities(&again)), (&made["id"], vec![4]));
    // The same key of somebody else is another.
    let theirs = twice(&host, &bob, post(&bob, "/carts", "make", &items), 201).await;
    assert_ne!(theirs["id"], made["id"]);

    let guest = Shopper::with(host.anonymous(), &[("CUP", 3)]).await;
    let merging = post(&ada, "/carts/merge", "merge", &json!({"cartId": guest.cart}));
    let merging = merging.header("x-cart-token", guest.token().unwrap());
    let merged = twice(&host, &ada, merging, 200).await;
    assert_eq!((&merged["id"], quantities(&merged)), (&made["id"], vec![7]));
    assert_eq!(documents(&host, "carts").await.len(), 3);
    conservation::check(&host).await;
}

async fn repeats_at_once_add_once(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 100).await;
    let guest = Shopper::with(host.anonymous(), &[]).await;
    for round in 0..5_i64 {
        let name = format!("once-{round}");
        let adding = (0..12).map(|_| {
            let draft =
                keyed(&guest, Method::POST, "/items", &name).json(&json!({"sku": "CUP", "quantity": 1}));
            guest.client.send(draft)
        });
        let mut made = 0;
        for answer in join_all(adding).await {
            if answer.status == 200 {
                made += usize::from(!is_replayed(&answer));
                assert_eq!(quantities(&answer.json()), [round + 1]);
                continue;
            }
            assert_eq!(answer.header("retry-after"), Some("1"));
            answer.expect_problem(409, "idempotency_in_progress");
        }
        assert_eq!(made, 1, "round {round}");
        let cart = guest.send(Method::GET, "", &Value::Null).await.expect(200);
        assert_eq!(quantities(&cart), [round + 1]);
    }
    conservation::check(&host).await;
}

async fn what_was_refused_leaves_its_key_free(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 10).await;
    let guest = Shopper::with(host.anonymous(), &[("CUP", 1)]).await;
    let draft = || keyed(&guest, Method::POST, "/items", "later").json(&json!({"sku": "MUG", "quantity": 1}));
    writes_nothing(&host, async {
        for _ in 0..2 {
            let refused = guest.client.send(draft()).await;
            assert!(!is_replayed(&refused));
            refused.expect_error_at(422, "validation_failed", "/sku", "validation_failed");
        }
    })
    .await;
    sell(&admin, "MUG", 1).await;
    assert_eq!(quantities(&twice(&host, &guest.client, draft(), 200).await), [1, 1]);
    conservation::check(&host).await;
}

/// A confirmed order of a guest's, of two cups, and the guest.
async fn ordered(host: &TestHost, name: &str) -> (Shopper, Value) {
    let guest = Shopper::with(host.anonymous(), &[("CUP", 2)]).await;
    let order = guest.checkout(&key(name), &guest.order("tok_approve")).await.expect(201);
    (guest, order)
}

async fn on_hand(admin: &Client) -> i64 {
    admin.get("/inventory/CUP").await.expect(200)["onHand"].as_i64().unwrap()
}

async fn payments_are_made_and_moved_once(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 10).await;
    let order = admin.send(post(&admin, "/orders", "order", &items_order(&[("CUP", 2)]))).await.expect(201);
    let path = format!("/orders/{}", id(&order));
    let first = format!("/payments/{}", id(&order["payments"][0]));
    twice(&host, &admin, post(&admin, &format!("{first}/void"), "void", &json!({})), 200).await;
    let paying = json!({"provider": "payment-sandbox", "token": "tok_approve"});
    let payment = twice(&host, &admin, post(&admin, &format!("{path}/payments"), "pay", &paying), 201).await;
    assert_eq!(admin.get(&path).await.expect(200)["payments"].as_array().unwrap().len(), 2);
    reused(
        &host,
        &admin,
        post(&admin, &format!("{path}/payments"), "pay", &json!({"provider": "payment-manual"})),
    )
    .await;
    let second = format!("/payments/{}", id(&payment));

    // Impatient ones send it again before they are answered.
    let part = |amount: i64| json!({"amount": {"amount": amount, "currency": "USD"}});
    for (verb, amount) in [("capture", 1_500), ("refund", 400)] {
        let draft = post(&admin, &format!("{second}/{verb}"), verb, &part(amount));
        let storm = join_all((0..16).map(|_| admin.send(draft.clone()))).await;
        for answer in storm {
            match answer.status.as_u16() {
                200 => {}
                _ => drop(answer.expect_problem(409, "idempotency_in_progress")),
            }
        }
        writes_nothing(&host, async {
            let again = admin.send(draft).await;
            assert!(is_replayed(&again));
            again.expect(200);
        })
        .await;
    }
    let order = admin.get(&path).await.expect(200);
    let moved = ["paid", "refunded"].map(|name| order["totals"][name]["amount"].as_i64().unwrap());
    assert_eq!(moved, [1_500, 400]);
    let kinds: Vec<&str> = order["payments"][1]["transactions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["authorization", "capture", "refund"]);
    conservation::check(&host).await;
}

async fn parcels_are_packed_and_sent_once(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 10).await;
    let (_, order) = ordered(&host, "order").await;
    let path = format!("/orders/{}", id(&order));
    let lines = json!({"lines": [{"itemId": order["items"][0]["id"], "quantity": 1}], "carrier": "DHL"});
    let pack = post(&admin, &format!("{path}/fulfillments"), "pack", &lines);
    let parcel = twice(&host, &admin, pack, 201).await;
    reused(&host, &admin, post(&admin, &format!("{path}/fulfillments"), "pack", &json!({}))).await;
    let parcels = async || {
        let order = admin.get(&path).await.expect(200);
        order["fulfillments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["status"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(parcels().await, ["pending"]);
    let ship = format!("/fulfillments/{}/ship", id(&parcel));
    let tracking = json!({"trackingNumber": "0034"});
    let shipped = twice(&host, &admin, post(&admin, &ship, "ship", &tracking), 200).await;
    assert_eq!((&shipped["status"], on_hand(&admin).await), (&json!("shipped"), 9));
    // Without the key it is another request, which comes too late.
    admin.post(&ship, &tracking).await.expect_problem(409, "invalid_transition");
    // What was sent comes back once.
    let cancel = post(&admin, &format!("/fulfillments/{}/cancel", id(&parcel)), "cancel", &json!({}));
    twice(&host, &admin, cancel, 200).await;
    assert_eq!((parcels().await, on_hand(&admin).await), (vec!["cancelled".to_owned()], 10));
    let all =
        twice(&host, &admin, post(&admin, &format!("{path}/fulfillments"), "rest", &json!({})), 201).await;
    assert_eq!(all["lines"][0]["quantity"], 2);
    let ship = post(&admin, &format!("/fulfillments/{}/ship", id(&all)), "ship-rest", &json!({}));
    twice(&host, &admin, ship, 200).await;
    let deliver = post(&admin, &format!("/fulfillments/{}/deliver", id(&all)), "deliver", &json!({}));
    assert_eq!(twice(&host, &admin, deliver, 200).await["status"], "delivered");
    assert_eq!(
        (parcels().await, on_hand(&admin).await),
        (vec!["cancelled".to_owned(), "delivered".to_owned()], 8)
    );
    conservation::check(&host).await;
}

async fn returns_are_made_and_taken_in_once(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 10).await;
    let (guest, order) = ordered(&host, "order").await;
    let path = format!("/orders/{}", id(&order));
    let parcel = admin.post(&format!("{path}/fulfillments"), &json!({})).await.expect(201);
    admin.post(&format!("/fulfillments/{}/ship", id(&parcel)), &json!({})).await.expect(200);
    let ask = |count: i64| {
        let line = json!({"itemId": order["items"][0]["id"], "quantity": count, "reason": "chipped"});
        let draft = guest.draft(Method::POST, &format!("{path}/returns"));
        draft.header("idempotency-key", &key("return")).json(&json!({"lines": [line]}))
    };
    let made = twice(&host, &guest.client, ask(1), 201).await;
    reused(&host, &guest.client, ask(2)).await;
    let returns = async || admin.get(&path).await.expect(200)["returns"].as_array().unwrap().len();
    assert_eq!(returns().await, 1);
    for (verb, status, on_hand_after) in [("approve", "approved", 8), ("receive", "received", 9)] {
        let draft = post(&admin, &format!("/returns/{}/{verb}", id(&made)), verb, &json!({}));
        assert_eq!(twice(&host, &admin, draft, 200).await["status"], status);
        assert_eq!(on_hand(&admin).await, on_hand_after, "{verb}");
    }
    let other = guest.client.send({
        let line = json!({"itemId": order["items"][0]["id"], "quantity": 1, "reason": "chipped"});
        guest.draft(Method::POST, &format!("{path}/returns")).json(&json!({"lines": [line]}))
    });
    let other = other.await.expect(201);
    let reject = post(&admin, &format!("/returns/{}/reject", id(&other)), "reject", &json!({}));
    assert_eq!(twice(&host, &admin, reject, 200).await["status"], "rejected");
    assert_eq!((returns().await, on_hand(&admin).await), (2, 9));
    conservation::check(&host).await;
}

async fn coupons_are_made_and_changed_once(mut host: TestHost) {
    let admin = host.admin().await;
    let coupon = json!({"code": "spring", "ruleId": "welcome", "limit": 5});
    let made = twice(&host, &admin, post(&admin, "/coupons", "make", &coupon), 201).await;
    assert_eq!((&made["code"], &made["used"]), (&json!("SPRING"), &json!(0)));
    reused(&host, &admin, post(&admin, "/coupons", "make", &json!({"code": "autumn", "ruleId": "welcome"})))
        .await;
    // Under another key it is there already.
    admin.send(post(&admin, "/coupons", "again", &coupon)).await.expect_problem(409, "already_exists");
    let path = format!("/coupons/{}", id(&made));
    let patch = admin.request(Method::PATCH, &path).header("idempotency-key", "patch");
    let changed = twice(&host, &admin, merge(patch, &json!({"limit": 3})), 200).await;
    assert_eq!((&changed["limit"], &changed["version"]), (&json!(3), &json!(2)));
    let delete = admin.request(Method::DELETE, &path).header("idempotency-key", "delete");
    twice(&host, &admin, delete, 204).await;
    // Also when it is made anew.
    admin.send(post(&admin, "/coupons", "anew", &coupon)).await.expect(201);
    let again = admin.send(post(&admin, "/coupons", "make", &coupon)).await;
    assert!(is_replayed(&again));
    assert_eq!(again.expect(201)["id"], made["id"]);
    assert_eq!(documents(&host, "coupons").await.len(), 1);
    conservation::check(&host).await;
}

async fn transitions_of_an_order_are_repeated(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 10).await;
    let (guest, order) = ordered(&host, "order").await;
    let path = format!("/orders/{}", id(&order));
    for (verb, status) in [("hold", "onHold"), ("release", "confirmed"), ("process", "processing")] {
        let draft = post(&admin, &format!("{path}/{verb}"), verb, &json!({}));
        assert_eq!(twice(&host, &admin, draft, 200).await["status"], status);
    }
    let notes = admin.request(Method::PATCH, &path).header("idempotency-key", "notes");
    let noted = twice(&host, &admin, merge(notes, &json!({"notes": "Ring twice."})), 200).await;
    assert_eq!(noted["notes"], "Ring twice.");

    let (guest_of_other, other) = ordered(&host, "other").await;
    let cancel = |guest: &Shopper, order: &Value| {
        let draft = guest.draft(Method::POST, &format!("/orders/{}/cancel", id(order)));
        draft.header("idempotency-key", &key("cancel")).json(&json!({}))
    };
    // What is processed is not the guest's to cancel.
    let late: Answer = guest.client.send(cancel(&guest, &order)).await;
    late.expect_problem(409, "invalid_transition");
    let first = guest_of_other.client.send(cancel(&guest_of_other, &other)).await;
    let first_told = told(&first);
    assert_eq!(first.expect(200)["status"], "cancelled");
    let entries = async || {
        let history = admin.get(&format!("/orders/{}/history?limit=100", id(&other))).await.expect(200);
        history.as_array().unwrap().iter().filter(|it| it["type"] == "order.status_changed").count()
    };
    let before = entries().await;
    platform_tests::wait::eventually("the money is given back", async || {
        admin.get(&format!("/orders/{}", id(&other))).await.expect(200)["paymentStatus"] == "voided"
    })
    .await;
    let again = writes_nothing(&host, guest_of_other.client.send(cancel(&guest_of_other, &other))).await;
    assert!(is_replayed(&again));
    assert_eq!((told(&again), entries().await), (first_told, before));
    assert_eq!(admin.get("/inventory/CUP").await.expect(200)["available"], 8);
    let addresses = json!({ "shippingAddress": address() });
    guest.send(Method::PUT, "/addresses", &addresses).await.expect_problem(409, "cart_not_active");
    conservation::check(&host).await;
}
