//! Categories: trees that stay trees, and products that never refer to nothing.

use std::collections::BTreeMap;

use futures_util::future::{join, join3};
use platform_tests::{
    client::Client,
    host::TestHost,
    shop::{category, documents, id, product, with, writes_nothing},
    sizes::RACE_ROUNDS,
};
use serde_json::{Value, json};

async fn below(admin: &Client, name: &str, parent: Option<&Value>) -> Value {
    let body = with(category(name), "parentId", parent.map_or(Value::Null, |it| it["id"].clone()));
    admin.post("/categories", &body).await.expect(201)
}

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    a_category_lives_through_every_route,
    the_tree_is_nested_sorted_and_cut,
    a_category_never_comes_below_itself,
    racing_moves_never_make_a_cycle,
    a_category_with_something_in_it_is_kept_or_gives_it_to_its_parent,
    no_product_ever_refers_to_a_category_that_is_gone,
);

async fn a_category_lives_through_every_route(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    let root = below(&admin, "Kitchen", None).await;
    let answer = admin.post("/categories", &json!({"name": "Cups", "parentId": id(&root), "rank": 2})).await;
    let location = answer.header("location").unwrap().to_owned();
    let cups = answer.expect(201);
    let path = format!("/categories/{}", id(&cups));
    assert_eq!(location, format!("/api/v1{path}"));
    assert_eq!((&cups["slug"], &cups["depth"], &cups["version"]), (&json!("cups"), &json!(1), &json!(1)));
    assert_eq!(cups["path"], json!([{"id": root["id"], "slug": "kitchen", "name": "Kitchen"}]));
    assert_eq!(public.get(&path).await.expect(200), cups);
    assert_eq!(public.get("/categories/by-slug/cups").await.expect(200), cups);
    assert_eq!(public.get("/categories?sort=-rank").await.expect(200), json!([cups, root]));

    // What was read can be sent back, path and depth included.
    assert_eq!(admin.put(&path, &cups).await.expect(200), with(cups.clone(), "version", 2));
    let patched = admin.patch(&path, &json!({"description": "To drink from", "depth": 9, "path": "x"})).await;
    assert_eq!(patched.expect(200), with(with(cups.clone(), "version", 3), "description", "To drink from"));
    let moved = admin.post(&format!("{path}/move"), &json!({"parentId": null, "rank": -1})).await.expect(200);
    assert_eq!(
        (&moved["parentId"], &moved["path"], &moved["depth"], &moved["rank"]),
        (&Value::Null, &json!([]), &json!(0), &json!(-1))
    );
    assert_eq!(moved["description"], "To drink from");
    let moved = admin.post(&format!("{path}/move"), &json!({"parentId": id(&root)})).await.expect(200);
    assert_eq!((&moved["depth"], &moved["rank"], &moved["version"]), (&json!(1), &json!(-1), &json!(5)));
    // A replacement without a parent makes it a root.
    let replaced = admin.put(&path, &category("Mugs")).await.expect(200);
    assert_eq!(
        (&replaced["parentId"], &replaced["slug"], &replaced["rank"]),
        (&Value::Null, &json!("cups"), &json!(0))
    );

    admin.delete(&path).await.expect(204);
    public.get(&path).await.expect_problem(404, "not_found");
    for answer in [
        admin.delete(&path).await,
        admin.patch(&path, &json!({})).await,
        admin.post(&format!("{path}/move"), &json!({"parentId": null})).await,
    ] {
        answer.expect_problem(404, "not_found");
    }
}

