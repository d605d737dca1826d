//! A shop of 100 000 products with 1 000 000 variants, on both backends: importing it, and what a storefront asks of
//! it. The baseline of a query is the same query on a shop of 1 000 products in the same run.

mod catalogue;

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use platform_tests::{
    host::{TestHost, TestHostBuilder},
    store::mongod,
};
use serde_json::{Value, json};

use self::catalogue::{Category, Generator, VARIANTS, categories, word};
use crate::table::{Table, median};

const PRODUCTS: usize = 100_000;
const FEW_PRODUCTS: usize = 1_000;
/// Products of one bulk request, and such requests at the same time.
const BULK: usize = 100;
const PARALLEL: usize = 4;
/// How often each query is asked.
const TIMES: usize = 100;
/// And for how long at most.
const LONGEST: Duration = Duration::from_secs(30);
const GOAL: &str = "p99 ≤ 50 ms";

/// A query, and what it is called.
const QUERIES: &[(&str, &str)] = &[
    ("list of 20", "/products"),
    ("list of 20, offset 10 000", "/products?offset=10000"),
    ("sort by name", "/products?sort=name"),
    ("sort by price, descending", "/products?sort=-price"),
    ("filter by SKU", "/products?filter[variants.sku][eq]=SKU-500-3"),
    ("filter by price", "/products?filter[price][lte]=5000&sort=price"),
    ("filter by tag", "/products?filter[tags][eq]=tag-3"),
    ("filter by tag and tax class", "/products?filter[tags][eq]=tag-3&filter[taxClass][eq]=reduced"),
    ("a category with those below it", "/products?category=cat-0"),
    ("the same, sorted by price", "/products?category=cat-0&sort=price"),
    ("a small category, sorted by name", "/products?category=cat-11-5-5&sort=name"),
    ("search, a frequent word", "/products?q={0}"),
    ("search, two words and a prefix", "/products?q={1}+{2}+sku"),
    ("search, a rare word", "/products?q={3900}"),
    ("search in a category", "/products?q={5}&category=cat-1"),
    ("facets of everything", "/products/facets?facets=category,price,option.Color"),
    ("facets of a category", "/products/facets?facets=category,price,option.Color&category=cat-0"),
    ("facets of a small category", "/products/facets?facets=category,price,option.Color&category=cat-11-5-5"),
    ("facets of a search", "/products/facets?facets=category,price,option.Color&q={5}"),
];

/// `products` is for those who have less time.
pub(crate) async fn run(table: &mut Table, products: Option<usize>) {
    let products = products.unwrap_or(PRODUCTS);
    let few = shop("SQLite", TestHostBuilder::shop(), FEW_PRODUCTS, None).await;
    let many = shop("SQLite", TestHostBuilder::shop(), products, Some(&mut *table)).await;
    compare(table, "SQLite", &few, &many).await;
    drop((few.stop().await, many.stop().await));
    if !mongod::is_there() {
        return;
    }
    let few = shop("MongoDB", TestHostBuilder::shop().on_mongodb(), FEW_PRODUCTS, None).await;
    let many = shop("MongoDB", TestHostBuilder::shop().on_mongodb(), products, Some(&mut *table)).await;
    compare(table, "MongoDB", &few, &many).await;
    drop((few.stop().await, many.stop().await));
}

