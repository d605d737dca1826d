//! `wares plugin replay`: an order priced again, beside a host and without one, and whatever does not fit any more told.

use std::{collections::BTreeMap, sync::Arc};

use platform_tests::{
    checkout::{Shopper, key, sell},
    host::{TestHost, TestHostBuilder, built},
    plugin::stamped,
    process::{Ended, Place},
    shop::{documents, id},
    store::{
        mongod::TestDatabase,
        write::{delete, members, replace, set, update},
    },
};
use serde_json::{Value, json};

on_each_backend!(
    shop().start(), shop().on_mongodb().start();
    a_good_order_comes_to_the_same_again,
    a_total_that_was_changed_in_the_store_is_told,
    whatever_was_changed_of_an_order_in_the_store_is_told,
    a_record_that_was_changed_in_the_store_is_told,
    what_is_missing_or_damaged_is_named,
);

/// 10 % off, a rule that takes off 20 % more, and 10 % tax.
const RULES: &str = r#"
[[plugins.pricing-promotions.config.promotions]]
id = "sale"
name = "Sale"
action = { type = "percentage", basisPoints = 1000 }
[[plugins.pricing-tax.config.rates]]
country = "US"
name = "Sales tax 10 %"
ppm = 100000
[plugins.rule.hooks.pricing]
priority = 50
[plugins.rule.config]
mode = "rate"
rate = -200000
"#;

/// Two cups: 25.80 - 2.58 - 4.64 + 1.86, and 4.90 + 0.49 for sending them.
const GRAND: i64 = 2_580 - 258 - 464 + 186 + 490 + 49;

fn shop() -> TestHostBuilder {
    TestHostBuilder::shop().patient().fixture("rule").grants(RULES)
}

async fn order(host: &TestHost, name: &str) -> Value {
    let guest = Shopper::with(host.anonymous(), &[("CUP", 2)]).await;
    let order = guest.checkout(&key(name), &guest.order("tok_approve")).await.expect(201);
    assert_eq!(order["totals"]["grand"]["amount"], GRAND);
    order
}

/// Where a host of this process was, for commands.
struct Left {
    place: Place,
    _database: Option<Arc<TestDatabase>>,
}

/// Stops a host and leaves its place to commands.
async fn left(host: TestHost) -> Left {
    let database = host.database();
    let mut place = Place::in_folder(host.stop().await);
    place.configure_whole(
        "plugins.grants = \"plugins.toml\"\nplugins.watch = false\ntelemetry.filter = \"error\"\n",
    );
    if let Some(database) = &database {
        place.set_environment("MONGODB_URI", database.uri.clone());
    }
    Left { place, _database: database }
}

impl Left {
    fn replay(&self, order: &str) -> Ended {
        self.place.run(&["plugin", "replay", order])
    }

    /// Asserts that each of these is refused with these words: in text without a host, and in JSON beside one.
    #[track_caller]
    fn all_are_told(&self, orders: &[(String, String, Vec<String>)]) {
        let mut faults = Vec::new();
        for (name, order, says) in orders {
            let ended = self.replay(order);
            let is_told = says.iter().all(|it| ended.stderr.contains(it));
            if ended.code != Some(1) || !is_told {
                faults.push(format!("{name}: {ended:?}"));
            }
        }
        let server = self.place.serve();
        for (name, order, says) in orders {
            let ended = self.place.run(&["--json", "plugin", "replay", order]);
            let error = ended.stderr.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
            let error = error.unwrap_or_default()["error"].clone();
            let is_told =
                says.iter().all(|it| error["cause"].as_str().is_some_and(|cause| cause.contains(it)));
            let has_next = error["nextStep"].as_str().is_some_and(|step| step.ends_with('.'));
            if ended.code != Some(1) || !is_told || !has_next {
                faults.push(format!("{name}, beside a host: {ended:?}"));
            }
        }
        server.stop();
        assert!(faults.is_empty(), "{} are not told: {faults:#?}", faults.len());
    }
}

#[track_caller]
fn is_good(ended: &Ended, order: &Value) {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let (number, id) = (order["number"].as_str().unwrap(), id(order));
    let first = format!("Order {number} ({id}) came to {GRAND} and comes to {GRAND} USD in minor units.");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines[0], first);
    for (line, used) in lines[1..].iter().zip(order["plugins"].as_array().unwrap()) {
        for member in ["id", "version", "outcome"] {
            assert!(line.contains(used[member].as_str().unwrap()), "{member}: {line}");
        }
        for digest in ["digest", "configDigest"] {
            assert!(line.contains(&used[digest].as_str().unwrap()[..12]), "{digest}: {line}");
        }
    }
    assert_eq!(lines.len(), 4);
}

#[track_caller]
fn is_good_in_json(answer: &Value, order: &Value) {
    for (member, expected) in [
        ("order", &order["id"]),
        ("number", &order["number"]),
        ("currency", &json!("USD")),
        ("charged", &json!(GRAND)),
        ("found", &json!(GRAND)),
        ("same", &json!(true)),
    ] {
        assert_eq!(answer[member], *expected, "{member}: {answer}");
    }
    assert_eq!(answer["rules"], order["plugins"]);
}

