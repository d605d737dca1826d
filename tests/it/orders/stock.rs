//! What many want at once: no piece is sold twice, no line of a cart is lost, and of two who want what only one can have
//! one gets it.

use std::time::Duration;

use futures_util::{
    future::join_all,
    join,
    stream::{self, StreamExt as _},
};
use hyper::Method;
use platform_tests::{
    checkout::{Shopper, items_order, key, post_with_key, sell},
    client::{Answer, Client},
    conservation,
    host::{TestHost, TestHostBuilder},
    random::runner,
    sandbox::{deliver, event, reference},
    shop::{documents, id},
    sizes::{DUELS, MIXED_ORDERS, SALE_BUYERS, SALE_PIECES, SALES},
    wait::eventually,
};
use proptest::{
    collection::vec,
    strategy::{Strategy as _, ValueTree as _},
};
use serde_json::{Value, json};

on_each_backend!(
    shop().start(), shop().on_mongodb().start();
    no_piece_is_sold_twice,
    lines_of_one_sku_count_together,
    orders_of_many_skus_do_not_wait_for_each_other,
    a_reservation_that_is_over_is_sold_or_paid_and_not_both,
    an_order_is_cancelled_or_sent_and_not_both,
    money_is_given_back_once,
    nothing_that_is_put_into_a_cart_at_once_is_lost,
);

fn shop() -> TestHostBuilder {
    TestHostBuilder::shop().patient()
}

/// So many guests with one piece each in their carts.
async fn guests(host: &TestHost, count: u32, sku: &str) -> Vec<Shopper> {
    let client = &host.anonymous();
    let guests = (0..count).map(|_| async move { Shopper::with(client.clone(), &[(sku, 1)]).await });
    stream::iter(guests).buffer_unordered(16).collect().await
}

async fn level(admin: &Client, sku: &str) -> [i64; 3] {
    let level = admin.get(&format!("/inventory/{sku}")).await.expect(200);
    ["onHand", "reserved", "available"].map(|name| level[name].as_i64().unwrap())
}

async fn no_piece_is_sold_twice(mut host: TestHost) {
    let admin = host.admin().await;
    let (pieces, buyers) = (i64::from(SALE_PIECES.get()), SALE_BUYERS.get());
    for sale in 0..SALES.get() {
        let sku = format!("CUP-{sale}");
        sell(&admin, &sku, pieces).await;
        let guests = guests(&host, buyers, &sku).await;
        let orders = guests.iter().enumerate().map(|(number, guest)| async move {
            guest.checkout(&key(&format!("sale-{number}")), &guest.order("tok_approve")).await
        });
        let mut sold = 0;
        for answer in join_all(orders).await {
            if answer.status == 201 {
                sold += 1;
            } else {
                let problem = answer.expect_problem(409, "insufficient_stock");
                assert_eq!(problem["items"], json!([{"sku": sku, "requested": 1, "available": 0}]));
            }
        }
        assert_eq!((sold, level(&admin, &sku).await), (pieces, [pieces, pieces, 0]), "sale {sale}");
        conservation::check(&host).await;
    }
}

