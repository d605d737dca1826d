//! Roles: data that can be edited, by who holds what they give.

use std::time::Duration;

use host::identity::AccountKind;
use hyper::Method;
use platform_tests::{
    host::{TestHost, TestHostBuilder},
    shop::{documents, writes_nothing},
};
use serde_json::{Value, json};

use super::people::{PASSWORD, account, host, host_on_mongodb, login, me};

on_each_backend!(
    host(), host_on_mongodb();
    roles_are_made_changed_and_deleted,
    a_role_that_somebody_has_stays,
    nobody_gives_what_they_do_not_hold,
    the_last_superadmin_stays,
    of_two_superadmins_that_are_removed_at_once_one_stays,
);

fn role(name: &str, permissions: &[&str]) -> Value {
    json!({ "name": name, "permissions": permissions })
}

/// Changes an account as the host itself, or answers the problem.
async fn update(host: &TestHost, id: &str, patch: Value) -> Result<(), Value> {
    let (status, body) = host.app.system_request("PATCH", &format!("/users/{id}"), Some(patch)).await;
    if status == 200 { Ok(()) } else { Err(body) }
}

async fn change(host: &TestHost, id: &str, roles: &[&str]) -> Result<(), Value> {
    update(host, id, json!({ "roles": roles })).await
}

async fn disable(host: &TestHost, id: &str) -> Result<(), Value> {
    update(host, id, json!({"status": "disabled"})).await
}

/// That the last superadmin stays, and no other conflict.
fn is_last(result: &Result<(), Value>) -> bool {
    result.as_ref().is_err_and(|problem| problem["detail"] == "The last superadmin stays one.")
}

async fn roles_are_made_changed_and_deleted(mut host: TestHost) {
    let admin = host.admin().await;
    let all = admin.get("/roles").await;
    assert_eq!(all.header("x-total-count"), Some("7"));
    assert_eq!(all.header("content-range"), Some("roles 0-6/7"));
    let ids: Vec<Value> = all.expect(200).as_array().unwrap().iter().map(|role| role["id"].clone()).collect();
    for id in ["superadmin", "catalog-manager", "order-manager", "support", "operator", "customer"] {
        assert!(ids.contains(&json!(id)), "{ids:?}");
    }
    let made = admin.post("/roles", &role("Auditor", &["audit:read", "audit:read", "roles:*"])).await;
    let path = made.header("location").unwrap().strip_prefix("/api/v1").unwrap().to_owned();
    let made = made.expect(201);
    assert_eq!(made["permissions"], json!(["audit:read", "roles:*"]));
    let shown = admin.get(&path).await;
    let tag = shown.header("etag").unwrap().to_owned();
    assert_eq!(shown.expect(200), made);
    let same = admin.request(Method::GET, &path).header("if-none-match", &tag);
    assert_eq!(admin.send(same).await.status, 304);

    // What was read can be sent back.
    let mut changed = made.clone();
    changed["description"] = json!("Reads.");
    let put = |tag: &str| admin.request(Method::PUT, &path).header("if-match", tag);
    let after = admin.send(put(&tag).json(&changed)).await.expect(200);
    assert_eq!((&after["version"], &after["description"]), (&json!(2), &json!("Reads.")));
    let stale = admin.send(put(&tag).json(&changed)).await.expect_problem(412, "version_conflict");
    assert_eq!((&stale["expected"], &stale["current"]), (&json!(1), &json!(2)));

    let list = admin.get("/roles?filter[builtIn]=false&sort=-name&limit=1").await;
    assert_eq!(list.expect(200)[0]["id"], made["id"]);
    for (query, code) in [
        ("?x=1", "unknown_parameter"),
        ("?filter[x]=1", "unknown_filter"),
        ("?sort=x", "unknown_sort"),
        ("?cursor=x", "cursor_mismatch"),
    ] {
        admin.get(&format!("/roles{query}")).await.expect_problem(400, code);
    }
    for (body, code, pointer) in [
        (json!({"permissions": []}), "validation_failed", "/name"),
        (json!({"name": " ", "permissions": []}), "validation_failed", "/name"),
        (json!({"name": "x".repeat(101), "permissions": []}), "validation_failed", "/name"),
        (json!({"name": "x", "permissions": [1]}), "validation_failed", "/permissions/0"),
        (
            json!({"name": "x", "permissions": ["roles:read", "nothing:read"]}),
            "validation_failed",
            "/permissions/1",
        ),
        (json!({"name": "x", "permissions": [], "owner": 1}), "unknown_field", "/owner"),
        (json!({"name": {"$ne": null}, "permissions": []}), "validation_failed", "/name"),
    ] {
        writes_nothing(&host, admin.post("/roles", &body)).await.expect_error_at(422, code, pointer, code);
    }
    admin.delete(&path).await.expect(204);
    admin.get(&path).await.expect_problem(404, "not_found");
    admin.delete(&path).await.expect_problem(404, "not_found");
    for fixed in ["superadmin", "customer"] {
        let path = format!("/roles/{fixed}");
        admin.put(&path, &role("Other", &[])).await.expect_problem(409, "conflict");
        admin.delete(&path).await.expect_problem(409, "conflict");
    }
    admin.put("/roles/support", &role("Helpers", &["roles:read"])).await.expect(200);
    admin.delete("/roles/support").await.expect_problem(409, "conflict");
    let audited = documents(&host, "_audit").await;
    let done = |operation: &str| audited.values().filter(|entry| entry["operationId"] == operation).count();
    assert_eq!(["createRole", "replaceRole", "deleteRole"].map(done), [1, 2, 1]);
}

