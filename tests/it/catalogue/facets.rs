//! `GET /products/facets`: what a list's filters leave, counted by category, price and option.

use platform_tests::{
    client::Client,
    host::{START_MS, TestHost},
    shop::{category, id},
};
use serde_json::{Value, json};

const HOUR_MS: i64 = 3_600_000;

fn shirt(name: &str, category: &str, amounts: &[i64], colours: &[&str]) -> Value {
    let variants: Vec<Value> = colours
        .iter()
        .zip(amounts)
        .enumerate()
        .map(|(number, (colour, amount))| {
            json!({
                "sku": format!("{name}-{number}"),
                "optionValues": {"Color": colour},
                "prices": [{"amount": amount, "currency": "USD"}],
            })
        })
        .collect();
    json!({
        "name": name, "status": "active", "categoryIds": [category], "tags": ["cotton"],
        "options": [{"name": "Color", "values": ["Red", "Blue", "Red.ish"]}], "variants": variants,
    })
}

async fn facets(client: &Client, query: &str) -> Value {
    let answer = client.get(&format!("/products/facets?{query}")).await.expect(200);
    answer["facets"].clone()
}

fn values(counts: &[(&str, u64)]) -> Value {
    counts.iter().map(|(value, count)| json!({"value": value, "count": count})).collect()
}

async fn what_a_list_shows_is_counted(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    let tops = admin.post("/categories", &category("Tops")).await.expect(201);
    let tees = json!({"name": "Tees", "parentId": id(&tops)});
    let tees = admin.post("/categories", &tees).await.expect(201);
    let (tops, tees) = (id(&tops), id(&tees));
    for product in [
        shirt("Polo", tops, &[1500, 900], &["Red", "Blue"]),
        shirt("Tee", tees, &[999, 999], &["Red", "Red.ish"]),
        shirt("Vest", tees, &[250], &["Blue"]),
    ] {
        admin.post("/products", &product).await.expect(201);
    }
    let draft = json!({"name": "Draft shirt", "tags": ["cotton"]});
    admin.post("/products", &draft).await.expect(201);

    let all = facets(&public, "facets=category,option.Color,price,tags,option.Size").await;
    let expected = json!([
        {"name": "category", "ranges": [], "values": values(&[(tees, 2), (tops, 1)])},
        {"name": "option.Color", "ranges": [], "values": values(&[("Blue", 2), ("Red", 2), ("Red.ish", 1)])},
        {"name": "price", "values": [], "ranges": [
            {"from": 200, "to": 500, "count": 1},
            {"from": 500, "to": 1000, "count": 2},
        ]},
        {"name": "tags", "ranges": [], "values": values(&[("cotton", 3)])},
        {"name": "option.Size", "ranges": [], "values": []},
    ]);
    assert_eq!(all, expected);
    let staff = facets(&admin, "facets=status").await;
    assert_eq!(staff[0]["values"], values(&[("active", 3), ("draft", 1)]));

    let bounds = facets(&public, "facets=price&priceBounds=900,950").await;
    let expected = json!([
        {"from": 0, "to": 900, "count": 1}, {"from": 900, "to": 950, "count": 1}, {"from": 950, "to": null, "count": 1},
    ]);
    assert_eq!(bounds[0]["ranges"], expected);

    // Every filter of the list narrows it, and what is counted is what the list then shows.
    for (query, red) in [
        ("category=tees", 1),
        ("category=tops", 2),
        ("q=polo", 1),
        ("filter[price][lt]=950", 1),
        ("filter[option][eq]=Color.Blue", 1),
        ("filter[option][in]=Color.Blue,Color.Red.ish&category=tees", 1),
    ] {
        let counted = facets(&public, &format!("facets=option.Color&{query}")).await;
        let found = counted[0]["values"].as_array().unwrap().iter().find(|it| it["value"] == "Red").cloned();
        let shown = public.get(&format!("/products?filter[option][eq]=Color.Red&{query}")).await;
        assert_eq!(shown.header("x-total-count"), Some(red.to_string().as_str()), "{query}");
        assert_eq!(found.map(|it| it["count"].clone()), Some(json!(red)), "{query}");
    }
}

/// A price that ends is counted where the next one is, without a write by anybody.
async fn prices_that_apply_now_are_counted(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    let prices = json!([
        {"amount": 1000, "currency": "USD"},
        {"amount": 100, "currency": "USD", "endsAt": "2026-01-01T01:00:00Z"},
    ]);
    let product = json!({"name": "Sale", "status": "active", "variants": [{"sku": "S", "prices": prices}]});
    admin.post("/products", &product).await.expect(201);
    let from = async || facets(&public, "facets=price").await[0]["ranges"][0]["from"].clone();
    assert_eq!(from().await, 100);
    host.clock.set_ms(START_MS + HOUR_MS);
    assert_eq!(from().await, 1000);
}

async fn what_cannot_be_counted_is_refused(host: TestHost) {
    let public = host.anonymous();
    let refused = async |query: &str, code: &str, at: &str| {
        let answer = public.get(&format!("/products/facets{query}")).await;
        answer.expect_error_at(400, code, at, code);
    };
    let many: Vec<String> = (0..21).map(|number| format!("option.{number}")).collect();
    refused("", "invalid_parameter", "facets").await;
    for facets in
        ["", "colour", "price,", "option", "option.", "option.a.b", "_computed.options", &many.join(",")]
    {
        refused(&format!("?facets={facets}"), "invalid_parameter", "facets").await;
    }
    for bounds in ["", "x", "0", "-1", "2,1", "1,1", "1,,2", "1.5"] {
        let query = format!("?facets=price&priceBounds={bounds}");
        refused(&query, "invalid_parameter", "priceBounds").await;
    }
    refused("?facets=price&currency=JPY", "invalid_parameter", "currency").await;
    for unknown in ["limit=5", "offset=1", "cursor=x", "count=none", "sort=name", "facet=price"] {
        let name = unknown.split('=').next().unwrap();
        refused(&format!("?facets=price&{unknown}"), "unknown_parameter", name).await;
    }
    refused("?facets=price&filter[colour]=red", "unknown_filter", "filter[colour]").await;
    refused("?facets=price&filter[_computed.options]=a", "unknown_filter", "filter[_computed.options]").await;
}

macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(platform_tests::host::TestHost::shop().await).await;
            })*
        }

        mod mongodb {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                if platform_tests::store::mongod::is_there() {
                    super::$test(platform_tests::host::TestHost::shop_on_mongodb().await).await;
                }
            })*
        }
    };
}

on_both!(what_a_list_shows_is_counted, prices_that_apply_now_are_counted, what_cannot_be_counted_is_refused);
