//! A pricing rule that misbehaves beside good ones: left out, replaced by its former self, or in the way of the sale, as
//! the operator says, and never with a wrong price.

use std::time::Duration;

use hyper::Method;
use platform_tests::{
    checkout::{SHIPPING, Shopper, key, sell},
    client::Client,
    conservation,
    host::{TestHost, TestHostBuilder, built},
    plugin::{MISBEHAVIOURS, marked},
    shop::{id, writes_nothing},
};
use serde_json::{Value, json};

on_each_backend!(
    shop().start(), shop().on_mongodb().start();
    a_rule_that_misbehaves_is_left_out_where_the_operator_says_skip,
    a_rule_that_misbehaves_blocks_the_sale_where_the_operator_says_block,
    a_bad_component_or_configuration_falls_back_to_the_one_before,
    a_former_version_that_fails_too_blocks_the_sale,
    a_rule_without_a_former_version_blocks_the_sale,
    a_rule_that_keeps_failing_is_not_called_for_a_while,
);

/// The rules beside it: 10 % off before it, and 10 % tax behind it.
const BESIDE: &str = r#"
[[plugins.pricing-promotions.config.promotions]]
id = "sale"
name = "Sale"
action = { type = "percentage", basisPoints = 1000 }
[[plugins.pricing-tax.config.rates]]
country = "US"
name = "Sales tax 10 %"
ppm = 100000
"#;

/// Two cups by their list price, with what sending them costs.
const BY_LIST: i64 = 2_580 + SHIPPING;
/// The same for 10 % less, with tax on goods and shipping: 25.80 - 2.58 + 2.32, and 4.90 + 0.49.
const WITHOUT_THE_RULE: i64 = 2_580 - 258 + 232 + SHIPPING + 49;
/// What is left of 25.80 when the rule takes 20 % off what the promotion has left: 25.80 - 2.58 - 4.64 + 1.86.
const WITH_THE_RULE: i64 = 2_580 - 258 - 464 + 186 + SHIPPING + 49;

/// After how many failures the rule is left alone: more than there are of one version, but where it is about that.
const BREAKER: u32 = 30;

fn shop() -> TestHostBuilder {
    let breaker = |config: &mut host::config::Config| {
        config.plugins.breaker.window = BREAKER;
        config.plugins.breaker.min_calls = BREAKER;
    };
    let builder = TestHostBuilder::shop().patient().configure_more(breaker).fixture("rule");
    builder.grants(BESIDE).grants(&rule("rate", "block"))
}

/// The part of the plugins file about the rule.
fn rule(mode: &str, on_failure: &str) -> String {
    format!(
        "\n[plugins.rule.hooks.pricing]\npriority = 50\non_failure = \"{on_failure}\"\n\
         [plugins.rule.config]\nmode = \"{mode}\"\nrate = -200000\n"
    )
}

/// Has the rule do this from now on, with this policy.
async fn set(host: &TestHost, mode: &str, on_failure: &str) {
    let file = host.data_dir().join("plugins.toml");
    let text = std::fs::read_to_string(file).unwrap();
    let (others, _) = text.split_once("\n[plugins.rule.hooks.pricing]").unwrap();
    let report = host.grant(&(others.to_owned() + &rule(mode, on_failure))).await;
    assert_eq!(report["refused"], json!([]), "{report}");
}

async fn guest(host: &TestHost) -> Shopper {
    Shopper::with(host.anonymous(), &[("CUP", 2)]).await
}

async fn cart(guest: &Shopper) -> Value {
    guest.send(Method::GET, "", &Value::Null).await.expect(200)
}

fn grand(priced: &Value) -> i64 {
    priced["totals"]["grand"]["amount"].as_i64().unwrap()
}

/// The messages of problems with this code.
fn told(priced: &Value, code: &str) -> Vec<String> {
    let problems = priced["problems"].as_array().unwrap().iter().filter(|it| it["code"] == code);
    problems.map(|it| it["message"].as_str().unwrap().to_owned()).collect()
}

/// What became of the rules, in the order in which they were asked.
fn outcomes(priced: &Value) -> Vec<(&str, &str)> {
    let plugins = priced["plugins"].as_array().unwrap().iter();
    plugins.map(|it| (it["id"].as_str().unwrap(), it["outcome"].as_str().unwrap())).collect()
}

/// Whose the adjustments of the lines are.
fn sources(priced: &Value, lines: &str) -> Vec<String> {
    let lines = priced[lines].as_array().unwrap().iter();
    let adjustments = lines.flat_map(|line| line["adjustments"].as_array().unwrap());
    adjustments.map(|it| it["pluginId"].as_str().unwrap().to_owned()).collect()
}

