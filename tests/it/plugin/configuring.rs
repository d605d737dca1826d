//! `/plugins` over HTTP: what runs is shown as it is, and configured while it runs, at once or not at all.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{future::join_all, join};
use hyper::Method;
use platform_tests::{
    checkout::{SHIPPING, Shopper, sell},
    client::{Answer, Client},
    host::{SHOP_GRANTS, TestHost, TestHostBuilder},
    shop::writes_nothing,
};
use serde_json::{Value, json};

on_each_backend!(
    shop().start(), shop().on_mongodb().start();
    what_runs_is_shown,
    a_wrong_configuration_is_refused_with_its_places_and_changes_nothing,
    a_configuration_takes_effect_at_once,
    a_configuration_is_set_over_the_version_that_was_read,
    of_many_who_configure_one_version_one_does,
    whoever_looks_while_it_is_configured_sees_versions_that_grow,
    whoever_may_not_configure_does_not,
    a_configuration_that_was_set_survives_a_restart,
    a_file_that_is_edited_counts_again,
    a_file_that_is_edited_back_counts_too,
    nothing_is_set_over_a_file_that_is_broken,
);

const TAX: &str = "/plugins/pricing-tax/config";

fn shop() -> TestHostBuilder {
    TestHostBuilder::shop().fixture("rule").patient()
}

/// Taxes of so many percent in the United States.
fn taxes(percent: i64) -> Value {
    json!({"rates": [{"country": "US", "name": "Tax", "ppm": percent * 10_000}]})
}

async fn put(client: &Client, path: &str, body: &Value, if_match: Option<&str>) -> Answer {
    let draft = client.request(Method::PUT, path).json(body);
    client.send(if_match.into_iter().fold(draft, |draft, tag| draft.header("if-match", tag))).await
}

async fn plugin(admin: &Client, id: &str) -> Value {
    admin.get(&format!("/plugins/{id}")).await.expect(200)
}

fn generation(host: &TestHost) -> u64 {
    host.app.plugins().current().id
}

/// Two cups in a cart, and the tax on them.
async fn tax(guest: &Shopper) -> i64 {
    let cart = guest.send(Method::GET, "", &Value::Null).await.expect(200);
    cart["totals"]["tax"]["amount"].as_i64().unwrap()
}

async fn guest(host: &mut TestHost) -> Shopper {
    let admin = host.admin().await;
    sell(&admin, "CUP", 10).await;
    Shopper::with(host.anonymous(), &[("CUP", 2)]).await
}

/// What so many percent of two cups and their shipping are, each rounded.
fn percent(percent: i64) -> i64 {
    (2_580 * percent + 50) / 100 + (SHIPPING * percent + 50) / 100
}

/// The members of a JSON object.
fn members(value: &Value) -> Vec<&str> {
    let mut members: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    members
}

