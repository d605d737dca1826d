//! How a commit runs: one write after the other, each on the state that the earlier ones left.
//!
//! A backend lends a [`Transaction`] and takes care that it is atomic; the order of the checks, and so
//! which refusal a commit gets, is decided here for all of them.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{
    apply::{Applied, apply, version_of},
    document::Document,
    evaluate::values_at,
    schema::{Access, CollectionSchema},
    validate::{DOCUMENT_BSON_BYTES, DOCUMENT_BYTES, bson_bytes, check_stored},
    value::Scalar,
    write::{Commit, CommitRefused, Refusal, Write},
};

/// Most writes of one commit. A longer one would hold up every other writer.
///
/// Enough for a parcel of 500 SKUs: each has its level, a movement and an event.
pub const COMMIT_WRITES: usize = 2000;

/// What a commit needs of the place it runs in. Reads see the commit's own writes.
pub trait Transaction {
    /// A fault of the backend. It ends the commit, and the caller undoes it.
    type Error;

    fn schema(&self, collection: &str) -> Option<Arc<CollectionSchema>>;

    fn read(&mut self, collection: &str, id: &str) -> Result<Option<Map<String, Value>>, Self::Error>;

    /// The id of the document that holds a value in a unique field.
    fn holder(&mut self, collection: &str, path: &str, value: &Scalar)
    -> Result<Option<String>, Self::Error>;

    /// Stores a document; `old` is what [`Self::read`] gave.
    fn put(
        &mut self,
        collection: &str,
        old: Option<&Map<String, Value>>,
        new: &Map<String, Value>,
        document: &Document,
    ) -> Result<(), Self::Error>;

    fn delete(&mut self, collection: &str, id: &str, old: &Map<String, Value>) -> Result<(), Self::Error>;
}

/// Why a commit ended.
#[derive(Debug)]
pub enum CommitEnd<E> {
    Refused(CommitRefused),
    Failed(E),
}

/// Runs all writes. After an error the transaction has to be undone by the caller.
///
/// The result has the document that each write resulted in, nothing for deletes.
pub fn run<T: Transaction>(
    transaction: &mut T,
    commit: Commit,
) -> Result<Vec<Option<Document>>, CommitEnd<T::Error>> {
    let mut results = Vec::with_capacity(commit.writes.len());
    let mut bodies = Vec::with_capacity(commit.writes.len());
    for (position, write) in commit.writes.into_iter().enumerate() {
        let refused = |reason| CommitEnd::Refused(CommitRefused { write: position, reason });
        if position >= COMMIT_WRITES {
            return Err(refused(invalid(format!("a commit has at most {COMMIT_WRITES} writes"))));
        }
        match run_write(transaction, write, &bodies, &commit.now) {
            Ok((document, body)) => {
                results.push(document);
                bodies.push(body);
            }
            Err(WriteEnd::Refused(reason)) => return Err(refused(reason)),
            Err(WriteEnd::Failed(error)) => return Err(CommitEnd::Failed(error)),
        }
    }
    Ok(results)
}

/// Puts documents as another store held them, with their versions and times. After an error the transaction has to
/// be undone by the caller; a refusal names the document by its position.
///
/// Refused are an id and a unique value that another document holds, and what
/// [`check_stored`] refuses.
pub fn load<T: Transaction>(
    transaction: &mut T,
    collection: &str,
    documents: &[Document],
) -> Result<(), CommitEnd<T::Error>> {
    for (position, document) in documents.iter().enumerate() {
        load_one(transaction, collection, document).map_err(|end| match end {
            WriteEnd::Refused(reason) => CommitEnd::Refused(CommitRefused { write: position, reason }),
            WriteEnd::Failed(error) => CommitEnd::Failed(error),
        })?;
    }
    Ok(())
}

