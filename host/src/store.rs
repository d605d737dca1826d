//! The document store: one facade over the backend that the configuration names.
//!
//! What reads and writes mean is defined by `store-model`; a backend makes it durable and fast, and the
//! conformance suite holds it to the model. Invariants kept here: every commit is stamped by the injected
//! clock, and one that was queued runs to its end even when its caller goes away.
//!
//! Deliberately absent: permissions. Who may use which collection is decided by the grants of a plugin,
//! before it gets here.

pub mod audit;
mod backend;
mod config;
mod error;
mod expiry;
pub mod idempotency;
pub mod jobs;
pub mod lease;
mod loading;
mod mongo;
mod snapshot;
mod sqlite;
mod transaction;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use store_model::{
    Aggregate, AggregateRow, CollectionSchema, Commit, Document, FacetCount, Facets, Filter, Page, Query,
    Scope, Write,
};

use self::backend::Backend;
use crate::clock::Clock;

pub use self::{
    audit::{Actor, AuditEntry},
    config::{EmbeddedConfig, MongoConfig, StoreConfig, TargetError},
    error::{CommitError, DeclareError, OpenError, ReadError, Unavailable},
    expiry::{PurgeError, purge},
    loading::{LoadError, Loading},
    snapshot::{Snapshot, SnapshotBatch, SnapshotCollection},
    transaction::{Answer, AnswerPlan, Content, EventPlan, Settled, Transaction},
};

/// The store. Clones share it.
#[derive(Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
    clock: Clock,
    ids: Arc<Mutex<ulid::Generator>>,
}

impl Store {
    /// Opens the store, and checks what it finds there.
    ///
    /// # Errors
    /// What keeps it from being used, which includes that it was being filled by a command that did not end.
    pub async fn open(config: StoreConfig, clock: Clock) -> Result<Self, OpenError> {
        let place = config.to_string();
        let store = Self::open_unchecked(config, clock).await?;
        let refused = match loading::interrupted(&*store.backend).await {
            Ok(None) => return Ok(store),
            Ok(Some(from)) => OpenError::Incomplete { place, from },
            Err(source) => OpenError::Unreadable { place, source },
        };
        store.close().await;
        Err(refused)
    }

    /// Opens a store that may be incomplete.
    async fn open_unchecked(config: StoreConfig, clock: Clock) -> Result<Self, OpenError> {
        let backend: Arc<dyn Backend> = match config {
            StoreConfig::Embedded(config) => Arc::new(sqlite::Sqlite::open(config).await?),
            StoreConfig::Mongo(config) => Arc::new(mongo::Mongo::open(config).await?),
        };
        Ok(Self { backend, clock, ids: Arc::new(Mutex::new(ulid::Generator::new())) })
    }

    /// Declares collections of plugins, all or none. Declaring the same again does nothing; a change makes
    /// and fills the indexes it needs, and is refused when stored documents do not fit. Collections that
    /// are not named stay as they are.
    pub async fn collections_declare(&self, schemas: Vec<CollectionSchema>) -> Result<(), DeclareError> {
        schemas.iter().try_for_each(CollectionSchema::validate).map_err(DeclareError::schema)?;
        self.backend.declare(schemas).await
    }

    /// The same for collections of the host, whose names start with `_`, which plugins cannot declare.
    pub async fn collections_declare_host(&self, schemas: Vec<CollectionSchema>) -> Result<(), DeclareError> {
        schemas.iter().try_for_each(CollectionSchema::validate_host).map_err(DeclareError::schema)?;
        self.backend.declare(schemas).await
    }

    /// The declaration of a collection, also of one that an earlier run declared.
    pub fn collection(&self, name: &str) -> Option<Arc<CollectionSchema>> {
        self.backend.collection(name)
    }

    /// The documents with these ids, in their order; nothing for one that is missing or another owner's.
    pub async fn document_get_many(
        &self,
        collection: &str,
        ids: &[String],
        scope: Option<&Scope>,
    ) -> Result<Vec<Option<Document>>, ReadError> {
        self.backend.get_many(collection, ids, scope).await
    }

    /// Documents of several collections by collection and id, in their order, in one call. For what is needed at
    /// every request; each is as it was at some moment of the call.
    pub async fn document_get_each(
        &self,
        places: &[(&str, String)],
    ) -> Result<Vec<Option<Document>>, ReadError> {
        self.backend.get_each(places).await
    }

    /// One page, and the count when the query asks, both of the same moment.
    pub async fn document_find(&self, collection: &str, query: &Query) -> Result<Page, ReadError> {
        self.backend.find(collection, query).await
    }

    pub async fn document_count(
        &self,
        collection: &str,
        filter: &Filter,
        scope: Option<&Scope>,
    ) -> Result<u64, ReadError> {
        self.backend.count(collection, filter, scope).await
    }

    pub async fn document_aggregate(
        &self,
        collection: &str,
        aggregate: &Aggregate,
    ) -> Result<Vec<AggregateRow>, ReadError> {
        self.backend.aggregate(collection, aggregate).await
    }

    /// How the matching documents are distributed over values and ranges.
    pub async fn document_facets(
        &self,
        collection: &str,
        facets: &Facets,
    ) -> Result<Vec<Vec<FacetCount>>, ReadError> {
        self.backend.facets(collection, facets).await
    }

    /// Applies all writes or none, durably. The result has the document each write resulted in, nothing
    /// for deletes.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Option<Document>>, CommitError> {
        let now = self.clock.timestamp();
        self.backend.commit(Commit { writes, now }).await
    }

    /// A new id: prefix, underscore and 26 characters that sort by the time of making. Ids made by one
    /// process sort in the order in which they were made.
    pub fn id_new(&self, prefix: &str) -> String {
        let now_ms = u64::try_from(self.clock.now_ms()).unwrap_or(0);
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now_ms);
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let id = match ids.generate_from_datetime(now) {
            Ok(id) => id,
            // 2^80 ids in one millisecond: the order goes on in the next.
            Err(overflow) => overflow.commit_overflow_increment(),
        };
        format!("{prefix}_{id}")
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Everything that the store holds at this moment, while commits go on.
    pub async fn snapshot(&self) -> Result<Snapshot, ReadError> {
        Ok(self.backend.snapshot().await?.without(loading::COLLECTION))
    }

    /// Compares everything that is derived (indexes, side tables) with the documents. Returns what is
    /// wrong, nothing when all is well. Reads the whole database.
    pub async fn verify(&self) -> Result<Vec<String>, ReadError> {
        self.backend.verify().await
    }

    /// Ends the store: what is queued is committed, later calls are refused.
    pub async fn close(self) {
        self.backend.close().await;
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Store").finish_non_exhaustive()
    }
}