async fn the_tree_is_nested_sorted_and_cut(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    let home = below(&admin, "Home", None).await;
    let art = below(&admin, "Art", None).await;
    let kitchen = below(&admin, "Kitchen", Some(&home)).await;
    below(&admin, "Bath", Some(&home)).await;
    let first = json!({"name": "Zoo", "parentId": id(&home), "rank": -1});
    admin.post("/categories", &first).await.expect(201);
    let cellar = json!({"name": "Cellar", "parentId": id(&home), "active": false});
    let cellar = admin.post("/categories", &cellar).await.expect(201);
    below(&admin, "Cups", Some(&kitchen)).await;
    below(&admin, "Wine", Some(&cellar)).await;

    fn outline(nodes: &Value) -> String {
        let nodes = nodes.as_array().unwrap().iter();
        let text = |node: &Value| {
            let below = outline(&node["children"]);
            let name = node["name"].as_str().unwrap();
            if below.is_empty() { name.to_owned() } else { format!("{name}({below})") }
        };
        nodes.map(text).collect::<Vec<_>>().join(" ")
    }
    let tree = async |client: &Client, query: &str| {
        outline(&client.get(&format!("/categories/tree{query}")).await.expect(200))
    };
    assert_eq!(tree(&public, "").await, "Art Home(Zoo Bath Kitchen(Cups))");
    assert_eq!(tree(&admin, "").await, "Art Home(Zoo Bath Cellar(Wine) Kitchen(Cups))");
    assert_eq!(tree(&public, "?depth=1").await, "Art Home");
    assert_eq!(tree(&public, "?depth=2").await, "Art Home(Zoo Bath Kitchen)");
    assert_eq!(tree(&public, "?root=kitchen").await, "Kitchen(Cups)");
    assert_eq!(tree(&public, &format!("?root={}&depth=1", id(&art))).await, "Art");
    let node = public.get("/categories/tree?root=kitchen").await.expect(200);
    assert_eq!(node[0]["children"][0]["path"][0]["slug"], "home");
    assert_eq!(node[0]["children"][0]["depth"], 2);

    for root in ["nowhere", "cellar", id(&cellar)] {
        public.get(&format!("/categories/tree?root={root}")).await.expect_problem(404, "not_found");
    }
    assert_eq!(tree(&admin, "?root=cellar").await, "Cellar(Wine)");
    for depth in ["0", "11", "-1", "x", "1.5", ""] {
        let answer = public.get(&format!("/categories/tree?depth={depth}")).await;
        answer.expect_error_at(400, "invalid_parameter", "depth", "invalid_parameter");
    }
    public.get(&format!("/categories/{}", id(&cellar))).await.expect_problem(404, "not_found");
    public.get("/categories/by-slug/cellar").await.expect_problem(404, "not_found");
    let listed = public.get("/categories?limit=100").await;
    assert_eq!(listed.header("x-total-count"), Some("7"));
    assert_eq!(admin.get("/categories").await.header("x-total-count"), Some("8"));
}

async fn a_category_never_comes_below_itself(mut host: TestHost) {
    let admin = host.admin().await;
    let top = below(&admin, "Top", None).await;
    let middle = below(&admin, "Middle", Some(&top)).await;
    let bottom = below(&admin, "Bottom", Some(&middle)).await;
    let path = format!("/categories/{}", id(&top));
    writes_nothing(&host, async {
        for target in [&top, &middle, &bottom] {
            let place = json!({"parentId": id(target)});
            for answer in [
                admin.post(&format!("{path}/move"), &place).await,
                admin.patch(&path, &place).await,
                admin.put(&path, &with(category("Top"), "parentId", id(target))).await,
            ] {
                answer.expect_error_at(409, "category_cycle", "/parentId", "category_cycle");
            }
        }
        let answer = admin.patch(&path, &json!({"parentId": "cat_none"})).await;
        answer.expect_error_at(422, "validation_failed", "/parentId", "validation_failed");
        let answer = admin.post("/categories", &json!({"name": "X", "parentId": "cat_none"})).await;
        answer.expect_error_at(422, "validation_failed", "/parentId", "validation_failed");
        let answer = admin.post(&format!("{path}/move"), &json!({})).await;
        answer.expect_error_at(422, "validation_failed", "/parentId", "validation_failed");
        let answer = admin.post("/categories", &json!({"name": "X", "slug": "top"})).await;
        answer.expect_error_at(409, "already_exists", "/slug", "already_exists");
    })
    .await;

    // Ten levels, and a subtree counts as a whole.
    let mut deepest = bottom;
    for level in 4..=10 {
        deepest = below(&admin, &format!("Level {level}"), Some(&deepest)).await;
    }
    let other = below(&admin, "Other", None).await;
    writes_nothing(&host, async {
        let answer = admin.post("/categories", &json!({"name": "X", "parentId": id(&deepest)})).await;
        answer.expect_error_at(422, "validation_failed", "/parentId", "validation_failed");
        let answer = admin.patch(&path, &json!({"parentId": id(&other)})).await;
        answer.expect_error_at(422, "validation_failed", "/parentId", "validation_failed");
    })
    .await;
}

async fn racing_moves_never_make_a_cycle(mut host: TestHost) {
    let admin = host.admin().await;
    let a = below(&admin, "A", None).await;
    let b = below(&admin, "B", None).await;
    let c = below(&admin, "C", None).await;
    let place = async |what: &Value, parent: &Value| {
        let answer =
            admin.post(&format!("/categories/{}/move", id(what)), &json!({"parentId": parent["id"]})).await;
        match answer.status.as_u16() {
            200 => true,
            409 if answer.json()["code"] == "category_cycle" => false,
            _ => panic!("{}", answer.text()),
        }
    };
    for _ in 0..RACE_ROUNDS.get() {
        let moved: [bool; 3] = join3(place(&a, &b), place(&b, &c), place(&c, &a)).await.into();
        // The last one closes the circle and is refused; the others stand.
        assert_eq!(moved.iter().filter(|&&moved| moved).count(), 2, "{moved:?}");
        assert_no_cycle(&documents(&host, "categories").await);
        for category in [&a, &b, &c] {
            admin
                .post(&format!("/categories/{}/move", id(category)), &json!({"parentId": null}))
                .await
                .expect(200);
        }
    }
}