async fn a_good_order_comes_to_the_same_again(mut host: TestHost) {
    assert_eq!(host.refusals(), []);
    let admin = host.admin().await;
    sell(&admin, "CUP", 20).await;
    let former = order(&host, "former").await;
    // What it was priced by is not what runs now: another component, configuration and price.
    host.install("rule.wasm", &stamped(&std::fs::read(built("fixtures", "rule")).unwrap(), 1)).await;
    let taxes = json!({"rates": [{"country": "US", "name": "More", "ppm": 200_000}]});
    admin.put("/plugins/pricing-tax/config", &taxes).await.expect(200);
    admin.put("/plugins/rule/config", &json!({"mode": "trap"})).await.expect(200);
    let left = left(host).await;
    for name in ["id", "number"] {
        let named = former[name].as_str().unwrap();
        is_good(&left.replay(named), &former);
        is_good_in_json(&left.place.answer(&["plugin", "replay", named]), &former);
    }
    let server = left.place.serve();
    for name in ["id", "number"] {
        let named = former[name].as_str().unwrap();
        is_good(&left.replay(named), &former);
        is_good_in_json(&left.place.answer(&["plugin", "replay", named]), &former);
    }
    server.stop();
}

/// Changes an order in the store, past everything that keeps it as it is.
async fn tamper(host: &TestHost, order: &str, change: impl FnOnce(&mut Value)) {
    let mut document = documents(host, "orders").await.remove(order).unwrap();
    let before = document.clone();
    change(&mut document);
    assert_ne!(document, before, "nothing was changed");
    for kept in ["id", "version", "createdAt", "updatedAt"] {
        document.as_object_mut().unwrap().remove(kept);
    }
    let write = replace("orders", order, document);
    host.app.store().commit(vec![write]).await.unwrap();
}

/// What is told of an order that was changed, to be compared with what is.
fn differs(name: &str, order: &Value) -> (String, String, Vec<String>) {
    let says = format!("order {} does not come to the same again", order["number"].as_str().unwrap());
    (name.to_owned(), id(order).to_owned(), vec![says])
}

/// Takes a cent off what is at a place.
async fn take_off(host: &TestHost, order: &str, pointer: &str) {
    tamper(host, order, |document| {
        let place = document.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is not there"));
        *place = json!(place.as_i64().unwrap() - 1);
    })
    .await;
}

async fn a_total_that_was_changed_in_the_store_is_told(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 100).await;
    let (changed, good) = (order(&host, "changed").await, order(&host, "good").await);
    take_off(&host, id(&changed), "/totals/grand/amount").await;
    let left = left(host).await;
    let ended = left.replay(id(&changed));
    // What it comes to is shown all the same.
    let both = format!("came to {} and comes to {GRAND} USD", GRAND - 1);
    assert!(ended.code == Some(1) && ended.stdout.contains(&both), "{ended:?}");
    let ended = left.place.run(&["--json", "plugin", "replay", id(&changed)]);
    let shown: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&shown["charged"], &shown["found"], &shown["same"]),
        (&json!(GRAND - 1), &json!(GRAND), &json!(false))
    );
    is_good(&left.replay(id(&good)), &good);
    left.all_are_told(&[differs("a total", &changed)]);
}

async fn whatever_was_changed_of_an_order_in_the_store_is_told(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 100).await;
    let mut all = Vec::new();
    for pointer in [
        "/totals/items/amount",
        "/totals/discount/amount",
        "/totals/shipping/amount",
        "/totals/tax/amount",
        "/items/0/unitPrice/amount",
        "/items/0/total/amount",
        "/items/0/adjustments/0/amount/amount",
        "/items/0/adjustments/2/amount/amount",
        "/adjustments/0/amount/amount",
    ] {
        let order = order(&host, &format!("changed{}", pointer.replace('/', "-"))).await;
        take_off(&host, id(&order), pointer).await;
        all.push(differs(pointer, &order));
    }
    type Change = fn(&mut Vec<Value>);
    let changes: [(&str, Change); 3] = [
        ("an adjustment that is gone", |adjustments| drop(adjustments.remove(1))),
        ("an adjustment that is there twice", |adjustments| adjustments.push(adjustments[0].clone())),
        ("an adjustment of somebody else", |adjustments| adjustments[0]["pluginId"] = json!("nobody")),
    ];
    for (what, change) in changes {
        let order = order(&host, &what.replace(' ', "-")).await;
        tamper(&host, id(&order), |document| {
            change(document["items"][0]["adjustments"].as_array_mut().unwrap());
        })
        .await;
        all.push(differs(what, &order));
    }
    left(host).await.all_are_told(&all);
}
async fn a_record_that_was_changed_in_the_store_is_told(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 100).await;
    let mut all = Vec::new();
    for (pointer, value) in [
        ("/_replay/result", json!("0".repeat(64))),
        ("/_replay/cart/lines/0/unitPrice", json!(1_289)),
        ("/_replay/cart/lines/0/quantity", json!(1)),
        ("/_replay/cart/shipping/amount", json!(0)),
        ("/_replay/cart/country", json!("DE")),
        ("/_replay/rules/1/outcome", json!("skipped")),
    ] {
        let order = order(&host, &format!("record{}", pointer.replace('/', "-"))).await;
        tamper(&host, id(&order), |document| {
            *document.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is not there")) = value;
        })
        .await;
        all.push(differs(pointer, &order));
    }
    // A rule less, and the rules in another order.
    for (what, change) in [
        ("a rule less", (|rules| drop(rules.remove(0))) as fn(&mut Vec<Value>)),
        ("another order of rules", |rules| rules.rotate_left(1)),
    ] {
        let order = order(&host, &what.replace(' ', "-")).await;
        tamper(&host, id(&order), |document| change(document["_replay"]["rules"].as_array_mut().unwrap()))
            .await;
        all.push(differs(what, &order));
    }
    for (what, record) in [("no record", Value::Null), ("no sense", json!({"cart": 1}))] {
        let order = order(&host, &what.replace(' ', "-")).await;
        tamper(&host, id(&order), |document| document["_replay"] = record).await;
        let says = "the order has no record of its price".to_owned();
        all.push((what.to_owned(), id(&order).to_owned(), vec![says]));
    }
    left(host).await.all_are_told(&all);
}

