//! Products: the life of one, who sees it, and what keeps it whole.

use std::time::Duration;

use futures_util::future::join_all;
use platform_tests::{
    host::{START_MS, TestHost},
    shop::{category, documents, id, product, with, writes_nothing},
};
use serde_json::{Value, json};

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    a_product_lives_through_every_route,
    what_was_read_can_be_sent_back,
    the_public_sees_active_products_only,
    the_price_is_the_one_that_applies,
    slugs_and_skus_are_unique_and_refusals_point_at_them,
    of_many_who_want_a_sku_one_gets_it,
    parallel_changes_without_a_version_all_take_effect,
    every_committed_write_has_its_event_and_its_audit_entry,
);

async fn a_product_lives_through_every_route(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    let answer = admin.post("/products", &product("Tea cup", "CUP-1")).await;
    let location = answer.header("location").unwrap().to_owned();
    let created = answer.expect(201);
    let path = format!("/products/{}", id(&created));
    assert_eq!(location, format!("/api/v1{path}"));
    assert!(id(&created).starts_with("prod_") && id(&created).len() == 31, "{created}");
    assert!(id(&created["variants"][0]).starts_with("var_"), "{created}");
    assert_eq!(created["slug"], "tea-cup");
    assert_eq!((&created["version"], &created["status"]), (&json!(1), &json!("active")));
    assert_eq!(created["createdAt"], "2026-01-01T00:00:00.000Z");
    assert_eq!(created["publishedAt"], created["createdAt"]);
    assert_eq!(created["variants"][0]["price"], json!({"amount": 1290, "currency": "USD"}));
    assert_eq!(public.get(&path).await.expect(200), created);
    assert_eq!(public.get("/products/by-slug/tea-cup").await.expect(200), created);
    assert_eq!(public.get("/products").await.expect(200), json!([created]));

    host.clock.advance(Duration::from_millis(1500));
    let patch = json!({"seo": {"title": "A cup"}, "tags": ["tea"], "metadata": {"shelf": 4}});
    let patched = admin.patch(&path, &patch).await.expect(200);
    assert_eq!(patched["seo"], json!({"title": "A cup", "description": null}));
    assert_eq!((&patched["version"], &patched["tags"]), (&json!(2), &json!(["tea"])));
    assert_eq!(patched["createdAt"], created["createdAt"]);
    assert_eq!(patched["updatedAt"], "2026-01-01T00:00:01.500Z");
    assert_eq!(patched["variants"], created["variants"]);
    // Null takes a member back to what it is without it, and what is not named stays.
    let patched = admin.patch(&path, &json!({"tags": null, "metadata": {"row": 1}})).await.expect(200);
    assert_eq!((&patched["tags"], &patched["metadata"]), (&json!([]), &json!({"shelf": 4, "row": 1})));
    let patched = admin.patch(&path, &json!({"metadata": {"shelf": null}})).await.expect(200);
    assert_eq!(patched["metadata"], json!({"row": 1}));

    // A replacement resets what it does not name; the slug and known variants keep their identity.
    let replaced = admin.put(&path, &product("Coffee cup", "CUP-1")).await.expect(200);
    assert_eq!((&replaced["version"], &replaced["name"]), (&json!(5), &json!("Coffee cup")));
    assert_eq!((&replaced["slug"], &replaced["metadata"]), (&json!("tea-cup"), &json!({})));
    assert_eq!(replaced["seo"], json!({"title": null, "description": null}));
    assert_eq!(replaced["variants"], created["variants"]);
    let renamed = admin.patch(&path, &json!({"slug": null})).await.expect(200);
    assert_eq!(renamed["slug"], "coffee-cup");
    public.get("/products/by-slug/tea-cup").await.expect_problem(404, "not_found");

    let deleted = admin.delete(&path).await;
    assert!(deleted.body.is_empty());
    assert_eq!(deleted.expect(204), Value::Null);
    public.get(&path).await.expect_problem(404, "not_found");
    public.get("/products/by-slug/coffee-cup").await.expect_problem(404, "not_found");
    for answer in [
        admin.delete(&path).await,
        admin.patch(&path, &json!({})).await,
        admin.put(&path, &product("X", "X")).await,
    ] {
        answer.expect_problem(404, "not_found");
    }
    // Slug and SKU are free again.
    admin.post("/products", &product("Coffee cup", "CUP-1")).await.expect(201);
}

