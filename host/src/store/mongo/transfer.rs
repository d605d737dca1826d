//! Everything of one moment, and making room for it.

use std::{sync::Arc, time::Duration};

use mongodb::{
    ClientSession,
    bson::{RawDocumentBuf, doc},
};
use tokio::{sync::mpsc, time::timeout};

use super::{
    Mongo,
    catalogue::{self, Catalogue},
    commit::{Committer, PATIENCE},
    fault::Fault,
    read::{document, not_early, number},
    table::Table,
    transaction::durable,
};
use crate::store::{
    error::{ReadError, Unavailable},
    snapshot::{BATCHES, Gathered, STALL, Snapshot, SnapshotBatch, SnapshotCollection},
};

/// How long counting all collections, or taking one away, may take.
const WHOLE: Duration = Duration::from_secs(60);

/// A moment, and the tables that there were.
struct Moment {
    session: ClientSession,
    tables: Vec<Arc<Table>>,
    counted: Vec<SnapshotCollection>,
}

impl Mongo {
    /// Begins to read everything of one moment, and goes on in a task of its own.
    pub(super) async fn read_all(&self) -> Result<Snapshot, ReadError> {
        if self.committer.is_closed() {
            return Err(Unavailable::Closed.into());
        }
        let begun = timeout(WHOLE, not_early(|| self.moment())).await.unwrap_or(Err(Fault::Late));
        let Moment { session, tables, counted } = begun?;
        let (batches, receiver) = mpsc::channel(BATCHES);
        let reading = Reading { committer: self.committer.clone(), session, batches };
        tokio::spawn(reading.run(tables));
        Ok(Snapshot::new(counted, receiver))
    }

    /// The moment is that of the first read. Every collection is looked at once, so that one which did not exist yet in
    /// this moment is found now.
    async fn moment(&self) -> Result<Moment, Fault> {
        let starting = self.client.start_session().snapshot(true);
        let mut session = timeout(PATIENCE, async { starting.await }).await.map_err(|_| Fault::Late)??;
        let entries = self.database.collection(catalogue::COLLECTION);
        let reading = Catalogue::read(&entries, &mut session);
        let tables = timeout(2 * PATIENCE, reading).await.map_err(|_| Fault::Late)??;
        let mut tables: Vec<Arc<Table>> = tables.into_values().collect();
        tables.sort_by(|a, b| a.schema.name.cmp(&b.schema.name));
        let mut counted = Vec::with_capacity(tables.len());
        for table in &tables {
            let records = self.records(table);
            let mut results = records
                .aggregate([doc! { "$count": "n" }])
                .with_type::<RawDocumentBuf>()
                .max_time(WHOLE)
                .session(&mut session)
                .await?;
            let documents = match results.advance(&mut session).await? {
                true => number(results.current(), "n")?,
                false => 0,
            };
            counted.push(SnapshotCollection { schema: table.schema.clone(), documents });
        }
        Ok(Moment { session, tables, counted })
    }

    /// Takes every collection but one away: its records first, so that what is interrupted is still known.
    pub(super) async fn clear_all(&self, keep: &str) -> Result<(), Fault> {
        self.catalogue.reload().await?;
        for name in self.catalogue.tables().keys().filter(|name| *name != keep) {
            let records = self.database.collection::<RawDocumentBuf>(name);
            let dropping = records.drop().write_concern(durable());
            timeout(WHOLE, async { dropping.await }).await.map_err(|_| Fault::Late)??;
            let forgetting =
                self.catalogue.entries().delete_one(doc! { "_id": name }).write_concern(durable());
            timeout(PATIENCE, async { forgetting.await }).await.map_err(|_| Fault::Late)??;
        }
        self.catalogue.reload().await
    }
}

struct Reading {
    committer: Arc<Committer>,
    session: ClientSession,
    batches: mpsc::Sender<Result<SnapshotBatch, ReadError>>,
}

/// Why reading ended early.
enum Ended {
    /// The reader went away, or took too long.
    Gone,
    Closed,
    Fault(Fault),
}

impl<T: Into<Fault>> From<T> for Ended {
    fn from(fault: T) -> Self {
        Self::Fault(fault.into())
    }
}

impl Reading {
    async fn run(mut self, tables: Vec<Arc<Table>>) {
        for table in tables {
            let unavailable = match self.documents(&table).await {
                Ok(()) => continue,
                Err(Ended::Gone) => return,
                Err(Ended::Closed) => Unavailable::Closed,
                Err(Ended::Fault(fault)) => fault.into(),
            };
            // Nobody may be left to hear it.
            let _ = self.batches.send_timeout(Err(ReadError::Unavailable(unavailable)), STALL).await;
            return;
        }
    }

    async fn documents(&mut self, table: &Table) -> Result<(), Ended> {
        let late = |_| Ended::Fault(Fault::Late);
        let records = self.committer.database.collection::<RawDocumentBuf>(&table.schema.name);
        let find = records
            .find(doc! {})
            .projection(doc! { "doc": 1, "_id": 0 })
            .sort(doc! { "_id": 1 })
            .session(&mut self.session);
        let mut found = timeout(PATIENCE, async { find.await }).await.map_err(late)??;
        let mut gathered = Gathered::default();
        loop {
            let more = timeout(PATIENCE, found.advance(&mut self.session)).await.map_err(late)??;
            if more {
                gathered.add(document(found.current())?);
            }
            if let Some(documents) = gathered.batch(!more) {
                if self.committer.is_closed() {
                    return Err(Ended::Closed);
                }
                let next = SnapshotBatch { collection: table.schema.clone(), documents };
                self.batches.send_timeout(Ok(next), STALL).await.map_err(|_| Ended::Gone)?;
            }
            if !more {
                return Ok(());
            }
        }
    }
}
