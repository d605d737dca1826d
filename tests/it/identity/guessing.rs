//! Guessing passwords gets slower, and never keeps the owner out.

use std::time::Duration;

use futures_util::future::join_all;
use hyper::Method;
use platform_tests::{
    client::Answer,
    host::{TestHost, TestHostBuilder},
    shop::documents,
};
use serde_json::json;

use super::people::{PASSWORD, account, host, host_on_mongodb, login};

on_each_backend!(
    host(), host_on_mongodb();
    after_some_failures_the_next_has_to_wait,
    many_guesses_at_once_are_not_free,
);

/// A host that believes what the tests say of their address.
async fn behind_proxy() -> TestHost {
    let proxied = |config: &mut host::config::Config| {
        config.server.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    };
    TestHostBuilder::empty().configure(proxied).start().await
}

async fn login_from(host: &TestHost, address: &str, email: &str, password: &str) -> Answer {
    let client = host.anonymous();
    let draft = client.request(Method::POST, "/auth/customer/login").header("x-forwarded-for", address);
    client.send(draft.json(&json!({ "email": email, "password": password }))).await
}

async fn after_some_failures_the_next_has_to_wait(host: TestHost) {
    account(&host, host::identity::AccountKind::Customer, "eve@example.com", &[]).await;
    // People who do not exist are treated alike.
    for email in ["eve@example.com", "nobody@example.com"] {
        for _ in 0..5 {
            login(&host, "customer", email, "wrong").await.expect_problem(401, "invalid_credentials");
        }
        for (wait, passed) in [("1", 1), ("2", 2), ("4", 4)] {
            let refused = login(&host, "customer", email, PASSWORD).await;
            assert_eq!(refused.header("retry-after"), Some(wait), "{email}");
            refused.expect_problem(429, "rate_limited");
            host.clock.advance(Duration::from_secs(passed));
            login(&host, "customer", email, "wrong").await.expect_problem(401, "invalid_credentials");
        }
    }
    // Never for good, and a login begins anew.
    host.clock.advance(Duration::from_secs(15 * 60));
    login(&host, "customer", "eve@example.com", PASSWORD).await.expect(200);
    login(&host, "customer", "eve@example.com", "wrong").await.expect_problem(401, "invalid_credentials");
    login(&host, "customer", "eve@example.com", PASSWORD).await.expect(200);
}

