//! Filters: null, missing, arrays, texts.

use platform_tests::store::{SuiteBackend, SuiteStore};
use serde_json::json;
use store_model::{Filter, Query, QueryError, Scalar, SortKey};

use super::{THINGS, fill, found, open};

laws!(
    null_equals_missing,
    multi_fields_match_by_any_element,
    negation_is_exact,
    prefix_and_contains_are_literal_and_case_sensitive,
    undeclared_and_mistyped_queries_are_refused,
);

fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

async fn null_equals_missing<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(&store, &[("a", json!({"n": 1})), ("b", json!({"n": null})), ("c", json!({}))]).await;
    let n = || "n".to_owned();
    assert_eq!(found(&store, Filter::Eq(n(), Scalar::Null)).await, ["b", "c"]);
    assert_eq!(found(&store, Filter::Ne(n(), Scalar::Null)).await, ["a"]);
    assert_eq!(found(&store, Filter::Ne(n(), 1.into())).await, ["b", "c"]);
    assert_eq!(found(&store, Filter::In(n(), vec![1.into(), Scalar::Null])).await, ["a", "b", "c"]);
    assert_eq!(found(&store, Filter::Nin(n(), vec![1.into()])).await, ["b", "c"]);
    assert_eq!(found(&store, Filter::Nin(n(), vec![2.into(), Scalar::Null])).await, ["a"]);
    assert_eq!(found(&store, Filter::In(n(), Vec::new())).await, Vec::<String>::new());
    assert_eq!(found(&store, Filter::Nin(n(), Vec::new())).await, ["a", "b", "c"]);
    assert_eq!(found(&store, Filter::Exists(n(), true)).await, ["a"]);
    assert_eq!(found(&store, Filter::Exists(n(), false)).await, ["b", "c"]);
    assert_eq!(found(&store, Filter::Lt(n(), 5.into())).await, ["a"]);
}

async fn multi_fields_match_by_any_element<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(
        &store,
        &[
            ("a", json!({"tags": ["x", "y"], "variants": [{"n": 1}, {"n": 9}]})),
            ("b", json!({"tags": [null], "variants": [{}, {"n": null}, 5]})),
            ("c", json!({"tags": []})),
            ("d", json!({"tags": ["y", "y"]})),
        ],
    )
    .await;
    let tags = || "tags".to_owned();
    let n = || "variants.n".to_owned();
    assert_eq!(found(&store, Filter::eq("tags", "y")).await, ["a", "d"]);
    assert_eq!(found(&store, Filter::Ne(tags(), "x".into())).await, ["b", "c", "d"]);
    assert_eq!(found(&store, Filter::Eq(tags(), Scalar::Null)).await, ["b", "c"]);
    assert_eq!(found(&store, Filter::Nin(tags(), vec!["x".into(), Scalar::Null])).await, ["d"]);
    assert_eq!(found(&store, Filter::Exists(n(), true)).await, ["a"]);
    // Two conditions on one path may be met by two elements.
    let between = Filter::And(vec![Filter::Gt(n(), 5.into()), Filter::Lt(n(), 5.into())]);
    assert_eq!(found(&store, between).await, ["a"]);
    assert_eq!(found(&store, not(Filter::Gt(n(), 5.into()))).await, ["b", "c", "d"]);
}

async fn negation_is_exact<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(
        &store,
        &[("a", json!({"s": "b", "b": true})), ("b", json!({"s": "a", "b": false})), ("c", json!({}))],
    )
    .await;
    let s = || "s".to_owned();
    assert_eq!(found(&store, not(Filter::Gt(s(), "a".into()))).await, ["b", "c"]);
    assert_eq!(found(&store, not(Filter::Prefix(s(), "a".to_owned()))).await, ["a", "c"]);
    assert_eq!(found(&store, not(Filter::Contains(s(), "b".to_owned()))).await, ["b", "c"]);
    let both = Filter::And(vec![Filter::eq("s", "b"), Filter::eq("b", true)]);
    assert_eq!(found(&store, not(both.clone())).await, ["b", "c"]);
    assert_eq!(found(&store, not(not(both))).await, ["a"]);
    assert_eq!(found(&store, not(Filter::Or(Vec::new()))).await, ["a", "b", "c"]);
    assert_eq!(found(&store, not(Filter::all())).await, Vec::<String>::new());
}

async fn prefix_and_contains_are_literal_and_case_sensitive<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(
        &store,
        &[
            ("a", json!({"s": "50% off_x"})),
            ("b", json!({"s": "50 off"})),
            ("c", json!({"s": "Äpfel"})),
            ("d", json!({"s": ""})),
            ("e", json!({"s": "\u{10ffff}z"})),
        ],
    )
    .await;
    let prefix = |text: &str| Filter::Prefix("s".to_owned(), text.to_owned());
    let contains = |text: &str| Filter::Contains("s".to_owned(), text.to_owned());
    assert_eq!(found(&store, prefix("50%")).await, ["a"]);
    assert_eq!(found(&store, prefix("5")).await, ["a", "b"]);
    assert_eq!(found(&store, prefix("ä")).await, Vec::<String>::new());
    assert_eq!(found(&store, prefix("Ä")).await, ["c"]);
    assert_eq!(found(&store, prefix("")).await, ["a", "b", "c", "d", "e"]);
    assert_eq!(found(&store, prefix("\u{10ffff}")).await, ["e"]);
    assert_eq!(found(&store, contains("f_")).await, ["a"]);
    assert_eq!(found(&store, contains("OFF")).await, Vec::<String>::new());
    assert_eq!(found(&store, contains("")).await, ["a", "b", "c", "d", "e"]);
}

async fn undeclared_and_mistyped_queries_are_refused<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    let refusal = async |query: Query| store.find(THINGS, &query).await.unwrap_err();
    let filtered = async |filter: Filter| refusal(Query { filter, ..Query::default() }).await;
    assert_eq!(filtered(Filter::eq("free", 1)).await, QueryError::UnknownFilter("free".to_owned()));
    assert_eq!(filtered(Filter::eq("n", "1")).await, QueryError::WrongType { path: "n".to_owned() });
    let sorted = Query { sort: vec![SortKey::ascending("tags")], ..Query::default() };
    assert_eq!(refusal(sorted).await, QueryError::UnknownSort("tags".to_owned()));
    let nowhere = store.find("nowhere", &Query::default()).await.unwrap_err();
    assert_eq!(nowhere, QueryError::UnknownCollection("nowhere".to_owned()));
    assert!(matches!(refusal(Query { limit: 1001, ..Query::default() }).await, QueryError::TooLarge(_)));
}
