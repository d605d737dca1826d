//! Reading everything of one moment, and filling another store with it.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use futures_util::future::join_all;
use platform_tests::store::{
    SuiteBackend, SuiteStore, generate,
    write::{insert, set, update},
};
use serde_json::json;
use store_model::{CollectionSchema, Document, Filter, Query, Refusal};

use super::{THINGS, fill, found, ids, open};

laws!(
    a_snapshot_is_sorted_and_whole,
    a_snapshot_has_what_was_acknowledged_and_nothing_half,
    what_is_loaded_is_as_it_was,
    what_another_document_holds_is_not_loaded,
    what_no_store_wrote_is_not_loaded,
);

async fn a_snapshot_is_sorted_and_whole<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    let others = ["zebras", "a_b", "ab", "a1"].map(|name| CollectionSchema::new(name, "x"));
    store.declare(others.to_vec()).await.unwrap();
    let unsorted = ["b", "a", "B", "ä", "a-1", "\u{10ffff}", "\u{ffff}", "aa"];
    fill(&store, &unsorted.map(|id| (id, json!({"n": 1})))).await;
    store.commit(vec![insert("zebras", "z", json!({"stripes": [1, {"b": 2.5, "a": null}]}))]).await.unwrap();

    let contents = store.snapshot().await;
    let names: Vec<&str> = contents.iter().map(|(schema, _)| schema.name.as_str()).collect();
    assert_eq!(names, ["a1", "a_b", "ab", THINGS, "zebras"]);
    assert_eq!(contents[3].0, generate::schema());
    let mut sorted = unsorted;
    sorted.sort_unstable();
    let found: Vec<&str> = contents[3].1.iter().map(|document| document.id.as_str()).collect();
    assert_eq!(found, sorted);
    for (schema, documents) in &contents {
        let ids: Vec<&str> = documents.iter().map(|document| document.id.as_str()).collect();
        let stored = store.get_many(&schema.name, &ids, None).await.unwrap();
        assert_eq!(stored, documents.iter().cloned().map(Some).collect::<Vec<_>>());
    }
}

/// Writers commit pairs while snapshots are taken.
async fn a_snapshot_has_what_was_acknowledged_and_nothing_half<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    let pairs = CollectionSchema::new("pairs", "pair");
    store.declare(vec![pairs]).await.unwrap();
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    let write = async |writer: u64| {
        for number in 0_u64.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let id = format!("w{writer}n{number}");
            // A commit over two collections, and one that changes what the first made.
            let made = vec![insert(THINGS, &id, json!({"n": 1})), insert("pairs", &id, json!({"n": 1}))];
            store.commit(made).await.unwrap();
            let two = || vec![set("n", json!(2))];
            store.commit(vec![update(THINGS, &id, two()), update("pairs", &id, two())]).await.unwrap();
            acknowledged.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
    };
    let read = async {
        let mut seen = 0;
        while seen < 60 {
            let before = acknowledged.load(Ordering::SeqCst);
            let contents: BTreeMap<String, Vec<Document>> = store
                .snapshot()
                .await
                .into_iter()
                .map(|(schema, documents)| (schema.name, documents))
                .collect();
            let versions = |name: &str| -> Vec<(String, u64)> {
                contents[name].iter().map(|document| (document.id.clone(), document.version)).collect()
            };
            let things = versions(THINGS);
            assert_eq!(things, versions("pairs"));
            seen = things.iter().filter(|(_, version)| *version == 2).count() as u64;
            assert!(seen >= before, "{seen} of {before}");
            tokio::task::yield_now().await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(join_all((0..4).map(write)), read);
}

async fn what_is_loaded_is_as_it_was<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    store.declare(vec![CollectionSchema::new("empty", "x")]).await.unwrap();
    let body = json!({"n": 1, "u": "one", "tags": ["x", "y"], "name": "Red Shoe", "owner": "ann",
                      "free": [0.1, -0.0, 6.631236846766476e-308, 1e300, i64::MIN, {"z": null, "a": "ü\n"}]});
    fill(
        &store,
        &[("a", body), ("b", json!({"variants": [{"sku": "s1"}, {"sku": "s2"}]})), ("c", json!({}))],
    )
    .await;
    store.commit(vec![update(THINGS, "a", vec![set("n", json!(5))])]).await.unwrap();
    let contents = store.snapshot().await;

    let other = backend.filled(contents.clone()).await.unwrap();
    assert_eq!(other.snapshot().await, contents);
    assert_eq!(other.verify().await, Vec::<String>::new());
    assert_eq!(found(&other, Filter::eq("n", 5)).await, ["a"]);
    assert_eq!(found(&other, Filter::eq("tags", "y")).await, ["a"]);
    assert_eq!(found(&other, Filter::eq("variants.sku", "s2")).await, ["b"]);
    let search = Query { text: Some("red".to_owned()), ..Query::default() };
    assert_eq!(ids(&other, &search).await, ["a"]);
    // It goes on like the first: unique values are held, versions count on.
    let taken =
        other.commit(vec![insert(THINGS, "d", json!({"variants": [{"sku": "s1"}]}))]).await.unwrap_err();
    assert!(matches!(taken.reason, Refusal::Unique { id, .. } if id == "b"));
    let changed = other.commit(vec![update(THINGS, "a", vec![set("n", json!(6))])]).await.unwrap();
    assert_eq!(changed[0].as_ref().unwrap().version, 3);
}

