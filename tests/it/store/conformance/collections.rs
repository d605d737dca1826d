//! Declarations.

use platform_tests::store::{SuiteBackend, SuiteStore, generate, write::insert};
use serde_json::json;
use store_model::{Access, CollectionSchema, DeclareRefused, Field, Filter, Query, TextField};

use super::{THINGS, fill, found, ids, open};

laws!(
    declaring_again_changes_nothing,
    new_fields_are_filled_from_stored_documents,
    a_declaration_that_documents_break_is_refused,
    the_names_of_the_host_are_reserved,
);

async fn declaring_again_changes_nothing<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(&store, &[("a", json!({"n": 1}))]).await;
    store.declare(vec![generate::schema()]).await.unwrap();
    store.declare(vec![CollectionSchema::new("others", "other")]).await.unwrap();
    assert_eq!(found(&store, Filter::eq("n", 1)).await, ["a"]);
    assert_eq!(store.count("others", &Filter::all(), None).await, Ok(0));
}

async fn new_fields_are_filled_from_stored_documents<B: SuiteBackend>(backend: &B) {
    let store = backend.open().await;
    store.declare(vec![CollectionSchema::new(THINGS, "thing")]).await.unwrap();
    let body = json!({"n": 1, "u": "one", "tags": ["x"], "name": "Red Shoe", "owner": "ann"});
    fill(&store, &[("a", body), ("b", json!({}))]).await;
    store.declare(vec![generate::schema()]).await.unwrap();
    assert_eq!(found(&store, Filter::eq("n", 1)).await, ["a"]);
    assert_eq!(found(&store, Filter::eq("tags", "x")).await, ["a"]);
    let search = Query { text: Some("red".to_owned()), ..Query::default() };
    assert_eq!(ids(&store, &search).await, ["a"]);
    assert!(store.commit(vec![insert(THINGS, "c", json!({"u": "one"}))]).await.is_err());
    assert_eq!(store.verify().await, Vec::<String>::new());

    let text = vec![TextField { path: "owner".to_owned(), weight: 1 }];
    let fields = vec![Field::text("tags", Access::Unique).multi(), Field::text("s", Access::Unique)];
    let narrower = CollectionSchema { text, fields, ..CollectionSchema::new(THINGS, "thing") };
    store.declare(vec![narrower]).await.unwrap();
    assert_eq!(found(&store, Filter::eq("tags", "x")).await, ["a"]);
    assert_eq!(ids(&store, &search).await, Vec::<String>::new());
    assert!(store.find(THINGS, &Query { filter: Filter::eq("n", 1), ..Query::default() }).await.is_err());
    assert!(store.commit(vec![insert(THINGS, "c", json!({"tags": ["x"]}))]).await.is_err());
    assert_eq!(store.verify().await, Vec::<String>::new());
}

async fn a_declaration_that_documents_break_is_refused<B: SuiteBackend>(backend: &B) {
    let store = backend.open().await;
    let plain = CollectionSchema::new(THINGS, "thing");
    store.declare(vec![plain.clone()]).await.unwrap();
    fill(
        &store,
        &[
            ("a", json!({"s": "x", "tags": ["q"]})),
            ("b", json!({"s": "x", "n": "not a number"})),
            ("c", json!({"tags": ["r", "q"], "n": true})),
        ],
    )
    .await;
    let refusal = async |field: Field| {
        let schema = CollectionSchema { fields: vec![field], ..plain.clone() };
        let bystander = CollectionSchema::new("bystander", "by");
        match store.declare(vec![bystander, schema]).await.unwrap_err() {
            DeclareRefused::Documents { path, documents, .. } => (path, documents),
            other => panic!("{other}"),
        }
    };
    let named = |path: &str, ids: &[&str]| (path.to_owned(), ids.iter().map(|id| (*id).to_owned()).collect());
    assert_eq!(refusal(Field::integer("n", Access::Index)).await, named("n", &["b", "c"]));
    assert_eq!(refusal(Field::text("s", Access::Unique)).await, named("s", &["b"]));
    assert_eq!(refusal(Field::text("tags", Access::Unique).multi()).await, named("tags", &["c"]));
    // All or none: what was declared along with it is not there either.
    assert!(store.count("bystander", &Filter::all(), None).await.is_err());
    assert_eq!(store.verify().await, Vec::<String>::new());
}

async fn the_names_of_the_host_are_reserved<B: SuiteBackend>(backend: &B) {
    let store = backend.open().await;
    let refused = store.declare(vec![CollectionSchema::host("jobs", "job")]).await.unwrap_err();
    assert!(matches!(refused, DeclareRefused::Schema(_)));
}
