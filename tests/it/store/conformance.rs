//! The laws of the store, each on every backend.

/// Makes a test of each law for each backend.
macro_rules! laws {
    ($($law:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $law() {
                super::$law(&platform_tests::store::backend::Memory).await;
            })*
        }

        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $law() {
                super::$law(&platform_tests::store::backend::Embedded).await;
            })*
        }

        mod mongodb {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $law() {
                if platform_tests::store::mongod::is_there() {
                    super::$law(&platform_tests::store::backend::Mongo).await;
                }
            })*
        }
    };
}

mod aggregates;
mod collections;
mod concurrency;
mod facets;
mod filters;
mod moving;
mod paging;
mod scopes;
mod text;
mod unique;
mod writes;

use platform_tests::store::{SuiteBackend, SuiteStore, generate, write::insert};
use serde_json::Value;
use store_model::{Filter, Query};

const THINGS: &str = "things";

/// A store with the collection of the generated documents.
async fn open<B: SuiteBackend>(backend: &B) -> B::Store {
    let store = backend.open().await;
    store.declare(vec![generate::schema()]).await.unwrap();
    store
}

async fn fill(store: &impl SuiteStore, documents: &[(&str, Value)]) {
    let writes = documents.iter().map(|(id, body)| insert(THINGS, id, body.clone())).collect();
    store.commit(writes).await.unwrap();
}

/// The ids that a filter finds, in the order of the ids.
async fn found(store: &impl SuiteStore, filter: Filter) -> Vec<String> {
    let query = Query { filter, limit: 1000, ..Query::default() };
    ids(store, &query).await
}

async fn ids(store: &impl SuiteStore, query: &Query) -> Vec<String> {
    let page = store.find(THINGS, query).await.unwrap();
    page.documents.into_iter().map(|document| document.id).collect()
}

/// A stored document as JSON.
async fn stored(store: &impl SuiteStore, id: &str) -> Option<Value> {
    let documents = store.get_many(THINGS, &[id], None).await.unwrap();
    documents[0].as_ref().map(|document| serde_json::from_str(&document.json).unwrap())
}
