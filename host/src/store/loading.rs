//! Filling an empty store with what another one held.
//!
//! A marker, a document in a collection of its own, is written first and taken away last. As long as it is there the
//! store does not open, so what an interruption left is never taken for a shop.

use serde_json::{Map, Value};
use store_model::{CollectionSchema, Document, Operation, Refusal, Write};

use super::{
    CommitError, DeclareError, OpenError, ReadError, Snapshot, Store, StoreConfig, Unavailable,
    backend::Backend,
};
use crate::clock::Clock;

/// The collection of the marker. Snapshots leave it out.
pub(super) const COLLECTION: &str = "_loading";
const MARKER: &str = "loading";

/// An open store that is being filled.
///
/// Dropped, it leaves what a kill would leave: a store that says that it is incomplete. [`Self::abandon`] leaves an
/// empty one.
#[derive(Debug)]
pub struct Loading {
    store: Store,
}

/// Why a store was not filled.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the store does not open")]
    Open(#[source] OpenError),
    #[error("the store is not empty: {} has documents", .collections.join(", "))]
    NotEmpty { collections: Vec<String> },
    #[error("the store cannot be read")]
    Read(#[source] ReadError),
    #[error("a collection is refused")]
    Declare(#[source] DeclareError),
    #[error("{collection}/{id} is refused: {reason}")]
    Refused { collection: String, id: String, reason: Refusal },
    #[error("the store cannot be written")]
    Write(#[source] Unavailable),
}

impl Loading {
    /// Opens a store that is empty, or whose last filling was interrupted, and marks it. What an interruption left is
    /// taken away. `source` says in words where the documents come from.
    ///
    /// # Errors
    /// The store does not open, or has documents; then nothing is changed.
    pub async fn begin(config: StoreConfig, clock: Clock, source: &str) -> Result<Self, LoadError> {
        let store = Store::open_unchecked(config, clock).await.map_err(LoadError::Open)?;
        let begun = begin(&store, source).await;
        match begun {
            Ok(()) => Ok(Self { store }),
            Err(error) => {
                store.close().await;
                Err(error)
            }
        }
    }

    /// Adds a collection.
    ///
    /// # Errors
    /// The declaration is wrong, or the store cannot write.
    pub async fn collection(&self, schema: CollectionSchema) -> Result<(), LoadError> {
        self.store.collections_declare_host(vec![schema]).await.map_err(LoadError::Declare)
    }

    /// Adds documents to a collection, all or none, with the versions and times that they have.
    ///
    /// # Errors
    /// A document is refused, which is named, or the store cannot write.
    pub async fn documents(&self, collection: &str, documents: Vec<Document>) -> Result<(), LoadError> {
        let ids: Vec<String> = documents.iter().map(|document| document.id.clone()).collect();
        self.store.backend.load(collection.to_owned(), documents).await.map_err(|error| match error {
            CommitError::Refused(refused) => LoadError::Refused {
                collection: collection.to_owned(),
                id: ids.get(refused.write).cloned().unwrap_or_default(),
                reason: refused.reason,
            },
            CommitError::Unavailable(unavailable) => LoadError::Write(unavailable),
        })
    }

    /// What has been added.
    ///
    /// # Errors
    /// Those of [`Store::snapshot`].
    pub async fn snapshot(&self) -> Result<Snapshot, ReadError> {
        self.store.snapshot().await
    }

    /// Takes the marker away: from now on the store opens.
    ///
    /// # Errors
    /// The store cannot write; then it still is marked.
    pub async fn finish(self) -> Result<Store, LoadError> {
        let removed = remove_marker(&self.store).await;
        match removed {
            Ok(()) => Ok(self.store),
            Err(error) => {
                self.store.close().await;
                Err(error)
            }
        }
    }

    /// Takes away what was added, and then the marker.
    ///
    /// # Errors
    /// The store cannot write; then it still is marked.
    pub async fn abandon(self) -> Result<(), LoadError> {
        let cleared = match self.store.backend.clear(COLLECTION.to_owned()).await {
            Ok(()) => remove_marker(&self.store).await,
            Err(unavailable) => Err(LoadError::Write(unavailable)),
        };
        self.store.close().await;
        cleared
    }
}

/// The source that the marker names; nothing when there is no marker.
pub(super) async fn interrupted(backend: &dyn Backend) -> Result<Option<String>, ReadError> {
    if backend.collection(COLLECTION).is_none() {
        return Ok(None);
    }
    let found = backend.get_many(COLLECTION, &[MARKER.to_owned()], None).await?;
    Ok(found.into_iter().next().flatten().map(|document| {
        let body: Value = serde_json::from_str(&document.json).unwrap_or_default();
        body["source"].as_str().unwrap_or("another store").to_owned()
    }))
}

async fn begin(store: &Store, source: &str) -> Result<(), LoadError> {
    if interrupted(&*store.backend).await.map_err(LoadError::Read)?.is_none() {
        let snapshot = store.snapshot().await.map_err(LoadError::Read)?;
        let filled = snapshot.collections().iter().filter(|collection| collection.documents > 0);
        let collections: Vec<String> = filled.map(|collection| collection.schema.name.clone()).collect();
        if !collections.is_empty() {
            return Err(LoadError::NotEmpty { collections });
        }
        let schema = CollectionSchema::new(COLLECTION, "loading");
        store.collections_declare_host(vec![schema]).await.map_err(LoadError::Declare)?;
        let body = Map::from_iter([("source".to_owned(), Value::from(source))]);
        write_marker(store, Operation::Insert(body)).await?;
    }
    store.backend.clear(COLLECTION.to_owned()).await.map_err(LoadError::Write)
}

async fn remove_marker(store: &Store) -> Result<(), LoadError> {
    write_marker(store, Operation::Delete).await
}

async fn write_marker(store: &Store, operation: Operation) -> Result<(), LoadError> {
    let written = store.commit(vec![Write::new(COLLECTION, MARKER, operation)]).await;
    written.map(drop).map_err(|error| match error {
        CommitError::Refused(refused) => LoadError::Refused {
            collection: COLLECTION.to_owned(),
            id: MARKER.to_owned(),
            reason: refused.reason,
        },
        CommitError::Unavailable(unavailable) => LoadError::Write(unavailable),
    })
}
