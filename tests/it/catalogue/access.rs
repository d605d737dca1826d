//! Who may do what: every route, every role.

use platform_tests::{
    client::Client,
    host::TestHost,
    shop::{category, id, product, stock},
};
use serde_json::{Value, json};

/// A route, how a request to it looks, and what those get who may use it.
struct Row {
    route: &'static str,
    body: Option<fn(u32) -> Value>,
    allowed: u16,
    access: Access,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Public,
    /// Catalogue managers and superadmins.
    Catalogue,
    /// Stock managers and superadmins.
    Stock,
}

const fn row(route: &'static str, body: Option<fn(u32) -> Value>, allowed: u16, access: Access) -> Row {
    Row { route, body, allowed, access }
}

const ROWS: &[Row] = &[
    row("GET /products", None, 200, Access::Public),
    row("POST /products", Some(new_product), 201, Access::Catalogue),
    row("POST /products/bulk", Some(nothing_much), 200, Access::Catalogue),
    row("GET /products/facets", None, 200, Access::Public),
    row("GET /products/{id}", None, 200, Access::Public),
    row("PUT /products/{id}", Some(new_product), 200, Access::Catalogue),
    row("PATCH /products/{id}", Some(|_| json!({"description": "x"})), 200, Access::Catalogue),
    row("DELETE /products/{id}", None, 204, Access::Catalogue),
    row("GET /products/by-slug/{slug}", None, 200, Access::Public),
    row("GET /products/{id}/variants", None, 200, Access::Public),
    row("POST /products/{id}/variants", Some(second_variant), 201, Access::Catalogue),
    row("GET /products/{id}/variants/{variantId}", None, 200, Access::Public),
    row(
        "PATCH /products/{id}/variants/{variantId}",
        Some(|_| json!({"barcode": "1"})),
        200,
        Access::Catalogue,
    ),
    row("DELETE /products/{id}/variants/{variantId}", None, 204, Access::Catalogue),
    row("GET /categories", None, 200, Access::Public),
    row("POST /categories", Some(|_| category("New")), 201, Access::Catalogue),
    row("POST /categories/bulk", Some(nothing_much), 200, Access::Catalogue),
    row("GET /categories/tree", None, 200, Access::Public),
    row("GET /categories/{id}", None, 200, Access::Public),
    row("PUT /categories/{id}", Some(|_| category("Other")), 200, Access::Catalogue),
    row("PATCH /categories/{id}", Some(|_| json!({"rank": 3})), 200, Access::Catalogue),
    row("DELETE /categories/{id}", None, 204, Access::Catalogue),
    row("POST /categories/{id}/move", Some(|_| json!({"parentId": null})), 200, Access::Catalogue),
    row("GET /categories/by-slug/{slug}", None, 200, Access::Public),
    row("GET /inventory", None, 200, Access::Stock),
    row("GET /inventory/{sku}", None, 200, Access::Stock),
    row("PATCH /inventory/{sku}", Some(|_| json!({"incoming": 3})), 200, Access::Stock),
    row("POST /inventory/adjustments", Some(adjustment), 200, Access::Stock),
    row("GET /inventory/movements", None, 200, Access::Stock),
];

fn new_product(number: u32) -> Value {
    product("New", &format!("NEW-{number}"))
}

fn nothing_much(_: u32) -> Value {
    json!({"operations": [{"op": "delete", "id": "none"}]})
}

fn second_variant(number: u32) -> Value {
    json!({"sku": format!("SECOND-{number}"), "optionValues": {"Size": "M"}})
}

/// A product that has room for a second variant, and can do without its last one unless it is active.
fn old_product(number: u32, template: &str, method: &str) -> Value {
    let mut body = product("Old", &format!("OLD-{number}"));
    if template.contains("/variants") {
        body["options"] = json!([{"name": "Size", "values": ["S", "M"]}]);
        body["variants"][0]["optionValues"] = json!({"Size": "S"});
    }
    if method == "DELETE" {
        body["status"] = json!("draft");
    }
    body
}

fn adjustment(number: u32) -> Value {
    json!({"sku": format!("OLD-{number}"), "delta": 1, "reason": "received"})
}

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    every_route_has_a_row_and_answers_each_role_as_it_says,
    a_token_that_is_not_good_is_refused_also_where_none_is_needed,
);

