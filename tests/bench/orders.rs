//! Carts, quotes and orders over HTTP by 64 clients, each beside its baseline on the same store, on both backends.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use hyper::Method;
use platform_tests::{
    checkout::{Shopper, sell},
    conservation,
    host::{TestHost, TestHostBuilder},
    store::mongod,
};
use plugin_sdk::pricing::PricingRule as _;
use pricing_model::{Cart, Line, Settings, Source, Sums};
use serde_json::{Map, Value, json};
use store_model::{Operation, Write};

use crate::table::{Table, median};

const CLIENTS: usize = 64;
/// Orders, and adds to carts, of a run.
const ORDERS: usize = 2_000;
const ADDS: usize = 4_000;
const QUOTES: usize = 400;
const LARGE_QUOTES: usize = 20;
const BASELINE: usize = 2_000;
const ROUNDS: usize = 3;
/// As many as the largest cart has lines.
const SKUS: usize = 500;
const RULES: usize = 50;

pub(crate) async fn run(table: &mut Table) {
    let shop = || TestHostBuilder::shop().patient().grants(&promotions(RULES));
    prices(table).await;
    of_backend(table, "embedded", shop()).await;
    if mongod::is_there() {
        of_backend(table, "MongoDB", shop().on_mongodb()).await;
    }
}

async fn of_backend(table: &mut Table, backend: &str, builder: TestHostBuilder) {
    let mut host = builder.start().await;
    assert_eq!(host.refusals(), []);
    let admin = host.admin().await;
    for sku in 0..SKUS {
        sell(&admin, &format!("SKU-{sku}"), 1_000_000).await;
    }
    let (one, many) = commits(&host).await;
    adds(table, backend, &host, many).await;
    quotes(table, backend, &host).await;
    orders(table, backend, &host, one, many).await;
    drop(host.stop().await);
}

/// Runs `count` steps by so many clients, and answers how many were done in a second.
async fn rate<F: Future<Output = ()> + Send>(
    count: usize,
    clients: usize,
    step: impl Fn(usize) -> F + Send + Sync + 'static,
) -> f64 {
    let (next, step) = (Arc::new(AtomicUsize::new(0)), Arc::new(step));
    let started = Instant::now();
    let running: Vec<_> = (0..clients)
        .map(|_| {
            let (next, step) = (next.clone(), step.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    step(number).await;
                }
            })
        })
        .collect();
    for client in running {
        client.await.unwrap();
    }
    count as f64 / started.elapsed().as_secs_f64()
}

/// Commits of one document a second: one after the other, each durable, and by all clients at once.
async fn commits(host: &TestHost) -> (f64, f64) {
    let store = host.app.store().clone();
    let insert = move |number: usize| {
        let store = store.clone();
        async move {
            let body = Map::from_iter([("code".to_owned(), json!(format!("BENCH-{number}"))), filling()]);
            let write = Write {
                collection: "quotes".to_owned(),
                id: store.id_new("quo"),
                operation: Operation::Insert(body),
                expected_version: None,
                guard: None,
                scope: None,
                embeds: Vec::new(),
            };
            store.commit(vec![write]).await.unwrap();
        }
    };
    (rate(BASELINE / 8, 1, insert.clone()).await, rate(BASELINE, CLIENTS, insert).await)
}

/// As much as an order has.
fn filling() -> (String, Value) {
    ("filling".to_owned(), json!("x".repeat(3_000)))
}

async fn adds(table: &mut Table, backend: &str, host: &TestHost, commits: f64) {
    let mut carts = Vec::new();
    for _ in 0..CLIENTS * 4 {
        carts.push(Shopper::with(host.anonymous(), &[("SKU-0", 1)]).await);
    }
    let carts = Arc::new(carts);
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let carts = carts.clone();
        let add = move |number: usize| {
            let cart = carts[number % carts.len()].clone();
            async move {
                let body = json!({"sku": format!("SKU-{}", number % 20), "quantity": 1});
                cart.send(Method::POST, "/items", &body).await.expect_status(200);
            }
        };
        rates.push(rate(ADDS / ROUNDS, CLIENTS, add).await);
    }
    let rate = median(rates);
    table.row(
        &format!("Add to cart, {backend}"),
        format!("{rate:.0}/s, priced"),
        format!("{commits:.0} commits/s by 64 writers"),
        rate / commits,
        "≥ 5 000/s",
    );
}

