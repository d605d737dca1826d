//! Owners: what belongs to somebody else looks missing.

use platform_tests::store::{
    SuiteBackend, SuiteStore,
    write::{Conditions, delete, insert, replace, scope, set, update},
};
use serde_json::json;
use store_model::{Filter, Query, QueryError, Refusal, Scalar, Scope};

use super::{THINGS, fill, ids, open, stored};

laws!(
    reads_see_the_owners_documents_only,
    writes_reach_the_owners_documents_only,
    somebody_can_be_several_owners_and_a_document_have_several,
    nobody_owns_nothing,
    a_document_can_be_its_own,
);

async fn reads_see_the_owners_documents_only<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(&store, &[("a", json!({"owner": "ann"})), ("b", json!({"owner": "bob"})), ("c", json!({}))]).await;
    let ann = scope("owner", "ann");
    let documents = store.get_many(THINGS, &["a", "b", "c", "x"], Some(&ann)).await.unwrap();
    let seen: Vec<bool> = documents.iter().map(Option::is_some).collect();
    assert_eq!(seen, [true, false, false, false]);
    let everything = Filter::Or(vec![Filter::all(), Filter::eq("owner", "bob")]);
    let query =
        Query { filter: everything.clone(), scope: Some(ann.clone()), count: true, ..Query::default() };
    assert_eq!(ids(&store, &query).await, ["a"]);
    assert_eq!(store.find(THINGS, &query).await.unwrap().total, Some(1));
    assert_eq!(store.count(THINGS, &everything, Some(&ann)).await, Ok(1));
}

async fn writes_reach_the_owners_documents_only<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(&store, &[("a", json!({"owner": "ann"})), ("b", json!({"owner": "bob"}))]).await;
    let refusal = async |write| store.commit(vec![write]).await.unwrap_err().reason;
    let touch = |id| update(THINGS, id, vec![set("n", json!(1))]);
    assert_eq!(refusal(touch("b").owner("owner", "ann")).await, Refusal::NotFound);
    assert_eq!(refusal(delete(THINGS, "b").owner("owner", "ann")).await, Refusal::NotFound);
    // A wrong version would tell that the document exists.
    assert_eq!(refusal(delete(THINGS, "b").version(9).owner("owner", "ann")).await, Refusal::NotFound);
    let given_away = [
        update(THINGS, "a", vec![set("owner", json!("bob"))]),
        replace(THINGS, "a", json!({})),
        insert(THINGS, "c", json!({"owner": "bob"})),
    ];
    for write in given_away {
        assert!(
            matches!(refusal(write.owner("owner", "ann")).await, Refusal::Invalid { path, .. } if path == "owner")
        );
    }
    store.commit(vec![touch("a").owner("owner", "ann")]).await.unwrap();
    assert_eq!(stored(&store, "a").await.unwrap()["version"], 2);
    assert_eq!(stored(&store, "b").await.unwrap()["version"], 1);
}

async fn somebody_can_be_several_owners_and_a_document_have_several<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    let tagged = |tags: &[&str]| json!({ "tags": tags });
    fill(&store, &[("a", tagged(&["ann", "guest"])), ("b", tagged(&["bob"])), ("c", tagged(&["cid"]))]).await;
    let scope = Scope { path: "tags".to_owned(), owners: vec!["guest".into(), "bob".into()] };
    let query = Query { scope: Some(scope.clone()), ..Query::default() };
    assert_eq!(ids(&store, &query).await, ["a", "b"]);
    let documents = store.get_many(THINGS, &["a", "b", "c"], Some(&scope)).await.unwrap();
    assert_eq!(documents.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
    let write = |id, tags: &[&str]| {
        let mut write = update(THINGS, id, vec![set("tags", json!(tags))]);
        write.scope = Some(scope.clone());
        write
    };
    store.commit(vec![write("a", &["bob", "ann"])]).await.unwrap();
    assert_eq!(store.commit(vec![write("c", &["bob"])]).await.unwrap_err().reason, Refusal::NotFound);
    let given_away = store.commit(vec![write("b", &["cid"])]).await.unwrap_err().reason;
    assert!(matches!(given_away, Refusal::Invalid { path, .. } if path == "tags"), "one of them must stay");
    let nobody = Scope { owners: Vec::new(), ..scope };
    assert!(store.get_many(THINGS, &["a"], Some(&nobody)).await.is_err());
}

async fn nobody_owns_nothing<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(&store, &[("a", json!({}))]).await;
    let nobody = Scope::new("owner", Scalar::Null);
    let refused = store.get_many(THINGS, &["a"], Some(&nobody)).await.unwrap_err();
    assert_eq!(refused, QueryError::WrongType { path: "owner".to_owned() });
    let mut write = delete(THINGS, "a");
    write.scope = Some(nobody);
    assert!(matches!(store.commit(vec![write]).await.unwrap_err().reason, Refusal::Invalid { .. }));
}

async fn a_document_can_be_its_own<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(&store, &[("a", json!({})), ("b", json!({}))]).await;
    let own = scope("id", "a");
    for (asked, seen) in [(&["a"][..], &[true][..]), (&["b"], &[false]), (&["b", "a"], &[false, true])] {
        let documents = store.get_many(THINGS, asked, Some(&own)).await.unwrap();
        let found: Vec<bool> = documents.iter().map(Option::is_some).collect();
        assert_eq!(found, seen, "{asked:?}");
    }
    let query = Query { filter: Filter::eq("id", "b"), scope: Some(own.clone()), ..Query::default() };
    assert_eq!(ids(&store, &query).await, Vec::<String>::new());
    assert_eq!(store.count(THINGS, &Filter::all(), Some(&own)).await, Ok(1));
}
