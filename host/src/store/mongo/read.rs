//! Reading, each time of one moment and for a bounded time.
//!
//! A lookup of one document is a moment by itself. Everything else runs in a session that reads a snapshot:
//! what most servers had at one time. Right after a declaration there may be no such moment yet, so a read
//! that comes too early is tried again.

use std::{collections::HashMap, time::Duration};

use mongodb::{
    ClientSession, Collection,
    bson::{Document as BsonDocument, RawDocument, RawDocumentBuf, doc},
};
use serde_json::Map;
use store_model::{
    Aggregate, AggregateRow, Document, Filter, Page, Query, Scope,
    aggregate::Fold,
    cursor,
    validate::{PreparedQuery, check_aggregate, check_filter, check_query, check_scope},
};
use tokio::time::{sleep, timeout};

use super::{
    Mongo,
    bson::{body_to_json, body_to_map},
    commit::PATIENCE,
    fault::Fault,
    filter::{all, query as to_query},
    page::{count_pipeline, page_pipelines, rest},
    table::Table,
};
use crate::store::error::ReadError;

/// The pause before a read that came too early.
const PAUSE: Duration = Duration::from_millis(10);

impl From<Fault> for ReadError {
    fn from(fault: Fault) -> Self {
        Self::Unavailable(fault.into())
    }
}

impl Mongo {
    pub(super) async fn read_many(
        &self,
        collection: &str,
        ids: &[String],
        scope: Option<&Scope>,
    ) -> Result<Vec<Option<Document>>, ReadError> {
        let table = self.table(collection).await?;
        let scoped = match scope {
            Some(scope) => {
                check_scope(&table.schema, scope)?;
                to_query(&table, &Filter::all(), Some(scope), None)
            }
            None => BsonDocument::new(),
        };
        if let [id] = ids {
            // Not into one document: the scope may be about the id, too.
            let query = all(vec![doc! { "_id": id }, scoped]);
            let records = self.majority.collection::<RawDocumentBuf>(&table.schema.name);
            let found = records.find_one(query).projection(doc! { "doc": 1, "_id": 0 }).max_time(PATIENCE);
            let found = timeout(PATIENCE, async { found.await }).await.map_err(|_| Fault::Late)?;
            let found = found.map_err(Fault::from)?;
            return Ok(vec![found.map(|record| document(&record)).transpose()?]);
        }
        let query = all(vec![doc! { "_id": { "$in": ids } }, scoped]);
        let records = self.records(&table);
        self.of_one_moment(|session| many(session, &records, query.clone(), ids)).await
    }

    pub(super) async fn read_page(&self, collection: &str, query: &Query) -> Result<Page, ReadError> {
        let table = self.table(collection).await?;
        let prepared = check_query(&table.schema, query)?;
        self.of_one_moment(|session| self.page(session, &table, query, &prepared)).await
    }

    pub(super) async fn read_count(
        &self,
        collection: &str,
        filter: &Filter,
        scope: Option<&Scope>,
    ) -> Result<u64, ReadError> {
        let table = self.table(collection).await?;
        check_filter(&table.schema, filter)?;
        if let Some(scope) = scope {
            check_scope(&table.schema, scope)?;
        }
        let (records, matching) = (&self.records(&table), &to_query(&table, filter, scope, None));
        self.of_one_moment(|mut session| async move { count(&mut session, records, matching.clone()).await })
            .await
    }

    /// The documents are folded here, so that the figures are those of the model. Reading them all may take
    /// long, so what is bounded is the time without an answer.
    pub(super) async fn read_aggregate(
        &self,
        collection: &str,
        aggregate: &Aggregate,
    ) -> Result<Vec<AggregateRow>, ReadError> {
        let table = self.table(collection).await?;
        check_aggregate(&table.schema, aggregate)?;
        let matching = to_query(&table, &aggregate.filter, aggregate.scope.as_ref(), None);
        let records = self.records(&table);
        let rows = not_early(|| async {
            let mut fold = Fold::new(aggregate);
            let visit = |record: &RawDocument| {
                fold.add(&body_to_map(record.get_document("doc")?)?);
                Ok(())
            };
            self.each_record(&records, matching.clone(), doc! { "doc": 1, "_id": 0 }, visit).await?;
            Ok(fold.finish())
        });
        Ok(rows.await?)
    }

