//! The embedded backend: SQLite in WAL mode with a sync for every (group) commit.
//!
//! One thread writes, a pool of connections reads and is never blocked by it. The data directory is locked
//! for one server. All knowledge of SQLite is in this module.

mod declare;
mod facets;
mod fault;
mod filter;
mod open;
mod page;
mod readers;
mod selection;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;
mod transaction;
mod verify;
mod writer;

use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::future::{BoxFuture, FutureExt};
use rusqlite::Connection;
use serde_json::{Map, Value};
use store_model::{
    Aggregate, AggregateRow, CollectionSchema, Commit, Document, FacetCount, Facets, Filter, Page, Query,
    QueryError, Scope,
    aggregate::Fold,
    validate::{check_aggregate, check_facets, check_filter, check_query, check_scope},
};

use self::{
    fault::Fault,
    filter::Sql,
    readers::{AbandonOnDrop, Interrupt, Readers},
    table::{Table, document},
    transaction::Tables,
    writer::{Writer, WriterThread},
};
use super::{
    backend::Backend,
    config::EmbeddedConfig,
    error::{CommitError, DeclareError, OpenError, ReadError, Unavailable},
    snapshot::Snapshot,
};

/// Lookups of more ids than this leave the async worker threads alone.
const INLINE_IDS: usize = 64;

pub(super) struct Sqlite {
    tables: Arc<ArcSwap<Tables>>,
    readers: Arc<Readers>,
    writer: Arc<Writer>,
}

impl Sqlite {
    pub(super) async fn open(config: EmbeddedConfig) -> Result<Self, OpenError> {
        let directory = config.directory.clone();
        let opening = tokio::task::spawn_blocking(move || Self::open_blocking(&config));
        opening.await.unwrap_or_else(|error| {
            let source = Unavailable::Failed(Box::new(error));
            Err(OpenError::Unavailable { file: directory, source })
        })
    }

    fn open_blocking(config: &EmbeddedConfig) -> Result<Self, OpenError> {
        let opened = open::open(config)?;
        let unavailable = |source| OpenError::Unavailable { file: opened.file.clone(), source };
        let tables = declare::load(&opened.connection).map_err(|fault| unavailable(fault.into()))?;
        let tables = Arc::new(ArcSwap::from_pointee(tables));
        let readers = Arc::new(Readers::new(&opened.file, config.readers, config.cache_kib));
        let thread = WriterThread {
            connection: opened.connection,
            tables: tables.clone(),
            batch_commits: config.batch_commits,
            lock: opened.lock,
        };
        let writer = Writer::start(thread, config.write_queue)
            .map_err(|source| OpenError::Directory { directory: config.directory.clone(), source })?;
        Ok(Self { tables, readers, writer: Arc::new(writer) })
    }

    fn table(&self, collection: &str) -> Result<Arc<Table>, QueryError> {
        declared(&self.tables.load(), collection)
    }

