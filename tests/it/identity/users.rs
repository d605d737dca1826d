//! Users over HTTP: who may make, see and change whom.

use host::identity::AccountKind;
use hyper::Method;
use platform_tests::{
    client::Client,
    host::TestHost,
    shop::{documents, dump, id, with, writes_nothing},
};
use serde_json::{Value, json};

use super::people::{PASSWORD, account, client, host, host_on_mongodb, login, me, refresh};

on_each_backend!(
    host(), host_on_mongodb();
    customers_register_log_in_and_see_only_themselves,
    what_a_customer_may_not_set_is_refused_and_stays,
    staff_make_and_change_whom_they_do_not_outrank,
    staff_find_users,
    disabling_ends_sessions_and_enabling_revives_none,
    who_is_deleted_is_gone,
    of_many_registrations_of_one_address_one_is_made,
    addresses_belong_to_their_owner,
    passwords_stay_in_the_host,
);

fn person(email: &str) -> Value {
    json!({"email": email, "password": PASSWORD, "name": "Ada"})
}

async fn register(host: &TestHost, email: &str) -> (Value, Client) {
    let user = host.anonymous().post("/users", &person(email)).await.expect(201);
    let tokens = login(host, "customer", email, PASSWORD).await.expect(200);
    (user, client(host, &tokens))
}

fn address() -> Value {
    json!({"name": "Ada", "line1": "Hafenstr. 1", "city": "Kiel", "postalCode": "24103", "country": "DE"})
}

async fn customers_register_log_in_and_see_only_themselves(host: TestHost) {
    let body = with(with(person(" Ada@Example.com "), "metadata", json!({"ref": "x"})), "phone", "+49 431 1");
    let made = host.anonymous().post("/users", &body).await;
    let location = made.header("location").unwrap().to_owned();
    assert_eq!(made.header("etag").map(|tag| tag.starts_with("\"1")), Some(true));
    let user = made.expect(201);
    assert_eq!((&user["email"], &user["kind"]), (&json!("ada@example.com"), &json!("customer")));
    assert_eq!(
        (&user["roles"], &user["groups"], &user["metadata"]),
        (&json!([]), &json!([]), &json!({"ref": "x"}))
    );
    assert_eq!(location, format!("/api/v1/users/{}", id(&user)));
    let tokens = login(&host, "customer", "ada@example.com", PASSWORD).await.expect(200);
    assert_eq!(tokens["user"]["id"], user["id"]);
    let ada = client(&host, &tokens);
    let own = ada.get("/users/me").await.expect(200);
    assert_eq!(own, ada.get(&format!("/users/{}", id(&user))).await.expect(200));
    assert_eq!((&own["version"], own["lastLoginAt"].is_string()), (&json!(1), true));

    let (eve, eves) = register(&host, "eve@example.com").await;
    let nobody = ada.get("/users/usr_01KAQ3V8Q1W2E3R4T5Y6V7A8S9").await.expect_problem(404, "not_found");
    let path = format!("/users/{}", id(&eve));
    for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
        let asked = ada.request(method.clone(), &path);
        let asked = match method.as_str() {
            "PUT" => asked.json(&json!({"email": "x@example.com", "name": "x"})),
            "PATCH" => asked.json(&json!({"name": "x"})),
            _ => asked,
        };
        let other = writes_nothing(&host, ada.send(asked)).await.expect_problem(404, "not_found");
        assert_eq!(other["detail"], nobody["detail"]);
    }
    ada.get("/users").await.expect_problem(403, "forbidden");
    ada.get(&format!("{path}/export")).await.expect_problem(403, "forbidden");
    host.anonymous().get("/users/me").await.expect_problem(401, "unauthenticated");

    // Both have one address only.
    let taken = writes_nothing(&host, host.anonymous().post("/users", &person("EVE@example.com"))).await;
    taken.expect_error_at(409, "already_exists", "/email", "already_exists");
    let taken = writes_nothing(&host, ada.patch("/users/me", &json!({"email": "eve@example.com"}))).await;
    taken.expect_error_at(409, "already_exists", "/email", "already_exists");
    assert_eq!(eves.get("/users/me").await.expect(200)["email"], "eve@example.com");
    let export = ada.get("/users/me/export").await.expect(200);
    assert_eq!((&export["user"]["id"], export["sessions"].as_array().unwrap().len()), (&user["id"], 1));
}

