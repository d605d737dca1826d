//! Q1: generated documents and queries have the same results on every backend as on the model.

use futures_util::future::join_all;
use platform_tests::{
    random,
    sizes::{DIFFERENTIAL_PAIRS, DIFFERENTIAL_PAIRS_MONGODB},
    store::{
        SuiteBackend, SuiteStore,
        backend::{Embedded, Memory, Mongo},
        generate, mongod,
        write::{self, delete, insert, replace, set, update},
    },
};
use proptest::{
    collection::vec,
    option,
    prelude::{Strategy, any},
    prop_oneof,
    test_runner::TestCaseError,
};
use serde_json::{Map, Value, json};
use store_model::{Aggregate, Facets, Page, Query, Write};

const COLLECTION: &str = "things";
/// Queries on each set of documents.
const QUERIES: usize = 20;
const AGGREGATES: usize = 4;

#[derive(Debug, Clone)]
struct Case {
    commits: Vec<Vec<Write>>,
    queries: Vec<Query>,
    aggregates: Vec<Aggregate>,
    facets: Vec<Facets>,
}

#[test]
fn queries_on_the_embedded_store_have_the_same_results_as_on_the_model() {
    queries_have_the_same_results(&Embedded, DIFFERENTIAL_PAIRS.get());
}

#[test]
fn queries_on_mongodb_have_the_same_results_as_on_the_model() {
    if mongod::is_there() {
        queries_have_the_same_results(&Mongo, DIFFERENTIAL_PAIRS_MONGODB.get());
    }
}

fn queries_have_the_same_results<B: SuiteBackend>(backend: &B, pairs: u32) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (model, store) = runtime.block_on(async {
        let (model, store) = (Memory.open().await, backend.open().await);
        model.declare(vec![generate::schema()]).await.unwrap();
        store.declare(vec![generate::schema()]).await.unwrap();
        (model, store)
    });
    let cases = pairs / QUERIES as u32;
    let result = random::runner(cases).run(&case(), |case| {
        runtime.block_on(compare::<B>(&model, &store, &case)).map_err(TestCaseError::fail)
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    assert_eq!(runtime.block_on(store.verify()), Vec::<String>::new());
}

fn case() -> impl Strategy<Value = Case> {
    let id = || (0..30_u32).prop_map(|n| format!("t{n}"));
    let object = |body: Map<String, Value>| Value::Object(body);
    let write = prop_oneof![
        12 => (id(), generate::body()).prop_map(move |(id, body)| insert(COLLECTION, &id, object(body))),
        3 => (id(), generate::body()).prop_map(move |(id, body)| replace(COLLECTION, &id, object(body))),
        1 => id().prop_map(|id| delete(COLLECTION, &id)),
        1 => id().prop_map(|id| write::check(COLLECTION, &id)),
        2 => (id(), 0..4_i64).prop_map(|(id, n)| {
            let operations = vec![set("n", json!(n)), write::increment("deep.count", n), set("name", json!("red"))];
            update(COLLECTION, &id, operations)
        }),
    ];
    let write = (
        write,
        option::weighted(0.1, generate::filter()),
        generate::scope(),
        option::weighted(0.1, 1..3_u64),
    );
    let write = (write, any::<bool>())
        .prop_map(|((mut write, guard, scope, version), plain)| {
            if !plain {
                write.guard = guard;
                write.scope = scope;
                write.expected_version = version;
            }
            write
        })
        .boxed();
    let commit = prop_oneof![6 => vec(write.clone(), 1..2), 1 => vec(write, 0..4)];
    let queries = vec(generate::query(), QUERIES..=QUERIES);
    let aggregates = vec(generate::aggregate(), AGGREGATES..=AGGREGATES);
    let facets = vec(generate::facets(), AGGREGATES..=AGGREGATES);
    (vec(commit, 20..70), queries, aggregates, facets)
        .prop_map(|(commits, queries, aggregates, facets)| Case { commits, queries, aggregates, facets })
}

/// What differs, if anything.
async fn compare<B: SuiteBackend>(
    model: &impl SuiteStore,
    store: &B::Store,
    case: &Case,
) -> Result<(), String> {
    empty(model).await;
    empty(store).await;
    // Sent together where that keeps their order, so that they share transactions.
    let at_once = if B::KEEPS_ORDER { case.commits.len() } else { 1 };
    let mut stored = Vec::new();
    for commits in case.commits.chunks(at_once) {
        stored.extend(join_all(commits.iter().map(|writes| store.commit(writes.clone()))).await);
    }
    for (writes, stored) in case.commits.iter().zip(stored) {
        same("commit", writes, &model.commit(writes.clone()).await, &stored)?;
    }
    for query in &case.queries {
        compare_pages(model, store, query).await?;
        let (filter, scope) = (&query.filter, query.scope.as_ref());
        let counted = store.count(COLLECTION, filter, scope).await;
        same("count", query, &model.count(COLLECTION, filter, scope).await, &counted)?;
    }
    for aggregate in &case.aggregates {
        let rows = store.aggregate(COLLECTION, aggregate).await;
        same("aggregate", aggregate, &model.aggregate(COLLECTION, aggregate).await, &rows)?;
    }
    for facets in &case.facets {
        let counts = store.facets(COLLECTION, facets).await;
        same("facets", facets, &model.facets(COLLECTION, facets).await, &counts)?;
    }
    Ok(())
}

async fn compare_pages(
    model: &impl SuiteStore,
    store: &impl SuiteStore,
    query: &Query,
) -> Result<(), String> {
    let mut query = query.clone();
    loop {
        let (expected, found) = (model.find(COLLECTION, &query).await, store.find(COLLECTION, &query).await);
        same("find", &query, &expected, &found)?;
        let Ok(Page { next: Some(next), .. }) = found else { return Ok(()) };
        query.cursor = Some(next);
        query.offset = 0;
    }
}

fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    input: &impl std::fmt::Debug,
    expected: &T,
    found: &T,
) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!("{what} {input:#?}\nthe model says {expected:#?}\nthe store says {found:#?}"))
}

async fn empty(store: &impl SuiteStore) {
    let all = Query { limit: 1000, ..Query::default() };
    let page = store.find(COLLECTION, &all).await.unwrap();
    let deletes = page.documents.iter().map(|document| delete(COLLECTION, &document.id)).collect();
    store.commit(deletes).await.unwrap();
}