    /// Runs a query on a blocking thread, in one read transaction, and stops it when nobody waits any more.
    async fn query<T: Send + 'static>(
        &self,
        query: impl Fn(&Connection, &Tables) -> Result<T, QueryFailed> + Send + 'static,
    ) -> Result<T, ReadError> {
        let permit = self.readers.queries().acquire_owned().await;
        let interrupt = Interrupt::default();
        let _abandon = AbandonOnDrop(interrupt.clone());
        let (tables, readers) = (self.tables.clone(), self.readers.clone());
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let reader = readers.reader()?;
            loop {
                let current = tables.load_full();
                let result = interrupt.guard(reader.connection(), || {
                    reader.in_transaction(|connection| match query(connection, &current) {
                        Err(QueryFailed::Fault(fault)) => Err(fault),
                        Err(QueryFailed::Query(error)) => Ok(Err(error)),
                        Ok(result) => Ok(Ok(result)),
                    })
                });
                match result {
                    Ok(result) => return result.map_err(ReadError::Query),
                    // A declaration may have taken a table away between the look at the tables and the query.
                    Err(_) if !Arc::ptr_eq(&current, &tables.load()) => {}
                    Err(fault) => return Err(ReadError::Unavailable(fault.into())),
                }
            }
        });
        task.await.unwrap_or_else(|error| Err(ReadError::Unavailable(Unavailable::Failed(Box::new(error)))))
    }

    fn get_inline(
        &self,
        collection: &str,
        ids: &[String],
        scope: Option<&Scope>,
    ) -> Result<Vec<Option<Document>>, ReadError> {
        let table = self.table(collection)?;
        if let Some(scope) = scope {
            check_scope(&table.schema, scope)?;
        }
        let reader = self.readers.reader()?;
        let result = match ids {
            // A single statement sees one moment by itself.
            [_] => get_many(reader.connection(), &table, ids, scope),
            _ => reader.in_transaction(|connection| get_many(connection, &table, ids, scope)),
        };
        result.map_err(|fault| ReadError::Unavailable(fault.into()))
    }

    fn get_each_inline(&self, places: &[(&str, String)]) -> Result<Vec<Option<Document>>, ReadError> {
        let tables = places.iter().map(|(name, _)| self.table(name)).collect::<Result<Vec<_>, _>>()?;
        let reader = self.readers.reader()?;
        let result = reader.in_transaction(|connection| {
            let mut documents = Vec::with_capacity(places.len());
            for (table, (_, id)) in tables.iter().zip(places) {
                documents.append(&mut get_many(connection, table, std::slice::from_ref(id), None)?);
            }
            Ok(documents)
        });
        result.map_err(|fault| ReadError::Unavailable(fault.into()))
    }
}

impl Backend for Sqlite {
    fn declare(&self, schemas: Vec<CollectionSchema>) -> BoxFuture<'_, Result<(), DeclareError>> {
        self.writer.declare(schemas).boxed()
    }

    fn collection(&self, name: &str) -> Option<Arc<CollectionSchema>> {
        self.tables.load().get(name).map(|table| table.schema.clone())
    }

    fn get_many<'a>(
        &'a self,
        collection: &'a str,
        ids: &'a [String],
        scope: Option<&'a Scope>,
    ) -> BoxFuture<'a, Result<Vec<Option<Document>>, ReadError>> {
        if ids.len() <= INLINE_IDS {
            return std::future::ready(self.get_inline(collection, ids, scope)).boxed();
        }
        let (collection, ids, scope) = (collection.to_owned(), ids.to_owned(), scope.cloned());
        self.query(move |connection, tables| {
            let table = declared(tables, &collection)?;
            if let Some(scope) = &scope {
                check_scope(&table.schema, scope)?;
            }
            Ok(get_many(connection, &table, &ids, scope.as_ref())?)
        })
        .boxed()
    }

    fn get_each<'a>(
        &'a self,
        places: &'a [(&'a str, String)],
    ) -> BoxFuture<'a, Result<Vec<Option<Document>>, ReadError>> {
        std::future::ready(self.get_each_inline(places)).boxed()
    }

    fn find<'a>(&'a self, collection: &'a str, query: &'a Query) -> BoxFuture<'a, Result<Page, ReadError>> {
        let (collection, query) = (collection.to_owned(), query.clone());
        self.query(move |connection, tables| {
            let table = declared(tables, &collection)?;
            let prepared = check_query(&table.schema, &query)?;
            Ok(page::find(connection, &table, &query, &prepared)?)
        })
        .boxed()
    }

    fn count<'a>(
        &'a self,
        collection: &'a str,
        filter: &'a Filter,
        scope: Option<&'a Scope>,
    ) -> BoxFuture<'a, Result<u64, ReadError>> {
        let (collection, filter, scope) = (collection.to_owned(), filter.clone(), scope.cloned());
        self.query(move |connection, tables| {
            let table = declared(tables, &collection)?;
            check_filter(&table.schema, &filter)?;
            if let Some(scope) = &scope {
                check_scope(&table.schema, scope)?;
            }
            Ok(page::count(connection, &table, &filter, scope.as_ref())?)
        })
        .boxed()
    }

    fn aggregate<'a>(
        &'a self,
        collection: &'a str,
        aggregate: &'a Aggregate,
    ) -> BoxFuture<'a, Result<Vec<AggregateRow>, ReadError>> {
        let (collection, aggregate) = (collection.to_owned(), aggregate.clone());
        self.query(move |connection, tables| {
            let table = declared(tables, &collection)?;
            check_aggregate(&table.schema, &aggregate)?;
            Ok(fold(connection, &table, &aggregate)?)
        })
        .boxed()
    }

    fn facets<'a>(
        &'a self,
        collection: &'a str,
        facets: &'a Facets,
    ) -> BoxFuture<'a, Result<Vec<Vec<FacetCount>>, ReadError>> {
        let (collection, facets) = (collection.to_owned(), facets.clone());
        self.query(move |connection, tables| {
            let table = declared(tables, &collection)?;
            let text = check_facets(&table.schema, &facets)?;
            Ok(facets::count(connection, &table, &facets, text.as_ref())?)
        })
        .boxed()
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Vec<Option<Document>>, CommitError>> {
        self.writer.commit(commit).boxed()
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot, ReadError>> {
        snapshot::snapshot(self.readers.clone()).boxed()
    }

    fn load(&self, collection: String, documents: Vec<Document>) -> BoxFuture<'_, Result<(), CommitError>> {
        self.writer.load(collection, documents).boxed()
    }

    fn clear(&self, keep: String) -> BoxFuture<'_, Result<(), Unavailable>> {
        self.writer.clear(keep).boxed()
    }

    fn verify(&self) -> BoxFuture<'_, Result<Vec<String>, ReadError>> {
        self.query(|connection, tables| Ok(verify::verify(connection, tables)?)).boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        let (readers, writer) = (self.readers.clone(), self.writer.clone());
        async move {
            // Readers first: the last checkpoint needs the database for itself.
            readers.close();
            if let Err(error) = tokio::task::spawn_blocking(move || writer.close()).await {
                tracing::error!(error = &error as &dyn std::error::Error, "The store did not close");
            }
        }
        .boxed()
    }
}