async fn what_runs_is_shown(mut host: TestHost) {
    let admin = host.admin().await;
    let listed = admin.get("/plugins").await.expect(200);
    let listed = listed.as_array().unwrap();
    let ids: Vec<&str> = listed.iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert!(ids.is_sorted() && ids.contains(&"orders") && ids.contains(&"rule"), "{ids:?}");
    for shown in listed {
        let all = [
            "config",
            "configDigest",
            "configSchema",
            "configVersion",
            "counters",
            "digest",
            "grants",
            "hooks",
            "id",
            "lastError",
            "limits",
            "roles",
            "routes",
            "state",
            "title",
            "version",
        ];
        assert_eq!(members(shown), all);
        assert_eq!(members(&shown["grants"]), ["asked", "given"], "{shown}");
        assert_eq!(members(&shown["counters"]), ["calls", "failures"], "{shown}");
        assert_eq!((&shown["state"], &shown["configVersion"]), (&json!("active"), &json!(0)), "{shown}");
        for digest in ["digest", "configDigest"] {
            let text = shown[digest].as_str().unwrap();
            assert!(text.len() == 64 && text.bytes().all(|it| it.is_ascii_hexdigit()), "{digest}: {shown}");
        }
        // Beside counters, which go on, one is what the list says.
        let mut one = plugin(&admin, shown["id"].as_str().unwrap()).await;
        one["counters"] = shown["counters"].clone();
        assert_eq!(one, *shown);
    }
    let by_id = |id: &str| listed.iter().find(|it| it["id"] == id).unwrap();
    let tax = by_id("pricing-tax");
    assert_eq!((&tax["roles"], &tax["routes"]), (&json!(["pricing-rule"]), &json!([])));
    assert_eq!(tax["hooks"], json!([{"name": "pricing", "priority": 90, "onFailure": "block"}]));
    let promotions = by_id("pricing-promotions");
    assert_eq!(promotions["hooks"], json!([{"name": "pricing", "priority": 10, "onFailure": "last_good"}]));
    // A hook that the file says nothing about has what hooks have.
    assert_eq!(by_id("rule")["hooks"], json!([{"name": "pricing", "priority": 100, "onFailure": "block"}]));
    assert_eq!(by_id("payment-sandbox")["roles"], json!(["payment-provider"]));
    assert_eq!(by_id("shipping-flat")["roles"], json!(["shipping-rates"]));
    let orders = by_id("orders");
    assert_eq!((&orders["roles"], &orders["hooks"]), (&json!(["endpoint"]), &json!([])));
    let routes = orders["routes"].as_array().unwrap();
    assert!(
        routes.contains(&json!("POST /orders")) && routes.contains(&json!("GET /carts/{id}")),
        "{routes:?}"
    );
    for asked in ["store:products:read", "store:inventory:write", "hooks:pricing", "hooks:payment"] {
        for which in ["asked", "given"] {
            assert!(
                orders["grants"][which].as_array().unwrap().contains(&json!(asked)),
                "{asked}: {}",
                orders["grants"]
            );
        }
    }
    assert_eq!((&orders["config"], &orders["configSchema"]["type"]), (&json!({}), &json!("object")));
    assert!(orders["limits"]["timeout_ms"].is_u64(), "{}", orders["limits"]);
    assert_eq!(orders["lastError"], Value::Null);
    let bytes = std::fs::read(host.plugins_dir.join("orders.wasm")).unwrap();
    assert_eq!(orders["digest"], blake3::hash(&bytes).to_hex().as_str());

    admin.get("/plugins/nobody").await.expect_problem(404, "not_found");
    admin.get("/plugins?x=1").await.expect_problem(400, "unknown_parameter");
    let first = admin.get("/plugins/pricing-tax").await;
    let tag = first.header("etag").unwrap().to_owned();
    let again = admin.request(Method::GET, "/plugins/pricing-tax").header("if-none-match", &tag);
    admin.send(again).await.expect_status(304);
    // A call and a failure of it are counted, and the last one is told.
    let failing = guest(&mut host).await;
    put(&admin, "/plugins/rule/config", &json!({"mode": "trap"}), None).await.expect(200);
    failing.send(Method::GET, "", &Value::Null).await.expect(200);
    let rule = plugin(&admin, "rule").await;
    assert_eq!(rule["counters"], json!({"calls": 1, "failures": 1}));
    let error = &rule["lastError"];
    assert_eq!(members(error), ["at", "cause", "operation", "outcome"]);
    assert_eq!((&error["operation"], &error["outcome"]), (&json!("hook:pricing"), &json!("trap")));
    assert_eq!(error["at"], "2026-01-01T00:00:00.000Z");
}

