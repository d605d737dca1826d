//! The order in which rules are asked is the operator's, and so is the price; shipping plugins stand beside each other.

use hyper::Method;
use platform_tests::{
    checkout::{Shopper, key, sell},
    conservation,
    host::{TestHost, TestHostBuilder},
    shop::writes_nothing,
};
use serde_json::{Value, json};

on_each_backend!(
    shop().start(), shop().on_mongodb().start();
    rules_are_asked_in_the_order_of_their_priorities,
    a_quote_keeps_the_order_in_which_it_was_made,
    all_shipping_plugins_are_offered_and_each_can_be_chosen,
    a_shipping_plugin_that_fails_leaves_the_options_of_the_others,
);

/// 5.00 off the goods, and 10 % tax on what they and their shipping come to.
const RULES: &str = r#"
[[plugins.pricing-promotions.config.promotions]]
id = "sale"
name = "5 $ off"
action = { type = "fixed", amounts = [{ amount = 500, currency = "USD" }] }
[[plugins.pricing-tax.config.rates]]
country = "US"
name = "Sales tax 10 %"
ppm = 100000
"#;

/// The part of the plugins file about the second shipping plugin, which is the last part.
fn carrier(mode: &str, price: i64, priority: i32, on_failure: &str) -> String {
    format!(
        "\n[plugins.carrier.hooks.shipping]\npriority = {priority}\non_failure = \"{on_failure}\"\n\
         [plugins.carrier.config]\nmode = \"{mode}\"\nprice = {price}\n"
    )
}

const PROMOTIONS: &str = "[plugins.pricing-promotions.hooks.pricing]\npriority = 10\n";
const TAX: &str = "[plugins.pricing-tax.hooks.pricing]\npriority = 90\n";

fn shop() -> TestHostBuilder {
    TestHostBuilder::shop()
        .fixture("carrier")
        .patient()
        .grants(RULES)
        .grants(&carrier("offer", 990, 200, "skip"))
}

async fn guest(host: &TestHost) -> Shopper {
    Shopper::with(host.anonymous(), &[("CUP", 2)]).await
}

async fn cart(guest: &Shopper) -> Value {
    guest.send(Method::GET, "", &Value::Null).await.expect(200)
}

/// What a cart comes to: goods, what is off, shipping, tax, all.
fn sums(priced: &Value) -> [i64; 5] {
    ["items", "discount", "shipping", "tax", "grand"]
        .map(|it| priced["totals"][it]["amount"].as_i64().unwrap())
}

fn plugins_file(host: &TestHost) -> String {
    std::fs::read_to_string(host.data_dir().join("plugins.toml")).unwrap()
}

/// Gives the two rules these priorities while the host runs.
async fn prioritize(host: &TestHost, promotions: i32, tax: i32) {
    let text = plugins_file(host);
    let with = |text: &str, section: &str, priority: i32| {
        let (before, after) = text.split_once(section).unwrap();
        let (_, rest) = after.split_once('\n').unwrap();
        format!("{before}{section}{priority}\n{rest}")
    };
    let text = with(&text, PROMOTIONS.trim_end_matches("10\n"), promotions);
    let text = with(&text, TAX.trim_end_matches("90\n"), tax);
    let report = host.grant(&text).await;
    assert_eq!(report["refused"], json!([]), "{report}");
}

/// Two cups for 12.90 each, sent for 4.90. First the 5.00: 20.80 with 2.08 tax, and 0.49 on shipping.
const PROMOTIONS_FIRST: [i64; 5] = [2_580, -500, 490, 208 + 49, 2_580 - 500 + 490 + 208 + 49];
/// First the tax, on all of 25.80: it stays, whatever is off afterwards.
const TAX_FIRST: [i64; 5] = [2_580, -500, 490, 258 + 49, 2_580 - 500 + 490 + 258 + 49];

