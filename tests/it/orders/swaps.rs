//! Prices and rules change while people check out: what was quoted holds, and what comes next has the new price.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::{future::join_all, join};
use hyper::Method;
use platform_tests::{
    checkout::{SHIPPING, Shopper, key, sell, usd},
    client::Client,
    conservation,
    host::{TestHost, TestHostBuilder, built},
    plugin::stamped,
    shop::{id, writes_nothing},
    sizes::CHECKOUT_SWAPS,
};
use serde_json::{Value, json};

on_each_backend!(
    shop().start(), shop().on_mongodb().start();
    a_quote_holds_when_the_list_price_changes,
    a_quote_holds_when_the_currency_changes,
    a_quote_that_is_over_or_of_another_cart_is_told,
    a_rule_is_configured_anew_in_the_middle_of_checkouts,
    a_rule_is_replaced_in_the_middle_of_checkouts,
);

const QUOTE: Duration = Duration::from_secs(600);
const CHECKING_OUT: u64 = 6;

fn shop() -> TestHostBuilder {
    TestHostBuilder::shop().patient()
}

/// Gives the only variant of the product with this SKU other prices.
async fn reprice(admin: &Client, sku: &str, prices: Value) {
    let product = admin.get(&format!("/products?filter[variants.sku][eq]={sku}")).await.expect(200);
    let variant = id(&product[0]["variants"][0]);
    let path = format!("/products/{}/variants/{variant}", id(&product[0]));
    admin.patch(&path, &json!({ "prices": prices })).await.expect(200);
}

/// What an order of goods at this price comes to.
fn grand(items: i64) -> Value {
    usd(items + SHIPPING)
}

/// The body of an order at a quoted price.
fn at(shopper: &Shopper, quote: &Value) -> Value {
    let mut body = shopper.order("tok_approve");
    body["quoteId"] = quote["quoteId"].clone();
    body
}

async fn guest(host: &TestHost) -> Shopper {
    Shopper::with(host.anonymous(), &[("CUP", 2)]).await
}

async fn a_quote_holds_when_the_list_price_changes(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 20).await;
    let (quoted, unquoted) = (guest(&host).await, guest(&host).await);
    let quote = quoted.quote().await;
    assert_eq!(quote["totals"]["grand"], grand(2_580));
    reprice(&admin, "CUP", json!([{"amount": 1_500, "currency": "USD"}])).await;
    let order = quoted.checkout(&key("quoted"), &at(&quoted, &quote)).await.expect(201);
    assert_eq!((&order["totals"]["grand"], &order["items"][0]["unitPrice"]), (&grand(2_580), &usd(1_290)));
    assert_eq!((&order["quoteId"], &order["plugins"]), (&quote["quoteId"], &quote["plugins"]));
    assert_eq!(order["payments"][0]["amount"], grand(2_580));
    let cart = unquoted.send(Method::GET, "", &Value::Null).await.expect(200);
    assert_eq!(cart["problems"][0]["code"], "price_changed");
    let order = unquoted.checkout(&key("unquoted"), &unquoted.order("tok_approve")).await.expect(201);
    assert_eq!(order["totals"]["grand"], grand(3_000));
    conservation::check(&host).await;
}

async fn a_quote_holds_when_the_currency_changes(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 20).await;
    let (quoted, unquoted) = (guest(&host).await, guest(&host).await);
    let quote = quoted.quote().await;
    reprice(&admin, "CUP", json!([{"amount": 1_100, "currency": "EUR"}])).await;
    let order = quoted.checkout(&key("quoted"), &at(&quoted, &quote)).await.expect(201);
    assert_eq!((&order["currency"], &order["totals"]["grand"]), (&json!("USD"), &grand(2_580)));
    writes_nothing(&host, async {
        let cart = unquoted.send(Method::GET, "", &Value::Null).await.expect(200);
        assert_eq!((&cart["problems"][0]["code"], &cart["totals"]["grand"]), (&json!("not_sold"), &usd(0)));
        let refused = unquoted.checkout(&key("unquoted"), &unquoted.order("tok_approve")).await;
        let told = json!([{"sku": "CUP", "requested": 2, "available": 0}]);
        assert_eq!(refused.expect_problem(409, "insufficient_stock")["items"], told);
    })
    .await;
    let euros = json!({"currency": "EUR", "items": [{"sku": "CUP", "quantity": 1}]});
    let cart = host.anonymous().post("/carts", &euros).await.expect(201);
    assert_eq!(cart["totals"]["grand"], json!({"amount": 1_100, "currency": "EUR"}));
    conservation::check(&host).await;
}

