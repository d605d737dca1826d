//! Many products or categories in one request.

use hyper::Method;
use platform_tests::{
    host::{SHOP_GRANTS, TestHost},
    shop::{category, documents, id, product, with, writes_nothing},
};
use serde_json::{Value, json};

fn create(data: Value) -> Value {
    json!({"op": "create", "data": data})
}

fn update(id: &str, data: Value) -> Value {
    json!({"op": "update", "id": id, "data": data})
}

fn delete(id: &str) -> Value {
    json!({"op": "delete", "id": id})
}

fn request(mode: &str, operations: &[Value]) -> Value {
    json!({"mode": mode, "operations": operations})
}

/// Status and the problem's code of each result.
fn seen(answer: &Value) -> Vec<(u64, &str)> {
    let results = answer["results"].as_array().unwrap();
    results
        .iter()
        .map(|it| (it["status"].as_u64().unwrap(), it["problem"]["code"].as_str().unwrap_or_default()))
        .collect()
}

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    an_atomic_request_does_everything_at_once,
    an_atomic_request_that_fails_writes_nothing,
    independent_operations_stand_for_themselves,
    a_hundred_of_one_name_go_together,
    categories_go_together_as_long_as_the_trees_stay_whole,
    the_first_categories_of_a_shop_can_come_together,
);

async fn an_atomic_request_does_everything_at_once(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    let shelf = admin.post("/categories", &category("Shelf")).await.expect(201);
    let cup = admin.post("/products", &product("Cup", "CUP")).await.expect(201);
    let bowl = admin.post("/products", &product("Bowl", "BOWL")).await.expect(201);
    let on_the_shelf = |name: &str, sku: &str| with(product(name, sku), "categoryIds", json!([id(&shelf)]));
    let operations = [
        create(on_the_shelf("Jug", "JUG-1")),
        update(id(&cup), json!({"tags": ["x"], "version": 77})),
        delete(id(&bowl)),
        // The same name and slug, derived: it makes way.
        create(on_the_shelf("Jug", "JUG-2")),
    ];
    let answer = admin.post("/products/bulk", &json!({"operations": operations})).await.expect(200);
    assert_eq!(seen(&answer), [(201, ""), (200, ""), (204, ""), (201, "")]);
    let results = &answer["results"];
    assert_eq!((&results[0]["version"], &results[1]["version"]), (&json!(1), &json!(2)));
    assert_eq!((&results[1]["id"], &results[2]["version"]), (&cup["id"], &Value::Null));
    let jug = public.get(&format!("/products/{}", id(&results[0]))).await.expect(200);
    let other = public.get(&format!("/products/{}", id(&results[3]))).await.expect(200);
    assert_eq!(jug["slug"], "jug");
    assert!(other["slug"].as_str().unwrap().starts_with("jug-"), "{other}");
    assert_eq!(public.get(&format!("/products/{}", id(&cup))).await.expect(200)["tags"], json!(["x"]));
    public.get(&format!("/products/{}", id(&bowl))).await.expect_problem(404, "not_found");
    let requests: std::collections::BTreeSet<String> = documents(&host, "_events")
        .await
        .into_values()
        .filter(|event| event["operationId"] == "bulkProducts")
        .map(|event| format!("{} {}", event["topic"], event["requestId"]))
        .collect();
    assert_eq!(requests.len(), 3, "created, updated and deleted, in one request: {requests:?}");
}

async fn an_atomic_request_that_fails_writes_nothing(mut host: TestHost) {
    let admin = host.admin().await;
    let cup = admin.post("/products", &product("Cup", "CUP")).await.expect(201);
    writes_nothing(&host, async {
        for (wrong, status, code, pointer) in [
            (create(product("Jug", "CUP")), 409, "already_exists", "/variants/0/sku"),
            (create(json!({"name": "Jug", "status": "active"})), 422, "validation_failed", "/variants"),
            (
                create(json!({"name": "Jug", "categoryIds": ["cat_x"]})),
                422,
                "validation_failed",
                "/categoryIds/0",
            ),
            (update("prod_none", json!({})), 404, "not_found", ""),
        ] {
            let operations = [create(product("Pot", "POT")), wrong, update(id(&cup), json!({"tags": ["x"]}))];
            let answer = admin.post("/products/bulk", &request("atomic", &operations)).await.expect(200);
            assert_eq!(seen(&answer), [(409, "conflict"), (status, code), (409, "conflict")]);
            let problem = &answer["results"][1]["problem"];
            assert_eq!(problem["errors"][0]["pointer"].as_str().unwrap_or_default(), pointer, "{problem}");
            assert!(answer["results"][0]["problem"]["detail"].as_str().unwrap().contains("operation 1"));
            assert_eq!(answer["results"][2]["id"], cup["id"]);
        }
        // What does not fit the schema refuses the request, in both modes.
        for mode in ["atomic", "independent"] {
            let operations = [create(product("Pot", "POT")), create(json!({"name": "Jug", "colour": "red"}))];
            let answer = admin.post("/products/bulk", &request(mode, &operations)).await;
            answer.expect_error_at(422, "unknown_field", "/operations/1/data/colour", "unknown_field");
        }
        let many = vec![delete("prod_none"); 101];
        let answer = admin.post("/products/bulk", &request("independent", &many)).await;
        answer.expect_error_at(422, "validation_failed", "/operations", "validation_failed");
    })
    .await;
}

