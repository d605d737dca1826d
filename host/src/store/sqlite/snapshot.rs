//! Reading everything in one transaction.
//!
//! The transaction holds the state of its start. Commits go on in the WAL, which cannot shrink until it ends.

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::Connection;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use super::{
    declare,
    fault::Fault,
    readers::Readers,
    table::{Table, document},
};
use crate::store::{
    error::{ReadError, Unavailable},
    snapshot::{BATCHES, Gathered, STALL, Snapshot, SnapshotBatch, SnapshotCollection},
};

/// Begins the transaction, and goes on reading on a thread of its own, on a connection of its own.
pub(super) async fn snapshot(readers: Arc<Readers>) -> Result<Snapshot, ReadError> {
    let (batches, receiver) = mpsc::channel(BATCHES);
    let (begun, collections) = oneshot::channel();
    let sender = Sender { readers, batches, runtime: Handle::current() };
    tokio::task::spawn_blocking(move || {
        if let Err(unavailable) = sender.run(begun) {
            // Nobody may be left to hear it.
            let _ = sender.send(Err(ReadError::Unavailable(unavailable)));
        }
    });
    match collections.await {
        Ok(collections) => Ok(Snapshot::new(collections, receiver)),
        // The reason is in the channel, unless the thread is gone as well.
        Err(_) => match { receiver }.recv().await {
            Some(Err(error)) => Err(error),
            _ => Err(ReadError::Unavailable(Unavailable::Failed(Box::new(Fault::Stopped)))),
        },
    }
}

struct Sender {
    readers: Arc<Readers>,
    batches: mpsc::Sender<Result<SnapshotBatch, ReadError>>,
    runtime: Handle,
}

/// Why reading ended early.
enum Ended {
    /// The reader went away, or took too long.
    Gone,
    /// The store was closed.
    Closed,
    Fault(Fault),
}

impl<T: Into<Fault>> From<T> for Ended {
    fn from(fault: T) -> Self {
        Self::Fault(fault.into())
    }
}

impl Sender {
    fn run(&self, begun: oneshot::Sender<Vec<SnapshotCollection>>) -> Result<(), Unavailable> {
        let reader = self.readers.reader()?;
        // The inner result keeps what is no fault of the database apart.
        let read = reader.in_transaction(|connection| {
            let tables: BTreeMap<String, Arc<Table>> = declare::load(connection)?.into_iter().collect();
            let counted: Vec<SnapshotCollection> =
                tables.values().map(|table| count(connection, table)).collect::<Result<_, _>>()?;
            if begun.send(counted).is_err() {
                return Ok(Ok(()));
            }
            Ok(tables.values().try_for_each(|table| self.documents(connection, table)))
        });
        match read {
            Ok(Ok(()) | Err(Ended::Gone)) => Ok(()),
            Ok(Err(Ended::Closed)) => Err(Unavailable::Closed),
            Ok(Err(Ended::Fault(fault))) | Err(fault) => Err(fault.into()),
        }
    }

    /// Sends the documents of a collection.
    fn documents(&self, connection: &Connection, table: &Table) -> Result<(), Ended> {
        let sql = format!("SELECT id, version, body FROM {} ORDER BY id", table.name);
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        let mut gathered = Gathered::default();
        loop {
            let row = rows.next()?;
            let more = row.is_some();
            if let Some(row) = row {
                gathered.add(document(row.get(0)?, row.get(1)?, row.get(2)?));
            }
            if let Some(documents) = gathered.batch(!more) {
                if self.readers.is_closed() {
                    return Err(Ended::Closed);
                }
                self.send(Ok(SnapshotBatch { collection: table.schema.clone(), documents }))?;
            }
            if !more {
                return Ok(());
            }
        }
    }

    fn send(&self, batch: Result<SnapshotBatch, ReadError>) -> Result<(), Ended> {
        let sent = self.runtime.block_on(self.batches.send_timeout(batch, STALL));
        sent.map_err(|_| Ended::Gone)
    }
}

fn count(connection: &Connection, table: &Table) -> Result<SnapshotCollection, Fault> {
    let sql = format!("SELECT COUNT(*) FROM {}", table.name);
    let documents: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
    Ok(SnapshotCollection { schema: table.schema.clone(), documents: documents.unsigned_abs() })
}
