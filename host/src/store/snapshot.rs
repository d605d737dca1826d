//! Everything that a store holds, of one moment.

use std::{sync::Arc, time::Duration};

use store_model::{CollectionSchema, Document};
use tokio::sync::mpsc;

use super::error::{ReadError, Unavailable};

/// About this many bytes of documents are in a batch. One document may be larger.
const BATCH_BYTES: usize = 512 * 1024;
/// At most this many documents are in a batch.
const BATCH_DOCUMENTS: usize = 1000;
/// Batches that wait for the reader.
pub(super) const BATCHES: usize = 2;
/// How long a batch waits for the reader before the snapshot is given up: what it holds grows with every commit.
pub(super) const STALL: Duration = Duration::from_secs(120);

/// What a store held at one moment: its collections, and a stream of their documents that is read with
/// [`Self::next`]. Memory is bounded by a few batches, whatever the store holds. Dropping it ends the reading.
#[derive(Debug)]
pub struct Snapshot {
    collections: Vec<SnapshotCollection>,
    batches: mpsc::Receiver<Result<SnapshotBatch, ReadError>>,
    /// Documents that are still to come.
    left: u64,
    /// A collection that is not shown.
    hidden: &'static str,
}

/// A collection and how many documents it held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotCollection {
    pub schema: Arc<CollectionSchema>,
    pub documents: u64,
}

/// Some documents of one collection, which go on where the batch before ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotBatch {
    pub collection: Arc<CollectionSchema>,
    pub documents: Vec<Document>,
}

/// Documents that gather for a batch.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    documents: Vec<Document>,
    bytes: usize,
}

impl Gathered {
    pub(super) fn add(&mut self, document: Document) {
        self.bytes += document.json.len();
        self.documents.push(document);
    }

    /// The documents, when they are enough for a batch or the last ones.
    pub(super) fn batch(&mut self, last: bool) -> Option<Vec<Document>> {
        let enough = self.bytes >= BATCH_BYTES || self.documents.len() >= BATCH_DOCUMENTS;
        (enough || last && !self.documents.is_empty()).then(|| std::mem::take(self).documents)
    }
}

impl Snapshot {
    pub(super) fn new(
        collections: Vec<SnapshotCollection>,
        batches: mpsc::Receiver<Result<SnapshotBatch, ReadError>>,
    ) -> Self {
        let left = collections.iter().map(|collection| collection.documents).sum();
        Self { collections, batches, left, hidden: "" }
    }

    /// All collections, also those without documents, sorted by the bytes of their names.
    pub fn collections(&self) -> &[SnapshotCollection] {
        &self.collections
    }

    /// How many documents there are in all.
    pub fn documents(&self) -> u64 {
        self.collections.iter().map(|collection| collection.documents).sum()
    }

    /// The next documents: in the order of the collections, sorted by the bytes of their ids. Nothing when all
    /// have been read.
    ///
    /// # Errors
    /// The backend failed, or gave the snapshot up because the last batch was not read for too long.
    pub async fn next(&mut self) -> Result<Option<SnapshotBatch>, ReadError> {
        while self.left > 0 {
            let Some(batch) = self.batches.recv().await else { return Err(failed("ended early")) };
            let batch = batch?;
            if batch.collection.name == self.hidden {
                continue;
            }
            let documents = u64::try_from(batch.documents.len()).unwrap_or(u64::MAX);
            self.left = self
                .left
                .checked_sub(documents)
                .ok_or_else(|| failed("has more documents than were counted"))?;
            return Ok(Some(batch));
        }
        Ok(None)
    }

    /// Leaves a collection out.
    pub(super) fn without(mut self, name: &'static str) -> Self {
        self.collections.retain(|collection| collection.schema.name != name);
        self.left = self.documents();
        self.hidden = name;
        self
    }
}

fn failed(how: &str) -> ReadError {
    ReadError::Unavailable(Unavailable::Failed(format!("the snapshot {how}").into()))
}
