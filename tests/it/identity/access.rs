//! Who may do what of the host's own: every route, every kind of caller.

use host::identity::AccountKind;
use platform_tests::client::{Answer, Client};
use serde_json::{Value, json};

use super::people::{PASSWORD, account, client, customer, host, login};

/// A route, a body that is accepted as far as access goes, and who may.
pub(crate) struct Row {
    pub(crate) route: &'static str,
    body: Option<&'static str>,
    access: Access,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Public,
    /// Whoever has an account.
    Person,
    /// Whoever has a token or a key.
    Signed,
    Permission(&'static str),
}

const fn row(route: &'static str, body: Option<&'static str>, access: Access) -> Row {
    Row { route, body, access }
}

const ROLE: Option<&str> = Some(r#"{"name": "x", "permissions": []}"#);
const LOGIN: Option<&str> = Some(r#"{"email": "nobody@example.com", "password": "x"}"#);
const REFRESH: Option<&str> = Some(r#"{"refreshToken": "x"}"#);
const RESET: Option<&str> = Some(r#"{"token": "x", "newPassword": "a long enough one"}"#);
const PASSWORDS: Option<&str> = Some(r#"{"currentPassword": "x", "newPassword": "short"}"#);
const KEY: Option<&str> = Some(r#"{"name": "x", "permissions": ["roles:write"]}"#);

pub(crate) const ROWS: &[Row] = &[
    row("POST /auth/customer/login", LOGIN, Access::Public),
    row("POST /auth/admin/login", LOGIN, Access::Public),
    row("POST /auth/refresh", REFRESH, Access::Public),
    row("POST /auth/logout", REFRESH, Access::Public),
    row("GET /auth/me", None, Access::Signed),
    row("POST /auth/password", PASSWORDS, Access::Person),
    row("POST /auth/password/forgot", Some(r#"{"email": "nobody@example.com"}"#), Access::Public),
    row("POST /auth/password/reset", RESET, Access::Public),
    row("POST /auth/email/verification", None, Access::Person),
    row("POST /auth/email/verify", Some(r#"{"token": "x"}"#), Access::Public),
    row("GET /auth/sessions", None, Access::Person),
    row("DELETE /auth/sessions/{id}", None, Access::Person),
    row("DELETE /auth/sessions", None, Access::Person),
    row("GET /roles", None, Access::Permission("roles:read")),
    row("POST /roles", ROLE, Access::Permission("roles:write")),
    row("GET /roles/{id}", None, Access::Permission("roles:read")),
    row("PUT /roles/{id}", ROLE, Access::Permission("roles:write")),
    row("DELETE /roles/{id}", None, Access::Permission("roles:write")),
    row("GET /permissions", None, Access::Permission("roles:read")),
    row("GET /api-keys", None, Access::Permission("apikeys:read")),
    row("POST /api-keys", KEY, Access::Permission("apikeys:write")),
    row("DELETE /api-keys/{id}", None, Access::Permission("apikeys:write")),
    row("GET /audit", None, Access::Permission("audit:read")),
];

async fn call(client: &Client, row: &Row) -> Answer {
    let (method, path) = row.route.split_once(' ').unwrap();
    let draft = client.request(method.parse().unwrap(), &path.replace("{id}", "nothing"));
    client
        .send(match row.body {
            Some(body) => draft.json(&serde_json::from_str::<Value>(body).unwrap()),
            None => draft,
        })
        .await
}

/// Refused for who the caller is, and not for what is asked.
fn is_refused(answer: &Answer) -> bool {
    let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
    ["unauthenticated", "forbidden", "token_revoked"].contains(&code.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_each_caller_as_its_row_says() {
    let mut host = host().await;
    let admin = host.admin().await;
    let reads = json!({"name": "Reader", "permissions": ["roles:read", "apikeys:read"]});
    let reads = admin.post("/roles", &reads).await.expect(201);
    let key = json!({"name": "Key", "permissions": ["roles:write", "apikeys:write"]});
    let key = admin.post("/api-keys", &key).await.expect(201);
    account(&host, AccountKind::Admin, "nobody-special@example.com", &[]).await;
    account(&host, AccountKind::Admin, "reader@example.com", &[reads["id"].as_str().unwrap()]).await;
    customer(&host, "eve@example.com").await;
    for row in ROWS {
        // Some routes end the session that they are called with.
        let staff = async |email| client(&host, &login(&host, "admin", email, PASSWORD).await.expect(200));
        let eve = client(&host, &login(&host, "customer", "eve@example.com", PASSWORD).await.expect(200));
        let callers = [
            ("anonymous", host.anonymous(), &[][..], false, false),
            ("customer", eve, &[], true, true),
            ("staff without a role", staff("nobody-special@example.com").await, &[], true, true),
            ("reader", staff("reader@example.com").await, &["roles:read", "apikeys:read"], true, true),
            (
                "service account",
                host.with_token(key["key"].as_str().unwrap()),
                &["roles:write", "apikeys:write"],
                true,
                false,
            ),
            (
                "superadmin",
                staff(platform_tests::host::ADMIN_EMAIL).await,
                &["roles:read", "roles:write", "apikeys:read", "apikeys:write", "audit:read"],
                true,
                true,
            ),
        ];
        for (name, client, permissions, signed, person) in callers {
            let may = match row.access {
                Access::Public => true,
                Access::Signed => signed,
                Access::Person => person,
                Access::Permission(permission) => permissions.contains(&permission),
            };
            let answer = call(&client, row).await;
            assert_eq!(!is_refused(&answer), may, "{} as {name}: {}", row.route, answer.text());
            if !may {
                let (status, code) = if signed { (403, "forbidden") } else { (401, "unauthenticated") };
                answer.expect_problem(status, code);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_tell_their_methods_and_refuse_what_they_do_not_take() {
    let host = host().await;
    let client = host.anonymous();
    let options = |path: &'static str| client.send(client.request("OPTIONS".parse().unwrap(), path));
    assert_eq!(options("/roles/x").await.header("allow"), Some("DELETE, GET, HEAD, OPTIONS, PUT"));
    let refused = client.patch("/roles/x", &json!({})).await;
    assert_eq!(refused.header("allow"), Some("DELETE, GET, HEAD, OPTIONS, PUT"));
    refused.expect_problem(405, "method_not_allowed");
    client.get("/auth/nothing").await.expect_problem(404, "not_found");
    let plain = client.request("POST".parse().unwrap(), "/auth/refresh").text("{}");
    client.send(plain).await.expect_problem(415, "unsupported_media_type");
    client.post("/auth/refresh?x=1", &json!({})).await.expect_problem(400, "unknown_parameter");
    let html = client.request("GET".parse().unwrap(), "/auth/me").header("accept", "text/html");
    client.send(html).await.expect_problem(406, "not_acceptable");
}