async fn every_route_has_a_row_and_answers_each_role_as_it_says(mut host: TestHost) {
    let mut loaded = Vec::new();
    for plugin in host.app.plugins_report()["plugins"].as_array().unwrap() {
        loaded.extend(plugin["routes"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()));
    }
    let mut rows: Vec<&str> = ROWS.iter().map(|row| row.route).collect();
    loaded.sort_unstable();
    rows.sort_unstable();
    assert_eq!(rows, loaded, "the rows of this table against the routes of the loaded plugins");

    let admin = host.admin().await;
    let nobody = host.staff("nobody@example.com", &[]).await;
    let manager = host.staff("manager@example.com", &["catalog-manager"]).await;
    let keeper = host.staff("keeper@example.com", &["stock-manager"]).await;
    // Client, what it may besides what is public, and what it is told when it may not.
    let roles = [
        ("anonymous", host.anonymous(), &[][..], (401, "unauthenticated")),
        ("staff without a role", host.with_token(&nobody), &[], (403, "forbidden")),
        ("catalog-manager", host.with_token(&manager), &[Access::Catalogue], (403, "forbidden")),
        ("stock-manager", host.with_token(&keeper), &[Access::Stock], (403, "forbidden")),
        ("superadmin", admin.clone(), &[Access::Catalogue, Access::Stock], (0, "")),
    ];
    let mut number = 0;
    for row in ROWS {
        for (role, client, may, (status, code)) in &roles {
            number += 1;
            let answer = call(&admin, client, row, number).await;
            if row.access == Access::Public || may.contains(&row.access) {
                assert_eq!(answer.status.as_u16(), row.allowed, "{} as {role}: {}", row.route, answer.text());
            } else {
                if *status == 401 {
                    assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{}", row.route);
                }
                answer.expect_problem(*status, code);
            }
        }
    }
}

/// A request to a product, category or level of its own.
async fn call(admin: &Client, client: &Client, row: &Row, number: u32) -> platform_tests::client::Answer {
    let (method, template) = row.route.split_once(' ').unwrap();
    let sku = format!("OLD-{number}");
    let subject = match template.starts_with("/categories") {
        true => admin.post("/categories", &category("Old")).await.expect(201),
        false => admin.post("/products", &old_product(number, template, method)).await.expect(201),
    };
    if template.starts_with("/inventory") {
        stock(admin, &sku, 1).await.expect(200);
    }
    let path = template
        .replace("/facets", "/facets?facets=price")
        .replace("{id}", id(&subject))
        .replace("{slug}", subject["slug"].as_str().unwrap())
        .replace("{sku}", &sku)
        .replace("{variantId}", subject["variants"][0]["id"].as_str().unwrap_or_default());
    let mut draft = client.request(method.parse().unwrap(), &path);
    if method == "POST" {
        draft = draft.header("idempotency-key", &format!("a-key-of-at-least-128-bits-{number}"));
    }
    if let Some(body) = row.body {
        draft = draft.json(&body(number));
    }
    client.send(draft).await
}

async fn a_token_that_is_not_good_is_refused_also_where_none_is_needed(mut host: TestHost) {
    let admin = host.admin().await;
    let good = host.staff("second@example.com", &["superadmin"]).await;
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    let tampered = format!("{signed}.{other}{}", &signature[1..]);
    let mut bodies = Vec::new();
    for token in ["", "x", "a.b.c", &tampered] {
        let answer = host.with_token(token).get("/products").await;
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""), "{token}");
        let mut problem = answer.expect_problem(401, "token_invalid");
        problem["requestId"] = Value::Null;
        bodies.push(problem);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:#?}");
    let twice = admin.request("GET".parse().unwrap(), "/products").header("authorization", "Bearer x");
    admin.send(twice).await.expect_problem(401, "token_invalid");
    let basic = host.anonymous().request("GET".parse().unwrap(), "/products");
    let basic = basic.header("authorization", "Basic YTpi");
    host.anonymous().send(basic).await.expect_problem(401, "token_invalid");

    host.clock.advance(std::time::Duration::from_secs(3600));
    admin.get("/products").await.expect_problem(401, "token_expired");
}