async fn independent_operations_stand_for_themselves(mut host: TestHost) {
    let admin = host.admin().await;
    let cup = admin.post("/products", &product("Cup", "CUP")).await.expect(201);
    let operations = [
        create(product("Jug", "CUP")),
        create(product("Jug", "JUG")),
        create(product("Jug", "JUG")),
        update(id(&cup), json!({"tags": ["x"]})),
        update(id(&cup), json!({"tags": ["y"]})),
        delete("prod_none"),
    ];
    let send = async || {
        let draft = admin.request(Method::POST, "/products/bulk").header("idempotency-key", "k");
        admin.send(draft.json(&request("independent", &operations))).await
    };
    let first = send().await;
    let answer = first.clone().expect(200);
    let expected = [
        (409, "already_exists"),
        (201, ""),
        (409, "already_exists"),
        (200, ""),
        (200, ""),
        (404, "not_found"),
    ];
    assert_eq!(seen(&answer), expected);
    assert_eq!(answer["results"][4]["version"], 3);
    let again = writes_nothing(&host, send()).await;
    assert_eq!((again.header("idempotent-replayed"), again.text()), (Some("true"), first.text()));
    assert_eq!(documents(&host, "products").await.len(), 2);
}

async fn a_hundred_of_one_name_go_together(host: TestHost) {
    // A hundred commits one after the other, each waiting for a sync that the whole test run competes for: what is
    // looked at here is what becomes of them, and not how long it takes.
    let shop = host.another().plugin("products").plugin("categories").grants(SHOP_GRANTS);
    let mut host = shop.configure(|config| config.plugins.limits.timeout_ms = 60_000).start().await;
    let admin = host.admin().await;
    for mode in ["atomic", "independent"] {
        let operations: Vec<Value> =
            (0..100).map(|number| create(product(mode, &format!("{mode}-{number}")))).collect();
        let answer = admin.post("/products/bulk", &request(mode, &operations)).await.expect(200);
        assert_eq!(seen(&answer), vec![(201, ""); 100]);
    }
    assert_eq!(documents(&host, "products").await.len(), 200);
}

async fn categories_go_together_as_long_as_the_trees_stay_whole(mut host: TestHost) {
    let admin = host.admin().await;
    let top = admin.post("/categories", &category("Top")).await.expect(201);
    let below = |name: &str, parent: &Value| with(category(name), "parentId", id(parent));
    let a = admin.post("/categories", &below("A", &top)).await.expect(201);
    let b = admin.post("/categories", &below("B", &top)).await.expect(201);
    let bulk = async |mode: &str, operations: &[Value]| {
        admin.post("/categories/bulk", &request(mode, operations)).await.expect(200)
    };
    let answer =
        bulk("atomic", &[create(below("C", &a)), create(below("D", &a)), update(id(&b), json!({"rank": 4}))])
            .await;
    assert_eq!(seen(&answer), [(201, ""), (201, ""), (200, "")]);
    let (c, d) = (answer["results"][0].clone(), answer["results"][1].clone());
    let read = admin.get(&format!("/categories/{}", id(&d))).await.expect(200);
    assert_eq!((&read["depth"], &read["path"][1]["id"]), (&json!(2), &a["id"]));

    let under = |parent: &Value| json!({"parentId": id(parent)});
    writes_nothing(&host, async {
        // Each is fine by itself; together they would make a cycle, or an orphan.
        let answer = bulk("atomic", &[update(id(&a), under(&b)), update(id(&b), under(&a))]).await;
        assert_eq!(seen(&answer), [(409, "conflict"), (409, "conflict")]);
        let answer = bulk("atomic", &[create(below("E", &c)), delete(id(&c))]).await;
        assert_eq!(seen(&answer), [(422, "validation_failed"), (409, "conflict")]);
        let answer = bulk("atomic", &[delete(id(&top)), delete(id(&c))]).await;
        assert_eq!(seen(&answer), [(409, "category_not_empty"), (409, "conflict")]);
    })
    .await;
    let answer = bulk("independent", &[update(id(&a), under(&b)), update(id(&b), under(&a))]).await;
    assert_eq!(seen(&answer), [(200, ""), (409, "category_cycle")]);
    let answer = bulk("atomic", &[delete(id(&c)), delete(id(&d)), create(below("E", &b))]).await;
    assert_eq!(seen(&answer), [(204, ""), (204, ""), (201, "")]);
    // Nothing is left of the marks, and the trees go on.
    admin.post("/categories", &below("F", &a)).await.expect(201);
    let marked =
        documents(&host, "categories").await.into_values().filter(|it| it.get("deletingSince").is_some());
    assert_eq!(marked.count(), 0);
}

async fn the_first_categories_of_a_shop_can_come_together(mut host: TestHost) {
    let admin = host.admin().await;
    let operations = [create(category("One")), create(category("Two")), create(category("Two"))];
    let answer = admin.post("/categories/bulk", &request("atomic", &operations)).await.expect(200);
    assert_eq!(seen(&answer), [(201, ""), (201, ""), (201, "")]);
    let tree = admin.get("/categories/tree").await.expect(200);
    let slugs: Vec<&str> = tree.as_array().unwrap().iter().map(|it| it["slug"].as_str().unwrap()).collect();
    assert_eq!((slugs[..2].to_vec(), slugs[2].len()), (vec!["one", "two"], "two-".len() + 8), "{slugs:?}");
}
