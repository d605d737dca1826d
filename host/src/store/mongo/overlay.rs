//! One commit in memory: what it reads was fetched before, what it writes is sent after.
//!
//! `store_model::commit::run` asks for one thing at a time, and each would be a way to the server and back.
//! So the documents that a commit names are fetched at once, and what is rarely asked is assumed: that an
//! inserted id is free and that nobody holds a unique value. The unique indexes tell when an assumption was
//! wrong. A refusal that rests on one is never given out; the commit runs again with everything looked up.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::{Map, Value};
use store_model::{
    Access, CollectionSchema, Commit, Document, Operation, Scalar, apply::version_of, commit::Transaction,
    evaluate::values_at,
};

use super::{fault::Fault, table::Tables};

/// Collection and id of a document.
pub(super) type Key = (String, String);
/// Collection, path and value of a unique field.
pub(super) type Claim = (String, String, Scalar);

/// A document, and the revision of its record.
pub(super) type Stored = (Map<String, Value>, i32);

/// What was fetched for a commit, all of one moment.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The documents by their keys; nothing for those that do not exist.
    pub(super) documents: HashMap<Key, Option<Stored>>,
    /// Who holds a unique value.
    pub(super) holders: HashMap<Claim, Option<String>>,
}

/// A change to send to the server.
#[derive(Debug)]
pub(super) enum Change {
    Insert {
        key: Key,
        document: Map<String, Value>,
    },
    Replace {
        key: Key,
        version: u64,
        document: Map<String, Value>,
    },
    Delete {
        key: Key,
        version: u64,
    },
    /// Nothing changes, and yet no other commit may change it at the same time.
    Touch {
        key: Key,
        version: u64,
    },
}

pub(super) struct Overlay<'a> {
    tables: &'a Tables,
    known: &'a Known,
    written: HashMap<Key, Option<Map<String, Value>>>,
    claims: HashMap<Claim, String>,
    pub(super) changes: Vec<Change>,
    /// What was assumed and could be looked up.
    pub(super) assumed: Assumed,
}

#[derive(Debug, Default)]
pub(super) struct Assumed {
    pub(super) free: HashSet<Key>,
    pub(super) unheld: HashSet<Claim>,
}

impl Assumed {
    pub(super) fn is_empty(&self) -> bool {
        self.free.is_empty() && self.unheld.is_empty()
    }
}

impl<'a> Overlay<'a> {
    pub(super) fn new(tables: &'a Tables, known: &'a Known) -> Self {
        Self {
            tables,
            known,
            written: HashMap::new(),
            claims: HashMap::new(),
            changes: Vec::new(),
            assumed: Assumed::default(),
        }
    }

    /// Adds the touches of what the commit checks and does not change.
    pub(super) fn touch(&mut self, commit: &Commit) {
        let mut touched = HashSet::new();
        for write in commit.writes.iter().filter(|write| write.operation == Operation::Check) {
            let key = (write.collection.clone(), write.id.clone());
            if self.written.contains_key(&key) || !touched.insert(key.clone()) {
                continue;
            }
            if let Some(Some((document, _))) = self.known.documents.get(&key) {
                self.changes.push(Change::Touch { key, version: version_of(document) });
            }
        }
    }

    fn claim(&mut self, collection: &str, document: &Map<String, Value>, id: Option<&str>) {
        let Some(table) = self.tables.get(collection) else { return };
        for field in table.schema.fields.iter().filter(|field| field.access == Access::Unique) {
            for value in values_at(&table.schema, document, &field.path) {
                let claim = (collection.to_owned(), field.path.clone(), value);
                match id {
                    Some(id) => self.claims.insert(claim, id.to_owned()),
                    None => self.claims.remove(&claim),
                };
            }
        }
    }
}

impl Transaction for Overlay<'_> {
    type Error = Fault;

    fn schema(&self, collection: &str) -> Option<Arc<CollectionSchema>> {
        self.tables.get(collection).map(|table| table.schema.clone())
    }

    fn read(&mut self, collection: &str, id: &str) -> Result<Option<Map<String, Value>>, Fault> {
        let key = (collection.to_owned(), id.to_owned());
        if let Some(document) = self.written.get(&key) {
            return Ok(document.clone());
        }
        match self.known.documents.get(&key) {
            Some(document) => Ok(document.as_ref().map(|(document, _)| document.clone())),
            None => {
                self.assumed.free.insert(key);
                Ok(None)
            }
        }
    }

    fn holder(&mut self, collection: &str, path: &str, value: &Scalar) -> Result<Option<String>, Fault> {
        let claim = (collection.to_owned(), path.to_owned(), value.clone());
        if let Some(id) = self.claims.get(&claim) {
            return Ok(Some(id.clone()));
        }
        match self.known.holders.get(&claim) {
            // What the commit has written holds what `claims` says and nothing else.
            Some(Some(id)) if !self.written.contains_key(&(collection.to_owned(), id.clone())) => {
                Ok(Some(id.clone()))
            }
            Some(_) => Ok(None),
            None => {
                self.assumed.unheld.insert(claim);
                Ok(None)
            }
        }
    }

    fn put(
        &mut self,
        collection: &str,
        old: Option<&Map<String, Value>>,
        new: &Map<String, Value>,
        document: &Document,
    ) -> Result<(), Fault> {
        if let Some(old) = old {
            self.claim(collection, old, None);
        }
        self.claim(collection, new, Some(&document.id));
        let key = (collection.to_owned(), document.id.clone());
        self.written.insert(key.clone(), Some(new.clone()));
        let document = new.clone();
        self.changes.push(match old {
            Some(old) => Change::Replace { key, version: version_of(old), document },
            None => Change::Insert { key, document },
        });
        Ok(())
    }

    fn delete(&mut self, collection: &str, id: &str, old: &Map<String, Value>) -> Result<(), Fault> {
        self.claim(collection, old, None);
        let key = (collection.to_owned(), id.to_owned());
        self.written.insert(key.clone(), None);
        self.changes.push(Change::Delete { key, version: version_of(old) });
        Ok(())
    }
}

impl Change {
    pub(super) fn collection(&self) -> &str {
        match self {
            Self::Insert { key, .. }
            | Self::Replace { key, .. }
            | Self::Delete { key, .. }
            | Self::Touch { key, .. } => &key.0,
        }
    }
}
