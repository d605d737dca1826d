//! What a transaction is for: a commit, or documents of another store.

use std::{collections::BTreeSet, time::Duration};

use store_model::{
    Commit, Document, Operation, Write,
    commit::{CommitEnd, load, run},
    validate::bson_bytes,
};

use super::{fault::Fault, overlay::Overlay};

/// A slow server takes at least so much.
const BYTES_PER_MS: usize = 4 * 1024;
const WRITES_PER_MS: usize = 1;

pub(super) enum Work {
    Commit(Commit),
    /// Documents to be kept as they are.
    Load {
        collection: String,
        documents: Vec<Document>,
    },
}

impl Work {
    /// The writes whose documents others must leave alone. Nobody else writes into a store that is being filled.
    pub(super) fn writes(&self) -> &[Write] {
        match self {
            Self::Commit(commit) => &commit.writes,
            Self::Load { .. } => &[],
        }
    }

    pub(super) fn collections(&self) -> BTreeSet<&str> {
        match self {
            Self::Commit(commit) => commit.writes.iter().map(|write| write.collection.as_str()).collect(),
            Self::Load { collection, .. } => BTreeSet::from([collection.as_str()]),
        }
    }

    /// Collections and ids of the documents to fetch before anything else. That an inserted id is free is assumed, unless
    /// everything is to be looked up.
    pub(super) fn named(&self, careful: bool) -> Vec<(&str, &str)> {
        match self {
            Self::Commit(commit) => commit
                .writes
                .iter()
                .filter(|write| careful || !matches!(write.operation, Operation::Insert(_)))
                .map(|write| (write.collection.as_str(), write.id.as_str()))
                .collect(),
            Self::Load { collection, documents } => {
                let named = documents.iter().filter(|_| careful);
                named.map(|document| (collection.as_str(), document.id.as_str())).collect()
            }
        }
    }

    /// Decides what to write, by the laws that hold everywhere.
    pub(super) fn decide(
        &self,
        overlay: &mut Overlay<'_>,
    ) -> Result<Vec<Option<Document>>, CommitEnd<Fault>> {
        match self {
            Self::Commit(commit) => {
                // It may have to be decided once more.
                let decided = run(overlay, commit.clone());
                overlay.touch(commit);
                decided
            }
            Self::Load { collection, documents } => load(overlay, collection, documents).map(|()| Vec::new()),
        }
    }

    /// How much longer than usual a server may take, because there is much to do.
    pub(super) fn extra_time(&self) -> Duration {
        let (bytes, count): (usize, usize) = match self {
            Self::Commit(commit) => {
                let bytes = |write: &Write| match &write.operation {
                    Operation::Insert(body) | Operation::Replace(body) => bson_bytes(body),
                    Operation::Update(_) | Operation::Delete | Operation::Check => 0,
                };
                (commit.writes.iter().map(bytes).sum(), commit.writes.len())
            }
            Self::Load { documents, .. } => {
                (documents.iter().map(|document| document.json.len()).sum(), documents.len())
            }
        };
        Duration::from_millis((bytes / BYTES_PER_MS + count / WRITES_PER_MS) as u64)
    }
}