async fn a_role_that_somebody_has_stays(mut host: TestHost) {
    let admin = host.admin().await;
    let made = admin.post("/roles", &role("Auditor", &["roles:read"])).await.expect(201);
    let (id, path) = (made["id"].as_str().unwrap(), format!("/roles/{}", made["id"].as_str().unwrap()));
    let user = account(&host, AccountKind::Admin, "ada@example.com", &[id]).await;
    let tokens = login(&host, "admin", "ada@example.com", PASSWORD).await.expect(200);
    let ada = super::people::client(&host, &tokens);
    ada.get("/roles").await.expect(200);
    ada.post("/roles", &role("x", &[])).await.expect_problem(403, "forbidden");
    admin.delete(&path).await.expect_problem(409, "reference_in_use");
    // A change of the role counts for the next request of everybody who has it.
    admin.put(&path, &role("Auditor", &["audit:read"])).await.expect(200);
    ada.get("/roles").await.expect_problem(403, "forbidden");
    assert_eq!(me(&ada).await.expect(200)["permissions"], json!(["audit:read"]));
    change(&host, &user.id, &[]).await.unwrap();
    assert_eq!(me(&ada).await.expect(200)["permissions"], json!([]));
    admin.delete(&path).await.expect(204);
    let gone = change(&host, &user.id, &[id]).await.unwrap_err();
    assert_eq!(
        (&gone["code"], &gone["errors"][0]["pointer"]),
        (&json!("validation_failed"), &json!("/roles"))
    );

    // Deleting a role while it is given: one of the two is refused, and nobody ends with a role that is gone.
    for round in 0..5 {
        let made = admin.post("/roles", &role(&format!("r{round}"), &[])).await.expect(201);
        let id = made["id"].as_str().unwrap();
        let path = format!("/roles/{id}");
        let roles = [id];
        let (deleted, given) = futures_util::join!(admin.delete(&path), change(&host, &user.id, &roles));
        match deleted.status.as_u16() {
            204 => assert!(given.is_err(), "given after it was deleted"),
            _ => {
                drop(deleted.expect_problem(409, "reference_in_use"));
                given.unwrap();
            }
        }
    }
}