fn declared(tables: &Tables, collection: &str) -> Result<Arc<Table>, QueryError> {
    tables.get(collection).cloned().ok_or_else(|| QueryError::UnknownCollection(collection.to_owned()))
}

fn get_many(
    connection: &Connection,
    table: &Table,
    ids: &[String],
    scope: Option<&Scope>,
) -> Result<Vec<Option<Document>>, Fault> {
    let mut sql = Sql { text: table.get.clone(), params: Vec::new() };
    if let Some(scope) = scope {
        sql.push(" AND ");
        sql.push_filter(table, &scope.filter(), false);
    }
    let mut statement = connection.prepare_cached(&sql.text)?;
    let mut documents = Vec::with_capacity(ids.len());
    for id in ids {
        statement.raw_bind_parameter(1, id)?;
        for (position, value) in sql.params.iter().enumerate() {
            statement.raw_bind_parameter(position + 2, value)?;
        }
        let mut rows = statement.raw_query();
        let row = rows.next()?;
        documents.push(match row {
            Some(row) => Some(document(id.clone(), row.get(0)?, row.get(1)?)),
            None => None,
        });
    }
    Ok(documents)
}

/// The documents are folded here and not in SQL, so that the figures are those of the model.
fn fold(connection: &Connection, table: &Table, aggregate: &Aggregate) -> Result<Vec<AggregateRow>, Fault> {
    let sql = page::bodies(table, &aggregate.filter, aggregate.scope.as_ref());
    let mut statement = connection.prepare_cached(&sql.text)?;
    let mut rows = statement.query(rusqlite::params_from_iter(sql.params))?;
    let mut fold = Fold::new(aggregate);
    while let Some(row) = rows.next()? {
        let body: Map<String, Value> =
            serde_json::from_str(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?;
        fold.add(&body);
    }
    Ok(fold.finish())
}

/// Why a query on a connection failed.
#[derive(Debug)]
enum QueryFailed {
    Query(QueryError),
    Fault(Fault),
}

impl From<QueryError> for QueryFailed {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

impl From<Fault> for QueryFailed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
