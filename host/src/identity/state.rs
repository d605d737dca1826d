//! One document that everything locks which changes who may do what.
//!
//! Its version is a stamp: while it stays the same, the roles are those that were read under it. And two changes that
//! are each allowed only because of what the other takes away, such as removing the last two superadmins at once, meet
//! on it.

use store_model::{CollectionSchema, CommitRefused, Document, FieldOperation, Operation, Refusal, Write};

use crate::store::{CommitError, ReadError, Store};

pub(super) const COLLECTION: &str = "_identity";
pub(super) const ID: &str = "idy_state";

pub(super) fn schema() -> CollectionSchema {
    CollectionSchema::host("identity", "idy")
}

/// Makes the document where there is none.
pub(super) async fn ensure(store: &Store) -> Result<(), CommitError> {
    let insert = Write::new(COLLECTION, ID, Operation::Insert(serde_json::Map::new()));
    match store.commit(vec![insert]).await {
        Ok(_) | Err(CommitError::Refused(CommitRefused { reason: Refusal::AlreadyExists, .. })) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Where the document is, for a read of several.
pub(super) fn place() -> (&'static str, String) {
    (COLLECTION, ID.to_owned())
}

pub(super) fn stamp(document: Option<&Document>) -> u64 {
    document.map_or(0, |document| document.version)
}

/// The current stamp. A rule over a set of documents reads it first, then the set, then commits [`changed`] with it.
pub(super) async fn read(store: &Store) -> Result<u64, ReadError> {
    let found = store.document_get_each(&[place()]).await?;
    Ok(stamp(found.into_iter().next().flatten().as_ref()))
}

/// The write that renews the stamp. With `expected`, only if nothing was changed since that stamp was read.
pub(super) fn changed(expected: Option<u64>) -> Write {
    let operation = FieldOperation::Increment { path: "changes".to_owned(), by: 1 };
    let mut write = Write::new(COLLECTION, ID, Operation::Update(vec![operation]));
    write.expected_version = expected;
    write
}
