//! The store as the suites see it, and the backends they run on.

use std::{
    future::Future,
    path::Path,
    sync::{Arc, Mutex},
};

use host::{
    clock::Clock,
    store::{CommitError, DeclareError, EmbeddedConfig, LoadError, Loading, ReadError, Store, StoreConfig},
};
use store_model::{
    Aggregate, AggregateRow, CollectionSchema, Commit, CommitRefused, DeclareRefused, Document, FacetCount,
    Facets, Filter, Page, Query, QueryError, Refusal, Scope, Write, memory::MemoryStore,
};
use tempfile::TempDir;

use super::mongod::{self, TestDatabase};

/// What the suites need of a store: its answers and its refusals. Faults fail the test.
pub trait SuiteStore: Clone + Send + Sync + 'static {
    fn declare(
        &self,
        schemas: Vec<CollectionSchema>,
    ) -> impl Future<Output = Result<(), DeclareRefused>> + Send;

    fn get_many(
        &self,
        collection: &str,
        ids: &[&str],
        scope: Option<&Scope>,
    ) -> impl Future<Output = Result<Vec<Option<Document>>, QueryError>> + Send;

    fn find(&self, collection: &str, query: &Query) -> impl Future<Output = Result<Page, QueryError>> + Send;

    fn count(
        &self,
        collection: &str,
        filter: &Filter,
        scope: Option<&Scope>,
    ) -> impl Future<Output = Result<u64, QueryError>> + Send;

    fn aggregate(
        &self,
        collection: &str,
        aggregate: &Aggregate,
    ) -> impl Future<Output = Result<Vec<AggregateRow>, QueryError>> + Send;

    fn facets(
        &self,
        collection: &str,
        facets: &Facets,
    ) -> impl Future<Output = Result<Vec<Vec<FacetCount>>, QueryError>> + Send;

    fn commit(
        &self,
        writes: Vec<Write>,
    ) -> impl Future<Output = Result<Vec<Option<Document>>, CommitRefused>> + Send;

    /// Everything of one moment, in the order in which it is given.
    fn snapshot(&self) -> impl Future<Output = Contents> + Send;

    /// What is wrong inside the store.
    fn verify(&self) -> impl Future<Output = Vec<String>> + Send;
}

/// Collections with their documents.
pub type Contents = Vec<(CollectionSchema, Vec<Document>)>;

/// Makes stores of one kind.
pub trait SuiteBackend {
    type Store: SuiteStore;

    /// Whether commits that are sent together run in the order in which they were sent. No law says so; a
    /// single writer does it.
    const KEEPS_ORDER: bool;

    /// An empty store.
    fn open(&self) -> impl Future<Output = Self::Store>;

    /// A store with what another one held, or why a document is refused.
    fn filled(&self, contents: Contents) -> impl Future<Output = Result<Self::Store, Refusal>>;
}

/// The reference model.
#[derive(Debug)]
pub struct Memory;

/// The embedded store in a directory that goes away with the last handle.
#[derive(Debug)]
pub struct Embedded;

/// A database of its own on the shared MongoDB server, for tests that have asked whether it is there.
#[derive(Debug)]
pub struct Mongo;

#[derive(Debug, Clone)]
pub struct MemorySuiteStore {
    store: Arc<Mutex<MemoryStore>>,
    clock: Clock,
}

#[derive(Debug, Clone)]
pub struct HostSuiteStore {
    pub store: Store,
    _place: Place,
}

/// What goes away with the last handle of a store.
#[derive(Debug, Clone)]
#[expect(dead_code, reason = "held to be dropped")]
enum Place {
    Directory(Arc<TempDir>),
    Database(Arc<TestDatabase>),
}

/// 2026-11-23T09:00:00.000Z, where every suite's clock stands.
pub const START_MS: i64 = 1_795_424_400_000;

impl SuiteBackend for Memory {
    type Store = MemorySuiteStore;

