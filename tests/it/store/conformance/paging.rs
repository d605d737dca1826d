//! Order and pages.

use platform_tests::{
    sizes::PAGING_ROUNDS,
    store::{
        SuiteBackend, SuiteStore,
        write::{delete, insert},
    },
};
use serde_json::json;
use store_model::{Filter, Query, QueryError, SortKey};

use super::{THINGS, fill, ids, open};

laws!(
    null_sorts_first_and_pages_go_through_it,
    mixed_directions_keep_their_order_over_pages,
    a_cursor_belongs_to_its_query,
    counts_and_offsets_see_all_matches,
    a_projection_keeps_identity,
    pages_neither_skip_nor_repeat_while_documents_come_and_go,
);

/// All ids, page by page.
async fn pages(store: &impl SuiteStore, query: &Query) -> Vec<String> {
    let mut query = query.clone();
    let mut all = Vec::new();
    loop {
        let page = store.find(THINGS, &query).await.unwrap();
        assert!(page.documents.len() <= query.limit as usize);
        all.extend(page.documents.into_iter().map(|document| document.id));
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return all,
        }
    }
}

async fn null_sorts_first_and_pages_go_through_it<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(
        &store,
        &[
            ("a", json!({"n": 2})),
            ("b", json!({})),
            ("c", json!({"n": -5})),
            ("d", json!({"n": null})),
            ("e", json!({"n": 2})),
        ],
    )
    .await;
    for limit in 1..=6 {
        let by = |key: SortKey| Query { sort: vec![key], limit, ..Query::default() };
        assert_eq!(pages(&store, &by(SortKey::ascending("n"))).await, ["b", "d", "c", "a", "e"]);
        assert_eq!(pages(&store, &by(SortKey::descending("n"))).await, ["a", "e", "c", "b", "d"]);
    }
}

async fn mixed_directions_keep_their_order_over_pages<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    let mut documents = Vec::new();
    for number in 0..27 {
        let third = |number: u32| [json!(null), json!(1), json!(2)][number as usize % 3].clone();
        let s = [json!("x"), json!(null), json!("y")][number as usize / 9].clone();
        documents
            .push((format!("t{number:02}"), json!({"n": third(number / 3), "s": s, "b": number % 2 == 0})));
    }
    let borrowed: Vec<_> = documents.iter().map(|(id, body)| (id.as_str(), body.clone())).collect();
    fill(&store, &borrowed).await;
    let sort = vec![SortKey::descending("n"), SortKey::ascending("s"), SortKey::descending("id")];
    let whole = ids(&store, &Query { sort: sort.clone(), limit: 100, ..Query::default() }).await;
    assert_eq!(whole.len(), 27);
    assert_eq!(whole[..3], ["t17", "t16", "t15"]);
    for limit in [1, 2, 5, 26, 27] {
        let query = Query { sort: sort.clone(), limit, ..Query::default() };
        assert_eq!(pages(&store, &query).await, whole, "limit {limit}");
    }
}

async fn a_cursor_belongs_to_its_query<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(&store, &[("a", json!({"n": 1})), ("b", json!({"n": 1}))]).await;
    let query = Query { filter: Filter::eq("n", 1), limit: 1, ..Query::default() };
    let cursor = store.find(THINGS, &query).await.unwrap().next;
    let other = Query { filter: Filter::eq("n", 2), cursor: cursor.clone(), ..query.clone() };
    assert_eq!(store.find(THINGS, &other).await.unwrap_err(), QueryError::CursorMismatch);
    let garbled = Query { cursor: Some("bm9wZQ".to_owned()), ..query.clone() };
    assert_eq!(store.find(THINGS, &garbled).await.unwrap_err(), QueryError::CursorMismatch);
    assert_eq!(ids(&store, &Query { cursor, limit: 50, ..query }).await, ["b"]);
}

async fn counts_and_offsets_see_all_matches<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(&store, &[("a", json!({"n": 1})), ("b", json!({"n": 1})), ("c", json!({"n": 1})), ("d", json!({}))])
        .await;
    let query = Query { filter: Filter::eq("n", 1), limit: 1, offset: 1, count: true, ..Query::default() };
    let page = store.find(THINGS, &query).await.unwrap();
    assert_eq!((page.documents[0].id.as_str(), page.total), ("b", Some(3)));
    let next = Query { cursor: page.next, offset: 0, ..query };
    let page = store.find(THINGS, &next).await.unwrap();
    assert_eq!((page.documents[0].id.as_str(), page.total, page.next), ("c", Some(3), None));
    assert_eq!(store.count(THINGS, &Filter::all(), None).await, Ok(4));
}

async fn a_projection_keeps_identity<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(&store, &[("a", json!({"s": "x", "free": {"y": [1.5]}, "n": 1}))]).await;
    let fields = ["n", "free", "nowhere"].map(str::to_owned).to_vec();
    let page = store.find(THINGS, &Query { fields, ..Query::default() }).await.unwrap();
    assert_eq!(page.documents[0].json, r#"{"id":"a","version":1,"free":{"y":[1.5]},"n":1}"#);
}

/// Q2: eight writers insert and delete around documents that stay.
async fn pages_neither_skip_nor_repeat_while_documents_come_and_go<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    let mut stay: Vec<(i64, String)> =
        (0..60).map(|number| (number % 7, format!("stay{number:02}"))).collect();
    let writes = stay.iter().map(|(n, id)| insert(THINGS, id, json!({"n": n}))).collect();
    store.commit(writes).await.unwrap();
    stay.sort();
    let stay: Vec<String> = stay.into_iter().map(|(_, id)| id).collect();

    let rounds = PAGING_ROUNDS.get();
    let (done, _) = tokio::sync::watch::channel(false);
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (store, done) = (store.clone(), done.subscribe());
            tokio::spawn(async move {
                for number in 0_i64.. {
                    if *done.borrow() {
                        return;
                    }
                    let id = format!("gone{writer}");
                    store.commit(vec![insert(THINGS, &id, json!({"n": number % 8 - 1}))]).await.unwrap();
                    store.commit(vec![delete(THINGS, &id)]).await.unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for round in 0..rounds {
        let query = Query { sort: vec![SortKey::ascending("n")], limit: 1 + round % 9, ..Query::default() };
        let seen = pages(&store, &query).await;
        let stayed: Vec<String> = seen.iter().filter(|id| id.starts_with("stay")).cloned().collect();
        assert_eq!(stayed, stay);
    }
    done.send_replace(true);
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(store.verify().await, Vec::<String>::new());
}