async fn a_quote_that_is_over_or_of_another_cart_is_told(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 20).await;
    let (late, same, changed) = (guest(&host).await, guest(&host).await, guest(&host).await);
    let (late_quote, same_quote, changed_quote) =
        (late.quote().await, same.quote().await, changed.quote().await);
    let item = json!({"sku": "CUP", "quantity": 1});
    changed.send(Method::POST, "/items", &item).await.expect(200);
    writes_nothing(&host, async {
        let refused = changed.checkout(&key("changed"), &at(&changed, &changed_quote)).await;
        let diff = refused.expect_problem(409, "price_changed")["diff"].clone();
        assert_eq!(diff["grand"], json!({"quoted": grand(2_580), "current": grand(3_870)}));
        for quote in [json!("quo_00000000000000000000000000"), late_quote["quoteId"].clone()] {
            let mut body = changed.order("tok_approve");
            body["quoteId"] = quote;
            changed.checkout(&key("unknown"), &body).await.expect_problem(409, "quote_expired");
        }
    })
    .await;
    // Over, and nothing has changed: it is priced again, to the same.
    host.clock.advance(QUOTE);
    same.checkout(&key("same"), &at(&same, &same_quote)).await.expect(201);
    reprice(&admin, "CUP", json!([{"amount": 1_500, "currency": "USD"}])).await;
    writes_nothing(&host, async {
        let refused = late.checkout(&key("late"), &at(&late, &late_quote)).await;
        let diff = refused.expect_problem(409, "price_changed")["diff"].clone();
        let items = json!({"quoted": usd(2_580), "current": usd(3_000)});
        let whole = json!({"quoted": grand(2_580), "current": grand(3_000)});
        assert_eq!(diff, json!({"items": items, "grand": whole, "due": whole}));
    })
    .await;
    let order = late.checkout(&key("anew"), &at(&late, &late.quote().await)).await.expect(201);
    assert_eq!(order["totals"]["grand"], grand(3_000));
    conservation::check(&host).await;
}

/// What a quote says of a rule: its component, its configuration, and what it takes off.
fn named(quote: &Value, rule: &str) -> (String, String, i64) {
    let plugins = quote["plugins"].as_array().unwrap();
    let plugin = plugins.iter().find(|plugin| plugin["id"] == rule);
    let text = |name: &str| plugin.map_or("", |plugin| plugin[name].as_str().unwrap()).to_owned();
    (text("digest"), text("configDigest"), quote["totals"]["discount"]["amount"].as_i64().unwrap())
}

/// Buys again and again until it is over. Every order has what its quote said, and every request is answered.
async fn check_out(
    host: &TestHost,
    number: u64,
    rule: &str,
    is_over: &AtomicBool,
) -> Vec<(String, String, i64)> {
    let mut seen = Vec::new();
    let client = host.anonymous();
    for round in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let guest = Shopper::with(client.clone(), &[("CUP", 2)]).await;
        let quote = guest.quote().await;
        client.get("/products").await.expect(200);
        let order = guest.checkout(&key(&format!("{number}-{round}")), &at(&guest, &quote)).await.expect(201);
        assert_eq!((&order["plugins"], &order["items"]), (&quote["plugins"], &quote["lines"]), "{order}");
        assert_eq!(order["totals"]["grand"], quote["totals"]["grand"]);
        for line in order["items"].as_array().unwrap() {
            for adjustment in line["adjustments"].as_array().unwrap() {
                let source =
                    order["plugins"].as_array().unwrap().iter().find(|it| it["id"] == adjustment["pluginId"]);
                assert_eq!(source.map(|it| &it["digest"]), Some(&adjustment["digest"]), "{order}");
            }
        }
        seen.push(named(&quote, rule));
        // Without a quote the price is of some version, whole.
        let guest = Shopper::with(client.clone(), &[("CUP", 2)]).await;
        let body = guest.order("tok_approve");
        let order = guest.checkout(&key(&format!("{number}-{round}-now")), &body).await.expect(201);
        seen.push(named(&order, rule));
    }
    seen
}