fn load_one<T: Transaction>(
    transaction: &mut T,
    collection: &str,
    document: &Document,
) -> Result<(), WriteEnd<T::Error>> {
    let schema = declared(transaction, collection)?;
    let (stored, body) = check_stored(&schema, &document.json).map_err(WriteEnd::Refused)?;
    if stored != *document {
        return Err(WriteEnd::Refused(invalid("the text is of another document".to_owned())));
    }
    if transaction.read(collection, &document.id).map_err(WriteEnd::Failed)?.is_some() {
        return Err(WriteEnd::Refused(Refusal::AlreadyExists));
    }
    check_unique(transaction, &schema, None, &body)?;
    transaction.put(collection, None, &body, document).map_err(WriteEnd::Failed)
}

fn declared<T: Transaction>(
    transaction: &T,
    collection: &str,
) -> Result<Arc<CollectionSchema>, WriteEnd<T::Error>> {
    transaction
        .schema(collection)
        .ok_or_else(|| WriteEnd::Refused(invalid(format!("collection `{collection}` is not declared"))))
}

enum WriteEnd<E> {
    Refused(Refusal),
    Failed(E),
}

type Written = (Option<Document>, Option<Map<String, Value>>);

fn run_write<T: Transaction>(
    transaction: &mut T,
    write: Write,
    earlier: &[Option<Map<String, Value>>],
    now: &str,
) -> Result<Written, WriteEnd<T::Error>> {
    let schema = declared(transaction, &write.collection)?;
    let (collection, id) = (&schema.name, write.id.clone());
    let old = transaction.read(collection, &id).map_err(WriteEnd::Failed)?;
    let applied = apply(&schema, write, old.as_ref(), earlier, now).map_err(WriteEnd::Refused)?;
    match (applied, old) {
        (Applied::Put(new), old) => {
            check_unique(transaction, &schema, old.as_ref(), &new)?;
            let document = document(&new).map_err(WriteEnd::Refused)?;
            transaction.put(collection, old.as_ref(), &new, &document).map_err(WriteEnd::Failed)?;
            Ok((Some(document), Some(new)))
        }
        (Applied::Deleted, Some(old)) => {
            transaction.delete(collection, &id, &old).map_err(WriteEnd::Failed)?;
            Ok((None, None))
        }
        (Applied::Unchanged, Some(old)) => {
            let document = document(&old).map_err(WriteEnd::Refused)?;
            Ok((Some(document), Some(old)))
        }
        (Applied::Deleted | Applied::Unchanged, None) => Err(WriteEnd::Refused(Refusal::NotFound)),
    }
}

fn check_unique<T: Transaction>(
    transaction: &mut T,
    schema: &CollectionSchema,
    old: Option<&Map<String, Value>>,
    new: &Map<String, Value>,
) -> Result<(), WriteEnd<T::Error>> {
    for field in schema.fields.iter().filter(|field| field.access == Access::Unique) {
        let held = old.map(|old| values_at(schema, old, &field.path)).unwrap_or_default();
        for value in values_at(schema, new, &field.path) {
            // What the document held before can be held by no other.
            if held.contains(&value) {
                continue;
            }
            let holder = transaction.holder(&schema.name, &field.path, &value).map_err(WriteEnd::Failed)?;
            if let Some(id) = holder {
                let path = field.path.clone();
                return Err(WriteEnd::Refused(Refusal::Unique { path, value, id }));
            }
        }
    }
    Ok(())
}

fn document(body: &Map<String, Value>) -> Result<Document, Refusal> {
    let id = body.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let json = serde_json::to_string(body).map_err(|error| invalid(error.to_string()))?;
    if json.len() > DOCUMENT_BYTES {
        return Err(invalid(format!("the document is larger than {DOCUMENT_BYTES} bytes")));
    }
    if bson_bytes(body) > DOCUMENT_BSON_BYTES {
        return Err(invalid(format!("the document is larger than {DOCUMENT_BSON_BYTES} bytes as BSON")));
    }
    Ok(Document { id, version: version_of(body), json })
}

fn invalid(message: String) -> Refusal {
    Refusal::Invalid { path: String::new(), message }
}
