//! Stores that are being filled.

use host::{
    clock::Clock,
    store::{LoadError, Loading, OpenError, Store, StoreConfig},
};
use platform_tests::store::durable;
use store_model::{CollectionSchema, Document};
use tempfile::TempDir;

fn config(directory: &TempDir) -> StoreConfig {
    StoreConfig::embedded(directory.path())
}

async fn begin(directory: &TempDir) -> Result<Loading, LoadError> {
    Loading::begin(config(directory), Clock::system(), "`shop.ndjson`").await
}

/// Three documents of a store.
async fn documents() -> Vec<Document> {
    let directory = TempDir::new().unwrap();
    let store = durable::open(directory.path()).await;
    let writes = durable::transaction("g").map(|id| durable::document(&id, "g"));
    let documents = store.commit(writes.to_vec()).await.unwrap();
    store.close().await;
    documents.into_iter().flatten().collect()
}

async fn close(loading: Loading) {
    // The lock on the directory is free when the thread that writes has ended, for which a drop waits.
    drop(loading);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_filling_is_told_and_begins_anew() {
    let directory = TempDir::new().unwrap();
    let documents = documents().await;
    let loading = begin(&directory).await.unwrap();
    loading.collection(CollectionSchema::new("leftover", "left")).await.unwrap();
    loading.collection(durable::schema()).await.unwrap();
    loading.documents(durable::COLLECTION, documents[..2].to_vec()).await.unwrap();
    close(loading).await;

    for _ in 0..2 {
        let error = Store::open(config(&directory), Clock::system()).await.unwrap_err();
        assert!(matches!(error, OpenError::Incomplete { .. }), "{error:?}");
        let told = error.to_string();
        assert!(told.contains("`shop.ndjson`") && told.contains("wares db restore"), "{told}");
    }

    let loading = begin(&directory).await.unwrap();
    assert_eq!(loading.snapshot().await.unwrap().collections(), []);
    loading.collection(durable::schema()).await.unwrap();
    loading.documents(durable::COLLECTION, documents.clone()).await.unwrap();
    loading.finish().await.unwrap().close().await;

    let store = Store::open(config(&directory), Clock::system()).await.unwrap();
    let mut snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.collections().len(), 1);
    assert_eq!(snapshot.next().await.unwrap().unwrap().documents, documents);
    assert_eq!(snapshot.next().await.unwrap(), None);
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filling_that_is_given_up_leaves_an_empty_store() {
    let directory = TempDir::new().unwrap();
    let documents = documents().await;
    let loading = begin(&directory).await.unwrap();
    loading.collection(durable::schema()).await.unwrap();
    loading.documents(durable::COLLECTION, documents.clone()).await.unwrap();
    let refused = loading.documents(durable::COLLECTION, documents[1..].to_vec()).await.unwrap_err();
    assert!(matches!(&refused, LoadError::Refused { id, .. } if *id == documents[1].id), "{refused}");
    loading.abandon().await.unwrap();
    let store = Store::open(config(&directory), Clock::system()).await.unwrap();
    assert_eq!(store.snapshot().await.unwrap().collections(), []);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_with_documents_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let store = durable::open(directory.path()).await;
    store.commit(vec![durable::document("a", "none")]).await.unwrap();
    let before = store.snapshot().await.unwrap().next().await.unwrap();
    store.close().await;
    let refused = begin(&directory).await.unwrap_err();
    assert!(
        matches!(&refused, LoadError::NotEmpty { collections } if collections == &["things"]),
        "{refused}"
    );
    let store = Store::open(config(&directory), Clock::system()).await.unwrap();
    assert_eq!(store.snapshot().await.unwrap().next().await.unwrap(), before);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_ends_with_the_store() {
    let directory = TempDir::new().unwrap();
    let store = durable::open(directory.path()).await;
    // More than the batches that wait for the reader.
    for number in 0..50 {
        let writes = (0..100).map(|each| durable::document(&format!("d{number}e{each}"), "none")).collect();
        store.commit(writes).await.unwrap();
    }
    let mut snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.documents(), 5000);
    store.close().await;
    let mut read = 0;
    let error = loop {
        match snapshot.next().await {
            Ok(Some(batch)) => read += batch.documents.len(),
            Ok(None) => panic!("all of {read} documents were read"),
            Err(error) => break error,
        }
    };
    assert!(format!("{error:?}").contains("Closed"), "{error:?}");
}
