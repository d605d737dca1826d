//! Variants by themselves: parts of a product that have its version, its visibility and its rules.

use std::time::Duration;

use futures_util::future::join_all;
use hyper::Method;
use platform_tests::{
    host::TestHost,
    shop::{documents, id, product, with, writes_nothing},
};
use serde_json::{Value, json};

/// A product with the sizes S and M as variants and room for L.
fn shirt() -> Value {
    json!({
        "name": "Shirt", "status": "active", "options": [{"name": "Size", "values": ["S", "M", "L"]}],
        "variants": [
            {"sku": "S-1", "optionValues": {"Size": "S"}, "prices": [{"amount": 900, "currency": "USD"}]},
            {"sku": "M-1", "optionValues": {"Size": "M"}, "prices": [{"amount": 950, "currency": "EUR"}]},
        ],
    })
}

fn large(sku: &str) -> Value {
    json!({"sku": sku, "optionValues": {"Size": "L"}, "prices": [{"amount": 990, "currency": "USD"}]})
}

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    a_variant_lives_through_every_route,
    the_rules_are_those_of_the_product,
    variants_share_their_products_version_and_visibility,
    a_repeated_creation_gets_the_first_answer,
);

async fn a_variant_lives_through_every_route(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    let made = admin.post("/products", &shirt()).await.expect(201);
    let path = format!("/products/{}", id(&made));
    let list = public.get(&format!("{path}/variants")).await;
    assert!(list.header("etag").unwrap().starts_with("\"1-"));
    assert_eq!(list.expect(200), made["variants"]);

    let answer = admin.post(&format!("{path}/variants"), &large("L-1")).await;
    let location = answer.header("location").unwrap().to_owned();
    assert!(answer.header("etag").unwrap().starts_with("\"2-"), "it has the product's version");
    let variant = answer.expect(201);
    let variant_path = format!("{path}/variants/{}", id(&variant));
    assert_eq!(location, format!("/api/v1{variant_path}"));
    assert!(id(&variant).starts_with("var_"), "{variant}");
    assert_eq!(variant["price"], json!({"amount": 990, "currency": "USD"}));
    assert_eq!((&variant["trackInventory"], &variant["backorder"]), (&json!(true), &json!("deny")));
    let read = public.get(&variant_path).await;
    assert!(read.header("etag").unwrap().starts_with("\"2-"));
    assert_eq!(read.expect(200), variant);
    let whole = public.get(&path).await.expect(200);
    assert_eq!((&whole["version"], &whole["variants"][2]), (&json!(2), &variant));
    let in_euro = public.get(&format!("{path}/variants?currency=EUR")).await.expect(200);
    assert_eq!((&in_euro[1]["price"]["amount"], &in_euro[2]["price"]), (&json!(950), &Value::Null));

    host.clock.advance(Duration::from_secs(1));
    let patch = json!({"sku": "L-2", "weightGrams": 300, "metadata": {"row": 1}});
    let patched = admin.patch(&variant_path, &patch).await;
    assert!(patched.header("etag").unwrap().starts_with("\"3-"));
    let patched = patched.expect(200);
    assert_eq!((&patched["id"], &patched["sku"]), (&variant["id"], &json!("L-2")));
    assert_eq!((&patched["prices"], &patched["weightGrams"]), (&variant["prices"], &json!(300)));
    // What was read can be sent back, and null takes a member back to what it is without it.
    assert_eq!(admin.patch(&variant_path, &patched).await.expect(200), patched);
    let patched =
        admin.patch(&variant_path, &json!({"weightGrams": null, "metadata": null})).await.expect(200);
    assert_eq!((&patched["weightGrams"], &patched["metadata"]), (&Value::Null, &json!({})));
    let whole = public.get(&path).await.expect(200);
    assert_eq!((&whole["version"], &whole["updatedAt"]), (&json!(5), &json!("2026-01-01T00:00:01.000Z")));
    assert_eq!(whole["variants"].as_array().unwrap()[..2], made["variants"].as_array().unwrap()[..]);

    let deleted = admin.delete(&variant_path).await;
    assert!(deleted.body.is_empty());
    deleted.expect(204);
    for answer in [
        public.get(&variant_path).await,
        admin.patch(&variant_path, &json!({})).await,
        admin.delete(&variant_path).await,
        public.get("/products/prod_none/variants").await,
        public.get(&format!("/products/prod_none/variants/{}", id(&variant))).await,
        admin.post("/products/prod_none/variants", &large("X")).await,
    ] {
        answer.expect_problem(404, "not_found");
    }
    assert_eq!(public.get(&path).await.expect(200)["variants"], made["variants"]);
    let topics: Vec<Value> =
        documents(&host, "_events").await.into_values().map(|event| event["topic"].clone()).collect();
    assert_eq!(topics.iter().filter(|topic| **topic == "product.updated").count(), 5);
}