/// A host whose shop was filled through the API.
async fn shop(
    backend: &str,
    builder: TestHostBuilder,
    products: usize,
    table: Option<&mut Table>,
) -> TestHost {
    let host = builder.start().await;
    let mut ids: HashMap<String, String> = HashMap::new();
    for Category { slug, parent } in categories() {
        let parent = parent.map(|parent| ids[&parent].clone());
        let body = json!({"name": slug, "slug": slug, "parentId": parent});
        let (status, category) = host.app.system_request("POST", "/categories", Some(body)).await;
        assert_eq!(status, 201, "{category}");
        ids.insert(slug, category["id"].as_str().unwrap().to_owned());
    }
    let mut generator = Generator::new();
    let started = Instant::now();
    let mut sampled = Vec::new();
    let batches = (0..products.div_ceil(BULK)).map(|_| {
        let operations: Vec<Value> = (0..BULK)
            .map(|_| json!({"op": "create", "data": generator.product(|slug| ids[slug].clone())}))
            .collect();
        json!({"mode": "independent", "operations": operations})
    });
    let mut sent = stream::iter(batches)
        .map(|body| {
            let app = host.app.clone();
            async move {
                let started = Instant::now();
                let (status, answer) = app.system_request("POST", "/products/bulk", Some(body)).await;
                assert_eq!(status, 200, "{answer}");
                for result in answer["results"].as_array().unwrap() {
                    assert_eq!(result["status"], 201, "{result}");
                }
                started.elapsed().as_secs_f64()
            }
        })
        .buffer_unordered(PARALLEL);
    while let Some(took) = sent.next().await {
        sampled.push(took);
    }
    drop(sent);
    let per_second = products as f64 / started.elapsed().as_secs_f64();
    if let Some(table) = table {
        // The first tenth went into a small shop: how much slower is the last?
        let tenth = sampled.len() / 10;
        let (first, last) =
            (median(sampled[..tenth].to_vec()), median(sampled[sampled.len() - tenth..].to_vec()));
        table.row(
            &format!("{backend}: bulk import of {products}"),
            format!("{per_second:.0} products/s, {:.0} variants/s", per_second * VARIANTS as f64),
            format!("{:.0}/s at the beginning, {:.0}/s at the end", rate(first), rate(last)),
            last / first,
            "",
        );
        table.row(
            &format!("{backend}: memory after it"),
            format!("{} MB", resident_mb()),
            String::new(),
            1.0,
            "",
        );
    }
    host
}

fn rate(batch_s: f64) -> f64 {
    (BULK * PARALLEL) as f64 / batch_s
}

async fn compare(table: &mut Table, backend: &str, few: &TestHost, many: &TestHost) {
    for (what, path) in QUERIES {
        let path = with_words(path);
        let (small, large) = (ask(few, &path).await, ask(many, &path).await);
        let show = |it: &Asked| {
            let refused = if it.refused > 0 { format!(", {} REFUSED", it.refused) } else { String::new() };
            format!("p50 {:.1} ms, p99 {:.1} ms, {} found{refused}", it.median_ms, it.late_ms, it.total)
        };
        table.row(
            &format!("{backend}: {what}"),
            show(&large),
            show(&small),
            large.median_ms / small.median_ms,
            GOAL,
        );
    }
    table.row(
        &format!("{backend}: memory after all"),
        format!("{} MB", resident_mb()),
        String::new(),
        1.0,
        "",
    );
}

struct Asked {
    median_ms: f64,
    late_ms: f64,
    total: String,
    /// How often the answer was that the store cannot answer.
    refused: usize,
}

/// One query over and over, one after the other, over HTTP and as somebody who is not logged in.
async fn ask(host: &TestHost, path: &str) -> Asked {
    let client = host.anonymous();
    let mut times = Vec::with_capacity(TIMES);
    let (mut total, mut refused) = (String::new(), 0);
    let begun = Instant::now();
    for _ in 0..TIMES {
        let started = Instant::now();
        let answer = client.get(path).await;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        match answer.status.as_u16() {
            503 => refused += 1,
            status => assert_eq!(status, 200, "{path}: {}", answer.text()),
        }
        total = answer.header("x-total-count").unwrap_or_default().to_owned();
        if begun.elapsed() > LONGEST {
            break;
        }
    }
    times.sort_by(f64::total_cmp);
    Asked { median_ms: times[times.len() / 2], late_ms: times[times.len() * 99 / 100], total, refused }
}

/// The path with words of the catalogue in place of their numbers.
fn with_words(path: &str) -> String {
    let words: BTreeMap<usize, String> = [0, 1, 2, 5, 3900].map(|number| (number, word(number))).into();
    words.iter().fold(path.to_owned(), |path, (number, word)| path.replace(&format!("{{{number}}}"), word))
}

/// What this process has in memory now: hosts, their caches, and the bench itself.
fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