async fn a_wrong_configuration_is_refused_with_its_places_and_changes_nothing(mut host: TestHost) {
    let admin = host.admin().await;
    let guest = guest(&mut host).await;
    put(&admin, TAX, &taxes(10), None).await.expect(200);
    assert_eq!(tax(&guest).await, percent(10));
    let (before, running) = (plugin(&admin, "pricing-tax").await, generation(&host));
    let rate = |member: &str, value: Value| {
        let mut taxes = taxes(20);
        taxes["rates"][0][member] = value;
        taxes
    };
    let bad = "validation_failed";
    let unknown = "unknown_field";
    writes_nothing(&host, async {
        for (body, code, pointer, error) in [
            // By the schema.
            (rate("ppm", json!("a lot")), bad, "/rates/0/ppm", bad),
            (rate("ppm", json!(-1)), bad, "/rates/0/ppm", bad),
            (rate("country", json!("usa")), bad, "/rates/0/country", bad),
            (json!({"rates": [{"country": "US", "name": "Tax"}]}), bad, "/rates/0", bad),
            (json!({"rates": "none"}), bad, "/rates", bad),
            (json!({"pricesInclude": "yes"}), bad, "/pricesInclude", bad),
            // Members that there are none of.
            (json!({"colour": "red"}), unknown, "/colour", unknown),
            (rate("colour", json!("red")), unknown, "/rates/0/colour", unknown),
            (json!({"a/b~c": 1}), unknown, "/a~1b~0c", unknown),
            // By the plugin.
            (rate("country", json!("ZZ")), bad, "/rates/0/country", bad),
            (json!({"rates": [taxes(1)["rates"][0], taxes(2)["rates"][0]]}), bad, "/rates/1", bad),
            (json!({"defaultCountry": "DE"}), bad, "/defaultCountry", bad),
        ] {
            let problem = put(&admin, TAX, &body, None).await.expect_problem(422, code);
            let errors = problem["errors"].as_array().unwrap();
            let found = errors.iter().any(|it| {
                it["pointer"].as_str().is_some_and(|it| it.starts_with(pointer)) && it["code"] == error
            });
            assert!(found, "no {error} at {pointer} in {problem}");
            assert!(
                errors.iter().all(|it| it["message"].as_str().is_some_and(|it| !it.is_empty())),
                "{problem}"
            );
        }
        // All that is wrong is told at once.
        let two = json!({"rates": [{"country": "US", "name": "Tax", "ppm": -1, "x": 1}], "y": 2});
        let problem = put(&admin, TAX, &two, None).await.expect_problem(422, "unknown_field");
        let pointers: Vec<&Value> =
            problem["errors"].as_array().unwrap().iter().map(|it| &it["pointer"]).collect();
        for pointer in ["/y", "/rates/0/x", "/rates/0/ppm"] {
            assert!(pointers.contains(&&json!(pointer)), "{pointer}: {problem}");
        }
        for body in [json!([]), json!("x"), json!(null), json!(7)] {
            put(&admin, TAX, &body, None).await.expect_problem(422, "validation_failed");
        }
        let broken = admin.request(Method::PUT, TAX).header("content-type", "application/json");
        admin.send(broken.clone().text("{\"rates\": [")).await.expect_problem(400, "malformed_json");
        admin.send(broken.text("{\"rates\": [], \"rates\": []}")).await.expect_problem(400, "malformed_json");
        let plain = admin.request(Method::PUT, TAX).header("content-type", "text/plain").text("{}");
        admin.send(plain).await.expect_problem(415, "unsupported_media_type");
        // A plugin without anything to configure takes nothing.
        let refused = put(&admin, "/plugins/categories/config", &json!({"a": 1}), None).await;
        refused.expect_problem(422, "validation_failed");
    })
    .await;
    let after = plugin(&admin, "pricing-tax").await;
    for member in ["config", "configDigest", "configVersion", "state", "lastError"] {
        assert_eq!(after[member], before[member], "{member}");
    }
    assert_eq!((generation(&host), tax(&guest).await), (running, percent(10)));
}

async fn a_configuration_takes_effect_at_once(mut host: TestHost) {
    let admin = host.admin().await;
    let guest = guest(&mut host).await;
    assert_eq!(tax(&guest).await, 0);
    for (version, percents) in [(1, 10), (2, 20), (3, 0)] {
        let before = generation(&host);
        let answer = put(&admin, TAX, &taxes(percents), None).await;
        assert!(answer.header("etag").unwrap().starts_with(&format!("\"{version}-")), "{:?}", answer.headers);
        let set = answer.expect(200);
        assert_eq!((&set["config"], &set["configVersion"]), (&taxes(percents), &json!(version)));
        assert_eq!(
            set["configDigest"],
            blake3::hash(taxes(percents).to_string().as_bytes()).to_hex().as_str()
        );
        let shown = plugin(&admin, "pricing-tax").await;
        for member in ["config", "configDigest", "configVersion", "digest", "hooks", "grants", "limits"] {
            assert_eq!(shown[member], set[member], "{member}");
        }
        assert_eq!((generation(&host), tax(&guest).await), (before + 1, percent(percents)), "{percents} %");
    }
    // The whole configuration: what is not said is not kept.
    let set = put(&admin, TAX, &json!({}), None).await.expect(200);
    assert_eq!((&set["config"], &set["configVersion"]), (&json!({}), &json!(4)));
    assert_eq!(tax(&guest).await, 0);
    // Who did it is audited.
    let audit = admin.get("/audit?limit=100").await.expect(200);
    let entries = audit.as_array().unwrap().iter().filter(|it| it.to_string().contains("configurePlugin"));
    assert_eq!(entries.count(), 4, "{audit}");
}

