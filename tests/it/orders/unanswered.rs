//! A provider that does what it is asked and never says so: the outcome is found out, and nothing is done twice.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::join;
use hyper::Method;
use platform_tests::{
    checkout::{Shopper, items_order, key, post_with_key, sell},
    client::Answer,
    conservation,
    host::{SHOP_GRANTS, TestHost, TestHostBuilder},
    shop::{documents, id, writes_nothing},
    wait::{eventually, found_within},
};
use serde_json::{Value, json};

use super::retries::{is_replayed, told};

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    a_key_belongs_to_one_request_of_one_caller,
    what_is_asked_with_a_key_is_finished_for_whoever_hangs_up,
    a_charge_without_an_answer_is_found_and_not_made_again,
    a_charge_with_nonsense_for_an_answer_is_found_and_not_made_again,
    carts_are_filled_while_a_gateway_is_silent,
    a_capture_without_an_answer_is_settled_once,
    a_refund_without_an_answer_is_settled_once,
    a_repeat_goes_on_while_what_is_outdated_is_swept_away,
);

/// What is left unanswered is asked about after a minute and a part of it.
const OUTCOME: Duration = Duration::from_secs(120);

/// The charges that the sandbox has made for an order.
async fn charges(host: &TestHost, order: &str) -> Vec<Value> {
    let all = documents(host, "sandbox_charges").await;
    all.into_values().filter(|charge| charge["orderId"] == order).collect()
}

async fn a_key_belongs_to_one_request_of_one_caller(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 9).await;
    // The provider never answers, so this request takes as long as the shop waits.
    let mut body = items_order(&[("CUP", 1)]);
    body["payment"]["token"] = json!("tok_timeout");
    let slow = tokio::spawn({
        let (admin, body) = (admin.clone(), body.clone());
        async move { post_with_key(&admin, "/orders", "k1", &body).await }
    });
    eventually("the provider is asked", async || !documents(&host, "sandbox_charges").await.is_empty()).await;
    let meanwhile = post_with_key(&admin, "/orders", "k1", &body).await;
    assert_eq!(meanwhile.header("retry-after"), Some("1"));
    let problem = meanwhile.expect_problem(409, "idempotency_in_progress");
    assert_eq!(problem["retryable"], true);
    let other_body = items_order(&[("CUP", 2)]);
    // Of somebody else the key is another.
    let colleague = host.staff("colleague@example.com", &["superadmin"]).await;
    let colleague = host.with_token(&colleague);
    let theirs = post_with_key(&colleague, "/orders", "k1", &other_body).await;
    assert!(!is_replayed(&theirs));
    let theirs = theirs.expect(201);

    let first = slow.await.unwrap();
    assert_eq!(first.status, 202);
    let again = post_with_key(&admin, "/orders", "k1", &body).await;
    assert!(is_replayed(&again));
    assert_eq!(told(&again), told(&first));
    let theirs_again = post_with_key(&colleague, "/orders", "k1", &other_body).await;
    assert!(is_replayed(&theirs_again));
    assert_eq!(theirs_again.expect(201), theirs);
    let payment = theirs["payments"][0]["id"].as_str().unwrap();
    writes_nothing(&host, async {
        let reused = post_with_key(&admin, "/orders", "k1", &other_body).await;
        reused.expect_problem(422, "idempotency_key_reused");
        let paying = json!({"provider": "payment-sandbox", "token": "tok_approve"});
        for (path, body) in [
            ("/orders".to_owned(), &other_body),
            (format!("/orders/{}/payments", id(&theirs)), &paying),
            (format!("/payments/{payment}/capture"), &json!({})),
            (format!("/payments/{payment}/refund"), &json!({})),
            (format!("/payments/{payment}/void"), &json!({})),
        ] {
            let without = admin.post(&path, body).await;
            without.expect_problem(400, "idempotency_key_required");
        }
    })
    .await;
    // A key belongs to its path, too.
    let capture = format!("/payments/{payment}/capture");
    post_with_key(&colleague, &capture, "k1", &json!({})).await.expect(200);
    assert_eq!(documents(&host, "orders").await.len(), 2);
    conservation::check(&host).await;
}