async fn what_a_customer_may_not_set_is_refused_and_stays(host: TestHost) {
    let (user, ada) = register(&host, "ada@example.com").await;
    for (member, value) in [
        ("kind", json!("admin")),
        ("status", json!("disabled")),
        ("emailVerified", json!(true)),
        ("roles", json!(["superadmin"])),
        ("groups", json!(["wholesale"])),
    ] {
        let pointer = format!("/{member}");
        let anonymous = host.anonymous();
        let post = anonymous.post("/users", &with(person("new@example.com"), member, value.clone())).await;
        post.expect_error_at(422, "validation_failed", &pointer, "validation_failed");
        let mut patch = json!({});
        patch[member] = value.clone();
        let changed = writes_nothing(&host, ada.patch("/users/me", &patch)).await;
        changed.expect_error_at(422, "validation_failed", &pointer, "validation_failed");
        let put = with(json!({"email": "ada@example.com", "name": "Ada"}), member, value);
        let replaced = writes_nothing(&host, ada.put(&format!("/users/{}", id(&user)), &put)).await;
        replaced.expect_error_at(422, "validation_failed", &pointer, "validation_failed");
    }
    for member in ["_passwordHash", "passwordHash", "_owner", "_epoch", "isAdmin", "__proto__"] {
        let mut patch = json!({});
        patch[member] = json!("x");
        let pointer = format!("/{member}");
        let refused = writes_nothing(&host, ada.patch("/users/me", &patch)).await;
        refused.expect_error_at(422, "unknown_field", &pointer, "unknown_field");
        let post = host.anonymous().post("/users", &with(person("new@example.com"), member, "x")).await;
        post.expect_error_at(422, "unknown_field", &pointer, "unknown_field");
    }
    // What was read can be sent back, and what is read-only is ignored.
    let mut read = ada.get("/users/me").await.expect(200);
    read["version"] = json!(77);
    read["lastLoginAt"] = json!("2020-01-01T00:00:00.000Z");
    read["id"] = json!("usr_other");
    read["name"] = json!("Ada L.");
    let after = ada.put(&format!("/users/{}", id(&user)), &read).await.expect(200);
    assert_eq!((&after["name"], &after["version"], &after["id"]), (&json!("Ada L."), &json!(2), &user["id"]));
    assert_ne!(after["lastLoginAt"], read["lastLoginAt"]);
    let stored = documents(&host, "_accounts").await;
    let stored = &stored[id(&user)];
    assert_eq!(
        (&stored["kind"], &stored["roles"], &stored["status"]),
        (&json!("customer"), &json!([]), &json!("active"))
    );
}

async fn staff_make_and_change_whom_they_do_not_outrank(mut host: TestHost) {
    let admin = host.admin().await;
    let staff = with(with(person("root@example.com"), "kind", "admin"), "roles", json!(["superadmin"]));
    let root = admin.post("/users", &staff).await.expect(201);
    assert_eq!((&root["kind"], &root["roles"]), (&json!("admin"), &json!(["superadmin"])));
    login(&host, "admin", "root@example.com", PASSWORD).await.expect(200);
    let role = json!({"name": "People", "permissions": ["users:*", "audit:read"]});
    let role = admin.post("/roles", &role).await.expect(201);
    let people = host.with_token(&host.staff("people@example.com", &[id(&role)]).await);

    let (ada, _) = register(&host, "ada@example.com").await;
    let ada = format!("/users/{}", id(&ada));
    let grouped =
        people.patch(&ada, &json!({"groups": ["wholesale", "vip", "vip"], "emailVerified": true})).await;
    let grouped = grouped.expect(200);
    assert_eq!((&grouped["groups"], &grouped["emailVerified"]), (&json!(["vip", "wholesale"]), &json!(true)));
    // Another address is another's until it is proved.
    let moved = people.patch(&ada, &json!({"email": "ada@example.org"})).await.expect(200);
    assert_eq!(moved["emailVerified"], false);
    let path = format!("/users/{}", id(&root));
    let colleague = with(with(person("s@example.com"), "kind", "admin"), "roles", json!([id(&role)]));
    let created = people.post("/users", &colleague).await.expect(201);
    for (method, path, body) in [
        (Method::PATCH, path.clone(), json!({"email": "mine@example.com"})),
        (Method::PATCH, path.clone(), json!({"status": "disabled"})),
        (Method::PATCH, path.clone(), json!({"metadata": {"x": 1}})),
        (Method::PATCH, format!("/users/{}", id(&created)), json!({"roles": ["superadmin"]})),
        (Method::POST, "/users".to_owned(), with(staff, "email", "another@example.com")),
        (Method::DELETE, path.clone(), Value::Null),
    ] {
        let refused = people.send(people.request(method, &path).json(&body));
        writes_nothing(&host, refused).await.expect_problem(403, "forbidden");
    }
    for (patch, pointer) in [
        (json!({"roles": ["nothing"]}), "/roles"),
        (json!({"kind": "admin"}), "/kind"),
        (json!({"roles": [id(&role)]}), "/roles"),
        (json!({"groups": ["two words"]}), "/groups/0"),
        (json!({"email": "nowhere"}), "/email"),
        (json!({"phone": "\u{1b}[2J"}), "/phone"),
    ] {
        let refused = writes_nothing(&host, people.patch(&ada, &patch)).await;
        refused.expect_error_at(422, "validation_failed", pointer, "validation_failed");
    }
    // Who may only see does not change, and registers like anybody.
    let reader = json!({"name": "Reader", "permissions": ["users:read"]});
    let reader = admin.post("/roles", &reader).await.expect(201);
    let reader = host.with_token(&host.staff("reader@example.com", &[id(&reader)]).await);
    reader.get(&ada).await.expect(200);
    reader.patch(&ada, &json!({"name": "x"})).await.expect_problem(403, "forbidden");
    let refused = reader.post("/users", &with(person("k@example.com"), "kind", "admin")).await;
    refused.expect_error_at(422, "validation_failed", "/kind", "validation_failed");
    let audited = documents(&host, "_audit").await;
    let done = |operation: &str| audited.values().filter(|entry| entry["operationId"] == operation).count();
    assert_eq!(["createUser", "updateUser"].map(done), [2, 2]);
}

