//! Who knows an order's number and its address may read it, and who guesses is soon told to wait.

use std::time::Duration;

use hyper::Method;
use platform_tests::{
    checkout::{Shopper, key, sell},
    client::{Answer, Client},
    conservation,
    host::{TestHost, TestHostBuilder},
};
use serde_json::Value;

on_each_backend!(
    shop().start(), shop().on_mongodb().start();
    whoever_guesses_too_often_waits_and_nobody_else_does,
    every_way_to_guess_counts,
);

/// Guesses that an address has in a minute.
const GUESSES: u32 = 5;

/// A shop that believes what the tests say of their address.
fn shop() -> TestHostBuilder {
    TestHostBuilder::shop().patient().configure_more(|config| {
        config.rate_limits.auth_per_minute = GUESSES;
        config.server.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
}

/// Somebody at an address of their own.
struct Visitor<'h> {
    client: Client,
    address: &'h str,
}

impl Visitor<'_> {
    async fn send(&self, method: Method, path: &str) -> Answer {
        self.client.send(self.client.request(method, path).header("x-forwarded-for", self.address)).await
    }

    async fn find(&self, number: &str, email: &str) -> Answer {
        self.send(Method::GET, &format!("/orders/by-number/{number}?email={email}")).await
    }
}

/// An order of a guest's, who is `ada@example.com`.
async fn order(host: &mut TestHost) -> Value {
    let admin = host.admin().await;
    sell(&admin, "CUP", 5).await;
    let guest = Shopper::with(host.anonymous(), &[("CUP", 1)]).await;
    guest.checkout(&key("found"), &guest.order("tok_approve")).await.expect(201)
}

async fn whoever_guesses_too_often_waits_and_nobody_else_does(mut host: TestHost) {
    let order = order(&mut host).await;
    let number = order["number"].as_str().unwrap();
    let ada = host.customer("ada@example.com").await;
    let admin = host.admin().await;
    let guesser = Visitor { client: host.anonymous(), address: "203.0.113.7" };
    for guess in 0..GUESSES {
        let wrong = guesser.find(number, &format!("guess-{guess}@example.com")).await;
        let left = GUESSES - guess - 1;
        let told = wrong.header("ratelimit").unwrap().to_owned();
        assert!(told.starts_with(&format!("\"auth\";r={left};")), "{told}");
        wrong.expect_problem(404, "not_found");
    }
    // Also the right address does not help any more, or it would tell.
    for email in ["guess@example.com", "ada@example.com"] {
        let refused = guesser.find(number, email).await;
        assert_eq!(refused.header("retry-after"), Some("12"));
        let problem = refused.expect_problem(429, "rate_limited");
        assert_eq!(problem["retryable"], true);
    }
    // It reads and buys on.
    guesser.send(Method::GET, "/products").await.expect(200);
    let draft = guesser.client.request(Method::POST, "/carts").header("x-forwarded-for", guesser.address);
    guesser.client.send(draft.json(&serde_json::json!({}))).await.expect(201);

    // Others are at other addresses, have accounts, or are staff.
    let elsewhere = Visitor { client: host.anonymous(), address: "203.0.113.8" };
    assert_eq!(elsewhere.find(number, "ada@example.com").await.expect(200)["id"], order["id"]);
    let own = Shopper::with(ada.clone(), &[("CUP", 1)]).await;
    let own = own.checkout("own", &own.order("tok_approve")).await.expect(201);
    let customer = Visitor { client: ada, address: guesser.address };
    let found = customer.find(own["number"].as_str().unwrap(), "ada@example.com").await.expect(200);
    assert_eq!(found["id"], own["id"]);
    // An account that guesses has no more guesses than an address.
    let bob = host.customer("bob@example.com").await;
    let bob = Visitor { client: bob, address: "203.0.113.9" };
    for _ in 0..GUESSES {
        bob.find(number, "guess@example.com").await.expect_problem(404, "not_found");
    }
    bob.find(number, "ada@example.com").await.expect_problem(429, "rate_limited");
    let staff = Visitor { client: admin, address: guesser.address };
    for _ in 0..GUESSES * 2 {
        assert_eq!(staff.find(number, "ada@example.com").await.expect(200)["id"], order["id"]);
    }
    // Of IPv6 a network is one.
    for guess in 0..GUESSES {
        let address = format!("2001:db8:0:1::{guess}");
        let guesser = Visitor { client: host.anonymous(), address: &address };
        guesser.find(number, "guess@example.com").await.expect_problem(404, "not_found");
    }
    let neighbour = Visitor { client: host.anonymous(), address: "2001:db8:0:1::ff" };
    neighbour.find(number, "ada@example.com").await.expect_problem(429, "rate_limited");
    let other = Visitor { client: host.anonymous(), address: "2001:db8:0:2::1" };
    other.find(number, "ada@example.com").await.expect(200);

    // After a while there is another guess.
    host.clock.advance(Duration::from_secs(12));
    assert_eq!(guesser.find(number, "ada@example.com").await.expect(200)["id"], order["id"]);
    guesser.find(number, "ada@example.com").await.expect_problem(429, "rate_limited");
    conservation::check(&host).await;
}

async fn every_way_to_guess_counts(mut host: TestHost) {
    let order = order(&mut host).await;
    let number = order["number"].as_str().unwrap();
    let guesser = Visitor { client: host.anonymous(), address: "203.0.113.7" };
    // Numbers as well as addresses, and orders that are there as well as those that are not.
    guesser.find("260101-AAAAAA", "ada@example.com").await.expect_problem(404, "not_found");
    guesser.find("260101-BBBBBB", "ada@example.com").await.expect_problem(404, "not_found");
    guesser
        .send(Method::GET, &format!("/orders/by-number/{number}"))
        .await
        .expect_status_in(&[400, 404, 422]);
    let head = format!("/orders/by-number/{number}?email=guess@example.com");
    assert_eq!(guesser.send(Method::HEAD, &head).await.status, 404);
    guesser.find(number, "ada@example.com").await.expect(200);
    for method in [Method::GET, Method::HEAD] {
        assert_eq!(guesser.send(method, &head).await.status, 429);
    }
    // In other letters the path is another one, or the same and counted.
    for path in [
        "/orders/by%2Dnumber",
        "/orders/%62y-number",
        "/orders//by-number",
        "/orders/./by-number",
        "/Orders/by-number",
    ] {
        let answer = guesser.send(Method::GET, &format!("{path}/{number}?email=ada@example.com")).await;
        assert!(
            [400, 404, 429].contains(&answer.status.as_u16()),
            "{path}: {} {}",
            answer.status,
            answer.text()
        );
    }
    conservation::check(&host).await;
}