    const KEEPS_ORDER: bool = true;

    async fn open(&self) -> MemorySuiteStore {
        let (clock, _) = Clock::manual(START_MS);
        MemorySuiteStore { store: Arc::default(), clock }
    }

    async fn filled(&self, contents: Contents) -> Result<MemorySuiteStore, Refusal> {
        let filled = self.open().await;
        for (schema, documents) in contents {
            let name = schema.name.clone();
            filled.declare(vec![schema]).await.unwrap();
            let loaded = filled.store.lock().unwrap().load(&name, &documents);
            loaded.map_err(|refused| refused.reason)?;
        }
        Ok(filled)
    }
}

impl SuiteBackend for Embedded {
    type Store = HostSuiteStore;

    const KEEPS_ORDER: bool = true;

    async fn open(&self) -> HostSuiteStore {
        let directory = TempDir::new().unwrap();
        let (clock, _) = Clock::manual(START_MS);
        let store = open_embedded(directory.path(), clock).await;
        HostSuiteStore { store, _place: Place::Directory(Arc::new(directory)) }
    }

    async fn filled(&self, contents: Contents) -> Result<HostSuiteStore, Refusal> {
        let directory = TempDir::new().unwrap();
        let store = fill(StoreConfig::embedded(directory.path()), contents).await?;
        Ok(HostSuiteStore { store, _place: Place::Directory(Arc::new(directory)) })
    }
}

/// Fills an empty store.
pub async fn fill(config: StoreConfig, contents: Contents) -> Result<Store, Refusal> {
    let (clock, _) = Clock::manual(START_MS);
    let loading = Loading::begin(config, clock, "a test").await.unwrap();
    for (schema, documents) in contents {
        let name = schema.name.clone();
        loading.collection(schema).await.unwrap();
        loading.documents(&name, documents).await.map_err(|error| match error {
            LoadError::Refused { reason, .. } => reason,
            other => panic!("{other:?}"),
        })?;
    }
    Ok(loading.finish().await.unwrap())
}

impl SuiteBackend for Mongo {
    type Store = HostSuiteStore;

    const KEEPS_ORDER: bool = false;

    async fn open(&self) -> HostSuiteStore {
        let database = mongod::database().await;
        let (clock, _) = Clock::manual(START_MS);
        let store = open_mongo(&database.uri, clock).await;
        HostSuiteStore { store, _place: Place::Database(database) }
    }

    async fn filled(&self, contents: Contents) -> Result<HostSuiteStore, Refusal> {
        let database = mongod::database().await;
        let store = fill(StoreConfig::mongo(database.uri.clone()), contents).await?;
        Ok(HostSuiteStore { store, _place: Place::Database(database) })
    }
}

/// A replica set as a server uses it.
pub async fn open_mongo(uri: &str, clock: Clock) -> Store {
    Store::open(StoreConfig::mongo(uri), clock).await.unwrap()
}

/// The embedded store as a server runs it.
pub async fn open_embedded(directory: &Path, clock: Clock) -> Store {
    Store::open(StoreConfig::embedded(directory), clock).await.unwrap()
}

/// The embedded store with other settings.
pub async fn open_configured(config: EmbeddedConfig, clock: Clock) -> Store {
    Store::open(StoreConfig::Embedded(config), clock).await.unwrap()
}

impl SuiteStore for MemorySuiteStore {
    async fn declare(&self, schemas: Vec<CollectionSchema>) -> Result<(), DeclareRefused> {
        self.store.lock().unwrap().declare(schemas)
    }

    async fn get_many(
        &self,
        collection: &str,
        ids: &[&str],
        scope: Option<&Scope>,
    ) -> Result<Vec<Option<Document>>, QueryError> {
        self.store.lock().unwrap().get_many(collection, &owned(ids), scope)
    }

    async fn find(&self, collection: &str, query: &Query) -> Result<Page, QueryError> {
        self.store.lock().unwrap().find(collection, query)
    }