/// How often the rule has failed so, by what `/metrics` says.
async fn failures(host: &TestHost, outcome: &str, policy: &str) -> u64 {
    let labels = [("hook", "pricing"), ("plugin", "rule"), ("outcome", outcome), ("policy", policy)];
    host.counted("plugin_hook_failures_total", &labels).await
}

/// The body of an order at a quoted price.
fn at(guest: &Shopper, quote: &Value) -> Value {
    let mut body = guest.order("tok_approve");
    body["quoteId"] = quote["quoteId"].clone();
    body
}

async fn a_rule_that_misbehaves_is_left_out_where_the_operator_says_skip(mut host: TestHost) {
    assert_eq!(host.refusals(), []);
    let admin = host.admin().await;
    sell(&admin, "CUP", 100).await;
    let good = guest(&host).await;
    assert_eq!((grand(&cart(&good).await), told(&cart(&good).await, "rule_failed")), (WITH_THE_RULE, vec![]));
    let order = good.checkout(&key("good"), &good.order("tok_approve")).await.expect(201);
    assert_eq!(grand(&order), WITH_THE_RULE);
    let applied = [("pricing-promotions", "applied"), ("rule", "applied"), ("pricing-tax", "applied")];
    assert_eq!(outcomes(&order), applied);

    let skipped = [("pricing-promotions", "applied"), ("rule", "skipped"), ("pricing-tax", "applied")];
    for (mode, _, outcome) in MISBEHAVIOURS {
        set(&host, mode, "skip").await;
        let says = [format!("The pricing plugin `rule` failed ({outcome}).")];
        let failed = failures(&host, outcome, "skip").await;
        let guest = guest(&host).await;
        let shown = cart(&guest).await;
        assert_eq!(
            (grand(&shown), &told(&shown, "rule_failed")[..]),
            (WITHOUT_THE_RULE, &says[..]),
            "{mode}"
        );
        assert!(!sources(&shown, "items").contains(&"rule".to_owned()), "{mode}: {shown}");
        let quote = guest.quote().await;
        assert_eq!(
            (grand(&quote), &told(&quote, "rule_failed")[..]),
            (WITHOUT_THE_RULE, &says[..]),
            "{mode}"
        );
        assert_eq!(outcomes(&quote), skipped, "{mode}");
        let order = guest.checkout(&key(&format!("quoted-{mode}")), &at(&guest, &quote)).await.expect(201);
        assert_eq!((grand(&order), outcomes(&order)), (WITHOUT_THE_RULE, skipped.to_vec()), "{mode}");
        assert_eq!(order["plugins"], quote["plugins"]);
        // The cart, making and looking at it, and the quote have asked.
        assert!(failures(&host, outcome, "skip").await >= failed + 2, "{mode}");

        let failed = failures(&host, outcome, "skip").await;
        let guest = self::guest(&host).await;
        let order =
            guest.checkout(&key(&format!("bare-{mode}")), &guest.order("tok_approve")).await.expect(201);
        assert_eq!((grand(&order), outcomes(&order)), (WITHOUT_THE_RULE, skipped.to_vec()), "{mode}");
        assert!(!sources(&order, "items").contains(&"rule".to_owned()), "{mode}: {order}");
        assert!(failures(&host, outcome, "skip").await > failed, "{mode}");
        let seen = admin.get("/plugins/rule").await.expect(200);
        assert_eq!(
            (&seen["lastError"]["operation"], &seen["lastError"]["outcome"]),
            (&json!("hook:pricing"), &json!(outcome)),
            "{mode}: {seen}"
        );
    }
    conservation::check(&host).await;
}

/// Asserts that carts can be looked at and filled, and neither quoted nor ordered.
async fn is_blocked(host: &TestHost, guest: &Shopper, name: &str, status: u16, code: &str) {
    writes_nothing(host, async {
        let shown = cart(guest).await;
        let says = "The prices are without discounts and taxes for the moment.";
        assert_eq!((grand(&shown), told(&shown, "rule_failed")), (BY_LIST, vec![says.to_owned()]), "{name}");
        let refused = guest.send(Method::POST, "/quote", &json!({})).await;
        let problem = refused.expect_problem(status, code);
        assert_eq!(problem["detail"], "The pricing plugin `rule` could not answer.", "{name}: {problem}");
        let refused = guest.checkout(&key(name), &guest.order("tok_approve")).await;
        let problem = refused.expect_problem(status, code);
        assert_eq!(problem["detail"], "The pricing plugin `rule` could not answer.", "{name}: {problem}");
    })
    .await;
}