/// Swaps a rule as often as the sizes say while others check out. `swap` makes the change and answers the digests and
/// the discount that the next quote must have.
async fn swapped(host: &TestHost, rule: &str, mut swap: impl AsyncFnMut(u32) -> (String, String, i64)) {
    let is_over = AtomicBool::new(false);
    let checking_out = join_all((0..CHECKING_OUT).map(|number| check_out(host, number, rule, &is_over)));
    let swapping = async {
        let mut known = BTreeMap::new();
        for number in 0..CHECKOUT_SWAPS.get() {
            let running = guest(host).await;
            let quote = running.quote().await;
            let next = swap(number).await;
            let (digest, config, discount) = next.clone();
            known.insert((digest, config), discount);
            // The next quote has the new one, and the one that runs has what it had.
            assert_eq!(named(&guest(host).await.quote().await, rule), next, "swap {number}");
            let order = running.checkout(&key(&format!("running-{number}")), &at(&running, &quote)).await;
            let order = order.expect(201);
            assert_eq!((&order["plugins"], named(&order, rule)), (&quote["plugins"], named(&quote, rule)));
            assert_eq!(order["totals"]["grand"], quote["totals"]["grand"]);
        }
        is_over.store(true, Ordering::Relaxed);
        known
    };
    let (seen, known) = join!(checking_out, swapping);
    let mut asked = 0;
    for (digest, config, discount) in seen.into_iter().flatten() {
        asked += 1;
        // Whatever there was before the first swap is not known here.
        if let Some(wanted) = known.get(&(digest, config)) {
            assert_eq!(discount, *wanted);
        }
    }
    assert!(asked > 0);
    conservation::check(host).await;
}

async fn a_rule_is_configured_anew_in_the_middle_of_checkouts(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 1_000_000).await;
    swapped(&host, "pricing-promotions", async |number| {
        let percent = 5 + i64::from(number % 20);
        let promotion = json!({
            "id": "sale", "name": "Sale", "action": {"type": "percentage", "basisPoints": percent * 100},
        });
        let path = "/plugins/pricing-promotions/config";
        let plugin = admin.put(path, &json!({"promotions": [promotion]})).await.expect(200);
        let text = |name: &str| plugin[name].as_str().unwrap().to_owned();
        // Half up, on 25.80.
        (text("digest"), text("configDigest"), -(2_580 * percent + 50) / 100)
    })
    .await;
}

async fn a_rule_is_replaced_in_the_middle_of_checkouts(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 1_000_000).await;
    let rule = std::fs::read(built("fixtures", "rule")).unwrap();
    let mut parts = 100_000;
    swapped(&host, "rule", async |number| {
        let plugin = if number % 2 == 0 {
            let component = stamped(&rule, number);
            let report = host.install("rule.wasm", &component).await;
            assert_eq!(report["swapped"], true, "{report}");
            assert_eq!(host.refusals(), []);
            let plugin = admin.get("/plugins/rule").await.expect(200);
            assert_eq!(plugin["digest"], blake3::hash(&component).to_hex().as_str());
            plugin
        } else {
            parts = 10_000 * (1 + i64::from(number) % 40);
            admin.put("/plugins/rule/config", &json!({"mode": "rate", "rate": -parts})).await.expect(200)
        };
        let text = |name: &str| plugin[name].as_str().unwrap().to_owned();
        (text("digest"), text("configDigest"), -(2_580 * parts + 500_000) / 1_000_000)
    })
    .await;
}