fn assert_no_cycle(categories: &BTreeMap<String, Value>) {
    for start in categories.keys() {
        let mut at = Some(start.as_str());
        let mut steps = 0;
        while let Some(id) = at {
            assert!(steps <= categories.len(), "a cycle through {start}: {categories:#?}");
            steps += 1;
            let category =
                categories.get(id).unwrap_or_else(|| panic!("{start} is below {id}, which is missing"));
            at = category["parentId"].as_str();
        }
    }
}

async fn a_category_with_something_in_it_is_kept_or_gives_it_to_its_parent(mut host: TestHost) {
    let admin = host.admin().await;
    let top = below(&admin, "Top", None).await;
    let middle = below(&admin, "Middle", Some(&top)).await;
    let child = below(&admin, "Child", Some(&middle)).await;
    let body = with(product("Cup", "C"), "categoryIds", json!([id(&child), id(&middle)]));
    let cup = admin.post("/products", &body).await.expect(201);
    let path = format!("/categories/{}", id(&middle));
    writes_nothing(&host, async {
        let problem = admin.delete(&path).await.expect_problem(409, "category_not_empty");
        assert_eq!((&problem["children"], &problem["products"]), (&json!(1), &json!(1)));
        admin.delete(&format!("{path}?strategy=keep")).await.expect_problem(400, "invalid_parameter");
        admin
            .delete(&format!("{path}?strategy=reparent&strategy=reparent"))
            .await
            .expect_problem(400, "invalid_parameter");
        admin.delete(&format!("{path}?plan=reparent")).await.expect_problem(400, "unknown_parameter");
    })
    .await;
    admin.delete(&format!("{path}?strategy=reparent")).await.expect(204);
    let child = admin.get(&format!("/categories/{}", id(&child))).await.expect(200);
    assert_eq!((&child["parentId"], &child["depth"], &child["version"]), (&top["id"], &json!(1), &json!(2)));
    let cup = admin.get(&format!("/products/{}", id(&cup))).await.expect(200);
    assert_eq!((&cup["categoryIds"], &cup["version"]), (&json!([child["id"], top["id"]]), &json!(2)));

    // Below a root there is nothing to give it to.
    admin.delete(&format!("/categories/{}?strategy=reparent", id(&top))).await.expect(204);
    let child = admin.get(&format!("/categories/{}", id(&child))).await.expect(200);
    assert_eq!((&child["parentId"], &child["path"]), (&Value::Null, &json!([])));
    let cup = admin.get(&format!("/products/{}", id(&cup))).await.expect(200);
    assert_eq!(cup["categoryIds"], json!([child["id"]]));

    let events: Vec<Value> = documents(&host, "_events").await.into_values().collect();
    for deleted in [&middle, &top] {
        let told =
            events.iter().filter(|it| it["topic"] == "category.deleted" && it["subject"] == deleted["id"]);
        assert_eq!(told.count(), 1);
    }
    // The mark of a deletion is nobody's business.
    let text = serde_json::to_string(&events).unwrap();
    assert!(!text.contains("deletingSince"), "{text}");
}

async fn no_product_ever_refers_to_a_category_that_is_gone(mut host: TestHost) {
    let admin = host.admin().await;
    let root = below(&admin, "Root", None).await;
    for round in 0..RACE_ROUNDS.get() {
        let shelf = below(&admin, "Shelf", Some(&root)).await;
        let strategy = if round % 2 == 0 { "" } else { "?strategy=reparent" };
        let path = format!("/categories/{}{strategy}", id(&shelf));
        let body = with(product("Cup", &format!("C{round}")), "categoryIds", json!([id(&shelf)]));
        let (deleted, created) = join(admin.delete(&path), admin.post("/products", &body)).await;
        let code = |answer: &platform_tests::client::Answer| match answer.status.is_success() {
            true => answer.status.as_str().to_owned(),
            false => format!("{} {}", answer.status.as_str(), answer.json()["code"].as_str().unwrap()),
        };
        let (deleted, created) = (code(&deleted), code(&created));
        assert!(
            matches!(&deleted[..], "204" | "409 category_not_empty" | "409 conflict"),
            "{deleted} {created}"
        );
        assert!(
            matches!(&created[..], "201" | "422 validation_failed" | "409 conflict"),
            "{deleted} {created}"
        );
        let categories = documents(&host, "categories").await;
        for product in documents(&host, "products").await.into_values() {
            for category in product["categoryIds"].as_array().unwrap() {
                let there = categories.contains_key(category.as_str().unwrap());
                assert!(there, "round {round}: {deleted} {created}: {product}");
            }
        }
        let marked = categories.values().find(|it| it.get("deletingSince").is_some_and(|it| !it.is_null()));
        assert!(marked.is_none(), "round {round}: a mark was left: {marked:?}");
    }
}