async fn a_rule_that_misbehaves_blocks_the_sale_where_the_operator_says_block(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 100).await;
    let quoted = guest(&host).await;
    let quote = quoted.quote().await;
    let waiting = guest(&host).await;
    for (mode, code, outcome) in MISBEHAVIOURS {
        set(&host, mode, "block").await;
        let failed = failures(&host, outcome, "block").await;
        is_blocked(&host, &waiting, &format!("blocked-{mode}"), 502, code).await;
        assert!(failures(&host, outcome, "block").await >= failed + 3, "{mode}");
        // Carts go on being filled.
        let added =
            waiting.send(Method::POST, "/items", &json!({"sku": "CUP", "quantity": 1})).await.expect(200);
        assert_eq!(told(&added, "rule_failed").len(), 1, "{mode}: {added}");
        let line = format!("/items/{}", id(&added["items"][0]));
        let draft = waiting.draft(Method::PATCH, &format!("/carts/{}{line}", waiting.cart));
        let draft = draft.header("content-type", "application/merge-patch+json");
        waiting.client.send(draft.text(json!({"quantity": 2}).to_string())).await.expect(200);
    }
    // What was quoted before holds.
    let order = quoted.checkout(&key("quoted"), &at(&quoted, &quote)).await.expect(201);
    assert_eq!((grand(&order), &order["plugins"]), (WITH_THE_RULE, &quote["plugins"]));
    // With the same key, once it is repaired.
    set(&host, "rate", "block").await;
    let order = waiting.checkout(&key("blocked-trap"), &waiting.order("tok_approve")).await.expect(201);
    assert_eq!(grand(&order), WITH_THE_RULE);
    conservation::check(&host).await;
}

/// The component and the configuration of the rule that serves.
async fn serving(admin: &Client) -> (Value, Value) {
    let plugin = admin.get("/plugins/rule").await.expect(200);
    (plugin["digest"].clone(), plugin["configDigest"].clone())
}

/// Asserts that a cart costs what it cost before, and that it is told whose price it is.
async fn falls_back(host: &TestHost, name: &str, outcome: &str, former: &(Value, Value)) {
    let failed = failures(host, outcome, "last_good").await;
    let guest = guest(host).await;
    let says = [format!("The pricing plugin `rule` failed ({outcome}).")];
    let shown = cart(&guest).await;
    assert_eq!((grand(&shown), &told(&shown, "rule_failed")[..]), (WITH_THE_RULE, &says[..]), "{name}");
    let quote = guest.quote().await;
    assert_eq!((grand(&quote), &told(&quote, "rule_failed")[..]), (WITH_THE_RULE, &says[..]), "{name}");
    let order = guest.checkout(&key(name), &at(&guest, &quote)).await.expect(201);
    let direct = self::guest(host).await;
    let direct =
        direct.checkout(&key(&format!("{name}-now")), &direct.order("tok_approve")).await.expect(201);
    let replaced = [("pricing-promotions", "applied"), ("rule", "last_good"), ("pricing-tax", "applied")];
    for order in [&order, &direct] {
        assert_eq!((grand(order), outcomes(order)), (WITH_THE_RULE, replaced.to_vec()), "{name}");
        // It names what has answered and not what has failed.
        let used = &order["plugins"][1];
        assert_eq!((&used["digest"], &used["configDigest"]), (&former.0, &former.1), "{name}: {order}");
        let adjustments = order["items"][0]["adjustments"].as_array().unwrap();
        let own = adjustments.iter().find(|it| it["pluginId"] == "rule").unwrap();
        assert_eq!((&own["digest"], &own["amount"]["amount"]), (&former.0, &json!(-464)), "{name}: {own}");
    }
    assert!(failures(host, outcome, "last_good").await >= failed + 3, "{name}");
}

async fn a_bad_component_or_configuration_falls_back_to_the_one_before(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 200).await;
    let component = std::fs::read(built("fixtures", "rule")).unwrap();
    for (bad, _, outcome) in MISBEHAVIOURS {
        set(&host, "rate", "last_good").await;
        let former = serving(&admin).await;
        set(&host, bad, "last_good").await;
        let running = serving(&admin).await;
        assert!(
            running.0 == former.0 && running.1 != former.1,
            "the same component with another configuration"
        );
        falls_back(&host, &format!("configuration-{bad}"), outcome, &former).await;
    }
    set(&host, "rate", "last_good").await;
    for (bad, _, outcome) in [MISBEHAVIOURS[0], MISBEHAVIOURS[1], MISBEHAVIOURS[6]] {
        host.install("rule.wasm", &component).await;
        let former = serving(&admin).await;
        host.install("rule.wasm", &marked("rule", bad)).await;
        let running = serving(&admin).await;
        assert!(
            running.0 != former.0 && running.1 == former.1,
            "another component with the same configuration"
        );
        falls_back(&host, &format!("component-{bad}"), outcome, &former).await;
    }
    conservation::check(&host).await;
}

