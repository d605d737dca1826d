//! What a price follows from besides the rules: who buys, what a parcel weighs, and how the shop rounds.

use platform_tests::{
    checkout::{SHIPPING, Shopper, items_order, key, post_with_key, sell},
    client::Client,
    conservation,
    host::{TestHost, TestHostBuilder},
    shop::{id, product, stock, with, writes_nothing},
};
use pricing_model::{Rounding, TaxLevel};
use serde_json::{Value, json};

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    the_staff_order_at_the_prices_of_their_customer,
);

fn total(priced: &Value, name: &str) -> i64 {
    priced["totals"][name]["amount"].as_i64().unwrap()
}

async fn the_staff_order_at_the_prices_of_their_customer(mut host: TestHost) {
    let admin = host.admin().await;
    let mut cup = product("Cup", "CUP");
    cup["variants"][0]["prices"] = json!([
        {"amount": 1_290, "currency": "USD"},
        {"amount": 900, "currency": "USD", "customerGroup": "wholesale"},
    ]);
    admin.post("/products", &cup).await.expect(201);
    stock(&admin, "CUP", 50).await.expect(200);
    let ada = host.customer("ada@example.com").await;
    let account = ada.get("/users/me").await.expect(200);
    let mut body = with(items_order(&[("CUP", 2)]), "customerId", id(&account));
    body.as_object_mut().unwrap().remove("email");
    let order = async |key: &str, body: &Value| post_with_key(&admin, "/orders", key, body).await;

    let retail = order("retail", &body).await.expect(201);
    assert_eq!((total(&retail, "items"), &retail["email"]), (2 * 1_290, &json!("ada@example.com")));
    let groups = json!({"groups": ["wholesale"]});
    admin.patch(&format!("/users/{}", id(&account)), &groups).await.expect(200);
    let wholesale = order("wholesale", &body).await.expect(201);
    assert_eq!((total(&wholesale, "items"), total(&wholesale, "grand")), (2 * 900, 2 * 900 + SHIPPING));
    assert_eq!(ada.get(&format!("/orders/{}", id(&wholesale))).await.expect(200)["id"], wholesale["id"]);
    let named = order("named", &with(body.clone(), "email", "other@example.com")).await.expect(201);
    assert_eq!((total(&named, "items"), &named["email"]), (2 * 900, &json!("other@example.com")));
    let guest = order("guest", &items_order(&[("CUP", 2)])).await.expect(201);
    assert_eq!((total(&guest, "items"), &guest["customerId"]), (2 * 1_290, &Value::Null));

    // In a cart that was filled before, too.
    admin.patch(&format!("/users/{}", id(&account)), &json!({"groups": []})).await.expect(200);
    let shopper = Shopper::with(ada.clone(), &[("CUP", 2)]).await;
    admin.patch(&format!("/users/{}", id(&account)), &groups).await.expect(200);
    let mut cart = shopper.order("tok_approve");
    cart.as_object_mut().unwrap().remove("email");
    let cart = order("cart", &cart).await.expect(201);
    assert_eq!((total(&cart, "items"), &cart["email"]), (2 * 900, &json!("ada@example.com")));

    let staff = admin.get("/auth/me").await.expect(200);
    writes_nothing(&host, async {
        for nobody in ["usr_nobody", id(&staff["user"])] {
            let refused = order(&format!("for-{nobody}"), &with(body.clone(), "customerId", nobody)).await;
            refused.expect_error_at(422, "validation_failed", "/customerId", "validation_failed");
        }
    })
    .await;
    conservation::check(&host).await;
}

