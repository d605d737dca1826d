//! What is in a shop: short ways to say it, and to see whether anything of it changed.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use host::store::Store;
use hyper::Method;
use serde_json::{Value, json};
use store_model::Query;

use crate::{
    client::{Answer, Client},
    host::TestHost,
};

/// An active product with one variant that costs 12.90 USD.
pub fn product(name: &str, sku: &str) -> Value {
    json!({
        "name": name,
        "status": "active",
        "variants": [{"sku": sku, "prices": [{"amount": 1290, "currency": "USD"}]}],
    })
}

/// A category at the root.
pub fn category(name: &str) -> Value {
    json!({ "name": name })
}

/// Adds pieces of a SKU, or takes them, under a key of its own.
pub async fn stock(client: &Client, sku: &str, delta: i64) -> Answer {
    static KEYS: AtomicU64 = AtomicU64::new(0);
    let key = format!("stock-{}", KEYS.fetch_add(1, Ordering::Relaxed));
    let body = json!({"sku": sku, "delta": delta, "reason": "counted"});
    let draft = client.request(Method::POST, "/inventory/adjustments").header("idempotency-key", &key);
    client.send(draft.json(&body)).await
}

/// The body with one member set.
pub fn with(mut body: Value, member: &str, value: impl Into<Value>) -> Value {
    body[member] = value.into();
    body
}

/// The id of a resource.
#[track_caller]
pub fn id(resource: &Value) -> &str {
    resource["id"].as_str().unwrap_or_else(|| panic!("no id in {resource}"))
}

/// Every collection that a request may write to.
const COLLECTIONS: [&str; 30] = [
    "products",
    "categories",
    "category_tree",
    "inventory",
    "inventory_movements",
    "users",
    "carts",
    "quotes",
    "coupons",
    "coupon_uses",
    "orders",
    "order_history",
    "reservations",
    "payment_notices",
    "sandbox_charges",
    "sandbox_operations",
    "stripe_attempts",
    "_accounts",
    "_api_keys",
    "_audit",
    "_events",
    "_idempotency",
    "_identity",
    "_jobs",
    "_media",
    "_plugin_configs",
    "_plugin_sets",
    "_plugin_settings",
    "_roles",
    "_sessions",
];

/// All documents of a collection, by id.
pub async fn documents(host: &TestHost, collection: &str) -> BTreeMap<String, Value> {
    documents_of(host.app.store(), collection).await
}

/// The same without a host.
pub async fn documents_of(store: &Store, collection: &str) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let mut query = Query { limit: 1000, ..Query::default() };
    loop {
        let page = store.document_find(collection, &query).await.unwrap();
        for document in page.documents {
            all.insert(document.id, serde_json::from_str(&document.json).unwrap());
        }
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return all,
        }
    }
}

/// Everything that is stored, by collection and id.
pub async fn dump(host: &TestHost) -> BTreeMap<(String, String), Value> {
    let mut all = BTreeMap::new();
    for collection in COLLECTIONS {
        if host.app.store().collection(collection).is_none() {
            continue;
        }
        for (id, document) in documents(host, collection).await {
            all.insert((collection.to_owned(), id), document);
        }
    }
    all
}

/// Does something and asserts that it left no trace in the store.
pub async fn writes_nothing<T>(host: &TestHost, act: impl Future<Output = T>) -> T {
    let before = dump(host).await;
    let outcome = act.await;
    let after = dump(host).await;
    let differs: Vec<_> = before
        .keys()
        .chain(after.keys())
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|key| (key, after.get(key)))
        .collect();
    assert!(differs.is_empty(), "something was written: {differs:#?}");
    outcome
}