async fn rules_are_asked_in_the_order_of_their_priorities(mut host: TestHost) {
    assert_eq!(host.refusals(), []);
    let admin = host.admin().await;
    sell(&admin, "CUP", 100).await;
    let waiting = guest(&host).await;
    for (number, (promotions, tax, first, expected)) in [
        // As the shipped file has them.
        (10, 90, "pricing-promotions", PROMOTIONS_FIRST),
        // Their ids would say otherwise.
        (90, 10, "pricing-tax", TAX_FIRST),
        (2_000_000_000, -2_000_000_000, "pricing-tax", TAX_FIRST),
        (-1, 0, "pricing-promotions", PROMOTIONS_FIRST),
        // Of equal ones the ids decide.
        (50, 50, "pricing-promotions", PROMOTIONS_FIRST),
    ]
    .into_iter()
    .enumerate()
    {
        prioritize(&host, promotions, tax).await;
        assert_eq!(sums(&cart(&waiting).await), expected, "{promotions} and {tax}");
        let guest = guest(&host).await;
        let quote = guest.quote().await;
        assert_eq!(
            (sums(&quote), &quote["plugins"][0]["id"]),
            (expected, &json!(first)),
            "{promotions} and {tax}"
        );
        let order =
            guest.checkout(&key(&format!("order-{number}")), &guest.order("tok_approve")).await.expect(201);
        assert_eq!(
            (sums(&order), &order["plugins"][0]["id"]),
            (expected, &json!(first)),
            "{promotions} and {tax}"
        );
        let shown = admin.get("/plugins/pricing-tax").await.expect(200);
        assert_eq!(shown["hooks"], json!([{"name": "pricing", "priority": tax, "onFailure": "block"}]));
    }
    conservation::check(&host).await;
}

async fn a_quote_keeps_the_order_in_which_it_was_made(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 100).await;
    let (quoted, bare) = (guest(&host).await, guest(&host).await);
    let quote = quoted.quote().await;
    assert_eq!(sums(&quote), PROMOTIONS_FIRST);
    prioritize(&host, 90, 10).await;
    let mut body = quoted.order("tok_approve");
    body["quoteId"] = quote["quoteId"].clone();
    let order = quoted.checkout(&key("quoted"), &body).await.expect(201);
    assert_eq!((sums(&order), &order["plugins"]), (PROMOTIONS_FIRST, &quote["plugins"]));
    let order = bare.checkout(&key("bare"), &bare.order("tok_approve")).await.expect(201);
    assert_eq!(sums(&order), TAX_FIRST);
    // Both are priced again in the order of then.
    conservation::check(&host).await;
}

/// Writes that part anew while the host runs.
async fn carry(host: &TestHost, carrier: &str) {
    let text = plugins_file(host);
    let others = text.split("\n[plugins.carrier").next().unwrap();
    let report = host.grant(&(others.to_owned() + carrier)).await;
    assert_eq!(report["refused"], json!([]), "{report}");
}

async fn options(guest: &Shopper) -> Vec<(String, i64)> {
    let options = guest.send(Method::GET, "/shipping-options", &Value::Null).await.expect(200);
    let options = options.as_array().unwrap().iter();
    options
        .map(|it| (it["id"].as_str().unwrap().to_owned(), it["price"]["amount"].as_i64().unwrap()))
        .collect()
}

fn flat() -> (String, i64) {
    ("shipping-flat:standard".to_owned(), 490)
}

fn bike(price: i64) -> (String, i64) {
    ("carrier:bike".to_owned(), price)
}

async fn choose(guest: &Shopper, method: &str) -> platform_tests::client::Answer {
    guest.send(Method::PUT, "/shipping", &json!({"shippingMethod": method})).await
}

