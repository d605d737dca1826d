//! Guessing passwords gets slower, and never keeps the owner out.

use std::time::Duration;

use futures_util::future::join_all;
use platform_tests::{host::TestHost, shop::documents};
use serde_json::json;

use super::{
    elsewhere::login_from,
    people::{PASSWORD, account, host, host_on_mongodb, login},
};

on_each_backend!(
    host(), host_on_mongodb();
    after_some_failures_the_next_has_to_wait,
    many_guesses_at_once_are_not_free,
    what_the_client_says_of_its_address_is_not_believed,
    known_and_unknown_people_cost_the_same_number_of_hashes,
);

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

async fn what_the_client_says_of_its_address_is_not_believed(host: TestHost) {
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

async fn known_and_unknown_people_cost_the_same_number_of_hashes(host: TestHost) {
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