async fn staff_find_users(mut host: TestHost) {
    let admin = host.admin().await;
    for (email, name) in
        [("ada@example.com", "Ada Lovelace"), ("bob@example.com", "Bob"), ("cy@example.org", "Cy Ada")]
    {
        host.anonymous().post("/users", &with(person(email), "name", name)).await.expect(201);
    }
    let emails = async |query: &str| -> Vec<Value> {
        let found = admin.get(&format!("/users?{query}")).await.expect(200);
        found.as_array().unwrap().iter().map(|user| user["email"].clone()).collect()
    };
    assert_eq!(emails("filter[kind][eq]=customer&sort=email").await.len(), 3);
    assert_eq!(emails("filter[email][eq]=bob@example.com").await, ["bob@example.com"]);
    assert_eq!(emails("q=ada&sort=-email").await, ["cy@example.org", "ada@example.com"]);
    assert_eq!(emails("filter[name][prefix]=Ada").await, ["ada@example.com"]);
    let page = admin.get("/users?limit=2&sort=createdAt").await;
    assert_eq!(page.header("x-total-count"), Some("4"));
    assert_eq!(page.header("content-range"), Some("users 0-1/4"));
    assert!(!page.text().contains("_passwordHash") && !page.text().contains("argon2"));
    for (query, code) in [
        ("filter[_passwordHash][eq]=x", "unknown_filter"),
        ("filter[passwordHash][prefix]=$", "unknown_filter"),
        ("filter[_epoch][eq]=0", "unknown_filter"),
        ("sort=_passwordHash", "unknown_sort"),
    ] {
        admin.get(&format!("/users?{query}")).await.expect_problem(400, code);
    }
    let hidden = admin.get("/users?fields=_passwordHash,email").await;
    assert!(!hidden.text().contains("argon2"));
}

async fn disabling_ends_sessions_and_enabling_revives_none(mut host: TestHost) {
    let admin = host.admin().await;
    let user = host.anonymous().post("/users", &person("ada@example.com")).await.expect(201);
    let tokens = login(&host, "customer", "ada@example.com", PASSWORD).await.expect(200);
    let path = format!("/users/{}", id(&user));
    admin.patch(&path, &json!({"status": "disabled"})).await.expect(200);
    me(&client(&host, &tokens)).await.expect_problem(401, "token_revoked");
    refresh(&host, &tokens["refreshToken"]).await.expect_problem(401, "token_revoked");
    login(&host, "customer", "ada@example.com", PASSWORD).await.expect_problem(403, "account_disabled");
    admin.patch(&path, &json!({"status": "active"})).await.expect(200);
    me(&client(&host, &tokens)).await.expect_problem(401, "token_revoked");
    login(&host, "customer", "ada@example.com", PASSWORD).await.expect(200);
}