/// Carts with so many lines of different SKUs.
async fn carts(host: &TestHost, lines: usize, count: usize) -> Arc<Vec<Shopper>> {
    let items: Vec<(String, u32)> = (0..lines).map(|sku| (format!("SKU-{sku}"), 2)).collect();
    let items: Vec<(&str, u32)> = items.iter().map(|(sku, count)| (sku.as_str(), *count)).collect();
    let mut carts = Vec::new();
    for _ in 0..count {
        // A request that makes a cart has a hundred lines at the most.
        let (first, more) = items.split_at(items.len().min(100));
        let cart = Shopper::with(host.anonymous(), first).await;
        for (sku, quantity) in more {
            let body = json!({"sku": sku, "quantity": quantity});
            cart.send(Method::POST, "/items", &body).await.expect_status(200);
        }
        carts.push(cart);
    }
    Arc::new(carts)
}

async fn quotes(table: &mut Table, backend: &str, host: &TestHost) {
    for (lines, clients, count) in [(20, CLIENTS, QUOTES), (500, 1, LARGE_QUOTES)] {
        let carts = carts(host, lines, clients).await;
        let quote = move |number: usize| {
            let cart = carts[number % carts.len()].clone();
            async move {
                cart.quote().await;
            }
        };
        let quotes = rate(count, clients, quote).await;
        let native = native_price(lines, RULES);
        table.row(
            &format!("Quote of {lines} lines × {RULES} rules, {clients} clients, {backend}"),
            format!("{quotes:.1}/s, kept"),
            format!("{:.0}/s, the same rules in native code, not kept", 1e6 / native),
            quotes * native / 1e6,
            "",
        );
    }
}

/// Prices alone, of carts that nobody keeps: no store has a part in it. Asked over HTTP, and as long as the host's call of
/// the rule takes of that.
async fn prices(table: &mut Table) {
    for (lines, rules, count, goal) in
        [(20, 1, QUOTES, "≤ 60 µs"), (20, RULES, QUOTES, ""), (500, RULES, LARGE_QUOTES, "≤ 25 ms")]
    {
        let host = TestHostBuilder::empty()
            .plugin("pricing-promotions")
            .fixture("asker")
            .grants("[plugins.asker]\ncalls = [\"pricing\", \"shipping\", \"payment\"]\n")
            .grants(&promotions(rules))
            .start()
            .await;
        let (client, body) = (host.anonymous(), json!(cart(lines)));
        let mut times = Vec::new();
        let before = rule_calls(&host).await;
        for _ in 0..count {
            let started = Instant::now();
            client.post("/asker/price", &body).await.expect_status(200);
            times.push(started.elapsed().as_secs_f64() * 1e6);
        }
        let after = rule_calls(&host).await;
        assert_eq!(after.1 - before.1, count as f64);
        let called = (after.0 - before.0) / (after.1 - before.1) * 1e6;
        let (asked, native) = (median(times), native_price(lines, rules));
        let what = format!("Price of {lines} lines × {rules} rules");
        let baseline = format!("{native:.0} µs in native code");
        table.row(
            &format!("{what}, the call"),
            format!("{called:.0} µs"),
            baseline.clone(),
            called / native,
            goal,
        );
        table.row(&format!("{what}, over HTTP"), format!("{asked:.0} µs"), baseline, asked / native, "");
        drop(host.stop().await);
    }
}