async fn lines_of_one_sku_count_together(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 5).await;
    let refused = post_with_key(&admin, "/orders", "k1", &items_order(&[("CUP", 3), ("CUP", 3)])).await;
    let told = json!([{"sku": "CUP", "requested": 6, "available": 5}]);
    assert_eq!(refused.expect_problem(409, "insufficient_stock")["items"], told);
    // The same by its two names.
    let product = admin.get("/products?filter[variants.sku][eq]=CUP").await.expect(200);
    let guest = Shopper::with(host.anonymous(), &[("CUP", 3)]).await;
    let by_id = json!({"variantId": product[0]["variants"][0]["id"], "quantity": 3});
    let cart = guest.send(Method::POST, "/items", &by_id).await.expect(200);
    assert_eq!((cart["items"].as_array().unwrap().len(), &cart["items"][0]["quantity"]), (1, &json!(6)));
    let refused = guest.checkout(&key("named-twice"), &guest.order("tok_approve")).await;
    assert_eq!(refused.expect_problem(409, "insufficient_stock")["items"], told);
    let mut both = items_order(&[("CUP", 3), ("CUP", 3)]);
    both["items"][1] = by_id;
    let refused = post_with_key(&admin, "/orders", "k2", &both).await;
    assert_eq!(refused.expect_problem(409, "insufficient_stock")["items"], told);
    assert_eq!(level(&admin, "CUP").await, [5, 0, 5]);

    let order = items_order(&[("CUP", 1), ("CUP", 1)]);
    let keys: Vec<String> = (0..8).map(|number| format!("pair-{number}")).collect();
    let answers = join_all(keys.iter().map(|key| post_with_key(&admin, "/orders", key, &order))).await;
    let mut sold = 0;
    for answer in answers {
        if answer.status == 201 {
            sold += 1;
            assert_eq!(answer.json()["items"].as_array().unwrap().len(), 2);
        } else {
            let problem = answer.expect_problem(409, "insufficient_stock");
            assert_eq!(problem["items"][0]["requested"], 2);
        }
    }
    assert_eq!((sold, level(&admin, "CUP").await), (2, [5, 4, 1]));
    conservation::check(&host).await;
}

async fn orders_of_many_skus_do_not_wait_for_each_other(mut host: TestHost) {
    const SKUS: usize = 50;
    const LINES: usize = 8;
    let admin = host.admin().await;
    let orders = MIXED_ORDERS.get() as usize;
    // A little less than what is wanted.
    let pieces = (orders * LINES * 3 / 2 / SKUS).max(2) as i64 - 1;
    let skus: Vec<String> = (0..SKUS).map(|number| format!("S{number:02}")).collect();
    let selling = skus.iter().map(|sku| sell(&admin, sku, pieces));
    stream::iter(selling).buffer_unordered(8).collect::<Vec<()>>().await;
    let mut runner = runner(1);
    let wishes = vec((vec((0..SKUS, 1..3_u32), LINES), 0..4_u8), orders);
    let wishes = wishes.new_tree(&mut runner).unwrap().current();
    let ordering = wishes.iter().enumerate().map(|(number, (lines, fate))| {
        let (admin, skus) = (&admin, &skus);
        async move {
            let lines: Vec<(&str, u32)> =
                lines.iter().map(|&(sku, count)| (skus[sku].as_str(), count)).collect();
            let mut body = items_order(&lines);
            if *fate == 0 {
                body["payment"]["token"] = json!("tok_decline");
            }
            let answer = post_with_key(admin, "/orders", &format!("mixed-{number}"), &body).await;
            match (answer.status.as_u16(), *fate) {
                (201, 1) => {
                    let cancel = format!("/orders/{}/cancel", id(&answer.json()));
                    admin.post(&cancel, &json!({})).await.expect(200);
                }
                (201, _) => return true,
                (402, 0) => drop(answer.expect_problem(402, "payment_declined")),
                _ => {
                    let problem = answer.expect_problem(409, "insufficient_stock");
                    for item in problem["items"].as_array().unwrap() {
                        assert!(item["available"].as_i64() < item["requested"].as_i64(), "{problem}");
                    }
                }
            }
            false
        }
    });
    let sold: Vec<bool> = stream::iter(ordering).buffer_unordered(64).collect().await;
    let sold = sold.into_iter().filter(|sold| *sold).count();
    assert!(sold > 0);
    let kept = documents(&host, "orders").await;
    let confirmed = kept.values().filter(|order| order["status"] == "confirmed").count();
    assert_eq!(confirmed, sold);
    assert!(kept.values().all(|order| order["status"] != "pending"));
    conservation::check(&host).await;
}

