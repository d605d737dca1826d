//! What plugins ask of others: chains in order, exact sums, and what becomes of the asker when the asked misbehave.

use hyper::Method;
use platform_tests::{
    host::{TestHost, TestHostBuilder},
    plugin::MISBEHAVIOURS,
    shop::documents,
    wait::eventually,
};
use serde_json::{Value, json};

const CALLS: &str = "[plugins.asker]\ncalls = [\"pricing\", \"shipping\", \"payment\"]\n";

fn asker() -> TestHostBuilder {
    TestHostBuilder::empty().fixture("asker").fixture("rule").grants(CALLS)
}

/// The plugins file with the rule in this mode.
fn mode(mode: &str, more: &str) -> String {
    format!("{CALLS}[plugins.rule.config]\nmode = \"{mode}\"\n{more}")
}

fn cart(lines: &[(&str, i64, i64)]) -> Value {
    let lines: Vec<Value> = lines
        .iter()
        .map(|(id, quantity, price)| {
            json!({
                "id": id, "productId": "prod_1", "variantId": "var_1", "sku": id, "quantity": quantity,
                "unitPrice": price, "taxClass": "", "weightGrams": 0, "categoryIds": [],
            })
        })
        .collect();
    json!({
        "currency": "EUR", "atMs": 1_767_225_600_000_i64, "customer": null, "groups": [], "coupons": [],
        "country": null, "region": null, "postalCode": null, "lines": lines, "shipping": null,
    })
}