async fn the_rules_are_those_of_the_product(mut host: TestHost) {
    let admin = host.admin().await;
    let made = admin.post("/products", &shirt()).await.expect(201);
    let mug = admin.post("/products", &product("Mug", "MUG")).await.expect(201);
    let variants = format!("/products/{}/variants", id(&made));
    let medium = format!("{variants}/{}", id(&made["variants"][1]));
    let only = format!("/products/{}/variants/{}", id(&mug), id(&mug["variants"][0]));
    writes_nothing(&host, async {
        for taken in ["MUG", "S-1"] {
            let answer = admin.post(&variants, &large(taken)).await;
            answer.expect_error_at(409, "already_exists", "/sku", "already_exists");
            let answer = admin.patch(&medium, &json!({"sku": taken})).await;
            answer.expect_error_at(409, "already_exists", "/sku", "already_exists");
        }
        let same = with(large("L-1"), "optionValues", json!({"Size": "S"}));
        let unknown = with(large("L-1"), "optionValues", json!({"Size": "XL"}));
        for (body, pointer) in [(&same, "/optionValues"), (&unknown, "/optionValues/Size")] {
            for answer in [
                admin.post(&variants, body).await,
                admin.patch(&medium, &json!({"optionValues": body["optionValues"]})).await,
            ] {
                answer.expect_error_at(422, "validation_failed", pointer, "validation_failed");
            }
        }
        let price = with(large("L-1"), "prices", json!([{"amount": 5, "currency": "XXQ"}]));
        let answer = admin.post(&variants, &price).await;
        answer.expect_error_at(422, "validation_failed", "/prices/0/currency", "validation_failed");
        let answer = admin.post(&variants, &with(large("L-1"), "colour", "red")).await;
        answer.expect_error_at(422, "unknown_field", "/colour", "unknown_field");
        let answer = admin.patch(&medium, &json!({"sku": null})).await;
        answer.expect_error_at(422, "validation_failed", "/sku", "validation_failed");
        admin.delete(&only).await.expect_problem(409, "conflict");
    })
    .await;
    // A draft needs none.
    admin.patch(&format!("/products/{}", id(&mug)), &json!({"status": "draft"})).await.expect(200);
    admin.delete(&only).await.expect(204);
}

async fn variants_share_their_products_version_and_visibility(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    let made = admin.post("/products", &shirt()).await.expect(201);
    let path = format!("/products/{}", id(&made));
    let variant = format!("{path}/variants/{}", id(&made["variants"][0]));
    admin.patch(&path, &json!({"tags": ["new"]})).await.expect(200);
    writes_nothing(&host, async {
        for draft in [
            admin.request(Method::PATCH, &variant).json(&json!({"barcode": "1"})),
            admin.request(Method::DELETE, &variant),
            admin.request(Method::POST, &format!("{path}/variants")).json(&large("L-1")),
        ] {
            let problem = admin.send(draft.header("if-match", "\"1\"")).await;
            let problem = problem.expect_problem(412, "version_conflict");
            assert_eq!((&problem["expected"], &problem["current"]), (&json!(1), &json!(2)));
        }
    })
    .await;
    let matching = admin.request(Method::PATCH, &variant).json(&json!({"barcode": "1"}));
    admin.send(matching.header("if-match", "\"2\"")).await.expect(200);
    let etag = public.get(&variant).await.header("etag").unwrap().to_owned();
    let unchanged = public.request(Method::GET, &variant).header("if-none-match", &etag);
    public.send(unchanged).await.expect(304);

    // Parallel changes of one product's variants all take effect.
    let other = format!("{path}/variants/{}", id(&made["variants"][1]));
    let (variant, other, admin) = (&variant, &other, &admin);
    join_all((0..10).map(|number| async move {
        let at = if number % 2 == 0 { variant } else { other };
        admin.patch(at, &json!({"metadata": {format!("m{number}"): number}})).await.expect(200);
    }))
    .await;
    let after = public.get(&path).await.expect(200);
    assert_eq!(after["version"], 13);
    for at in [0, 1] {
        assert_eq!(after["variants"][at]["metadata"].as_object().unwrap().len(), 5, "{after}");
    }

    admin.patch(&path, &json!({"status": "archived"})).await.expect(200);
    for at in [variant.clone(), format!("{path}/variants")] {
        public.get(&at).await.expect_problem(404, "not_found");
        admin.get(&at).await.expect(200);
    }
}

async fn a_repeated_creation_gets_the_first_answer(mut host: TestHost) {
    let admin = host.admin().await;
    let made = admin.post("/products", &shirt()).await.expect(201);
    let path = format!("/products/{}/variants", id(&made));
    let send = async || {
        let draft = admin.request(Method::POST, &path).header("idempotency-key", "k").json(&large("L-1"));
        admin.send(draft).await
    };
    let told = |answer: &platform_tests::client::Answer| {
        let headers = ["location", "etag"].map(|name| answer.header(name).map(str::to_owned));
        (answer.status.as_u16(), answer.text(), headers)
    };
    let first = send().await;
    let again = send().await;
    assert_eq!(told(&first), told(&again));
    assert_eq!((again.header("idempotent-replayed"), first.status.as_u16()), (Some("true"), 201));
    assert_eq!(admin.get(&path).await.expect(200).as_array().unwrap().len(), 3);
}