async fn a_reservation_that_is_over_is_sold_or_paid_and_not_both(mut host: TestHost) {
    let admin = host.admin().await;
    let provider = host.anonymous();
    let (mut paid, mut sold) = (0, 0);
    for round in 0..DUELS.get() {
        let sku = format!("LAST-{round}");
        sell(&admin, &sku, 1).await;
        let late = Shopper::with(host.anonymous(), &[(sku.as_str(), 1)]).await;
        let next = Shopper::with(host.anonymous(), &[(sku.as_str(), 1)]).await;
        let waiting = late.checkout(&key("late"), &late.order("tok_action")).await.expect(202);
        assert_eq!(
            (&waiting["status"], &waiting["paymentStatus"]),
            (&json!("pending"), &json!("requiresAction"))
        );
        let told = next.checkout(&key("early"), &next.order("tok_approve")).await;
        told.expect_problem(409, "insufficient_stock");
        let webhook = event(&format!("evt_{round}"), "authorization", reference(&waiting), "succeeded");

        let (next_key, next_body) = (key("next"), next.order("tok_approve"));
        // Half of the time it is over before, and half of the time meanwhile.
        let is_over = round % 2 == 0;
        let move_clock = || host.clock.advance(Duration::from_secs(600));
        if is_over {
            move_clock();
        }
        let (heard, bought, ()) =
            join!(deliver(&provider, &webhook), next.checkout(&next_key, &next_body), async {
                if !is_over {
                    move_clock();
                }
            });
        heard.expect(200);
        let has_bought = bought.status == 201;
        if !has_bought {
            bought.expect_problem(409, "insufficient_stock");
        }
        let path = format!("/orders/{}", id(&waiting));
        let mut is_paid = false;
        eventually("the late order is confirmed or over", async || {
            let order = admin.get(&path).await.expect(200);
            is_paid = order["status"] == "confirmed";
            // What came too late is given back.
            is_paid || (order["status"] == "expired" && order["paymentStatus"] == "voided")
        })
        .await;
        assert!(!(is_paid && has_bought), "round {round}: it was sold twice");
        assert!(!is_over || is_paid || has_bought, "round {round}: nobody got it");
        assert_eq!(level(&admin, &sku).await[2], i64::from(!is_paid && !has_bought), "round {round}");
        conservation::check(&host).await;
        paid += u32::from(is_paid);
        sold += u32::from(has_bought);
    }
    assert!(paid + sold >= DUELS.get() / 2);
}

async fn an_order_is_cancelled_or_sent_and_not_both(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", i64::from(DUELS.get()) * 2).await;
    for round in 0..DUELS.get() {
        let body = items_order(&[("CUP", 2)]);
        let order = post_with_key(&admin, "/orders", &format!("duel-{round}"), &body).await.expect(201);
        let path = format!("/orders/{}", id(&order));
        let parcel = admin.post(&format!("{path}/fulfillments"), &json!({})).await.expect(201);
        let (cancel, ship) = (format!("{path}/cancel"), format!("/fulfillments/{}/ship", id(&parcel)));
        let nothing = json!({});
        let (cancelled, sent) = join!(admin.post(&cancel, &nothing), admin.post(&ship, &nothing));
        let now = admin.get(&path).await.expect(200);
        if sent.status == 200 {
            let refused = cancelled.expect_problem(409, "invalid_transition");
            assert_eq!((&refused["from"], &refused["to"]), (&json!("processing"), &json!("cancelled")));
            assert_eq!(
                (&now["status"], &now["fulfillmentStatus"]),
                (&json!("processing"), &json!("shipped"))
            );
        } else {
            let refused = sent.expect_problem(409, "invalid_transition");
            assert_eq!((&refused["from"], &refused["to"]), (&json!("cancelled"), &json!("shipped")));
            assert_eq!(cancelled.expect(200)["status"], "cancelled");
            assert_eq!((&now["status"], &now["fulfillmentStatus"]), (&json!("cancelled"), &json!("none")));
        }
        conservation::check(&host).await;
    }
}