    async fn count(
        &self,
        collection: &str,
        filter: &Filter,
        scope: Option<&Scope>,
    ) -> Result<u64, QueryError> {
        self.store.lock().unwrap().count(collection, filter, scope)
    }

    async fn aggregate(
        &self,
        collection: &str,
        aggregate: &Aggregate,
    ) -> Result<Vec<AggregateRow>, QueryError> {
        self.store.lock().unwrap().aggregate(collection, aggregate)
    }

    async fn facets(&self, collection: &str, facets: &Facets) -> Result<Vec<Vec<FacetCount>>, QueryError> {
        self.store.lock().unwrap().facets(collection, facets)
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Option<Document>>, CommitRefused> {
        let commit = Commit { writes, now: self.clock.timestamp() };
        self.store.lock().unwrap().commit(&commit)
    }

    async fn snapshot(&self) -> Contents {
        let contents = self.store.lock().unwrap().snapshot();
        contents.into_iter().map(|(schema, documents)| ((*schema).clone(), documents)).collect()
    }

    async fn verify(&self) -> Vec<String> {
        Vec::new()
    }
}

impl SuiteStore for HostSuiteStore {
    async fn declare(&self, schemas: Vec<CollectionSchema>) -> Result<(), DeclareRefused> {
        self.store.collections_declare(schemas).await.map_err(|error| match error {
            DeclareError::Refused(refused) => refused,
            DeclareError::Unavailable(fault) => panic!("{fault:?}"),
        })
    }

    async fn get_many(
        &self,
        collection: &str,
        ids: &[&str],
        scope: Option<&Scope>,
    ) -> Result<Vec<Option<Document>>, QueryError> {
        self.store.document_get_many(collection, &owned(ids), scope).await.map_err(query_error)
    }

    async fn find(&self, collection: &str, query: &Query) -> Result<Page, QueryError> {
        self.store.document_find(collection, query).await.map_err(query_error)
    }

    async fn count(
        &self,
        collection: &str,
        filter: &Filter,
        scope: Option<&Scope>,
    ) -> Result<u64, QueryError> {
        self.store.document_count(collection, filter, scope).await.map_err(query_error)
    }

    async fn aggregate(
        &self,
        collection: &str,
        aggregate: &Aggregate,
    ) -> Result<Vec<AggregateRow>, QueryError> {
        self.store.document_aggregate(collection, aggregate).await.map_err(query_error)
    }

    async fn facets(&self, collection: &str, facets: &Facets) -> Result<Vec<Vec<FacetCount>>, QueryError> {
        self.store.document_facets(collection, facets).await.map_err(query_error)
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Option<Document>>, CommitRefused> {
        self.store.commit(writes).await.map_err(|error| match error {
            CommitError::Refused(refused) => refused,
            CommitError::Unavailable(fault) => panic!("{fault:?}"),
        })
    }

    async fn snapshot(&self) -> Contents {
        let mut snapshot = self.store.snapshot().await.unwrap();
        let mut contents: Contents = snapshot
            .collections()
            .iter()
            .map(|collection| ((*collection.schema).clone(), Vec::new()))
            .collect();
        let counts: Vec<u64> = snapshot.collections().iter().map(|collection| collection.documents).collect();
        let mut current = 0;
        while let Some(batch) = snapshot.next().await.unwrap() {
            while contents[current].0 != *batch.collection {
                current += 1;
            }
            contents[current].1.extend(batch.documents);
        }
        let found: Vec<u64> = contents.iter().map(|(_, documents)| documents.len() as u64).collect();
        assert_eq!(found, counts);
        contents
    }

    async fn verify(&self) -> Vec<String> {
        self.store.verify().await.unwrap()
    }
}

fn query_error(error: ReadError) -> QueryError {
    match error {
        ReadError::Query(error) => error,
        ReadError::Unavailable(fault) => panic!("{fault:?}"),
    }
}

fn owned(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}
