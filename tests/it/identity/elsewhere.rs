//! Guesses from other addresses than the owner's.

use hyper::Method;
use platform_tests::{
    client::Answer,
    host::{TestHost, TestHostBuilder},
};
use serde_json::json;

use super::people::{PASSWORD, account};

on_each_backend!(
    behind_proxy().start(), behind_proxy().on_mongodb().start();
    guessing_from_elsewhere_does_not_keep_the_owner_out,
    one_address_cannot_try_many_accounts,
);

/// A host that believes what the tests say of their address.
fn behind_proxy() -> TestHostBuilder {
    let proxied = |config: &mut host::config::Config| {
        config.server.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    };
    TestHostBuilder::empty().configure(proxied)
}

pub(super) async fn login_from(host: &TestHost, address: &str, email: &str, password: &str) -> Answer {
    let client = host.anonymous();
    let draft = client.request(Method::POST, "/auth/customer/login").header("x-forwarded-for", address);
    client.send(draft.json(&json!({ "email": email, "password": password }))).await
}

async fn guessing_from_elsewhere_does_not_keep_the_owner_out(host: TestHost) {
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

async fn one_address_cannot_try_many_accounts(host: TestHost) {
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