async fn nobody_gives_what_they_do_not_hold(mut host: TestHost) {
    let admin = host.admin().await;
    let editor = admin.post("/roles", &role("Editor", &["roles:*", "audit:read"])).await.expect(201);
    let powerful = admin.post("/roles", &role("Powerful", &["apikeys:*", "audit:read"])).await.expect(201);
    let editor = host.staff("editor@example.com", &[editor["id"].as_str().unwrap()]).await;
    let editor = host.with_token(&editor);
    for permissions in [&["*"][..], &["apikeys:read"], &["audit:read", "apikeys:*"], &["audit:*"]] {
        let refused = writes_nothing(&host, editor.post("/roles", &role("x", permissions))).await;
        refused.expect_problem(403, "forbidden");
    }
    editor.post("/roles", &role("x", &["roles:write", "audit:read"])).await.expect(201);
    // What is there already may stay, and nothing is added.
    let path = format!("/roles/{}", powerful["id"].as_str().unwrap());
    editor.put(&path, &role("Renamed", &["apikeys:*", "audit:read"])).await.expect(200);
    editor.put(&path, &role("Renamed", &["*"])).await.expect_problem(403, "forbidden");
    editor.put(&path, &role("Renamed", &["audit:read"])).await.expect(200);
    editor.put(&path, &role("Renamed", &["apikeys:*"])).await.expect_problem(403, "forbidden");
}

async fn the_last_superadmin_stays(host: TestHost) {
    let first = account(&host, AccountKind::Admin, "a@example.com", &["superadmin"]).await;
    for result in [change(&host, &first.id, &[]).await, disable(&host, &first.id).await] {
        assert!(is_last(&result), "{result:?}");
    }
    let second = account(&host, AccountKind::Admin, "b@example.com", &["superadmin"]).await;
    disable(&host, &second.id).await.unwrap();
    assert!(is_last(&disable(&host, &first.id).await));
    change(&host, &first.id, &["superadmin", "operator"]).await.unwrap();
}

async fn of_two_superadmins_that_are_removed_at_once_one_stays(host: TestHost) {
    for round in 0..5 {
        let mut ids = Vec::new();
        for number in 0..2 {
            let email = format!("a{number}-{round}@example.com");
            ids.push(account(&host, AccountKind::Admin, &email, &["superadmin"]).await.id);
        }
        // Those of the rounds before are gone but one.
        for (id, user) in documents(&host, "_accounts").await {
            let is_old = !ids.contains(&id) && user["roles"] == json!(["superadmin"]);
            if is_old {
                change(&host, &id, &[]).await.unwrap();
            }
        }
        let remove = async |id: &str| match round % 2 {
            0 => change(&host, id, &[]).await,
            _ => disable(&host, id).await,
        };
        let (first, second) = futures_util::join!(remove(&ids[0]), remove(&ids[1]));
        let results = [first, second];
        let removed = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(removed, 1, "{results:?}");
        assert!(results.iter().any(is_last), "{results:?}");
        host.clock.advance(Duration::from_secs(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_of_plugins_are_listed_and_can_be_given() {
    let mut host = TestHostBuilder::shop().start().await;
    let admin = host.admin().await;
    let permissions = admin.get("/permissions").await.expect(200);
    let find = |name: &str| {
        permissions.as_array().unwrap().iter().find(|it| it["name"] == name).unwrap_or(&Value::Null).clone()
    };
    assert_eq!(find("products:write")["pluginId"], "products");
    assert_eq!(find("roles:write")["pluginId"], Value::Null);
    let made = admin.post("/roles", &role("Writer", &["products:write", "inventory:*"])).await.expect(201);
    let writer = host.staff("w@example.com", &[made["id"].as_str().unwrap()]).await;
    let body = platform_tests::shop::product("Shirt", "S-1");
    host.with_token(&writer).post("/products", &body).await.expect(201);
    host.with_token(&writer)
        .post("/categories", &platform_tests::shop::category("C"))
        .await
        .expect_problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_with_its_key_makes_one_role() {
    let mut host = host().await;
    let admin = host.admin().await;
    let post =
        |body: Value| admin.request(Method::POST, "/roles").header("idempotency-key", "k-1").json(&body);
    let first = admin.send(post(role("One", &[]))).await;
    let again = admin.send(post(role("One", &[]))).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(first.header("etag"), again.header("etag"));
    assert_eq!(first.expect(201), again.expect(201));
    admin.send(post(role("Two", &[]))).await.expect_problem(422, "idempotency_key_reused");
}
