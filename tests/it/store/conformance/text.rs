//! Full text.

use platform_tests::store::{
    SuiteBackend, SuiteStore,
    write::{set, update},
};
use serde_json::json;
use store_model::{CollectionSchema, Filter, Query, QueryError, SortKey};

use super::{THINGS, fill, ids, open};

laws!(
    every_word_matches_and_the_last_is_a_prefix,
    better_fields_rank_first,
    a_whole_word_counts_more_than_a_beginning,
    tokens_follow_the_document,
);

fn search(text: &str) -> Query {
    Query { text: Some(text.to_owned()), ..Query::default() }
}

async fn every_word_matches_and_the_last_is_a_prefix<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(
        &store,
        &[
            ("a", json!({"name": "Crème Brûlée"})),
            ("b", json!({"name": "creme", "tags": ["dessert"]})),
            ("c", json!({"name": 5, "variants": [{"title": "CRÈME"}, {"title": "brulee torch"}]})),
        ],
    )
    .await;
    assert_eq!(ids(&store, &search("creme")).await, ["a", "b", "c"]);
    assert_eq!(ids(&store, &search("CRÈME bru")).await, ["a", "c"]);
    assert_eq!(ids(&store, &search("bru creme")).await, Vec::<String>::new());
    assert_eq!(ids(&store, &search("brulee, creme!")).await, ["a", "c"]);
    assert_eq!(ids(&store, &search("")).await, ["a", "b", "c"]);
    let filtered = Query { filter: Filter::eq("tags", "dessert"), count: true, ..search("cr") };
    assert_eq!(store.find(THINGS, &filtered).await.unwrap().total, Some(1));
    store.declare(vec![CollectionSchema::new("plain", "plain")]).await.unwrap();
    assert_eq!(store.find("plain", &search("x")).await.unwrap_err(), QueryError::NoText("plain".to_owned()));
}

async fn better_fields_rank_first<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(
        &store,
        &[
            ("a", json!({"tags": ["red"]})),
            ("b", json!({"name": "red shoe"})),
            ("c", json!({"name": "shoe", "tags": ["red"]})),
            ("d", json!({"variants": [{"title": "red shoe"}]})),
            ("e", json!({"name": "red", "tags": ["shoe"]})),
        ],
    )
    .await;
    assert_eq!(ids(&store, &search("red")).await, ["b", "e", "d", "a", "c"]);
    let whole = ids(&store, &search("red sho")).await;
    assert_eq!(whole, ["b", "e", "c", "d"]);
    for limit in 1..4 {
        let mut query = Query { limit, ..search("red sho") };
        let mut all = Vec::new();
        loop {
            let page = store.find(THINGS, &query).await.unwrap();
            all.extend(page.documents.into_iter().map(|document| document.id));
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(all, whole);
    }
    let by_id = Query { sort: vec![SortKey::descending("id")], ..search("red") };
    assert_eq!(ids(&store, &by_id).await, ["e", "d", "c", "b", "a"]);
}

async fn a_whole_word_counts_more_than_a_beginning<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(
        &store,
        &[
            ("a", json!({"name": "teak stool"})),
            ("b", json!({"name": "green tea"})),
            ("c", json!({"name": "team"})),
        ],
    )
    .await;
    assert_eq!(ids(&store, &search("tea")).await, ["b", "a", "c"]);
    assert_eq!(ids(&store, &search("te")).await, ["a", "b", "c"]);
}

async fn tokens_follow_the_document<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(&store, &[("a", json!({"name": "red", "tags": ["shoe"]}))]).await;
    store.commit(vec![update(THINGS, "a", vec![set("name", json!("blue shoe"))])]).await.unwrap();
    assert_eq!(ids(&store, &search("red")).await, Vec::<String>::new());
    assert_eq!(ids(&store, &search("blue shoe")).await, ["a"]);
    assert_eq!(store.verify().await, Vec::<String>::new());
}
