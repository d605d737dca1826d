//! Deleting what has expired.

use store_model::{CommitRefused, Filter, Operation, Query, Refusal, Write};

use super::{CommitError, ReadError, Store};

/// Few enough that nobody waits long behind one commit.
const BATCH: u32 = 200;

/// Why documents were not deleted; the next round tries again.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    #[error("cannot read what has expired")]
    Read(#[from] ReadError),
    #[error("cannot delete what has expired")]
    Commit(#[from] CommitError),
}

/// Deletes the documents that match, and answers how many.
///
/// # Errors
/// Those of the store.
pub async fn purge(store: &Store, collection: &str, over: Filter) -> Result<usize, PurgeError> {
    let query = Query { filter: over, limit: BATCH, ..Query::default() };
    let mut purged = 0;
    loop {
        let page = store.document_find(collection, &query).await?;
        let full = page.documents.len() == BATCH as usize;
        let writes: Vec<Write> = page
            .documents
            .into_iter()
            .map(|document| {
                let mut write = Write::new(collection, &document.id, Operation::Delete);
                // Who takes an outdated document over makes it a new one.
                write.expected_version = Some(document.version);
                write
            })
            .collect();
        let count = writes.len();
        if count > 0 {
            match store.commit(writes).await {
                Ok(_) => purged += count,
                // Another host sweeps too, or one was taken over: the next round sees what is left.
                Err(CommitError::Refused(CommitRefused {
                    reason: Refusal::NotFound | Refusal::Version { .. },
                    ..
                })) => return Ok(purged),
                Err(error) => return Err(error.into()),
            }
        }
        if !full {
            return Ok(purged);
        }
    }
}