/// Where an operator lets orders read no accounts, who is ordered for has the prices of guests.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_grant_the_staff_order_at_the_prices_of_guests() {
    let mut host = TestHostBuilder::shop().regrant("_accounts = [\"read\"]\n", "").start().await;
    assert_eq!(host.refusals(), []);
    let admin = host.admin().await;
    sell(&admin, "CUP", 5).await;
    let ada = host.customer("ada@example.com").await;
    let account = ada.get("/users/me").await.expect(200);
    let body = with(items_order(&[("CUP", 2)]), "customerId", id(&account));
    let order = post_with_key(&admin, "/orders", "one", &body).await.expect(201);
    assert_eq!(total(&order, "items"), 2 * 1_290);
    assert_eq!(ada.get(&format!("/orders/{}", id(&order))).await.expect(200)["id"], order["id"]);
    conservation::check(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_weight_and_the_total_of_a_parcel_choose_its_price() {
    let flat = "tiers = [{ price = { amount = 490, currency = \"USD\" } }]";
    let tiers = r#"tiers = [
  { maxWeightGrams = 1000, price = { amount = 490, currency = "USD" } },
  { maxWeightGrams = 5000, maxTotal = { amount = 10000, currency = "USD" }, price = { amount = 990, currency = "USD" } },
]"#;
    let mut host = TestHostBuilder::shop().regrant(flat, tiers).start().await;
    assert_eq!(host.refusals(), []);
    let admin = host.admin().await;
    for (sku, grams) in [("LIGHT", 100), ("HEAVY", 450)] {
        let mut body = product(sku, sku);
        body["variants"][0]["weightGrams"] = json!(grams);
        admin.post("/products", &body).await.expect(201);
        stock(&admin, sku, 100).await.expect(200);
    }
    for (pieces, price) in [
        (&[("LIGHT", 1), ("HEAVY", 2)][..], Some(490)),
        (&[("LIGHT", 2), ("HEAVY", 2)], Some(990)),
        // 77.40 of goods, and 103.20.
        (&[("HEAVY", 6)], Some(990)),
        (&[("LIGHT", 8)], Some(490)),
        (&[("LIGHT", 2), ("HEAVY", 6)], None),
        (&[("HEAVY", 12)], None),
    ] {
        let guest = Shopper::with(host.anonymous(), pieces).await;
        let options = guest.send(hyper::Method::GET, "/shipping-options", &Value::Null).await.expect(200);
        let prices: Vec<i64> =
            options.as_array().unwrap().iter().map(|it| it["price"]["amount"].as_i64().unwrap()).collect();
        assert_eq!(prices, price.into_iter().collect::<Vec<_>>(), "{pieces:?}");
        if let Some(price) = price {
            assert_eq!(total(&guest.quote().await, "shipping"), price, "{pieces:?}");
        }
    }
}

/// What it sells, with a tax of 10 % on everything.
fn taxed(rounding: Rounding, tax_level: TaxLevel) -> TestHostBuilder {
    let rates = "\n[[plugins.pricing-tax.config.rates]]\ncountry = \"US\"\nname = \"10 %\"\nppm = 100000\n";
    TestHostBuilder::shop().grants(rates).configure_more(move |config| {
        config.pricing.rounding = rounding;
        config.pricing.tax_level = tax_level;
    })
}

async fn tax_of(host: &TestHost, admin: &Client, name: &str) -> i64 {
    let guest = Shopper::with(host.anonymous(), &[("A", 3), ("B", 1)]).await;
    let quote = guest.quote().await;
    let mut body = guest.order("tok_approve");
    body["quoteId"] = quote["quoteId"].clone();
    let order = guest.checkout(&key(name), &body).await.expect(201);
    assert_eq!(total(&order, "tax"), total(&quote, "tax"));
    assert_eq!(admin.get(&format!("/orders/{}", id(&order))).await.expect(200)["totals"], order["totals"]);
    total(&order, "tax")
}

/// The tax on shipping is 49 without any rounding, that of three pieces at 10.05 and of one is on the edge.
#[tokio::test(flavor = "multi_thread")]
async fn the_shop_says_how_and_where_taxes_are_rounded() {
    let mut first = taxed(Rounding::HalfUp, TaxLevel::Line).start().await;
    assert_eq!(first.refusals(), []);
    let admin = first.admin().await;
    for sku in ["A", "B"] {
        let mut body = product(sku, sku);
        body["variants"][0]["prices"] = json!([{"amount": 1_005, "currency": "USD"}]);
        admin.post("/products", &body).await.expect(201);
        stock(&admin, sku, 100).await.expect(200);
    }
    assert_eq!(tax_of(&first, &admin, "first").await, 302 + 101 + 49);
    let mut data = first.stop().await;
    for (number, (rounding, level, tax)) in [
        (Rounding::HalfDown, TaxLevel::Line, 301 + 100 + 49),
        (Rounding::HalfEven, TaxLevel::Line, 302 + 100 + 49),
        (Rounding::HalfUp, TaxLevel::Unit, 3 * 101 + 101 + 49),
        (Rounding::HalfDown, TaxLevel::Unit, 3 * 100 + 100 + 49),
        (Rounding::HalfDown, TaxLevel::Order, 402 + 49),
    ]
    .into_iter()
    .enumerate()
    {
        let host = taxed(rounding, level).with_data(data).start().await;
        let staff = host.staff(&format!("staff-{number}@example.com"), &["superadmin"]).await;
        let staff = host.with_token(&staff);
        let name = format!("{rounding:?}-{level:?}");
        assert_eq!(tax_of(&host, &staff, &name).await, tax, "{name}");
        // Those of before are priced again as they were.
        conservation::check(&host).await;
        data = host.stop().await;
    }
}