async fn a_configuration_is_set_over_the_version_that_was_read(mut host: TestHost) {
    let admin = host.admin().await;
    let guest = guest(&mut host).await;
    put(&admin, TAX, &taxes(10), Some("\"0\"")).await.expect(200);
    let running = generation(&host);
    writes_nothing(&host, async {
        for (tag, expected) in [("\"0\"", 0), ("\"2\"", 2), ("\"0-0123456789abcdef\"", 0)] {
            let problem =
                put(&admin, TAX, &taxes(20), Some(tag)).await.expect_problem(412, "version_conflict");
            assert_eq!((&problem["expected"], &problem["current"]), (&json!(expected), &json!(1)), "{tag}");
        }
        for tag in ["1", "\"x\"", "W/\"1\"", "\"1\", \"2\""] {
            put(&admin, TAX, &taxes(20), Some(tag)).await.expect_problem(400, "invalid_parameter");
        }
        // What makes no sense is told first.
        put(&admin, TAX, &json!({"x": 1}), Some("\"0\"")).await.expect_problem(422, "unknown_field");
    })
    .await;
    assert_eq!((generation(&host), tax(&guest).await), (running, percent(10)));
    let tag = admin.get("/plugins/pricing-tax").await.header("etag").unwrap().to_owned();
    let set = put(&admin, TAX, &taxes(20), Some(&tag)).await.expect(200);
    assert_eq!((&set["configVersion"], tax(&guest).await), (&json!(2), percent(20)));
    put(&admin, TAX, &taxes(30), Some("*")).await.expect(200);
    assert_eq!(tax(&guest).await, percent(30));
}

async fn of_many_who_configure_one_version_one_does(mut host: TestHost) {
    let admin = host.admin().await;
    let guest = guest(&mut host).await;
    for round in 0..3_u64 {
        let tag = format!("\"{round}\"");
        let all = (1..=6).map(|percents| {
            let (admin, tag) = (&admin, &tag);
            async move { (percents, put(admin, TAX, &taxes(percents), Some(tag)).await) }
        });
        let mut done = Vec::new();
        for (percents, answer) in join_all(all).await {
            match answer.status.as_u16() {
                200 => done.push(percents),
                409 => drop(answer.expect_problem(409, "conflict")),
                _ => {
                    let problem = answer.expect_problem(412, "version_conflict");
                    assert_eq!(
                        (&problem["expected"], &problem["current"]),
                        (&json!(round), &json!(round + 1))
                    );
                }
            }
        }
        assert_eq!(done.len(), 1, "round {round}: {done:?}");
        let shown = plugin(&admin, "pricing-tax").await;
        assert_eq!((&shown["config"], &shown["configVersion"]), (&taxes(done[0]), &json!(round + 1)));
        assert_eq!(tax(&guest).await, percent(done[0]));
    }
}