async fn what_was_read_can_be_sent_back(mut host: TestHost) {
    let admin = host.admin().await;
    let made_up = json!({
        "id": "prod_mine", "version": 77, "createdAt": "1999-01-01T00:00:00Z", "updatedAt": 5, "publishedAt": "soon",
        "name": "Cup", "status": "draft",
        "variants": [{"sku": "C", "price": "cheap", "prices": [{"amount": 5, "currency": "USD", "compareAt": 9}]}],
    });
    let created = admin.post("/products", &made_up).await.expect(201);
    assert_eq!((&created["version"], &created["publishedAt"]), (&json!(1), &Value::Null));
    assert_ne!(created["id"], "prod_mine");
    assert_eq!(created["createdAt"], "2026-01-01T00:00:00.000Z");
    let path = format!("/products/{}", id(&created));
    let sent_back = admin.put(&path, &created).await.expect(200);
    assert_eq!(sent_back, with(created.clone(), "version", 2));
    let sent_back = admin.patch(&path, &created).await.expect(200);
    assert_eq!(sent_back, with(created, "version", 3));
}

async fn the_public_sees_active_products_only(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    let manager = host.staff("manager@example.com", &["catalog-manager"]).await;
    let manager = host.with_token(&manager);
    let nobody = host.staff("nobody@example.com", &[]).await;
    let nobody = host.with_token(&nobody);
    let shelf = admin.post("/categories", &category("Shelf")).await.expect(201);
    let mut hidden = Vec::new();
    for (number, status) in ["draft", "archived", "active"].into_iter().enumerate() {
        let body = with(product(&format!("Cup {status}"), &format!("C{number}")), "status", status);
        let made = admin.post("/products", &with(body, "categoryIds", json!([id(&shelf)]))).await.expect(201);
        if status != "active" {
            hidden.push(made);
        }
    }
    let missing = |mut problem: Value| {
        problem["instance"].take();
        problem["requestId"].take();
        problem
    };
    let absent = missing(public.get("/products/prod_none").await.expect_problem(404, "not_found"));
    for product in &hidden {
        for path in [
            format!("/products/{}", id(product)),
            format!("/products/by-slug/{}", product["slug"].as_str().unwrap()),
        ] {
            for client in [&public, &nobody] {
                assert_eq!(missing(client.get(&path).await.expect_problem(404, "not_found")), absent);
            }
            for client in [&admin, &manager] {
                assert_eq!(client.get(&path).await.expect(200), *product);
            }
        }
    }
    let names = async |client: &platform_tests::client::Client, query: &str| {
        let answer = client.get(&format!("/products{query}")).await;
        let total = answer.header("x-total-count").map(str::to_owned);
        let items = answer.expect(200);
        let names = items.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned());
        let names: Vec<String> = names.collect();
        assert_eq!(total, Some(names.len().to_string()));
        names
    };
    for query in [
        "",
        "?q=cup",
        "?filter[status][ne]=x",
        "?category=shelf",
        "?filter[or][0][status]=draft&filter[or][1][name][exists]=true",
    ] {
        for client in [&public, &nobody] {
            assert_eq!(names(client, query).await, ["Cup active"], "{query}");
        }
        for client in [&admin, &manager] {
            assert_eq!(names(client, query).await.len(), 3, "{query}");
        }
    }
    assert!(names(&public, "?filter[status]=draft").await.is_empty());
    assert_eq!(names(&manager, "?filter[status]=draft").await, ["Cup draft"]);

    // A product that is withdrawn is gone at once.
    let active = manager.get("/products/by-slug/cup-active").await.expect(200);
    let path = format!("/products/{}", id(&active));
    manager.patch(&path, &json!({"status": "archived"})).await.expect(200);
    public.get(&path).await.expect_problem(404, "not_found");
    assert!(names(&public, "").await.is_empty());
}

