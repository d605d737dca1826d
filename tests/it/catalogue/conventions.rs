//! How ids, times, money and members look, whatever the resource.

use std::time::Duration;

use platform_tests::{
    client::Client,
    host::TestHost,
    shop::{category, id, product, stock, with},
};
use serde_json::{Value, json};

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    ids_have_a_prefix_and_sort_by_their_making,
    members_are_camel_case_and_times_have_milliseconds,
    money_is_a_whole_number_of_the_minor_unit,
    a_whole_number_may_be_written_with_a_point,
);

/// One of everything that the catalogue has.
async fn everything(admin: &Client) -> Vec<(&'static str, Value)> {
    let shelf = admin.post("/categories", &category("Shelf")).await.expect(201);
    let cup = with(product("Cup", "CUP"), "categoryIds", json!([id(&shelf)]));
    let cup = admin.post("/products", &cup).await.expect(201);
    stock(admin, "CUP", 5).await.expect(200);
    let movements = admin.get("/inventory/movements").await.expect(200);
    let level = admin.get("/inventory/CUP").await.expect(200);
    vec![
        ("cat_", shelf),
        ("var_", cup["variants"][0].clone()),
        ("prod_", cup),
        ("mov_", movements[0].clone()),
        ("inv_", level),
    ]
}

async fn ids_have_a_prefix_and_sort_by_their_making(mut host: TestHost) {
    let admin = host.admin().await;
    for (prefix, resource) in everything(&admin).await {
        let rest = id(&resource).strip_prefix(prefix).unwrap_or_else(|| panic!("{prefix}: {resource}"));
        let crockford = |it: char| matches!(it, '0'..='9' | 'A'..='Z') && !"ILOU".contains(it);
        assert!(rest.len() == 26 && rest.chars().all(crockford), "{resource}");
    }
    let mut ids = Vec::new();
    for number in 0..10 {
        let made = admin.post("/products", &product("Bowl", &format!("B-{number}"))).await.expect(201);
        ids.push(id(&made).to_owned());
        host.clock.advance(Duration::from_millis(1));
    }
    assert!(ids.is_sorted(), "{ids:?}");
}

async fn members_are_camel_case_and_times_have_milliseconds(mut host: TestHost) {
    let admin = host.admin().await;
    fn check(value: &Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let is_camel = name.starts_with(|it: char| it.is_ascii_lowercase())
                        && name.chars().all(char::is_alphanumeric);
                    assert!(is_camel, "{name}");
                    if name.ends_with("At")
                        && let Some(time) = member.as_str()
                    {
                        let form: String =
                            time.chars().map(|it| if it.is_ascii_digit() { '0' } else { it }).collect();
                        assert_eq!(form, "0000-00-00T00:00:00.000Z", "{name}: {time}");
                    }
                    check(member);
                }
            }
            Value::Array(elements) => elements.iter().for_each(check),
            _ => {}
        }
    }
    for (_, resource) in everything(&admin).await {
        check(&resource);
    }
    check(&admin.get("/products/nowhere").await.expect_problem(404, "not_found"));
}

async fn money_is_a_whole_number_of_the_minor_unit(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    let largest = 9_007_199_254_740_991_i64;
    let prices = json!([
        {"amount": largest, "currency": "USD"},
        {"amount": 0, "currency": "JPY"},
        {"amount": 1_234, "currency": "KWD"},
    ]);
    let mut cup = product("Cup", "CUP");
    cup["variants"][0]["prices"] = prices.clone();
    let made = admin.post("/products", &cup).await.expect(201);
    assert_eq!(made["variants"][0]["prices"], prices, "no currency's digits move the point");
    for (currency, amount) in [("USD", largest), ("JPY", 0), ("KWD", 1_234)] {
        let shown = public.get(&format!("/products/{}?currency={currency}", id(&made))).await;
        let text = shown.text();
        assert!(text.contains(&format!("\"amount\":{amount},")), "{text}");
        let price = &shown.expect(200)["variants"][0]["price"];
        assert_eq!(price, &json!({"amount": amount, "currency": currency}));
    }
}

/// JSON has one kind of number, and so has JSON Schema.
async fn a_whole_number_may_be_written_with_a_point(mut host: TestHost) {
    let admin = host.admin().await;
    let body = r#"{"name": "Cup", "status": "active", "metadata": {"a": 1.0, "b": 1.5},
        "variants": [{"sku": "CUP", "weightGrams": 1.8e2, "prices": [{"amount": 1290.0, "currency": "USD"}]}]}"#;
    let draft = admin.request(hyper::Method::POST, "/products").header("content-type", "application/json");
    let made = admin.send(draft.text(body)).await.expect(201);
    let variant = &made["variants"][0];
    assert_eq!((&variant["weightGrams"], &variant["prices"][0]["amount"]), (&json!(180), &json!(1290)));
    assert_eq!(made["metadata"], json!({"a": 1, "b": 1.5}));
    let half = json!({"name": "Cup", "variants": [{"sku": "HALF", "weightGrams": 0.5}]});
    let refused = admin.post("/products", &half).await;
    refused.expect_error_at(422, "validation_failed", "/variants/0/weightGrams", "validation_failed");
}