async fn who_is_deleted_is_gone(mut host: TestHost) {
    let admin = host.admin().await;
    let (user, ada) = register(&host, "ada@example.com").await;
    ada.post("/users/me/addresses", &address()).await.expect(201);
    let path = format!("/users/{}", id(&user));
    ada.delete(&path).await.expect(204);
    me(&ada).await.expect_problem(401, "token_revoked");
    admin.get(&path).await.expect_problem(404, "not_found");
    login(&host, "customer", "ada@example.com", PASSWORD).await.expect_problem(401, "invalid_credentials");
    // Nothing that is kept names the person; failed logins are counted by hashes.
    for ((collection, document), stored) in dump(&host).await {
        let text = stored.to_string();
        assert!(!text.contains("Hafenstr") && !text.contains("ada@"), "{collection} {document}: {text}");
    }
    // The address is free again.
    register(&host, "ada@example.com").await;
    let last = documents(&host, "_accounts").await;
    let (last, _) = last.iter().find(|(_, account)| account["roles"] == json!(["superadmin"])).unwrap();
    let refused = writes_nothing(&host, admin.delete(&format!("/users/{last}"))).await;
    refused.expect_problem(409, "conflict");
}

async fn of_many_registrations_of_one_address_one_is_made(host: TestHost) {
    let attempts =
        (0..8).map(|_| async { host.anonymous().post("/users", &person("ada@example.com")).await.status });
    let statuses = futures_util::future::join_all(attempts).await;
    let made = statuses.iter().filter(|status| status.as_u16() == 201).count();
    assert_eq!(made, 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 409].contains(&status.as_u16())), "{statuses:?}");
    // Neither half of anybody is left.
    let (accounts, profiles) = (documents(&host, "_accounts").await, documents(&host, "users").await);
    assert!(accounts.keys().eq(profiles.keys()), "{accounts:?} {profiles:?}");
    // A repeat with its key is the same person.
    let post = || {
        let anonymous = host.anonymous();
        let request = anonymous.request(Method::POST, "/users");
        let request = request.header("idempotency-key", "7b0c0e5e-5d7e-4a39-9a62-1f6d3b1f6c11");
        async move { anonymous.send(request.json(&person("bob@example.com"))).await }
    };
    let first = post().await.expect(201);
    let again = post().await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(201), first);
}

async fn addresses_belong_to_their_owner(mut host: TestHost) {
    let admin = host.admin().await;
    let (_, ada) = register(&host, "ada@example.com").await;
    let (_, eve) = register(&host, "eve@example.com").await;
    let saved = ada.post("/users/me/addresses", &address()).await;
    let path = saved.header("location").unwrap().strip_prefix("/api/v1").unwrap().to_owned();
    let saved = saved.expect(201);
    assert_eq!(ada.get(&path).await.expect(200), saved);
    assert_eq!(ada.get("/users/me/addresses").await.expect(200), json!([saved]));
    assert_eq!(eve.get("/users/me/addresses").await.expect(200), json!([]));
    eve.get(&path).await.expect_problem(404, "not_found");
    eve.put(&path, &address()).await.expect_problem(404, "not_found");
    eve.delete(&path).await.expect_problem(404, "not_found");
    admin.get("/users/me/addresses").await.expect_problem(403, "forbidden");
    let wrong = with(address(), "country", "XX");
    let wrong = writes_nothing(&host, ada.post("/users/me/addresses", &wrong)).await;
    wrong.expect_error_at(422, "validation_failed", "/country", "validation_failed");
    // Saved at the same time, all are.
    let another = address();
    let all = (0..10).map(|_| ada.post("/users/me/addresses", &another));
    for answer in futures_util::future::join_all(all).await {
        answer.expect(201);
    }
    assert_eq!(ada.get("/users/me/addresses").await.expect(200).as_array().unwrap().len(), 11);
    let tag = ada.get(&path).await.header("etag").unwrap().to_owned();
    ada.delete(&path).await.expect(204);
    let stale = ada.request(Method::POST, "/users/me/addresses").header("if-match", &tag).json(&address());
    ada.send(stale).await.expect_problem(412, "version_conflict");
}

async fn passwords_stay_in_the_host(host: TestHost) {
    for (password, pointer) in [("short", "/password"), (&*"x".repeat(1025), "/password")] {
        let wrong = with(person("a@example.com"), "password", password);
        let refused = writes_nothing(&host, host.anonymous().post("/users", &wrong)).await;
        let told = refused.expect_error_at(422, "validation_failed", pointer, "validation_failed");
        assert!(!told.to_string().contains(password), "{told}");
    }
    let mut without = person("a@example.com");
    without.as_object_mut().unwrap().remove("password");
    let refused = host.anonymous().post("/users", &without).await;
    refused.expect_error_at(422, "validation_failed", "/password", "validation_failed");
    account(&host, AccountKind::Customer, "known@example.com", &[]).await;
    register(&host, "ada@example.com").await;
    for ((collection, document), stored) in dump(&host).await {
        assert!(!stored.to_string().contains(PASSWORD), "{collection} {document}");
        if collection != "_accounts" {
            assert!(!stored.to_string().contains("argon2"), "{collection} {document}");
        }
    }
}