async fn all_shipping_plugins_are_offered_and_each_can_be_chosen(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 100).await;
    let guest = guest(&host).await;
    for (priority, expected) in [
        (200, [flat(), bike(990)]),
        (-200, [bike(990), flat()]),
        // Of equal ones the ids decide.
        (100, [bike(990), flat()]),
    ] {
        carry(&host, &carrier("offer", 990, priority, "skip")).await;
        assert_eq!(options(&guest).await, expected, "{priority}");
    }
    for (method, price) in [flat(), bike(990)] {
        let shown = choose(&guest, &method).await.expect(200);
        assert_eq!((&shown["shippingMethod"], sums(&shown)[2]), (&json!(method), price));
    }
    writes_nothing(&host, async {
        for method in ["carrier:standard", "shipping-flat:bike", "bike", "nobody:bike"] {
            choose(&guest, method).await.expect_problem(409, "shipping_unavailable");
        }
    })
    .await;
    let order = guest.checkout(&key("by-bike"), &guest.order("tok_approve")).await.expect(201);
    // 20.80 and 9.90, each with 10 %.
    assert_eq!(sums(&order), [2_580, -500, 990, 208 + 99, 2_580 - 500 + 990 + 208 + 99]);
    let chosen = &order["shippingMethod"];
    assert_eq!((&chosen["id"], &chosen["pluginId"]), (&json!("carrier:bike"), &json!("carrier")));
    assert_eq!(chosen["digest"], admin.get("/plugins/carrier").await.expect(200)["digest"]);
    conservation::check(&host).await;
}

async fn a_shipping_plugin_that_fails_leaves_the_options_of_the_others(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 100).await;
    for (mode, price, code, outcome) in [
        ("trap", 990, "plugin_failed", "trap"),
        ("refuse", 990, "plugin_failed", "refused"),
        ("foreign", 990, "plugin_output_invalid", "output"),
        ("twice", 990, "plugin_output_invalid", "output"),
        ("offer", -1, "plugin_output_invalid", "output"),
    ] {
        let name = format!("{mode}{price}");
        carry(&host, &carrier("offer", 700, 200, "skip")).await;
        let by_bike = Shopper::with(host.anonymous(), &[("CUP", 2)]).await;
        choose(&by_bike, "carrier:bike").await.expect(200);
        let failed = async |policy: &str| {
            let labels =
                [("hook", "shipping"), ("plugin", "carrier"), ("outcome", outcome), ("policy", policy)];
            host.counted("plugin_hook_failures_total", &labels).await
        };

        carry(&host, &carrier(mode, price, 200, "last_good")).await;
        assert_eq!(options(&by_bike).await, [flat(), bike(700)], "{name}: its former self answers");
        assert!(failed("last_good").await > 0, "{name}");

        let before = failed("skip").await;
        carry(&host, &carrier(mode, price, 200, "skip")).await;
        assert_eq!(options(&by_bike).await, [flat()], "{name}");
        assert!(failed("skip").await > before, "{name}");
        // Who had chosen it is told, and sells nothing under a price that nobody offers.
        let shown = cart(&by_bike).await;
        let codes: Vec<&Value> = shown["problems"].as_array().unwrap().iter().map(|it| &it["code"]).collect();
        assert!(codes.contains(&&json!("shipping_unavailable")), "{name}: {shown}");
        writes_nothing(&host, async {
            let refused = by_bike.checkout(&key(&name), &by_bike.order("tok_approve")).await;
            refused.expect_problem(409, "shipping_unavailable");
        })
        .await;
        choose(&by_bike, "shipping-flat:standard").await.expect(200);
        let order = by_bike.checkout(&key(&name), &by_bike.order("tok_approve")).await.expect(201);
        assert_eq!(sums(&order), PROMOTIONS_FIRST, "{name}");

        // In the way of all where the operator says so.
        let waiting = Shopper::with(host.anonymous(), &[("CUP", 2)]).await;
        carry(&host, &carrier(mode, price, 200, "block")).await;
        writes_nothing(&host, async {
            let refused = waiting.send(Method::GET, "/shipping-options", &Value::Null).await;
            let problem = refused.expect_problem(502, code);
            assert_eq!(problem["detail"], "The shipping plugin `carrier` could not answer.", "{name}");
            let refused = waiting.send(Method::POST, "/quote", &json!({})).await;
            refused.expect_problem(502, code);
            let refused = waiting.checkout(&key("blocked"), &waiting.order("tok_approve")).await;
            refused.expect_problem(502, code);
        })
        .await;
        assert!(failed("block").await >= 3, "{name}");
    }
    conservation::check(&host).await;
}