async fn what_is_missing_or_damaged_is_named(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", 100).await;
    let component = std::fs::read(built("fixtures", "rule")).unwrap();
    let mut all: Vec<(String, String, Vec<String>)> = vec![
        (
            "an unknown id".to_owned(),
            "ord_nowhere".to_owned(),
            vec!["there is no order `ord_nowhere`".to_owned()],
        ),
        (
            "an unknown number".to_owned(),
            "260101-ZZZZZZ".to_owned(),
            vec!["there is no order `260101-ZZZZZZ`".to_owned()],
        ),
    ];
    let mut used = BTreeMap::new();
    for (number, what) in
        ["component", "chunk", "configuration", "another configuration"].into_iter().enumerate()
    {
        host.install("rule.wasm", &stamped(&component, number as u32)).await;
        // Each with a configuration of its own, that comes to the same.
        let config = json!({"rate": -200_000 - number as i64, "mode": "rate"});
        admin.put("/plugins/rule/config", &config).await.expect(200);
        let order = order(&host, &what.replace(' ', "-")).await;
        let rule = order["plugins"][1].clone();
        assert_eq!(rule["id"], "rule");
        used.insert(
            what,
            (
                order,
                rule["digest"].as_str().unwrap().to_owned(),
                rule["configDigest"].as_str().unwrap().to_owned(),
            ),
        );
    }
    host.install("rule.wasm", &component).await;
    admin.put("/plugins/rule/config", &json!({"rate": -100_000, "mode": "rate"})).await.expect(200);
    let short = |digest: &str| digest[..40].to_owned();

    let (order, digest, _) = &used["component"];
    let gone = delete("_components", &format!("cmp_{}", short(digest)));
    host.app.store().commit(vec![gone]).await.unwrap();
    let says = format!("the component {digest} of `rule` is not in the store any more");
    all.push(("a component that is gone".to_owned(), id(order).to_owned(), vec![says]));

    let (order, digest, _) = &used["chunk"];
    let chunk = format!("chk_{}_0", short(digest));
    let mut damaged = documents(&host, "_component_chunks").await.remove(&chunk).unwrap();
    let text = damaged["bytes"].as_str().unwrap().to_owned();
    let (first, rest) = text.split_at(400);
    let other = if rest.starts_with('A') { "B" } else { "A" };
    damaged["bytes"] = json!(format!("{first}{other}{}", &rest[1..]));
    let bytes = members(json!({"bytes": damaged["bytes"]}));
    host.app.store().commit(vec![replace("_component_chunks", &chunk, Value::Object(bytes))]).await.unwrap();
    let says = format!("component {digest} in the store is damaged");
    all.push(("a component that is damaged".to_owned(), id(order).to_owned(), vec![says]));

    let (order, _, config) = &used["configuration"];
    host.app.store().commit(vec![delete("_plugin_configs", &format!("cfg_{config}"))]).await.unwrap();
    let says = format!("the configuration {config} of `rule` is not in the store any more");
    all.push(("a configuration that is gone".to_owned(), id(order).to_owned(), vec![says]));

    let (order, _, config) = &used["another configuration"];
    let text = json!({"rate": -300_000, "mode": "rate"}).to_string();
    let write = update("_plugin_configs", &format!("cfg_{config}"), vec![set("config", json!(text))]);
    host.app.store().commit(vec![write]).await.unwrap();
    all.push(("a configuration that was changed".to_owned(), id(order).to_owned(), Vec::new()));

    left(host).await.all_are_told(&all);
}

#[test]
fn where_there_is_no_shop_none_is_made() {
    let place = Place::new();
    let refused = place.refusal(&["plugin", "replay", "ord_1"]);
    assert!(refused.contains("there is no shop in"), "{refused}");
    assert!(!place.data_dir().join("wares.db").exists());
    assert_eq!(place.run(&["plugin", "replay"]).code, Some(2));
}