async fn many_guesses_at_once_are_not_free(host: TestHost) {
    account(&host, host::identity::AccountKind::Customer, "eve@example.com", &[]).await;
    let guesses = join_all((0..30).map(|_| login(&host, "customer", "eve@example.com", "wrong"))).await;
    let tried = guesses.iter().filter(|answer| answer.status == 401).count();
    let waiting = guesses.iter().filter(|answer| answer.status == 429).count();
    assert_eq!((tried, waiting), (5, 25));
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_from_elsewhere_does_not_keep_the_owner_out() {
    let host = behind_proxy().await;
    account(&host, host::identity::AccountKind::Customer, "eve@example.com", &[]).await;
    let (home, elsewhere) = ("203.0.113.7", "198.51.100.9");
    login_from(&host, home, "eve@example.com", PASSWORD).await.expect(200);
    for _ in 0..5 {
        login_from(&host, elsewhere, "eve@example.com", "wrong")
            .await
            .expect_problem(401, "invalid_credentials");
    }
    login_from(&host, elsewhere, "eve@example.com", PASSWORD).await.expect_problem(429, "rate_limited");
    login_from(&host, "192.0.2.1", "eve@example.com", PASSWORD).await.expect_problem(429, "rate_limited");
    login_from(&host, home, "eve@example.com", PASSWORD).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_cannot_try_many_accounts() {
    let host = behind_proxy().await;
    account(&host, host::identity::AccountKind::Customer, "eve@example.com", &[]).await;
    for number in 0..20 {
        login_from(&host, "2001:db8:0:1::7", &format!("a{number}@example.com"), "wrong")
            .await
            .expect_problem(401, "invalid_credentials");
    }
    // The network of one customer is one address.
    login_from(&host, "2001:db8:0:1::8", "eve@example.com", PASSWORD)
        .await
        .expect_problem(429, "rate_limited");
    login_from(&host, "2001:db8:0:2::7", "eve@example.com", PASSWORD).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_client_says_of_its_address_is_not_believed() {
    let host = host().await;
    account(&host, host::identity::AccountKind::Customer, "eve@example.com", &[]).await;
    for number in 0..5 {
        login_from(&host, &format!("203.0.113.{number}"), "eve@example.com", "wrong")
            .await
            .expect_problem(401, "invalid_credentials");
    }
    login_from(&host, "203.0.113.99", "eve@example.com", PASSWORD).await.expect_problem(429, "rate_limited");
    let failures = documents(&host, "_audit").await;
    assert!(failures.values().all(|entry| entry["address"] == "127.0.0.1"), "{failures:?}");
}

/// How many passwords this process has hashed.
async fn hashes(host: &TestHost) -> u64 {
    let metrics = host.anonymous().get("//metrics").await.text();
    let line = metrics.lines().find_map(|line| line.strip_prefix("password_hashes_total "));
    line.unwrap_or("0").trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn known_and_unknown_people_cost_the_same_number_of_hashes() {
    let host = host().await;
    account(&host, host::identity::AccountKind::Customer, "known@example.com", &[]).await;
    let cost = async |flow: &str, email: &str, password: &str| {
        let before = hashes(&host).await;
        let status = login(&host, flow, email, password).await.status.as_u16();
        (status, hashes(&host).await - before)
    };
    assert_eq!(cost("customer", "known@example.com", "wrong").await, (401, 1));
    assert_eq!(cost("customer", "unknown@example.com", "wrong").await, (401, 1));
    assert_eq!(cost("admin", "known@example.com", PASSWORD).await, (401, 1));
    assert_eq!(cost("customer", "no address", "wrong").await, (401, 1));
    assert_eq!(cost("customer", "known@example.com", PASSWORD).await, (200, 1));
    let registers = async |email: &str| {
        let before = hashes(&host).await;
        let person = json!({"email": email, "password": PASSWORD, "name": "Eve"});
        let status = host.anonymous().post("/users", &person).await.status.as_u16();
        (status, hashes(&host).await - before)
    };
    assert_eq!(registers("known@example.com").await, (409, 1));
    assert_eq!(registers("new@example.com").await, (201, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_logins_leaves_the_catalogue_served() {
    let mut host = TestHostBuilder::shop()
        .configure(|config| {
            config.rate_limits.auth_per_minute = 0;
            config.auth.hash_queue = 4;
        })
        .start()
        .await;
    let admin = host.admin().await;
    let product = platform_tests::shop::product("Cup", "CUP-1");
    let made = admin.post("/products", &product).await.expect(201);
    let path = format!("/products/{}", made["id"].as_str().unwrap());
    let reader = host.anonymous();
    let emails: Vec<String> = (0..48).map(|number| format!("person{number}@example.com")).collect();
    let registers_and_logs_in = async |email: &str| {
        let person = json!({"email": email, "password": PASSWORD, "name": "Eve"});
        let registered = host.anonymous().post("/users", &person).await.status.as_u16();
        (registered, login(&host, "customer", email, PASSWORD).await.status.as_u16())
    };
    let flood = emails.iter().map(|email| registers_and_logs_in(email));
    let reads = async {
        for _ in 0..100 {
            reader.get(&path).await.expect(200);
            admin.get("/products").await.expect(200);
        }
    };
    let (flooded, ()) = futures_util::join!(join_all(flood), reads);
    assert!(flooded.iter().all(|(made, _)| [201, 429].contains(made)), "{flooded:?}");
    assert!(flooded.iter().all(|(_, login)| [200, 401, 429].contains(login)), "{flooded:?}");
    // Some were told to come back, so it was a flood.
    assert!(flooded.iter().any(|(made, _)| *made == 429), "{flooded:?}");
}
