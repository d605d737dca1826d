//! Sealing what was not sealed yet.

use std::{fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt as _};

use serde_json::{Map, Value, json};
use store_model::{CommitRefused, FieldOperation, Filter, Operation, Query, Refusal, Scalar, SortKey, Write};

use super::{AuditLog, Head, SEALS, Seal, entry_hash, read};
use crate::store::{CommitError, ReadError, audit};

/// Entries of one seal.
const BATCH: u32 = 200;

/// Why entries were not sealed; the next round tries again.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("no key is configured to seal the audit log with")]
    NoKey,
    #[error("the audit log cannot be read")]
    Read(#[from] ReadError),
    #[error("the seal cannot be written")]
    Commit(#[from] CommitError),
}

impl AuditLog {
    /// Seals what was not sealed yet, and answers how many entries. Several hosts may do it at once: a seal's number is
    /// taken once, and who comes second leaves it to the first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn seal(&self) -> Result<usize, SealError> {
        let key = self.keys.first().ok_or(SealError::NoKey)?;
        let mut sealed = 0;
        loop {
            let unsealed = Filter::Eq("seal".to_owned(), Scalar::Null);
            let query = Query { filter: unsealed, limit: BATCH, ..Query::default() };
            let page = self.store.document_find(audit::COLLECTION, &query).await?;
            if page.documents.is_empty() {
                return Ok(sealed);
            }
            let last = self.last().await?;
            let number = last.as_ref().map_or(0, |seal| seal.number) + 1;
            let previous = last.map(|seal| seal.hash).unwrap_or_default();
            let entries: Vec<(String, String)> = page
                .documents
                .iter()
                .map(|document| (document.id.clone(), entry_hash(&document.json)))
                .collect();
            let hash = Seal::hash_of(number, &previous, &key.id, &entries);
            let mac = key.mac(&hash).to_hex().to_string();
            let seal = Seal { number, previous, key_id: key.id.clone(), entries, hash, mac };
            let body: Map<String, Value> = match json!(seal) {
                Value::Object(members) => members,
                _ => Map::new(),
            };
            let mut writes = vec![Write::new(SEALS, Seal::id(number), Operation::Insert(body))];
            for document in &page.documents {
                let set = FieldOperation::Set { path: "seal".to_owned(), value: json!(number) };
                let mut mark = Write::new(audit::COLLECTION, &document.id, Operation::Update(vec![set]));
                mark.expected_version = Some(document.version);
                writes.push(mark);
            }
            match self.store.commit(writes).await {
                Ok(_) => {
                    sealed += page.documents.len();
                    self.remember(&Head { number, hash: seal.hash });
                }
                // Another host was faster.
                Err(CommitError::Refused(CommitRefused {
                    reason: Refusal::AlreadyExists | Refusal::Unique { .. } | Refusal::Version { .. },
                    ..
                })) => return Ok(sealed),
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) async fn last(&self) -> Result<Option<Seal>, ReadError> {
        let sort = vec![SortKey::descending("number")];
        let page = self.store.document_find(SEALS, &Query { sort, limit: 1, ..Query::default() }).await?;
        Ok(page.documents.first().and_then(read))
    }

    /// Keeps the number of the last seal beside the store. Without it the log is sealed all the same.
    fn remember(&self, head: &Head) {
        let beside = self.head.with_extension("new");
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut file| {
                file.write_all(json!(head).to_string().as_bytes()).and_then(|()| file.sync_all())
            })
            .and_then(|()| std::fs::rename(&beside, &self.head));
        if let Err(error) = written {
            tracing::warn!(%error, "The last seal of the audit log is not kept in `{}`", self.head.display());
        }
    }
}