async fn the_price_is_the_one_that_applies(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    let prices = json!([
        {"amount": 100, "currency": "USD"},
        {"amount": 80, "currency": "USD", "startsAt": "2026-01-01T01:00:00+00:30", "endsAt": "2026-01-01T01:00:00Z"},
        {"amount": 90, "currency": "EUR"},
        {"amount": 1, "currency": "USD", "minQuantity": 2},
        {"amount": 2, "currency": "USD", "customerGroup": "vip"},
    ]);
    let body = json!({"name": "Cup", "status": "active", "variants": [{"sku": "C", "prices": prices}]});
    let created = admin.post("/products", &body).await.expect(201);
    let path = format!("/products/{}", id(&created));
    let price = async |query: &str| {
        let answer = public.get(&format!("{path}{query}")).await;
        answer.expect(200)["variants"][0]["price"]["amount"].as_i64()
    };
    assert_eq!(
        (price("").await, price("?currency=EUR").await, price("?currency=JPY").await),
        (Some(100), Some(90), None)
    );
    host.clock.set_ms(START_MS + 30 * 60_000);
    assert_eq!(price("").await, Some(80));
    let before = public.get(&path).await;
    host.clock.set_ms(START_MS + 60 * 60_000);
    assert_eq!(price("").await, Some(100));
    // The product is the same, its representation is not.
    let etag = before.header("etag").unwrap();
    let request = public.request("GET".parse().unwrap(), &path).header("if-none-match", etag);
    public.send(request).await.expect(200);
    for currency in ["usd", "XXL", "", "US"] {
        for path in [&path, "/products", "/products/by-slug/cup"] {
            let answer = public.get(&format!("{path}?currency={currency}")).await;
            answer.expect_error_at(400, "invalid_parameter", "currency", "invalid_parameter");
        }
    }
}

async fn slugs_and_skus_are_unique_and_refusals_point_at_them(mut host: TestHost) {
    let admin = host.admin().await;
    let first = json!({"name": "Cup", "status": "active", "options": [{"name": "Size", "values": ["S", "M"]}],
        "variants": [{"sku": "A", "optionValues": {"Size": "S"}}, {"sku": "B", "optionValues": {"Size": "M"}}]});
    admin.post("/products", &first).await.expect(201);
    let second = admin.post("/products", &product("Cup", "C")).await.expect(201);
    assert_eq!(second["slug"], "cup-2");
    let path = format!("/products/{}", id(&second));
    let two = |skus: [&str; 2]| {
        json!({"name": "Two", "options": [{"name": "Size", "values": ["S", "M"]}], "variants": [
            {"sku": skus[0], "optionValues": {"Size": "S"}}, {"sku": skus[1], "optionValues": {"Size": "M"}}]})
    };
    writes_nothing(&host, async {
        // Everything that is taken is named, not the first only.
        let taken = with(two(["X", "B"]), "slug", "cup");
        for answer in [
            admin.post("/products", &taken).await,
            admin.put(&path, &taken).await,
            admin.patch(&path, &taken).await,
        ] {
            let problem = answer.expect_error_at(409, "already_exists", "/variants/1/sku", "already_exists");
            assert!(
                problem["errors"].as_array().unwrap().iter().any(|it| it["pointer"] == "/slug"),
                "{problem}"
            );
        }
        for answer in
            [admin.post("/products", &two(["X", "X"])).await, admin.put(&path, &two(["X", "X"])).await]
        {
            answer.expect_error_at(422, "validation_failed", "/variants/1/sku", "validation_failed");
        }
        let answer = admin.patch(&path, &json!({"slug": "cup"})).await;
        answer.expect_error_at(409, "already_exists", "/slug", "already_exists");
        let answer =
            admin.post("/products", &with(product("Bowl", "D"), "categoryIds", json!(["cat_none"]))).await;
        answer.expect_error_at(422, "validation_failed", "/categoryIds/0", "validation_failed");
        let answer = admin.patch(&path, &json!({"variants": []})).await;
        answer.expect_error_at(422, "validation_failed", "/variants", "validation_failed");
        let answer = admin.patch(&path, &json!({"variants": [{"sku": "C", "id": "var_none"}]})).await;
        answer.expect_error_at(422, "validation_failed", "/variants/0/id", "validation_failed");
    })
    .await;
    // What a product has already is no conflict with itself.
    admin.patch(&path, &json!({"slug": "cup-2", "variants": [{"sku": "C"}]})).await.expect(200);
}