async fn price(host: &TestHost) -> Value {
    host.anonymous().post("/asker/price", &cart(&[("a", 1, 1_000), ("b", 3, 333)])).await.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_asked_and_named_with_what_it_did() {
    let host = asker().start().await;
    let answer = price(&host).await;
    assert_eq!(answer["priced"]["totals"]["items"], 1_999);
    // 10 % of 1000 and of 999, each rounded.
    assert_eq!(answer["priced"]["totals"]["discount"], -200);
    let applied = &answer["priced"]["lines"][1]["adjustments"][0];
    assert_eq!((&applied["amount"], &applied["pluginId"]), (&json!(-100), &json!("rule")));
    assert_eq!(applied["digest"].as_str().unwrap().len(), 64);
    assert_eq!(answer["plugins"][0]["outcome"], "applied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_misbehaves_blocks_is_skipped_or_replaced_as_the_operator_says() {
    let host = asker().start().await;
    let body = cart(&[("a", 1, 1_000)]);
    for (number, (bad, code, outcome)) in MISBEHAVIOURS.into_iter().enumerate() {
        host.grant(&mode(bad, "")).await;
        let refused = host.anonymous().post("/asker/price", &body).await;
        assert_eq!(refused.expect_problem(502, code)["code"], code, "{bad}");

        host.grant(&mode(bad, "[plugins.rule.hooks.pricing]\non_failure = \"skip\"\n")).await;
        let skipped = host.anonymous().post("/asker/price", &body).await.expect(200);
        assert_eq!(skipped["priced"]["totals"]["grand"], 1_000, "{bad}");
        assert_eq!(skipped["plugins"][0]["outcome"], "skipped", "{bad}");
        let told = format!("The pricing plugin `rule` failed ({outcome}).");
        assert_eq!(skipped["problems"], json!([told]), "{bad}");

        // Back to a good one, and then to a bad one that falls back to it.
        host.grant(&mode("rate", &format!("rate = {}\n", -1_000 * (number as i64 + 1)))).await;
        host.grant(&mode(bad, "[plugins.rule.hooks.pricing]\non_failure = \"last_good\"\n")).await;
        let former = host.anonymous().post("/asker/price", &body).await.expect(200);
        assert_eq!(former["plugins"][0]["outcome"], "last_good", "{bad}: {former}");
        assert_eq!(former["priced"]["totals"]["discount"], -(number as i64 + 1), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_answer_that_is_for_every_line_is_bounded_as_well() {
    let host = asker().grants("[plugins.rule.config]\nmode = \"swarm\"\n").start().await;
    let ids: Vec<String> = (0..500).map(|number| format!("l{number}")).collect();
    let lines: Vec<(&str, i64, i64)> = ids.iter().map(|id| (id.as_str(), 1, 1_000)).collect();
    let refused = host.anonymous().post("/asker/price", &cart(&lines)).await;
    refused.expect_problem(502, "plugin_output_invalid");
    host.anonymous().post("/asker/price", &cart(&lines[..1])).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_learns_of_time_and_chance_is_the_carts() {
    let host = asker().grants("[plugins.rule.config]\nmode = \"curious\"\n").start().await;
    let first = price(&host).await;
    let reason = first["priced"]["lines"][0]["adjustments"][0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("1767225600000 0 "), "{reason}");
    host.clock.advance(std::time::Duration::from_secs(86_400));
    assert_eq!(price(&host).await, first);
    let mut other = cart(&[("a", 1, 1_000), ("b", 3, 333)]);
    other["customer"] = json!("usr_1");
    let other = host.anonymous().post("/asker/price", &other).await.expect(200);
    assert_ne!(
        other["priced"]["lines"][0]["adjustments"][0]["reason"],
        json!(reason),
        "chance follows the input"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fuel_and_not_time_ends_a_rule_and_grows_with_the_lines() {
    let limits = |base: u64, line: u64| {
        mode(
            "long",
            &format!("rate = 100000\n[plugins.rule.limits]\nfuel = {base}\nfuel_per_line = {line}\n"),
        )
    };
    let host = asker().start().await;
    let ask = async |lines: &[(&str, i64, i64)]| {
        host.anonymous().post("/asker/price", &cart(lines)).await.status.as_u16()
    };
    host.grant(&limits(200_000, 0)).await;
    assert_eq!(ask(&[("a", 1, 1), ("b", 1, 1)]).await, 502);
    host.grant(&limits(200_000, 2_000_000)).await;
    assert_eq!(ask(&[("a", 1, 1), ("b", 1, 1)]).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_that_overflow_are_the_askers_problem() {
    let host = asker().start().await;
    let body = cart(&[("a", 1_000, i64::MAX / 1_000)]);
    host.anonymous().post("/asker/price", &body).await.expect_problem(422, "amount_out_of_range");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_not_granted_a_hook_does_not_load() {
    let host = TestHostBuilder::empty().fixture("asker").start().await;
    let (reason, serving) = host.refusal();
    assert!(reason.contains("`calls = [\"pricing\"]` under `[plugins.asker]`"), "{reason}");
    assert!(!serving);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_called_where_the_operation_says_so_and_its_silence_is_unknown() {
    let host =
        asker().plugin("payment-sandbox").grants("[plugins.payment-sandbox.limits]\ntimeout_ms = 500\n");
    let host = host.start().await;
    let pay = |token: &str, key: &str| {
        json!({
            "provider": "payment-sandbox", "kind": "authorization", "token": token, "key": key, "amount": 500,
            "currency": "EUR", "orderId": "ord_1", "paymentId": key,
        })
    };
    let client = host.anonymous();
    let good = client.post("/asker/pay", &pay("tok_approve", "k1")).await.expect(200);
    assert_eq!(good["state"], "succeeded");
    assert_eq!(client.post("/asker/pay", &pay("tok_approve", "k1")).await.expect(200), good, "the same key");
    let declined = client.post("/asker/pay", &pay("tok_decline", "k2")).await.expect(200);
    assert!(declined["declined"].is_string(), "{declined}");
    let silent = client.post("/asker/pay", &pay("tok_timeout", "k3")).await.expect(200);
    assert!(silent["unknown"].as_str().unwrap().contains("timeout"), "{silent}");
    let mut ask = pay("tok_timeout", "k3");
    ask["ask"] = json!(true);
    assert_eq!(client.post("/asker/pay", &ask).await.expect(200)["state"], "succeeded", "it had charged");
    let garbage = client.post("/asker/pay", &pay("tok_garbage", "k4")).await.expect(200);
    assert!(garbage["unknown"].is_string(), "{garbage}");
    let quietly = client.post("/asker/pay-quietly", &pay("tok_approve", "k5")).await.expect(200);
    assert_eq!(quietly["invalid"], "plugin_failed");
    let mut nobody = pay("tok_approve", "k6");
    nobody["provider"] = json!("payment-nobody");
    assert_eq!(client.post("/asker/pay", &nobody).await.expect(200)["invalid"], "plugin_unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_provider_keeps_nobody_else_from_being_served() {
    let host = asker().plugin("payment-sandbox").grants(
        "[plugins.payment-sandbox.limits]\ntimeout_ms = 3000\n[plugins.asker.limits]\nconcurrency = 4\n",
    );
    let host = host.start().await;
    let slow: Vec<_> = (0..4)
        .map(|number| {
            let client = host.anonymous();
            tokio::spawn(async move {
                let body = json!({
                    "provider": "payment-sandbox", "kind": "authorization", "token": "tok_timeout",
                    "key": format!("slow-{number}"), "amount": 1, "currency": "EUR", "orderId": "o", "paymentId": "p",
                });
                client.post("/asker/pay", &body).await.expect(200)
            })
        })
        .collect();
    eventually("the gateway has been called and does not answer", async || {
        documents(&host, "sandbox_operations").await.len() == 4
    })
    .await;
    for _ in 0..20 {
        price(&host).await;
    }
    assert!(slow.iter().all(|call| !call.is_finished()), "all that while they waited");
    for call in slow {
        assert!(call.await.unwrap()["unknown"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_bodies_arrive_as_they_came_with_all_headers_but_credentials() {
    let mut host = asker().start().await;
    let client = host.admin().await;
    let mut draft = client.request(Method::POST, "/asker/raw").text(b"\x00{not json".to_vec());
    for (name, value) in [("x-signature", "abc"), ("cookie", "a=b"), ("x-cart-token", "a-guest")] {
        draft = draft.header(name, value);
    }
    let answer = client.send(draft).await.expect(200);
    assert_eq!((&answer["bytes"], &answer["signature"]), (&json!(b"\x00{not json"), &json!("abc")));
    let names = answer["names"].as_array().unwrap();
    for credential in ["authorization", "cookie", "x-cart-token"] {
        assert!(!names.contains(&json!(credential)), "{names:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scheduled_operations_run_again_and_again() {
    let host = asker().start().await;
    let runs = async || host.anonymous().get("/asker/runs").await.expect(200).as_i64().unwrap();
    eventually("it has run three times", async || runs().await >= 3).await;
    host.anonymous().post("/asker-tick", &json!({})).await.expect_problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pricing_rule_imports_nothing_of_the_platforms() {
    let host = asker().start().await;
    let report = host.app.plugins_report();
    assert_eq!(report["refused"], json!([]));
    let rule = report["plugins"].as_array().unwrap().iter().find(|it| it["id"] == "rule").unwrap().clone();
    assert_eq!(rule["roles"], json!(["pricing-rule"]));
}
