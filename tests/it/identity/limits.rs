//! Quotas: how much an account or an address may ask for.

use std::time::Duration;

use platform_tests::host::{TestHost, TestHostBuilder};
use serde_json::json;

use super::people::{PASSWORD, client, customer, login, me};

async fn host(auth: u32, read: u32, exempt: &'static [&'static str]) -> TestHost {
    TestHostBuilder::empty()
        .configure(move |config| {
            config.rate_limits.auth_per_minute = auth;
            config.rate_limits.read_per_minute = read;
            config.rate_limits.exempt = exempt.iter().map(|network| network.parse().unwrap()).collect();
        })
        .start()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_told_and_comes_back() {
    let host = host(3, 0, &[]).await;
    let first = customer(&host, "eve@example.com").await;
    let second = login(&host, "customer", "eve@example.com", PASSWORD).await;
    assert_eq!(second.header("ratelimit-policy"), Some("\"auth\";q=3;w=60"));
    assert_eq!(second.header("ratelimit"), Some("\"auth\";r=1;t=40"));
    second.expect(200);
    login(&host, "customer", "eve@example.com", PASSWORD).await.expect(200);
    let refused = login(&host, "customer", "eve@example.com", PASSWORD).await;
    assert_eq!(refused.header("retry-after"), Some("20"));
    assert_eq!(refused.header("ratelimit"), Some("\"auth\";r=0;t=20"));
    let problem = refused.expect_problem(429, "rate_limited");
    assert_eq!(problem["retryable"], true);
    // Reading has a quota of its own, which is none here.
    let read = me(&client(&host, &first)).await;
    assert_eq!(read.header("ratelimit"), None);
    read.expect(200);
    host.clock.advance(Duration::from_secs(20));
    login(&host, "customer", "eve@example.com", PASSWORD).await.expect(200);
    login(&host, "customer", "eve@example.com", PASSWORD).await.expect_problem(429, "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_have_quotas_of_their_own() {
    let host = host(0, 2, &[]).await;
    let eve = client(&host, &customer(&host, "eve@example.com").await);
    let bob = client(&host, &customer(&host, "bob@example.com").await);
    for _ in 0..2 {
        me(&eve).await.expect(200);
    }
    me(&eve).await.expect_problem(429, "rate_limited");
    me(&bob).await.expect(200);
    // Who has no good token shares the address's.
    host.with_token("x").get("/auth/me").await.expect_problem(401, "token_invalid");
    host.anonymous().get("/products").await.expect_problem(404, "not_found");
    host.anonymous().get("/auth/me").await.expect_problem(401, "unauthenticated");
    host.with_token("x").get("/auth/me").await.expect_problem(429, "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exempt_network_has_no_quota() {
    let host = host(0, 1, &["127.0.0.0/8"]).await;
    for _ in 0..3 {
        host.anonymous().get("/auth/me").await.expect_problem(401, "unauthenticated");
    }
    let eve = client(&host, &customer(&host, "eve@example.com").await);
    me(&eve).await.expect(200);
    me(&eve).await.expect_problem(429, "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_count_for_their_address_whoever_makes_them() {
    let host =
        TestHostBuilder::shop().configure(|config| config.rate_limits.auth_per_minute = 6).start().await;
    let person =
        |number: u32| json!({"email": format!("p{number}@example.com"), "password": PASSWORD, "name": "P"});
    host.anonymous().post("/users", &person(0)).await.expect(201);
    let tokens = login(&host, "customer", "p0@example.com", PASSWORD).await.expect(200);
    let customer = host.with_token(tokens["accessToken"].as_str().unwrap());
    customer.post("/users", &person(1)).await.expect(201);
    let moves = json!({"email": "p1@example.com"});
    customer.patch("/users/me", &moves).await.expect_problem(409, "already_exists");
    customer.post("/users", &person(2)).await.expect(201);
    host.anonymous().post("/users", &person(3)).await.expect(201);
    host.anonymous().post("/users", &person(4)).await.expect_problem(429, "rate_limited");
    customer.post("/users", &person(4)).await.expect_problem(429, "rate_limited");
    customer.patch("/users/me", &moves).await.expect_problem(429, "rate_limited");
    // What is no question for an address goes on.
    customer.get("/users/me").await.expect(200);
    let address = json!({"name": "P", "line1": "1", "city": "Kiel", "postalCode": "24103", "country": "DE"});
    customer.post("/users/me/addresses", &address).await.expect(201);
    // Staff are not held up by it.
    let mut host = host;
    host.clock.advance(std::time::Duration::from_secs(60));
    let admin = host.admin().await;
    for number in 10..18 {
        admin.post("/users", &person(number)).await.expect(201);
    }
}
