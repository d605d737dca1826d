//! Lists filtered and sorted by price: the one that applies now, in the currency that is asked for.

use platform_tests::{
    client::Client,
    host::{SHOP_GRANTS, START_MS, TestHost, TestHostBuilder},
    shop::{documents, writes_nothing},
};
use serde_json::{Value, json};

const HOUR_MS: i64 = 3_600_000;

fn priced(name: &str, prices: Value) -> Value {
    json!({"name": name, "status": "active", "variants": [{"sku": name, "prices": prices}]})
}

async fn names(client: &Client, query: &str) -> Vec<String> {
    let items = client.get(&format!("/products?{query}")).await.expect(200);
    items.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

async fn shop(builder: TestHostBuilder) -> TestHost {
    let config = "\n[plugins.products.config]\ncurrencies = [\"EUR\"]\n";
    builder
        .plugin("products")
        .plugin("categories")
        .plugin("users")
        .grants(SHOP_GRANTS)
        .grants(config)
        .start()
        .await
}

on_each_backend!(
    shop(TestHostBuilder::empty()), shop(TestHostBuilder::empty().on_mongodb());
    lists_follow_the_price_that_applies,
    customers_see_the_prices_of_their_groups,
);

async fn lists_follow_the_price_that_applies(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    let made_up = json!({"name": "X", "_computed": {}});
    admin.post("/products", &made_up).await.expect_error_at(
        422,
        "unknown_field",
        "/_computed",
        "unknown_field",
    );
    let dollar = |amount: i64| json!({"amount": amount, "currency": "USD"});
    // From one hour after the start until two hours after it.
    let (start, end) = ("2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z");
    let sale = json!({"amount": 50, "currency": "USD", "startsAt": start, "endsAt": end});
    let group = json!({"amount": 1, "currency": "USD", "customerGroup": "vip"});
    let many = json!({"amount": 2, "currency": "USD", "minQuantity": 5});
    let euro = json!({"amount": 10, "currency": "EUR"});
    for (name, prices) in [
        ("A", json!([dollar(100), sale, group, many])),
        ("B", json!([dollar(70)])),
        ("C", json!([dollar(90), euro])),
        ("D", json!([])),
    ] {
        let made = admin.post("/products", &priced(name, prices)).await.expect(201);
        assert_eq!(made.get("_computed"), None, "{made}");
    }
    assert_eq!(names(&public, "sort=price").await, ["D", "B", "C", "A"]);
    assert_eq!(names(&public, "sort=-price").await, ["A", "C", "B", "D"]);
    assert_eq!(names(&public, "sort=price&filter[price][gte]=80&filter[price][lt]=100").await, ["C"]);
    assert_eq!(
        names(&public, "filter[or][0][price][lte]=70&filter[or][1][name]=A&sort=name").await,
        ["A", "B"]
    );
    assert_eq!(names(&public, "currency=EUR&filter[price][exists]=true").await, ["C"]);

    for (at, order, cheap) in [
        (HOUR_MS - 1, ["B", "C", "A"], vec!["B"]),
        (HOUR_MS, ["A", "B", "C"], vec!["A", "B"]),
        (2 * HOUR_MS - 1, ["A", "B", "C"], vec!["A", "B"]),
        (2 * HOUR_MS, ["B", "C", "A"], vec!["B"]),
    ] {
        host.clock.set_ms(START_MS + at);
        assert_eq!(names(&public, "sort=price&filter[price][exists]=true").await, order, "after {at} ms");
        assert_eq!(names(&public, "sort=name&filter[price][lte]=70").await, cheap, "after {at} ms");
        let shown = public.get("/products?sort=-price&limit=1").await.expect(200);
        assert_eq!(shown[0].get("_computed"), None);
    }
    // What was up to date is not written again.
    writes_nothing(&host, names(&public, "sort=price")).await;
    for event in documents(&host, "_events").await.into_values() {
        assert_eq!(event["data"].get("_computed"), None, "{event}");
    }
    let products = documents(&host, "products").await;
    let mut versions: Vec<u64> = products.values().map(|it| it["version"].as_u64().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions, [1, 1, 1, 3], "the window began and ended");

    for refused in ["currency=JPY&sort=price", "currency=JPY&filter[price]=5"] {
        let answer = public.get(&format!("/products?{refused}")).await;
        answer.expect_error_at(400, "invalid_parameter", "currency", "invalid_parameter");
    }
    public
        .get("/products?filter[_computed.changesAt][exists]=true")
        .await
        .expect_problem(400, "unknown_filter");
}

async fn customers_see_the_prices_of_their_groups(mut host: TestHost) {
    let admin = host.admin().await;
    let prices = json!([
        {"amount": 100, "currency": "USD"},
        {"amount": 60, "currency": "USD", "customerGroup": "wholesale"},
        {"amount": 10, "currency": "USD", "customerGroup": "staff \"A\""},
    ]);
    admin.post("/products", &priced("Cup", prices)).await.expect(201);
    let person = json!({"email": "ada@example.com", "password": "correct horse battery", "name": "Ada"});
    let ada = host.anonymous().post("/users", &person).await.expect(201);
    let login = json!({"email": person["email"], "password": person["password"]});
    let login = host.anonymous().post("/auth/customer/login", &login).await.expect(200);
    let customer = host.with_token(login["accessToken"].as_str().unwrap());
    let price = async |client: &Client| {
        let answer = client.get("/products").await;
        let control = answer.header("cache-control").unwrap().to_owned();
        (answer.expect(200)[0]["variants"][0]["price"]["amount"].clone(), control)
    };
    let (amount, control) = price(&host.anonymous()).await;
    assert_eq!((amount, control.contains("public")), (json!(100), true));
    assert_eq!(price(&customer).await.0, 100);
    // At the next request, with the token from before.
    let path = format!("/users/{}", ada["id"].as_str().unwrap());
    admin.patch(&path, &json!({"groups": ["wholesale"]})).await.expect(200);
    let (amount, control) = price(&customer).await;
    assert_eq!((amount, control.contains("public")), (json!(60), false), "{control}");
    assert_eq!(price(&host.anonymous()).await.0, 100);
}