async fn what_is_asked_with_a_key_is_finished_for_whoever_hangs_up(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 1).await;
    let guest = Shopper::with(host.anonymous(), &[("CUP", 1)]).await;
    let body = guest.order("tok_timeout");
    // With a connection of its own, which goes with it.
    let mut leaving = guest.clone();
    leaving.client = host.anonymous();
    let asking = tokio::spawn({
        let body = body.clone();
        async move { leaving.checkout(&key("leaving"), &body).await }
    });
    eventually("the provider is asked", async || !documents(&host, "sandbox_charges").await.is_empty()).await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    // Nothing but the request itself would go on with the order: the time in which it may stands still.
    let again = found_within(Duration::from_secs(60), "the order is made", async || {
        let again = guest.checkout(&key("leaving"), &body).await;
        if again.status == 202 {
            return Some(again);
        }
        again.expect_problem(409, "idempotency_in_progress");
        None
    })
    .await;
    assert!(is_replayed(&again));
    assert_eq!(charges(&host, id(&again.expect(202))).await.len(), 1);
    conservation::check(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stops_answers_who_waits() {
    let answered = asked_of_a_host_that_stops(false).await;
    answered.unwrap().expect(202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stops_finishes_what_is_asked_with_a_key() {
    assert!(asked_of_a_host_that_stops(true).await.is_none());
}

/// Stops a host while it asks the provider, and asks the next one again. Answers what the first one answered.
async fn asked_of_a_host_that_stops(hangs_up: bool) -> Option<Answer> {
    let mut first = TestHost::shop().await;
    let admin = first.admin().await;
    sell(&admin, "CUP", 1).await;
    let mut guest = Shopper::with(first.anonymous(), &[("CUP", 1)]).await;
    let body = guest.order("tok_timeout");
    let asking = tokio::spawn({
        let (guest, body) = (guest.clone(), body.clone());
        async move { guest.checkout(&key("asking"), &body).await }
    });
    eventually("the provider is asked", async || !documents(&first, "sandbox_charges").await.is_empty())
        .await;
    if hangs_up {
        asking.abort();
    }
    let time = first.app.store().clock().now_ms();
    let data = first.stop().await;
    let answered = asking.await.ok();

    let second = TestHostBuilder::shop().with_data(data).at_ms(time).start().await;
    guest.client = second.anonymous();
    let again = guest.checkout(&key("asking"), &body).await;
    assert!(is_replayed(&again));
    again.expect(202);
    conservation::check(&second).await;
    answered
}

async fn a_charge_without_an_answer_is_found_and_not_made_again(host: TestHost) {
    is_found_and_not_made_again(host, "tok_timeout").await;
}

async fn a_charge_with_nonsense_for_an_answer_is_found_and_not_made_again(host: TestHost) {
    is_found_and_not_made_again(host, "tok_garbage").await;
}

/// As many wait for a gateway as may at once.
async fn carts_are_filled_while_a_gateway_is_silent(mut host: TestHost) {
    const SLOW: usize = 8;
    let admin = host.admin().await;
    sell(&admin, "CUP", 500).await;
    let orders = "[plugins.orders.limits]\n";
    let grants = SHOP_GRANTS.replace("timeout_ms = 3000", "timeout_ms = 20000");
    let report = host.grant(&grants.replace(orders, &format!("{orders}concurrency = {SLOW}\n"))).await;
    assert_eq!((&report["swapped"], &report["refused"]), (&json!(true), &json!([])));
    let slow: Vec<_> = (0..SLOW)
        .map(|number| {
            let mut body = items_order(&[("CUP", 1)]);
            body["payment"]["token"] = json!("tok_timeout");
            let admin = admin.clone();
            tokio::spawn(
                async move { post_with_key(&admin, "/orders", &format!("slow-{number}"), &body).await },
            )
        })
        .collect();
    eventually("the gateway has charged and does not answer", async || {
        documents(&host, "sandbox_charges").await.len() == SLOW
    })
    .await;
    for _ in 0..3 {
        let guest = Shopper::with(host.anonymous(), &[("CUP", 1)]).await;
        guest.send(Method::POST, "/items", &json!({"sku": "CUP", "quantity": 2})).await.expect(200);
        assert_eq!(guest.quote().await["lines"][0]["quantity"], 3);
    }
    assert!(slow.iter().all(|call| !call.is_finished()), "all that while they waited");
    for call in slow {
        call.await.unwrap().expect(202);
    }
    host.clock.advance(OUTCOME);
    eventually("it is known what became of them", async || {
        documents(&host, "orders").await.into_values().all(|order| order["status"] == "confirmed")
    })
    .await;
    assert_eq!(documents(&host, "sandbox_charges").await.len(), SLOW);
    conservation::check(&host).await;
}

async fn is_found_and_not_made_again(mut host: TestHost, token: &str) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 3).await;
    let guest = Shopper::with(host.anonymous(), &[("CUP", 2)]).await;
    let body = guest.order(token);
    let first = guest.checkout(&key("timeout"), &body).await;
    let first_told = told(&first);
    let order = first.expect(202);
    assert_eq!((&order["status"], &order["paymentStatus"]), (&json!("pending"), &json!("unknown")));
    let path = format!("/orders/{}", id(&order));
    writes_nothing(&host, async {
        let again = guest.checkout(&key("timeout"), &body).await;
        assert!(is_replayed(&again));
        assert_eq!(told(&again), first_told);
        let another = guest.checkout(&key("another"), &guest.order("tok_approve")).await;
        another.expect_problem(409, "cart_locked");
        let paying = json!({"provider": "payment-sandbox", "token": "tok_approve"});
        let paid = guest.draft(Method::POST, &format!("{path}/payments"));
        let paid = guest.client.send(paid.header("idempotency-key", &key("pay")).json(&paying)).await;
        assert_eq!(paid.expect_problem(422, "amount_out_of_range")["remaining"]["amount"], 0);
    })
    .await;
    assert_eq!(charges(&host, id(&order)).await.len(), 1);

    host.clock.advance(OUTCOME);
    eventually("the charge is found", async || admin.get(&path).await.expect(200)["status"] == "confirmed")
        .await;
    let confirmed = admin.get(&path).await.expect(200);
    assert_eq!(confirmed["paymentStatus"], "authorized");
    let charged = charges(&host, id(&order)).await;
    assert_eq!((charged.len(), &charged[0]["authorized"]), (1, &order["totals"]["grand"]["amount"]));
    // The answer of then stays the answer.
    let again = guest.checkout(&key("timeout"), &body).await;
    assert_eq!(told(&again), first_told);
    let cart = guest.send(Method::GET, "", &Value::Null).await.expect(200);
    assert_eq!(cart["status"], "ordered");
    conservation::check(&host).await;
}

async fn a_capture_without_an_answer_is_settled_once(host: TestHost) {
    is_settled_once(host, "capture").await;
}

async fn a_refund_without_an_answer_is_settled_once(host: TestHost) {
    is_settled_once(host, "refund").await;
}

async fn is_settled_once(mut host: TestHost, what: &str) {
    let (exceeds, member, status) = match what {
        "capture" => ("capture_exceeds_authorization", "captured", "paid"),
        _ => ("refund_exceeds_capture", "refunded", "refunded"),
    };
    let admin = host.admin().await;
    sell(&admin, "CUP", 3).await;
    let mut body = items_order(&[("CUP", 2)]);
    body["payment"]["token"] = json!(format!("tok_timeout_{what}"));
    let order = post_with_key(&admin, "/orders", "order", &body).await.expect(201);
    let payment = order["payments"][0]["id"].as_str().unwrap();
    if what == "refund" {
        post_with_key(&admin, &format!("/payments/{payment}/capture"), "before", &json!({}))
            .await
            .expect(200);
    }
    let moving = format!("/payments/{payment}/{what}");
    let first = post_with_key(&admin, &moving, "k1", &json!({})).await;
    let first_status = first.status;
    let problem = first.expect_problem(504, "payment_unknown");
    assert_eq!(first_status, 504);
    let path = format!("/orders/{}", id(&order));
    let open = admin.get(&path).await.expect(200);
    let transactions = open["payments"][0]["transactions"].as_array().unwrap();
    let last = transactions.last().unwrap();
    assert_eq!((&last["id"], &last["state"]), (&problem["transactionId"], &json!("unknown")));
    writes_nothing(&host, async {
        let again = post_with_key(&admin, &moving, "k1", &json!({})).await;
        assert!(is_replayed(&again));
        let again = again.expect_problem(504, "payment_unknown");
        assert_eq!(again["transactionId"], problem["transactionId"]);
        let more = post_with_key(&admin, &moving, "k2", &json!({})).await;
        assert_eq!(more.expect_problem(422, exceeds)["remaining"]["amount"], 0);
    })
    .await;

    host.clock.advance(OUTCOME);
    eventually("the outcome is found", async || {
        admin.get(&path).await.expect(200)["paymentStatus"] == status
    })
    .await;
    let now = admin.get(&path).await.expect(200);
    assert_eq!(now["payments"][0]["transactions"].as_array().unwrap().len(), transactions.len());
    let charged = charges(&host, id(&order)).await;
    assert_eq!((charged.len(), &charged[0][member]), (1, &order["totals"]["grand"]["amount"]));
    let more = post_with_key(&admin, &moving, "k3", &json!({})).await;
    more.expect_problem(422, exceeds);
    conservation::check(&host).await;
}

async fn a_repeat_goes_on_while_what_is_outdated_is_swept_away(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 3).await;
    for round in 0..3 {
        let guest = Shopper::with(host.anonymous(), &[("CUP", 1)]).await;
        let (name, body) = (key(&format!("swept-{round}")), guest.order("tok_timeout"));
        let hasty = tokio::spawn({
            let (guest, name, body) = (guest.clone(), name.clone(), body.clone());
            async move { guest.checkout(&name, &body).await.status }
        });
        eventually("the provider is asked", async || {
            documents(&host, "sandbox_charges").await.len() == round + 1
        })
        .await;
        // The client hangs up, and after a minute asks again.
        hasty.abort();
        host.clock.advance(Duration::from_secs(61));
        let is_answered = AtomicBool::new(false);
        let sweeping = async {
            while !is_answered.load(Ordering::Relaxed) {
                host.app.housekeep().await;
            }
        };
        let asking = async {
            let order = found_within(Duration::from_secs(20), "the order is answered", async || {
                let answer = guest.checkout(&name, &body).await;
                if [201, 202].contains(&answer.status.as_u16()) {
                    return Some(answer.json());
                }
                answer.expect_problem(409, "idempotency_in_progress");
                None
            })
            .await;
            is_answered.store(true, Ordering::Relaxed);
            order
        };
        let (order, ()) = join!(asking, sweeping);
        assert_eq!(charges(&host, id(&order)).await.len(), 1);
        host.clock.advance(OUTCOME);
        eventually("the order is confirmed", async || {
            admin.get(&format!("/orders/{}", id(&order))).await.expect(200)["status"] == "confirmed"
        })
        .await;
    }
    assert_eq!(documents(&host, "orders").await.len(), 3);
    conservation::check(&host).await;
}