async fn money_is_given_back_once(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", i64::from(DUELS.get())).await;
    let usd = |amount: i64| json!({"amount": {"amount": amount, "currency": "USD"}});
    for round in 0..DUELS.get() {
        let body = items_order(&[("CUP", 1)]);
        let order = post_with_key(&admin, "/orders", &format!("paid-{round}"), &body).await.expect(201);
        let path = format!("/orders/{}", id(&order));
        let payment = order["payments"][0]["id"].as_str().unwrap();
        // Captured once, whoever is first.
        let capture = format!("/payments/{payment}/capture");
        let keys: Vec<String> = (0..3).map(|number| format!("capture-{round}-{number}")).collect();
        let nothing = json!({});
        let captured = join_all(keys.iter().map(|key| post_with_key(&admin, &capture, key, &nothing))).await;
        one_of(captured, 1, "capture_exceeds_authorization");
        // All of it twice, or as many parts as there are in 1780.
        let (parts, count, winners) = if round % 2 == 0 { (1_780, 2, 1) } else { (400, 6, 4) };
        let refund = format!("/payments/{payment}/refund");
        let (keys, part): (Vec<String>, Value) =
            ((0..count).map(|number| format!("refund-{round}-{number}")).collect(), usd(parts));
        let refunded = join_all(keys.iter().map(|key| post_with_key(&admin, &refund, key, &part))).await;
        one_of(refunded, winners, "refund_exceeds_capture");
        let totals = &admin.get(&path).await.expect(200)["totals"];
        assert_eq!(totals["refunded"], usd(parts * winners as i64)["amount"], "{totals}");
        let charges = documents(&host, "sandbox_charges").await;
        let charge = charges.values().find(|charge| charge["orderId"] == order["id"]).unwrap();
        assert_eq!(
            (&charge["captured"], &charge["refunded"]),
            (&json!(1_780), &totals["refunded"]["amount"])
        );
        conservation::check(&host).await;
    }
}

/// Asserts that so many were done, and all others refused with this code and nothing that remains.
#[track_caller]
fn one_of(answers: Vec<Answer>, winners: usize, code: &str) {
    let mut done = 0;
    for answer in answers {
        if answer.status == 200 {
            done += 1;
        } else {
            let problem = answer.expect_problem(422, code);
            assert!(problem["remaining"]["amount"].as_i64().unwrap() < 400, "{problem}");
        }
    }
    assert_eq!(done, winners);
}

async fn nothing_that_is_put_into_a_cart_at_once_is_lost(mut host: TestHost) {
    const TIMES: usize = 50;
    let admin = host.admin().await;
    sell(&admin, "CUP", 0).await;
    let skus: Vec<String> = (0..TIMES).map(|number| format!("S{number:02}")).collect();
    let selling = skus.iter().map(|sku| sell(&admin, sku, 0));
    stream::iter(selling).buffer_unordered(8).collect::<Vec<()>>().await;
    let customer = host.customer("ada@example.com").await;
    for client in [host.anonymous(), customer] {
        let shopper = Shopper::with(client, &[]).await;
        let before = shopper.send(Method::GET, "", &Value::Null).await.expect(200);
        let cup = json!({"sku": "CUP", "quantity": 1});
        let same = join_all((0..TIMES).map(|_| shopper.send(Method::POST, "/items", &cup)));
        let others: Vec<Value> = skus.iter().map(|sku| json!({"sku": sku, "quantity": 2})).collect();
        let others = join_all(others.iter().map(|item| shopper.send(Method::POST, "/items", item)));
        let (same, others) = join!(same, others);
        let mut seen = Vec::new();
        for answer in same.into_iter().chain(others) {
            seen.push(answer.expect(200)["version"].as_u64().unwrap());
        }
        // Each saw a state of its own.
        seen.sort_unstable();
        let first = before["version"].as_u64().unwrap() + 1;
        assert_eq!(seen, (first..first + 2 * TIMES as u64).collect::<Vec<_>>());
        let cart = shopper.send(Method::GET, "", &Value::Null).await.expect(200);
        let mut lines: Vec<(String, u64)> = cart["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| (line["sku"].as_str().unwrap().to_owned(), line["quantity"].as_u64().unwrap()))
            .collect();
        lines.sort_unstable();
        let mut wanted: Vec<(String, u64)> = skus.iter().map(|sku| (sku.clone(), 2)).collect();
        wanted.insert(0, ("CUP".to_owned(), TIMES as u64));
        assert_eq!(lines, wanted);
    }
}
