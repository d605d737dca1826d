//! People to log in.

use host::identity::{AccountKind, NewAccount, User};
use hyper::Method;
use platform_tests::{
    client::{Answer, Client},
    host::{ADMIN_PASSWORD, SHOP_GRANTS, TestHost, TestHostBuilder},
};
use secrecy::SecretString;
use serde_json::{Value, json};

pub(super) const PASSWORD: &str = ADMIN_PASSWORD;

/// A host with the one plugin that is about people, and without quotas, which have tests of their own.
pub(super) fn builder() -> TestHostBuilder {
    TestHostBuilder::empty()
        .plugin("users")
        .grants(SHOP_GRANTS)
        .configure(|config| config.rate_limits.auth_per_minute = 0)
}

pub(super) async fn host() -> TestHost {
    builder().start().await
}

pub(super) async fn host_on_mongodb() -> TestHost {
    builder().on_mongodb().start().await
}

pub(super) async fn account(host: &TestHost, kind: AccountKind, email: &str, roles: &[&str]) -> User {
    let new = NewAccount {
        email: email.to_owned(),
        name: "Eve".to_owned(),
        kind,
        roles: roles.iter().map(|&role| role.to_owned()).collect(),
    };
    host.app.identity().account_create(new, SecretString::from(PASSWORD)).await.unwrap()
}

pub(super) async fn login(host: &TestHost, flow: &str, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password });
    host.anonymous().post(&format!("/auth/{flow}/login"), &body).await
}

/// A customer, logged in.
pub(super) async fn customer(host: &TestHost, email: &str) -> Value {
    account(host, AccountKind::Customer, email, &[]).await;
    login(host, "customer", email, PASSWORD).await.expect(200)
}

pub(super) fn client(host: &TestHost, tokens: &Value) -> Client {
    host.with_token(tokens["accessToken"].as_str().unwrap())
}

pub(super) async fn refresh(host: &TestHost, token: &Value) -> Answer {
    host.anonymous().post("/auth/refresh", &json!({ "refreshToken": token })).await
}

/// Whether a token still counts.
pub(super) async fn me(client: &Client) -> Answer {
    client.get("/auth/me").await
}

pub(super) async fn logout(client: &Client) -> Answer {
    client.send(client.request(Method::POST, "/auth/logout")).await
}
