//! Keys of service accounts.

use std::time::Duration;

use hyper::Method;
use platform_tests::{
    host::{TestHost, TestHostBuilder},
    shop::{documents, product},
};
use serde_json::{Value, json};

use super::people::{host, host_on_mongodb, logout};

on_each_backend!(
    host(), host_on_mongodb();
    a_key_is_told_once_and_does_what_it_may,
    a_key_ends_by_itself,
);

async fn a_key_is_told_once_and_does_what_it_may(mut host: TestHost) {
    let admin = host.admin().await;
    let new = json!({"name": "Warehouse", "permissions": ["roles:read"]});
    let made = admin.post("/api-keys", &new).await;
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let path = made.header("location").unwrap().strip_prefix("/api/v1").unwrap().to_owned();
    let made = made.expect(201);
    let text = made["key"].as_str().unwrap();
    assert!(text.starts_with("key_") && text.starts_with(made["id"].as_str().unwrap()));
    let listed = admin.get("/api-keys").await.expect(200);
    assert_eq!((&listed[0]["id"], &listed[0]["key"]), (&made["id"], &Value::Null));
    let stored = documents(&host, "_api_keys").await;
    assert!(!json!(stored).to_string().contains(text) && !listed.to_string().contains("keyHash"));

    let key = host.with_token(text);
    key.get("/roles").await.expect(200);
    key.post("/roles", &json!({"name": "x", "permissions": []})).await.expect_problem(403, "forbidden");
    let me = key.get("/auth/me").await.expect(200);
    assert_eq!((&me["user"], &me["permissions"]), (&Value::Null, &json!(["roles:read"])));
    key.get("/auth/sessions").await.expect_problem(403, "forbidden");
    logout(&key).await.expect_problem(403, "forbidden");
    let last = if text.ends_with('A') { "B" } else { "A" };
    let other = format!("{}{last}", &text[..text.len() - 1]);
    host.with_token(&other).get("/roles").await.expect_problem(401, "token_invalid");

    admin.delete(&path).await.expect(204);
    key.get("/roles").await.expect_problem(401, "token_invalid");
    admin.delete(&path).await.expect_problem(404, "not_found");
}

async fn a_key_ends_by_itself(mut host: TestHost) {
    let admin = host.admin().await;
    let new = |end: &str| json!({"name": "x", "permissions": ["roles:read"], "expiresAt": end});
    for (end, pointer) in
        [("2025-12-31T23:59:59Z", "/expiresAt"), ("tomorrow", "/expiresAt"), ("", "/expiresAt")]
    {
        let refused = admin.post("/api-keys", &new(end)).await;
        refused.expect_error_at(422, "validation_failed", pointer, "validation_failed");
    }
    let made = admin.post("/api-keys", &new("2026-01-01T01:10:00+01:00")).await.expect(201);
    assert_eq!(made["expiresAt"], "2026-01-01T00:10:00.000Z");
    let key = host.with_token(made["key"].as_str().unwrap());
    host.clock.advance(Duration::from_secs(599));
    key.get("/roles").await.expect(200);
    host.clock.advance(Duration::from_secs(1));
    key.get("/roles").await.expect_problem(401, "token_expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_no_more_than_who_made_it() {
    let mut host = TestHostBuilder::shop().start().await;
    let admin = host.admin().await;
    let role = json!({"name": "Keys", "permissions": ["apikeys:write", "products:write"]});
    let role = admin.post("/roles", &role).await.expect(201);
    let maker = host.with_token(&host.staff("m@example.com", &[role["id"].as_str().unwrap()]).await);
    for permissions in [json!(["*"]), json!(["products:*"]), json!(["products:write", "roles:read"])] {
        let new = json!({"name": "x", "permissions": permissions});
        maker.post("/api-keys", &new).await.expect_problem(403, "forbidden");
    }
    let new = json!({"name": "x", "permissions": ["nothing:write"]});
    maker.post("/api-keys", &new).await.expect_error_at(
        422,
        "validation_failed",
        "/permissions/0",
        "validation_failed",
    );
    let new = json!({"name": "x", "permissions": []});
    maker.post("/api-keys", &new).await.expect_error_at(
        422,
        "validation_failed",
        "/permissions",
        "validation_failed",
    );
    let new = json!({"name": "Import", "permissions": ["products:write"]});
    let post = || maker.request(Method::POST, "/api-keys").header("idempotency-key", "k").json(&new);
    let (one, two) = (maker.send(post()).await.expect(201), maker.send(post()).await.expect(201));
    assert_ne!(one["key"], two["key"], "no answer with a key is stored");
    let key = host.with_token(one["key"].as_str().unwrap());
    key.post("/products", &product("Shirt", "S-1")).await.expect(201);
    let entries = documents(&host, "_audit").await;
    let by_key = entries.values().find(|entry| entry["actorKind"] == "service").unwrap();
    assert_eq!((&by_key["actorId"], &by_key["operationId"]), (&one["id"], &json!("createProduct")));
}
