//! Commits: what they do, and how they are refused.

use platform_tests::store::{
    SuiteBackend, SuiteStore,
    write::{Conditions, check, delete, increment, insert, members, replace, set, update},
};
use serde_json::json;
use store_model::{Embed, FieldOperation, Filter, Refusal};

use super::{THINGS, fill, open, stored};

laws!(
    the_host_keeps_its_members,
    a_commit_is_all_or_nothing,
    conditions_are_checked_in_order,
    documents_have_the_declared_kinds,
    results_are_embedded,
    writes_see_the_earlier_ones,
    an_undeclared_collection_takes_no_writes,
);

const NOW: &str = "2026-11-23T09:00:00.000Z";

async fn the_host_keeps_its_members<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    let body = json!({"s": "x", "id": "forged", "version": 7, "createdAt": "never", "n": 1});
    let results = store.commit(vec![insert(THINGS, "a", body.clone())]).await.unwrap();
    let document = results[0].clone().unwrap();
    let head =
        |version: u64| format!(r#"{{"id":"a","version":{version},"createdAt":"{NOW}","updatedAt":"{NOW}""#);
    assert_eq!(document.json, format!(r#"{},"s":"x","n":1}}"#, head(1)));
    assert_eq!((document.id.as_str(), document.version), ("a", 1));
    let results = store.commit(vec![replace(THINGS, "a", json!({"version": 1, "b": true}))]).await.unwrap();
    assert_eq!(results[0].as_ref().unwrap().json, format!(r#"{},"b":true}}"#, head(2)));
    let refused = store.commit(vec![update(THINGS, "a", vec![set("version", json!(9))])]).await.unwrap_err();
    assert!(matches!(refused.reason, Refusal::Invalid { path, .. } if path == "version"));
    let checked = store.commit(vec![check(THINGS, "a"), delete(THINGS, "a")]).await.unwrap();
    assert_eq!(checked[0].as_ref().unwrap().version, 2);
    assert_eq!(checked[1], None);
    assert_eq!(stored(&store, "a").await, None);
}

async fn a_commit_is_all_or_nothing<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(&store, &[("a", json!({"n": 1, "tags": ["x"], "name": "red"}))]).await;
    let before = stored(&store, "a").await;
    let writes = vec![
        update(THINGS, "a", vec![set("n", json!(2)), set("tags", json!(["y"])), set("name", json!("blue"))]),
        insert(THINGS, "b", json!({})),
        delete(THINGS, "missing"),
    ];
    let refused = store.commit(writes).await.unwrap_err();
    assert_eq!((refused.write, refused.reason), (2, Refusal::NotFound));
    assert_eq!(stored(&store, "a").await, before);
    assert_eq!(stored(&store, "b").await, None);
    assert_eq!(super::found(&store, Filter::eq("tags", "x")).await, ["a"]);
    assert_eq!(store.verify().await, Vec::<String>::new());
}

async fn conditions_are_checked_in_order<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(&store, &[("a", json!({"n": 1}))]).await;
    let refusal = async |write| store.commit(vec![write]).await.unwrap_err().reason;
    let guard = || Filter::Gte("n".to_owned(), 2.into());
    assert_eq!(refusal(insert(THINGS, "a", json!({"n": "wrong"}))).await, Refusal::AlreadyExists);
    assert_eq!(refusal(check(THINGS, "x").version(2).guard(guard())).await, Refusal::NotFound);
    let version = Refusal::Version { expected: 2, current: 1 };
    assert_eq!(refusal(check(THINGS, "a").version(2).guard(guard())).await, version);
    assert_eq!(refusal(check(THINGS, "a").version(1).guard(guard())).await, Refusal::Guard);
    assert_eq!(refusal(replace(THINGS, "a", json!({"n": "x"})).guard(guard())).await, Refusal::Guard);
    let undeclared = check(THINGS, "a").guard(Filter::eq("free", 1));
    assert!(matches!(refusal(undeclared).await, Refusal::Invalid { path, .. } if path == "free"));
    let met = check(THINGS, "a").version(1).guard(Filter::eq("n", 1));
    assert_eq!(store.commit(vec![met]).await.unwrap()[0].as_ref().unwrap().version, 1);
}

async fn documents_have_the_declared_kinds<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    let wrong = [
        ("n", json!({"n": 1.0})),
        ("n", json!({"n": "1"})),
        ("s", json!({"s": ["x"]})),
        ("at", json!({"at": "2026-11-23T09:00:00Z"})),
        ("tags", json!({"tags": "x"})),
        ("tags", json!({"tags": [["x"]]})),
        ("variants.n", json!({"variants": [{"n": true}]})),
        ("owner", json!({"owner": 5})),
        ("a.$b", json!({"a": {"$b": 1}})),
        ("a.b", json!({"a.b": 1})),
        ("big", json!({"big": u64::MAX})),
    ];
    for (at, body) in wrong {
        let refused = store.commit(vec![insert(THINGS, "a", body.clone())]).await.unwrap_err();
        assert!(
            matches!(&refused.reason, Refusal::Invalid { path, .. } if path == at),
            "{body}: {refused:?}"
        );
    }
    fill(&store, &[("a", json!({"free": 1.5, "tags": [null], "variants": [1, {}], "big": i64::MIN}))]).await;
    let overflow = update(THINGS, "a", vec![increment("big", -1)]);
    assert!(matches!(store.commit(vec![overflow]).await.unwrap_err().reason, Refusal::Invalid { .. }));
}

async fn results_are_embedded<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(&store, &[("gone", json!({}))]).await;
    let embed =
        |member: &str, write, overlay| Embed { member: member.to_owned(), write, overlay: members(overlay) };
    let mut event = insert(THINGS, "event", json!({"s": "placed"}));
    event.embeds =
        vec![embed("order", 0, json!({"secret": null, "n": 5})), embed("deleted", 1, json!({"n": 5}))];
    let order = json!({"n": 1, "secret": "x", "_own": 3, "deep": {"_kept": 1}});
    let writes = vec![insert(THINGS, "order", order), delete(THINGS, "gone"), event];
    store.commit(writes).await.unwrap();
    let event = stored(&store, "event").await.unwrap();
    assert_eq!(event["order"]["id"], "order");
    assert_eq!(event["order"]["version"], 1);
    assert_eq!((&event["order"]["n"], &event["order"]["secret"]), (&json!(5), &json!(null)));
    assert_eq!((event["order"].get("_own"), &event["order"]["deep"]), (None, &json!({"_kept": 1})));
    assert_eq!(stored(&store, "order").await.unwrap()["_own"], 3);
    assert_eq!(event["deleted"], json!(null));
    let mut early = insert(THINGS, "early", json!({}));
    early.embeds = vec![embed("order", 0, json!({}))];
    assert!(matches!(store.commit(vec![early]).await.unwrap_err().reason, Refusal::Invalid { .. }));
}

async fn writes_see_the_earlier_ones<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    let append = FieldOperation::Append { path: "log".to_owned(), value: json!("x") };
    let writes = vec![
        insert(THINGS, "a", json!({"n": 1})),
        update(THINGS, "a", vec![increment("n", 4), append]).version(1),
        check(THINGS, "a").guard(Filter::eq("n", 5)),
        delete(THINGS, "a").version(2),
        insert(THINGS, "a", json!({"n": 7})),
    ];
    let results = store.commit(writes).await.unwrap();
    let versions: Vec<_> =
        results.iter().map(|result| result.as_ref().map(|document| document.version)).collect();
    assert_eq!(versions, [Some(1), Some(2), Some(2), None, Some(1)]);
    assert_eq!(stored(&store, "a").await.unwrap()["n"], 7);
}

async fn an_undeclared_collection_takes_no_writes<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    let refused = store.commit(vec![insert("nowhere", "a", json!({}))]).await.unwrap_err();
    assert!(matches!(refused.reason, Refusal::Invalid { .. }));
    assert_eq!(store.commit(Vec::new()).await, Ok(Vec::new()));
}