async fn a_former_version_that_fails_too_blocks_the_sale(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 100).await;
    let guest = guest(&host).await;
    // The good one is two versions away.
    set(&host, "trap", "last_good").await;
    assert_eq!(grand(&cart(&guest).await), WITH_THE_RULE);
    set(&host, "loop", "last_good").await;
    is_blocked(&host, &guest, "both-fail", 502, "plugin_failed").await;
    set(&host, "foreign", "last_good").await;
    is_blocked(&host, &guest, "both-fail-again", 502, "plugin_failed").await;
    host.install("rule.wasm", &marked("rule", "gift")).await;
    is_blocked(&host, &guest, "three-fail", 502, "plugin_output_invalid").await;
    // Looking at it again makes the bad one no former version of itself.
    host.reload().await;
    is_blocked(&host, &guest, "reloaded", 502, "plugin_output_invalid").await;
    host.install("rule.wasm", &std::fs::read(built("fixtures", "rule")).unwrap()).await;
    set(&host, "rate", "last_good").await;
    let order = guest.checkout(&key("both-fail"), &guest.order("tok_approve")).await.expect(201);
    assert_eq!((grand(&order), outcomes(&order)[1]), (WITH_THE_RULE, ("rule", "applied")));
    conservation::check(&host).await;
}

/// A host has a former version of what it replaced itself: after a start there is none.
async fn a_rule_without_a_former_version_blocks_the_sale(mut first: TestHost) {
    let admin = first.admin().await;
    sell(&admin, "CUP", 100).await;
    set(&first, "trap", "last_good").await;
    assert_eq!(grand(&cart(&guest(&first).await).await), WITH_THE_RULE);
    let (database, time) = (first.database(), first.app.store().clock().now_ms());
    let data = first.stop().await;

    let builder = shop().regrant(&rule("rate", "block"), &rule("trap", "last_good"));
    let builder = builder.with_data(data).at_ms(time);
    let builder = match database {
        Some(database) => builder.on_database(database),
        None => builder,
    };
    let host = builder.start().await;
    assert_eq!(host.refusals(), []);
    let guest = guest(&host).await;
    is_blocked(&host, &guest, "after-a-start", 502, "plugin_failed").await;
    conservation::check(&host).await;
}

async fn a_rule_that_keeps_failing_is_not_called_for_a_while(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 100).await;
    let guest = guest(&host).await;
    set(&host, "trap", "skip").await;
    let calls = [("operation", "hook:pricing"), ("plugin", "rule"), ("outcome", "trap")];
    let trapped = async || host.counted("plugin_calls_total", &calls).await;
    for call in 1..=u64::from(BREAKER) {
        let shown = cart(&guest).await;
        assert_eq!(grand(&shown), WITHOUT_THE_RULE);
        assert_eq!(told(&shown, "rule_failed"), ["The pricing plugin `rule` failed (trap)."], "{call}");
        assert_eq!(trapped().await, call);
    }
    // It is left out as before, and not even asked.
    assert_eq!(admin.get("/plugins/rule").await.expect(200)["state"], "quarantined");
    for _ in 0..3 {
        let shown = cart(&guest).await;
        assert_eq!(grand(&shown), WITHOUT_THE_RULE);
        assert_eq!(told(&shown, "rule_failed"), ["The pricing plugin `rule` failed (breaker_open)."]);
    }
    assert_eq!((trapped().await, failures(&host, "breaker_open", "skip").await), (u64::from(BREAKER), 3));
    let order = guest.checkout(&key("left-alone"), &guest.order("tok_approve")).await.expect(201);
    assert_eq!((grand(&order), outcomes(&order)[1]), (WITHOUT_THE_RULE, ("rule", "skipped")));

    // Whether it has recovered is tried with one call.
    host.clock.advance(Duration::from_secs(30));
    let guest = self::guest(&host).await;
    assert_eq!(trapped().await, u64::from(BREAKER) + 1);
    // Another configuration is another chance.
    set(&host, "rate", "skip").await;
    assert_eq!(admin.get("/plugins/rule").await.expect(200)["state"], "active");
    let shown = cart(&guest).await;
    assert_eq!((grand(&shown), told(&shown, "rule_failed")), (WITH_THE_RULE, vec![]));
    conservation::check(&host).await;
}