    /// Reads in a session of one moment, as long as there is patience.
    pub(super) async fn of_one_moment<T, F>(&self, read: impl Fn(ClientSession) -> F) -> Result<T, ReadError>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        self.of_one_moment_within(PATIENCE, read).await
    }

    /// The same for what the server may work on for longer.
    pub(super) async fn of_one_moment_within<T, F>(
        &self,
        patience: Duration,
        read: impl Fn(ClientSession) -> F,
    ) -> Result<T, ReadError>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let read = not_early(|| async { read(self.snapshot().await?).await });
        Ok(timeout(patience, read).await.unwrap_or(Err(Fault::Late))?)
    }

    /// Calls back with every record that matches, by id and all of one moment.
    pub(super) async fn each_record(
        &self,
        records: &Collection<RawDocumentBuf>,
        matching: BsonDocument,
        projection: BsonDocument,
        mut visit: impl FnMut(&RawDocument) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let late = |_| Fault::Late;
        let mut session = timeout(PATIENCE, self.snapshot()).await.map_err(late)??;
        let find =
            records.find(matching).projection(projection).sort(doc! { "_id": 1 }).session(&mut session);
        let mut found = timeout(PATIENCE, async { find.await }).await.map_err(late)??;
        while timeout(PATIENCE, found.advance(&mut session)).await.map_err(late)?? {
            visit(found.current())?;
        }
        Ok(())
    }

    /// A session in which all reads see the same moment.
    async fn snapshot(&self) -> Result<ClientSession, Fault> {
        Ok(self.client.start_session().snapshot(true).await?)
    }

    async fn page(
        &self,
        mut session: ClientSession,
        table: &Table,
        query: &Query,
        prepared: &PreparedQuery,
    ) -> Result<Page, Fault> {
        let records = self.records(table);
        let wanted = query.limit as usize;
        let mut found: Vec<(Document, i64)> = Vec::new();
        for mut pipeline in page_pipelines(table, query, prepared) {
            // One more than wanted tells whether there is a next page.
            let missing = wanted + 1 - found.len();
            if missing == 0 {
                break;
            }
            pipeline.extend(rest(query.offset, missing));
            let mut results = records
                .aggregate(pipeline)
                .with_type::<RawDocumentBuf>()
                .max_time(PATIENCE)
                .session(&mut session)
                .await?;
            while results.advance(&mut session).await? {
                let record = results.current();
                // Only an order by rank has one.
                let rank = record.get_i64("rank").unwrap_or_default();
                found.push((document(record)?, rank));
            }
        }
        let more = found.len() > wanted;
        found.truncate(wanted);
        let next = match found.last() {
            Some((last, rank)) if more => {
                let body: Map<_, _> = serde_json::from_str(&last.json)?;
                Some(cursor::encode(&table.schema.name, query, &prepared.order.position(&body, *rank)))
            }
            _ => None,
        };
        let total = match query.count {
            true => {
                let text = prepared.text.as_ref();
                let matching = to_query(table, &query.filter, query.scope.as_ref(), text);
                Some(count(&mut session, &records, matching).await?)
            }
            false => None,
        };
        let mut documents: Vec<Document> = found.into_iter().map(|(document, _)| document).collect();
        if !query.fields.is_empty() {
            documents.iter_mut().try_for_each(|document| document.project(&query.fields))?;
        }
        Ok(Page { documents, next, total })
    }
}

/// Reads, and does so again where it came too early.
pub(super) async fn not_early<T, F>(read: impl Fn() -> F) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Fault>>,
{
    loop {
        match read().await {
            Err(fault) if fault.is_early() => sleep(PAUSE).await,
            done => return done,
        }
    }
}

async fn many(
    mut session: ClientSession,
    records: &Collection<RawDocumentBuf>,
    query: BsonDocument,
    ids: &[String],
) -> Result<Vec<Option<Document>>, Fault> {
    let mut found = records
        .find(query)
        .projection(doc! { "doc": 1, "_id": 0 })
        .max_time(PATIENCE)
        .session(&mut session)
        .await?;
    let mut documents = HashMap::new();
    while found.advance(&mut session).await? {
        let document = document(found.current())?;
        documents.insert(document.id.clone(), document);
    }
    Ok(ids.iter().map(|id| documents.get(id).cloned()).collect())
}

async fn count(
    session: &mut ClientSession,
    records: &Collection<RawDocumentBuf>,
    matching: BsonDocument,
) -> Result<u64, Fault> {
    let mut counted = records
        .aggregate(count_pipeline(matching))
        .with_type::<RawDocumentBuf>()
        .max_time(PATIENCE)
        .session(&mut *session)
        .await?;
    if !counted.advance(session).await? {
        return Ok(0);
    }
    number(counted.current(), "n")
}

/// A count. The server counts in the smaller kind as long as it can.
pub(super) fn number(record: &RawDocument, member: &str) -> Result<u64, Fault> {
    let total = record.get_i32(member).map(i64::from).or_else(|_| record.get_i64(member))?;
    Ok(total.unsigned_abs())
}

/// The document of a record.
pub(super) fn document(record: &RawDocument) -> Result<Document, Fault> {
    let body = record.get_document("doc")?;
    let id = body.get_str("id")?.to_owned();
    // Versions start at 1 and are written by us alone.
    let version = body.get_i64("version")?.unsigned_abs();
    Ok(Document { id, version, json: body_to_json(body)? })
}
