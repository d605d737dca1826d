//! Two hosts serve one shop, from one database.

use futures_util::future::join_all;
use hyper::Method;
use platform_tests::{
    checkout::{Shopper, items_order, key, post_with_key, sell},
    client::Client,
    conservation,
    host::{TestHost, TestHostBuilder},
    shop::{documents, id},
    store::mongod,
    wait::eventually,
};
use serde_json::{Value, json};

/// A shop with two hosts, and an administrator at each of them.
struct Shop {
    hosts: [TestHost; 2],
    admins: [Client; 2],
}

async fn shop() -> Shop {
    let mut first = TestHostBuilder::shop().patient().on_mongodb().start().await;
    let database = first.database().unwrap();
    let second = TestHostBuilder::shop().patient().on_database(database).start().await;
    assert_eq!((first.refusals(), second.refusals()), (vec![], vec![]));
    let admin = first.admin().await;
    let admins = [admin.clone(), admin.moved_to(second.origin())];
    Shop { hosts: [first, second], admins }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_into_a_cart_at_either_host_is_in_it() {
    const TIMES: usize = 20;
    if !mongod::is_there() {
        return;
    }
    let Shop { hosts, admins } = shop().await;
    sell(&admins[0], "CUP", 100).await;
    let guest = Shopper::with(hosts[0].anonymous(), &[("CUP", 1)]).await;
    let guests = [guest.clone(), guest.moved_to(hosts[1].origin())];
    let cup = json!({"sku": "CUP", "quantity": 1});
    let adding = (0..2 * TIMES).map(|number| guests[number % 2].send(Method::POST, "/items", &cup));
    for answer in join_all(adding).await {
        answer.expect(200);
    }
    for guest in &guests {
        let cart = guest.send(Method::GET, "", &Value::Null).await.expect(200);
        assert_eq!(cart["items"][0]["quantity"], 2 * TIMES + 1);
    }
    // Quoted by one and ordered by the other.
    let quote = guests[0].quote().await;
    let mut body = guests[1].order("tok_approve");
    body["quoteId"] = quote["quoteId"].clone();
    let order = guests[1].checkout(&key("other-host"), &body).await.expect(201);
    assert_eq!(order["totals"], quote["totals"]);
    conservation::check(&hosts[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_either_host_sells_is_sold_once() {
    const PIECES: i64 = 12;
    const BUYERS: usize = 40;
    if !mongod::is_there() {
        return;
    }
    let Shop { hosts, admins } = shop().await;
    sell(&admins[0], "CUP", PIECES).await;
    let buying = (0..BUYERS).map(|number| {
        let admin = &admins[number % 2];
        let body = items_order(&[("CUP", 1)]);
        async move { post_with_key(admin, "/orders", &format!("buyer-{number}"), &body).await }
    });
    let mut sold = 0;
    for answer in join_all(buying).await {
        match answer.status.as_u16() {
            201 => sold += 1,
            _ => drop(answer.expect_problem(409, "insufficient_stock")),
        }
    }
    assert_eq!(sold, PIECES);
    assert_eq!(admins[1].get("/inventory/CUP").await.expect(200)["available"], 0);
    for host in &hosts {
        conservation::check(host).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_comes_to_both_hosts_at_once_is_one_order() {
    const KEYS: usize = 8;
    if !mongod::is_there() {
        return;
    }
    let Shop { hosts, admins } = shop().await;
    sell(&admins[0], "CUP", 100).await;
    for number in 0..KEYS {
        let guest = Shopper::with(hosts[0].anonymous(), &[("CUP", 2)]).await;
        let guests = [guest.clone(), guest.moved_to(hosts[1].origin())];
        let name = key(&format!("both-{number}"));
        let body = guest.order("tok_approve");
        let answers = join_all((0..6).map(|turn| guests[turn % 2].checkout(&name, &body))).await;
        let mut made = Vec::new();
        for answer in answers {
            match answer.status.as_u16() {
                201 => made.push(answer.expect(201)),
                _ => drop(answer.expect_problem(409, "idempotency_in_progress")),
            }
        }
        assert!(made.windows(2).all(|two| two[0] == two[1]), "{made:?}");
        for guest in &guests {
            made.push(guest.checkout(&name, &body).await.expect(201));
        }
        assert!(made.windows(2).all(|two| two[0] == two[1]), "{made:?}");
    }
    assert_eq!(documents(&hosts[0], "orders").await.len(), KEYS);
    assert_eq!(documents(&hosts[0], "sandbox_charges").await.len(), KEYS);
    conservation::check(&hosts[0]).await;
}

/// What one host has begun the other finishes, once the first has left.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_left_alone_settles_what_the_other_began() {
    if !mongod::is_there() {
        return;
    }
    let Shop { hosts: [first, second], admins } = shop().await;
    // The provider is not waited for as long as by patient ones.
    let hasty = platform_tests::host::SHOP_GRANTS.replace("timeout_ms = 3000", "timeout_ms = 1000");
    first.grant(&hasty).await;
    sell(&admins[0], "CUP", 5).await;
    let mut body = items_order(&[("CUP", 1)]);
    body["payment"]["token"] = json!("tok_timeout");
    let order = post_with_key(&admins[0], "/orders", "begun", &body).await.expect(202);
    assert_eq!(order["paymentStatus"], "unknown");
    drop(first.stop().await);
    second.clock.advance(std::time::Duration::from_secs(120));
    let path = format!("/orders/{}", id(&order));
    eventually("the other host has asked", async || {
        admins[1].get(&path).await.expect(200)["status"] == "confirmed"
    })
    .await;
    assert_eq!(documents(&second, "sandbox_charges").await.len(), 1);
    conservation::check(&second).await;
}
