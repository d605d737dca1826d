//! The MongoDB backend: a replica set, for several hosts.
//!
//! A commit is one transaction with snapshot reads and majority writes, decided by the same code as everywhere
//! else on documents that were read inside it. Every answer comes within a bounded time: a server that is
//! silent makes the store unavailable after two seconds, and there is nothing to restart when it is back.
//! All knowledge of MongoDB is in this module.
//!
//! Deliberately absent: reading from secondaries, which may not have what was acknowledged, and the aggregation
//! framework for figures, which would round and order in its own way.

mod bson;
mod catalogue;
mod commit;
mod declare;
mod facets;
mod fault;
mod filter;
mod indexes;
mod lease;
mod locks;
mod open;
mod overlay;
mod page;
mod read;
mod table;
mod transaction;
mod transfer;
mod verify;
mod work;

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use mongodb::{Client, Collection, Database, bson::RawDocumentBuf};
use store_model::{
    Aggregate, AggregateRow, CollectionSchema, Commit, Document, FacetCount, Facets, Filter, Page, Query,
    QueryError, Scope,
};
use tokio::time::timeout;

use self::{
    catalogue::Catalogue,
    commit::{Committer, PATIENCE},
    fault::Fault,
    table::Table,
    work::Work,
};
use super::{
    backend::Backend,
    config::MongoConfig,
    error::{CommitError, DeclareError, OpenError, ReadError, Unavailable},
    snapshot::Snapshot,
};

/// Connections that commits leave to reads, as a part of all.
const READ_SHARE: u32 = 3;

pub(super) struct Mongo {
    client: Client,
    /// For writes, transactions and sessions that read one moment.
    database: Database,
    /// For reads that are a moment by themselves.
    majority: Database,
    catalogue: Arc<Catalogue>,
    committer: Arc<Committer>,
    /// Declarations of this host come one after the other.
    declaring: tokio::sync::Mutex<()>,
}

impl Mongo {
    pub(super) async fn open(config: MongoConfig) -> Result<Self, OpenError> {
        let (client, name) = open::connect(&config).await?;
        let database = client.database(&name);
        let majority = open::majority(&client, &name);
        let opening = timeout(2 * PATIENCE, Catalogue::open(&majority));
        let catalogue = opening.await.unwrap_or(Err(Fault::Late)).map_err(|fault| OpenError::Unreadable {
            place: format!("database `{name}`"),
            source: fault.into(),
        })?;
        let running = (config.connections - config.connections / READ_SHARE).max(1);
        let committer = Arc::new(Committer::new(
            client.clone(),
            database.clone(),
            catalogue.clone(),
            config.write_queue,
            running as usize,
        ));
        Ok(Self {
            client,
            database,
            majority,
            catalogue,
            committer,
            declaring: tokio::sync::Mutex::default(),
        })
    }

    async fn table(&self, collection: &str) -> Result<Arc<Table>, ReadError> {
        if self.committer.is_closed() {
            return Err(Unavailable::Closed.into());
        }
        let table = timeout(PATIENCE, self.catalogue.table(collection)).await.unwrap_or(Err(Fault::Late))?;
        table.ok_or_else(|| QueryError::UnknownCollection(collection.to_owned()).into())
    }

    fn records(&self, table: &Table) -> Collection<RawDocumentBuf> {
        self.database.collection(&table.schema.name)
    }
}

impl Backend for Mongo {
    fn declare(&self, schemas: Vec<CollectionSchema>) -> BoxFuture<'_, Result<(), DeclareError>> {
        self.declare_all(schemas).boxed()
    }

    fn collection(&self, name: &str) -> Option<Arc<CollectionSchema>> {
        self.catalogue.tables().get(name).map(|table| table.schema.clone())
    }

    fn get_many<'a>(
        &'a self,
        collection: &'a str,
        ids: &'a [String],
        scope: Option<&'a Scope>,
    ) -> BoxFuture<'a, Result<Vec<Option<Document>>, ReadError>> {
        self.read_many(collection, ids, scope).boxed()
    }

    fn find<'a>(&'a self, collection: &'a str, query: &'a Query) -> BoxFuture<'a, Result<Page, ReadError>> {
        self.read_page(collection, query).boxed()
    }

    fn count<'a>(
        &'a self,
        collection: &'a str,
        filter: &'a Filter,
        scope: Option<&'a Scope>,
    ) -> BoxFuture<'a, Result<u64, ReadError>> {
        self.read_count(collection, filter, scope).boxed()
    }

    fn aggregate<'a>(
        &'a self,
        collection: &'a str,
        aggregate: &'a Aggregate,
    ) -> BoxFuture<'a, Result<Vec<AggregateRow>, ReadError>> {
        self.read_aggregate(collection, aggregate).boxed()
    }

    fn facets<'a>(
        &'a self,
        collection: &'a str,
        facets: &'a Facets,
    ) -> BoxFuture<'a, Result<Vec<Vec<FacetCount>>, ReadError>> {
        self.read_facets(collection, facets).boxed()
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Vec<Option<Document>>, CommitError>> {
        self.committer.commit(commit).boxed()
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot, ReadError>> {
        self.read_all().boxed()
    }

    fn load(&self, collection: String, documents: Vec<Document>) -> BoxFuture<'_, Result<(), CommitError>> {
        let loading = async { self.committer.work(Work::Load { collection, documents }).await.map(drop) };
        loading.boxed()
    }

    fn clear(&self, keep: String) -> BoxFuture<'_, Result<(), Unavailable>> {
        async move { Ok(self.clear_all(&keep).await?) }.boxed()
    }

    fn verify(&self) -> BoxFuture<'_, Result<Vec<String>, ReadError>> {
        self.verify_all().boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            self.committer.close().await;
            let shutdown = self.client.clone().shutdown().immediate(true);
            // A server that is away does not keep the host from stopping.
            if timeout(PATIENCE, async { shutdown.await }).await.is_err() {
                tracing::warn!("The connections to MongoDB were not closed in time");
            }
        }
        .boxed()
    }
}
