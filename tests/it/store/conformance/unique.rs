//! Uniqueness, across documents and within one.

use platform_tests::store::{
    SuiteBackend, SuiteStore,
    write::{delete, insert, replace, set, update},
};
use serde_json::{Value, json};
use store_model::{Refusal, Write};

use super::{THINGS, fill, open, stored};

laws!(
    a_unique_value_is_held_once,
    unique_elements_are_held_once_within_and_across_documents,
    a_value_that_is_given_up_can_be_taken_later_in_the_commit,
);

async fn refusal(store: &impl SuiteStore, writes: Vec<Write>) -> (usize, Refusal) {
    let refused = store.commit(writes).await.unwrap_err();
    (refused.write, refused.reason)
}

fn taken(path: &str, value: &str, id: &str) -> Refusal {
    Refusal::Unique { path: path.to_owned(), value: value.into(), id: id.to_owned() }
}

async fn a_unique_value_is_held_once<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    // Any number of documents may hold nothing.
    fill(&store, &[("a", json!({"u": "one"})), ("b", json!({"u": null})), ("c", json!({}))]).await;
    let insert = |id| insert(THINGS, id, json!({"u": "one"}));
    assert_eq!(refusal(&store, vec![insert("d")]).await, (0, taken("u", "one", "a")));
    let update = update(THINGS, "b", vec![set("u", json!("one"))]);
    assert_eq!(refusal(&store, vec![update]).await, (0, taken("u", "one", "a")));
    store.commit(vec![replace(THINGS, "a", json!({"u": "one", "n": 1}))]).await.unwrap();
}

async fn unique_elements_are_held_once_within_and_across_documents<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    let skus = |skus: &[&str]| -> Value {
        let variants: Vec<Value> = skus.iter().map(|sku| json!({"sku": sku})).collect();
        json!({"variants": variants})
    };
    fill(&store, &[("a", skus(&["x1", "x2"])), ("b", json!({"variants": [{}, {"sku": null}, {}]}))]).await;
    let within = insert(THINGS, "c", skus(&["x3", "x3"]));
    assert_eq!(refusal(&store, vec![within]).await, (0, taken("variants.sku", "x3", "c")));
    let across = insert(THINGS, "c", skus(&["x3", "x2"]));
    assert_eq!(refusal(&store, vec![across]).await, (0, taken("variants.sku", "x2", "a")));
    store.commit(vec![replace(THINGS, "a", skus(&["x2", "x4"]))]).await.unwrap();
    store.commit(vec![insert(THINGS, "c", skus(&["x1"]))]).await.unwrap();
    assert_eq!(store.verify().await, Vec::<String>::new());
}

async fn a_value_that_is_given_up_can_be_taken_later_in_the_commit<B: SuiteBackend>(backend: &B) {
    let store = open(backend).await;
    fill(&store, &[("a", json!({"u": "one"})), ("b", json!({"u": "two"}))]).await;
    let set_u = |id, value: Value| update(THINGS, id, vec![set("u", value)]);
    // Writes apply in order, so a swap needs a third step.
    let swap = vec![set_u("a", json!("two")), set_u("b", json!("one"))];
    assert_eq!(refusal(&store, swap).await, (0, taken("u", "two", "b")));
    let steps = vec![set_u("a", json!(null)), set_u("b", json!("one")), set_u("a", json!("two"))];
    store.commit(steps).await.unwrap();
    assert_eq!(stored(&store, "a").await.unwrap()["u"], "two");
    store.commit(vec![delete(THINGS, "a"), insert(THINGS, "c", json!({"u": "two"}))]).await.unwrap();
}