/// The documents of a store that has these, one for each body.
async fn documents<B: SuiteBackend>(backend: &B, bodies: &[(&str, serde_json::Value)]) -> Vec<Document> {
    let store = backend.open().await;
    store.declare(vec![CollectionSchema::new(THINGS, "thing")]).await.unwrap();
    fill(&store, bodies).await;
    store.snapshot().await.remove(0).1
}

async fn what_another_document_holds_is_not_loaded<B: SuiteBackend>(backend: &B) {
    let same = [
        (json!({"u": "x"}), json!({"u": "x"}), "u"),
        (
            json!({"variants": [{"sku": "x"}]}),
            json!({"variants": [{"sku": "y"}, {"sku": "x"}]}),
            "variants.sku",
        ),
    ];
    for (first, second, path) in same {
        let documents = documents(backend, &[("a", first), ("b", second)]).await;
        let Err(refused) = backend.filled(vec![(generate::schema(), documents)]).await else {
            panic!("{path} was loaded twice");
        };
        assert!(matches!(&refused, Refusal::Unique { path: at, .. } if at == path), "{refused}");
    }
    let mut twice = documents(backend, &[("a", json!({}))]).await;
    twice.push(twice[0].clone());
    let Err(refused) = backend.filled(vec![(generate::schema(), twice)]).await else {
        panic!("a document was loaded twice");
    };
    assert_eq!(refused, Refusal::AlreadyExists);
}

async fn what_no_store_wrote_is_not_loaded<B: SuiteBackend>(backend: &B) {
    let sound = documents(backend, &[("a", json!({"n": 1}))]).await.remove(0);
    let changed = |from: &str, to: &str| Document { json: sound.json.replacen(from, to, 1), ..sound.clone() };
    for wrong in [
        changed("\"n\":1", "\"n\":\"1\""),
        changed("\"n\":1", "\"n\": 1"),
        changed("\"id\":\"a\"", "\"id\":\"b\""),
        changed("\"version\":1", "\"version\":0"),
        changed("\"updatedAt\"", "\"updated\""),
        Document { version: 2, ..sound.clone() },
    ] {
        assert_ne!(wrong, sound);
        let Err(refused) = backend.filled(vec![(generate::schema(), vec![wrong.clone()])]).await else {
            panic!("{wrong:?} was loaded");
        };
        assert!(matches!(refused, Refusal::Invalid { .. }), "{refused}");
    }
}