/// Seconds that the rule was called for so far, and how often, as `/metrics` tells.
async fn rule_calls(host: &TestHost) -> (f64, f64) {
    let metrics = host.anonymous().get("//metrics").await.text();
    let sum = |name: &str| -> f64 {
        let start = format!("plugin_call_duration_seconds_{name}{{");
        let lines = metrics.lines().filter(|line| line.starts_with(&start) && line.contains("hook:pricing"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    (sum("sum"), sum("count"))
}

async fn orders(table: &mut Table, backend: &str, host: &TestHost, one: f64, many: f64) {
    let next = AtomicUsize::new(0);
    let mut bodies = Vec::with_capacity(ORDERS);
    // Prepared by as many as order later.
    let prepared = futures_util::future::join_all((0..CLIENTS).map(|_| {
        let next = &next;
        async move {
            let mut prepared = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= ORDERS {
                    return prepared;
                }
                let sku = format!("SKU-{}", number % SKUS);
                let shopper = Shopper::with(host.anonymous(), &[(&sku, 1)]).await;
                let quote = shopper.quote().await;
                let mut body = shopper.order("none");
                body["quoteId"] = quote["quoteId"].clone();
                body["payment"] = json!({"provider": "payment-manual"});
                prepared.push((shopper, body));
            }
        }
    }))
    .await;
    bodies.extend(prepared.into_iter().flatten());
    let bodies: Arc<Vec<(Shopper, Value)>> = Arc::new(bodies);
    let order = move |number: usize| {
        let bodies = bodies.clone();
        async move {
            let (shopper, body) = &bodies[number];
            let key = format!("bench-order-{number}-with-a-long-key");
            shopper.checkout(&key, body).await.expect_status(201);
        }
    };
    let orders = rate(ORDERS, CLIENTS, order).await;
    let faults = conservation::faults(host).await;
    assert!(faults.is_empty(), "{faults:#?}");
    table.row(
        &format!("POST /orders, 64 clients, {backend}"),
        format!("{orders:.0}/s, two durable commits each; conservation holds"),
        format!("{one:.0}/s, one commit after the other"),
        orders / one,
        "≥ 5, and ≥ 3 000/s",
    );
    table.row(
        &format!("The same beside 64 writers of one document, {backend}"),
        format!("{orders:.0}/s"),
        format!("{many:.0} commits/s"),
        orders / many,
        "",
    );
}

/// The plugins file's part for the promotions.
fn promotions(rules: usize) -> String {
    let mut text = String::new();
    for number in 0..rules {
        text += &format!(
            "[[plugins.pricing-promotions.config.promotions]]\nid = \"p{number}\"\nname = \"P{number}\"\n\
             match = {{ skus = {:?} }}\naction = {{ type = \"percentage\", basisPoints = 100 }}\n",
            skus_of(number)
        );
    }
    text
}

/// The SKUs that a rule is for: each is of one.
fn skus_of(rule: usize) -> Vec<String> {
    (rule..SKUS).step_by(RULES).map(|sku| format!("SKU-{sku}")).collect()
}

fn promotions_config(rules: usize) -> Vec<u8> {
    let all: Vec<Value> = (0..rules)
        .map(|number| {
            json!({
                "id": format!("p{number}"), "name": format!("P{number}"),
                "match": {"skus": skus_of(number)},
                "action": {"type": "percentage", "basisPoints": 100},
            })
        })
        .collect();
    json!({ "promotions": all }).to_string().into_bytes()
}

fn cart(lines: usize) -> Cart {
    let line = |number: usize| Line {
        id: format!("itm_{number:04}"),
        product_id: format!("prod_{number}"),
        variant_id: format!("var_{number}"),
        sku: format!("SKU-{}", number % SKUS),
        quantity: 2,
        unit_price: 1_290,
        ..Line::default()
    };
    Cart { currency: "USD".to_owned(), lines: (0..lines).map(line).collect(), ..Cart::default() }
}

/// Microseconds for pricing a cart in native code.
fn native_price(lines: usize, rules: usize) -> f64 {
    let (cart, config) = (cart(lines), promotions_config(rules));
    let source = Source::default().into();
    let mut times = Vec::new();
    for _ in 0..50 {
        let started = Instant::now();
        let mut sums = Sums::new(&cart, Settings::default(), &source).unwrap();
        let adjustments = pricing_promotions::Promotions::adjust(&cart, &config).unwrap();
        sums.apply(&adjustments, &source).unwrap();
        std::hint::black_box(sums.finish());
        times.push(started.elapsed().as_secs_f64() * 1e6);
    }
    median(times)
}