async fn whoever_looks_while_it_is_configured_sees_versions_that_grow(mut host: TestHost) {
    let admin = host.admin().await;
    put(&admin, TAX, &taxes(1), None).await.expect(200);
    let is_over = AtomicBool::new(false);
    let looking = async {
        let mut seen = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let shown = plugin(&admin, "pricing-tax").await;
            let ppm = shown["config"]["rates"][0]["ppm"].as_i64().unwrap();
            seen.push((shown["configVersion"].as_i64().unwrap(), ppm / 10_000));
        }
        seen
    };
    let configuring = async {
        for percents in 2..=6 {
            put(&admin, TAX, &taxes(percents), None).await.expect(200);
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let (seen, ()) = join!(looking, configuring);
    // Each says which configuration it is, and none says that the file counts.
    assert!(seen.iter().all(|(version, percents)| version == percents), "{seen:?}");
    assert!(seen.is_sorted(), "{seen:?}");
}

async fn whoever_may_not_configure_does_not(mut host: TestHost) {
    let admin = host.admin().await;
    let role = json!({"name": "Onlooker", "permissions": ["plugins:read"]});
    let role = admin.post("/roles", &role).await.expect(201);
    let role = role["id"].as_str().unwrap();
    let staff = async |name: &str, role: &str| {
        let token = host.staff(&format!("{name}@example.com"), &[role]).await;
        host.with_token(&token)
    };
    let onlooker = staff("onlooker", role).await;
    let catalogue = staff("catalogue", "catalog-manager").await;
    let operator = staff("operator", "operator").await;
    let customer = host.customer("ada@example.com").await;
    writes_nothing(&host, async {
        for path in ["/plugins", "/plugins/pricing-tax", "/plugins/nobody"] {
            host.anonymous().get(path).await.expect_problem(401, "unauthenticated");
            for client in [&customer, &catalogue] {
                client.get(path).await.expect_problem(403, "forbidden");
            }
        }
        onlooker.get("/plugins").await.expect(200);
        onlooker.get("/plugins/pricing-tax").await.expect(200);
        for path in [TAX, "/plugins/nobody/config"] {
            put(&host.anonymous(), path, &taxes(10), None).await.expect_problem(401, "unauthenticated");
            for client in [&customer, &catalogue, &onlooker] {
                put(client, path, &taxes(10), None).await.expect_problem(403, "forbidden");
                // Also what is wrong with it is not theirs to know.
                put(client, path, &json!({"x": 1}), Some("\"9\"")).await.expect_problem(403, "forbidden");
            }
        }
        put(&operator, "/plugins/nobody/config", &json!({}), None).await.expect_problem(404, "not_found");
        // A plugin that the file has switched off does not run.
        put(&operator, "/plugins/payment-stripe/config", &json!({}), None)
            .await
            .expect_problem(404, "not_found");
        for method in [Method::POST, Method::PATCH, Method::DELETE] {
            let wrong = operator.send(operator.request(method, TAX)).await;
            wrong.expect_problem(405, "method_not_allowed");
        }
    })
    .await;
    put(&operator, TAX, &taxes(10), None).await.expect(200);
}

/// Stops a host and starts another one with its data and a plugins file that was edited so.
async fn started_again(host: TestHost, edit: impl FnOnce(TestHostBuilder) -> TestHostBuilder) -> TestHost {
    let (database, time) = (host.database(), host.app.store().clock().now_ms());
    let data = host.stop().await;
    let builder = edit(shop()).with_data(data).at_ms(time);
    match database {
        Some(database) => builder.on_database(database).start().await,
        None => builder.start().await,
    }
}

async fn later(host: &TestHost, name: &str) -> Client {
    let token = host.staff(&format!("{name}@example.com"), &["superadmin"]).await;
    host.with_token(&token)
}

async fn a_configuration_that_was_set_survives_a_restart(mut host: TestHost) {
    let admin = host.admin().await;
    let mut guest = guest(&mut host).await;
    put(&admin, TAX, &taxes(10), None).await.expect(200);
    let set = put(&admin, TAX, &taxes(20), None).await.expect(200);
    let host = started_again(host, |same| same).await;
    assert_eq!(host.refusals(), []);
    let admin = later(&host, "second").await;
    let shown = plugin(&admin, "pricing-tax").await;
    for member in ["config", "configDigest", "configVersion"] {
        assert_eq!(shown[member], set[member], "{member}");
    }
    guest.client = host.anonymous();
    assert_eq!(tax(&guest).await, percent(20));
    // Another section and a comment change nothing.
    let other = |it: TestHostBuilder| it.regrant("Parcel, 2 to 3 days", "Parcel").grants("\n# A comment.\n");
    let host = started_again(host, other).await;
    let admin = later(&host, "third").await;
    guest.client = host.anonymous();
    assert_eq!(plugin(&admin, "pricing-tax").await["configVersion"], 2);
    assert_eq!(tax(&guest).await, percent(20));
    // While nothing ran the file was edited: whoever edits it means it.
    let edited = format!("\n[plugins.pricing-tax.config]\nrates = [{}]\n", in_toml(5));
    let host = started_again(host, |it| it.grants(&edited)).await;
    let admin = later(&host, "fourth").await;
    guest.client = host.anonymous();
    let shown = plugin(&admin, "pricing-tax").await;
    assert_eq!((&shown["config"], &shown["configVersion"]), (&taxes(5), &json!(0)));
    assert_eq!(tax(&guest).await, percent(5));
}

/// A rate in the plugins file.
fn in_toml(percent: i64) -> String {
    format!("{{ country = \"US\", name = \"Tax\", ppm = {} }}", percent * 10_000)
}

/// The plugins file with these taxes.
fn file(percents: i64) -> String {
    format!("{SHOP_GRANTS}\n[plugins.pricing-tax.config]\nrates = [{}]\n", in_toml(percents))
}

async fn a_file_that_is_edited_counts_again(mut host: TestHost) {
    let admin = host.admin().await;
    let guest = guest(&mut host).await;
    host.grant(&file(5)).await;
    assert_eq!(tax(&guest).await, percent(5));
    put(&admin, TAX, &taxes(10), Some("\"0\"")).await.expect(200);
    // Looking at it again, a comment, and another plugin's section change nothing.
    host.reload().await;
    host.grant(&format!("# A comment.\n{}", file(5))).await;
    host.grant(&file(5).replace("Parcel, 2 to 3 days", "Parcel")).await;
    assert_eq!(
        (&plugin(&admin, "pricing-tax").await["configVersion"], tax(&guest).await),
        (&json!(1), percent(10))
    );
    // Whoever edits it means it.
    host.grant(&file(7)).await;
    let shown = plugin(&admin, "pricing-tax").await;
    assert_eq!((&shown["config"], &shown["configVersion"]), (&taxes(7), &json!(0)));
    assert_eq!(tax(&guest).await, percent(7));
    writes_nothing(&host, async {
        let old = put(&admin, TAX, &taxes(8), Some("\"1\"")).await.expect_problem(412, "version_conflict");
        assert_eq!((&old["expected"], &old["current"]), (&json!(1), &json!(0)));
    })
    .await;
    // What is set now stands over the file of now.
    let set = put(&admin, TAX, &taxes(8), Some("\"0\"")).await.expect(200);
    assert!(set["configVersion"].as_u64().unwrap() > 1, "{set}");
    assert_eq!(tax(&guest).await, percent(8));
    host.reload().await;
    assert_eq!(tax(&guest).await, percent(8));
}

async fn a_file_that_is_edited_back_counts_too(mut host: TestHost) {
    let admin = host.admin().await;
    let guest = guest(&mut host).await;
    host.grant(&file(5)).await;
    put(&admin, TAX, &taxes(10), None).await.expect(200);
    assert_eq!(tax(&guest).await, percent(10));
    host.grant(&file(7)).await;
    assert_eq!(tax(&guest).await, percent(7));
    // It says again what it said when something was set over it, which nobody has forgotten and nobody wants.
    host.grant(&file(5)).await;
    let shown = plugin(&admin, "pricing-tax").await;
    assert_eq!((&shown["config"], &shown["configVersion"]), (&taxes(5), &json!(0)), "the file counts");
    assert_eq!(tax(&guest).await, percent(5));
}

async fn nothing_is_set_over_a_file_that_is_broken(mut host: TestHost) {
    let admin = host.admin().await;
    let guest = guest(&mut host).await;
    put(&admin, TAX, &taxes(10), None).await.expect(200);
    let running = generation(&host);
    let path = host.data_dir().join("plugins.toml");
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, "[plugins.pricing-tax\n").unwrap();
    writes_nothing(&host, async {
        put(&admin, TAX, &taxes(20), None).await.expect_problem(409, "conflict");
    })
    .await;
    assert_eq!((generation(&host), tax(&guest).await), (running, percent(10)));
    std::fs::write(&path, good).unwrap();
    put(&admin, TAX, &taxes(20), None).await.expect(200);
    assert_eq!(tax(&guest).await, percent(20));
}
