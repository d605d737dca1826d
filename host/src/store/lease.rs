//! Leases: of several hosts one does what only one should do at a time.
//!
//! What is done under a lease must bear being done twice: a host that stands still for longer than its lease does not
//! know that another has it by then.

use std::time::Duration;

use serde_json::{Map, Value, json};
use store_model::{CollectionSchema, Operation, Write};

use super::{CommitError, ReadError, Store};

const COLLECTION: &str = "_leases";

/// A lease that this process tries to hold.
#[derive(Debug, Clone)]
pub struct Lease {
    store: Store,
    id: String,
    holder: String,
    lasts: Duration,
}

/// Why nobody knows who holds it.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    #[error("the lease cannot be read")]
    Read(#[from] ReadError),
    #[error("the lease cannot be written")]
    Commit(#[from] CommitError),
}

impl Lease {
    /// A lease by its name, which lasts that long without being renewed.
    pub fn new(store: Store, name: &str, lasts: Duration) -> Self {
        let holder = store.id_new("hld");
        Self { id: format!("lse_{name}"), store, holder, lasts }
    }

    /// To be declared with the host's other collections.
    pub fn schema() -> CollectionSchema {
        CollectionSchema::host("leases", "lse")
    }

    /// Takes the lease if it is free, and renews it when half of it is over. Answers whether it is held.
    ///
    /// # Errors
    /// Those of the store; then it is not held.
    pub async fn hold(&self) -> Result<bool, LeaseError> {
        let found = self.store.document_get_many(COLLECTION, std::slice::from_ref(&self.id), None).await?;
        let found = found.into_iter().next().flatten();
        let clock = self.store.clock();
        let (now, lasts) = (clock.now_ms(), i64::try_from(self.lasts.as_millis()).unwrap_or(i64::MAX));
        let lease: Value = match &found {
            Some(document) => serde_json::from_str(&document.json).unwrap_or_default(),
            None => Value::Null,
        };
        let left = lease["untilMs"].as_i64().unwrap_or_default().saturating_sub(now);
        // One that lasts longer than any is of a clock that has been set back.
        let is_held = (1..=lasts).contains(&left);
        let is_own = lease["holder"] == json!(self.holder);
        if is_held && (!is_own || left > lasts / 2) {
            return Ok(is_own);
        }
        let body = Map::from_iter([
            ("holder".to_owned(), json!(self.holder)),
            ("untilMs".to_owned(), json!(now.saturating_add(lasts))),
        ]);
        let write = Write {
            collection: COLLECTION.to_owned(),
            id: self.id.clone(),
            operation: if found.is_some() { Operation::Replace(body) } else { Operation::Insert(body) },
            expected_version: found.map(|document| document.version),
            guard: None,
            scope: None,
            embeds: Vec::new(),
        };
        match self.store.commit(vec![write]).await {
            Ok(_) => Ok(true),
            // Another host was first.
            Err(CommitError::Refused(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