async fn of_many_who_want_a_sku_one_gets_it(mut host: TestHost) {
    let admin = host.admin().await;
    for round in 0..10 {
        let sku = format!("S{round}");
        let answers =
            join_all((0..8).map(|_| async { admin.post("/products", &product("Cup", &sku)).await })).await;
        let (mut made, mut refused) = (0, 0);
        for answer in answers {
            if answer.status == 201 {
                made += 1;
            } else {
                answer.expect_error_at(409, "already_exists", "/variants/0/sku", "already_exists");
                refused += 1;
            }
        }
        assert_eq!((made, refused), (1, 7));
    }
    let stored = documents(&host, "products").await;
    assert_eq!(stored.len(), 10);
    let mut slugs: Vec<&str> = stored.values().map(|it| it["slug"].as_str().unwrap()).collect();
    slugs.sort_unstable();
    slugs.dedup();
    assert_eq!(slugs.len(), 10);
}

async fn parallel_changes_without_a_version_all_take_effect(mut host: TestHost) {
    let admin = host.admin().await;
    let created = admin.post("/products", &product("Cup", "C")).await.expect(201);
    let path = format!("/products/{}", id(&created));
    let changes =
        (0..40).map(|number| {
            let (admin, path) = (&admin, &path);
            async move {
                admin.patch(path, &json!({"metadata": {format!("k{number}"): number}})).await.expect(200)
            }
        });
    let mut versions: Vec<u64> =
        join_all(changes).await.iter().map(|it| it["version"].as_u64().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=41).collect::<Vec<u64>>());
    let product = admin.get(&path).await.expect(200);
    assert_eq!((product["metadata"].as_object().unwrap().len(), &product["version"]), (40, &json!(41)));
}

async fn every_committed_write_has_its_event_and_its_audit_entry(mut host: TestHost) {
    let admin = host.admin().await;
    let created = admin.post("/products", &product("Cup", "C")).await.expect(201);
    let path = format!("/products/{}", id(&created));
    let changed = admin.patch(&path, &json!({"name": "Bowl"})).await.expect(200);
    admin.patch(&path, &json!({"name": ""})).await.expect_problem(422, "validation_failed");
    let replaced = admin.put(&path, &product("Mug", "C")).await.expect(200);
    admin.get(&path).await.expect(200);
    let request = admin.request("DELETE".parse().unwrap(), &path).header("x-request-id", "mine-1");
    let answer = admin.send(request).await;
    assert_eq!(answer.header("x-request-id"), Some("mine-1"));
    answer.expect(204);

    let events: Vec<Value> = documents(&host, "_events").await.into_values().collect();
    let topics: Vec<&str> = events.iter().map(|it| it["topic"].as_str().unwrap()).collect();
    assert_eq!(topics, ["product.created", "product.updated", "product.updated", "product.deleted"]);
    assert!(events.iter().all(|event| event["subject"] == created["id"]), "{events:#?}");
    for (event, shown) in events.iter().zip([&created, &changed, &replaced, &replaced]) {
        assert_eq!((&event["data"]["version"], &event["data"]["name"]), (&shown["version"], &shown["name"]));
    }
    assert_eq!(events[3]["requestId"], "mine-1");

    let mut entries: Vec<Value> = documents(&host, "_audit").await.into_values().collect();
    entries.retain(|entry| entry["operationId"] != "loginAdmin");
    let told: Vec<(&str, &str)> = entries
        .iter()
        .map(|it| (it["operationId"].as_str().unwrap(), it["changes"][0]["verb"].as_str().unwrap()))
        .collect();
    let expected = [
        ("createProduct", "create"),
        ("updateProduct", "change"),
        ("replaceProduct", "change"),
        ("deleteProduct", "delete"),
    ];
    assert_eq!(told, expected);
    let accounts = documents(&host, "_accounts").await;
    let actor = accounts.keys().next().unwrap().as_str();
    for entry in &entries {
        assert_eq!((&entry["actorKind"], &entry["actorId"]), (&json!("admin"), &json!(actor)));
        assert_eq!(entry["changes"].as_array().unwrap().len(), 1, "{entry}");
        assert_eq!(entry["changes"][0]["id"], created["id"]);
    }
    assert_eq!(entries[3]["requestId"], "mine-1");
}
