//! Why the store says no. Variants are what a caller can act on.

use std::{error::Error, io, path::PathBuf};

use store_model::{CommitRefused, DeclareRefused, QueryError, SchemaError};

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the data directory `{}` is in use by another server", .directory.display())]
    InUse { directory: PathBuf },
    #[error(
        "the database `{}` is damaged ({reason}): restore the last backup, or move the file away and try \
         `sqlite3 {} .recover`", .file.display(), .file.display()
    )]
    Damaged { file: PathBuf, reason: String },
    #[error("`{}` is not a Wares database: point the data directory elsewhere or move the file away", .file.display())]
    Foreign { file: PathBuf },
    #[error(
        "the database `{}` has format {found} and this server knows up to {known}: run a newer server",
        .file.display()
    )]
    Format { file: PathBuf, found: i64, known: i64 },
    #[error(
        "the store {place} is incomplete: filling it from {from} was interrupted; run that `wares db restore` or \
         `wares db migrate` again, which begins anew"
    )]
    Incomplete { place: String, from: String },
    #[error("the store {place} cannot be read")]
    Unreadable {
        place: String,
        #[source]
        source: ReadError,
    },
    #[error("the data directory `{}` cannot be used", .directory.display())]
    Directory {
        directory: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the database `{}` cannot be opened", .file.display())]
    Unavailable {
        file: PathBuf,
        #[source]
        source: Unavailable,
    },
    #[error("the address of the MongoDB server is wrong: {reason}")]
    Address { reason: String },
    #[error("the MongoDB server at {hosts} cannot be reached")]
    Unreachable {
        hosts: String,
        #[source]
        source: Unavailable,
    },
    #[error(
        "the MongoDB server at {hosts} belongs to no replica set, and only a replica set has transactions: start it \
         with `mongod --replSet rs0` and its other arguments, then run `mongosh --eval 'rs.initiate()'` once"
    )]
    Standalone { hosts: String },
    #[error("the MongoDB server at {hosts} is too old: run 5.0 or newer")]
    TooOld { hosts: String },
}

/// Why a read gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the query is refused")]
    Query(#[source] QueryError),
    #[error("the store cannot read")]
    Unavailable(#[source] Unavailable),
}

/// Why a commit was not applied: nothing of it was.
///
/// With `Unavailable` after a fault of the disk or a crash of the writer it is not certain whether the
/// commit is durable; only an answer is a promise.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    #[error("the commit is refused")]
    Refused(#[source] CommitRefused),
    #[error("the store cannot commit")]
    Unavailable(#[source] Unavailable),
}

impl CommitError {
    /// The same error once more, for a second one who waits; causes become text.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Refused(refused) => Self::Refused(refused.clone()),
            Self::Unavailable(Unavailable::Overloaded) => Self::Unavailable(Unavailable::Overloaded),
            Self::Unavailable(Unavailable::Closed) => Self::Unavailable(Unavailable::Closed),
            Self::Unavailable(Unavailable::Full(cause)) => {
                Self::Unavailable(Unavailable::Full(cause.to_string().into()))
            }
            Self::Unavailable(Unavailable::Failed(cause)) => {
                Self::Unavailable(Unavailable::Failed(cause.to_string().into()))
            }
        }
    }
}

/// Why collections were not declared: nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum DeclareError {
    #[error("the declaration is refused")]
    Refused(#[source] DeclareRefused),
    #[error("the store cannot declare collections")]
    Unavailable(#[source] Unavailable),
}

impl DeclareError {
    pub(super) fn schema(error: SchemaError) -> Self {
        Self::Refused(DeclareRefused::Schema(error))
    }
}

/// Why the backend does not answer. The request may be tried again later.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    #[error("too many commits are waiting")]
    Overloaded,
    #[error("the store is closed")]
    Closed,
    #[error("the disk is full")]
    Full(#[source] Box<dyn Error + Send + Sync>),
    #[error("the backend failed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl From<Unavailable> for ReadError {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

impl From<QueryError> for ReadError {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}
