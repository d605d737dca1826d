//! Faults of the server and of the way to it, and what they mean for a commit.

use mongodb::error::{
    Error as DriverError, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT,
    WriteFailure,
};

use crate::store::error::Unavailable;

/// Another transaction was faster.
const WRITE_CONFLICT: i32 = 112;
/// The snapshot is older than the collection or its indexes.
const SNAPSHOT_UNAVAILABLE: i32 = 246;
/// A lock was not free within the few milliseconds that a transaction waits for one.
const LOCK_TIMEOUT: i32 = 24;
/// The server has ended the transaction.
const NO_SUCH_TRANSACTION: i32 = 251;
/// The transaction is too old for the snapshots that are kept.
const SNAPSHOT_TOO_OLD: i32 = 239;
const DUPLICATE_KEY: i32 = 11000;
const DOCUMENT_VALIDATION_FAILURE: i32 = 121;

/// Something went wrong that is nobody's mistake, or that only looks like one until it was tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the MongoDB server or the way to it fails")]
    Driver(#[from] DriverError),
    #[error("what the database holds is no BSON that fits")]
    Bson(#[from] mongodb::bson::error::Error),
    #[error("a stored document is not valid JSON")]
    Json(#[from] serde_json::Error),
    #[error("the MongoDB server does not answer in time")]
    Late,
    /// The commit may be durable or not.
    #[error("nobody can tell how the commit ended")]
    Unknown(#[source] Option<DriverError>),
    #[error("a document was changed meanwhile")]
    Conflict,
    /// A unique index refuses.
    #[error("a unique index holds the value already")]
    Duplicate,
    /// The collection was declared differently by another host.
    #[error("the collection is declared differently by now")]
    Redeclared,
    #[error("the MongoDB server refuses a write: {0}")]
    Refused(String),
}

/// What to do about a fault in a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The server works, and another transaction was in the way: try again.
    Again,
    /// Look closer: some unique value is taken.
    Careful,
    /// Read the declarations again.
    Reload,
    /// The server is away or changing its role: try again as long as there is patience.
    Wait,
    /// Trying again would not help.
    GiveUp,
}

impl Fault {
    /// The fault that one entry of `writeErrors` tells of.
    pub(super) fn of_write(code: i32, message: &str) -> Self {
        match code {
            DUPLICATE_KEY => Self::Duplicate,
            DOCUMENT_VALIDATION_FAILURE => Self::Redeclared,
            WRITE_CONFLICT => Self::Conflict,
            _ => Self::Refused(format!("{message} ({code})")),
        }
    }

    pub(super) fn remedy(&self) -> Remedy {
        match self {
            Self::Conflict => Remedy::Again,
            Self::Duplicate => Remedy::Careful,
            Self::Redeclared => Remedy::Reload,
            Self::Late | Self::Unknown(_) => Remedy::Wait,
            Self::Bson(_) | Self::Json(_) | Self::Refused(_) => Remedy::GiveUp,
            Self::Driver(error) => match code(error) {
                Some(DUPLICATE_KEY) => Remedy::Careful,
                Some(DOCUMENT_VALIDATION_FAILURE) => Remedy::Reload,
                Some(
                    WRITE_CONFLICT | SNAPSHOT_UNAVAILABLE | SNAPSHOT_TOO_OLD | LOCK_TIMEOUT
                    | NO_SUCH_TRANSACTION,
                ) => Remedy::Again,
                _ if error.contains_label(TRANSIENT_TRANSACTION_ERROR) || is_away(error) => Remedy::Wait,
                _ => Remedy::GiveUp,
            },
        }
    }

    /// Whether a unique index found two documents with the same value.
    pub(super) fn is_duplicate(&self) -> bool {
        self.remedy() == Remedy::Careful
    }

    /// Whether a read of one moment came too early after a declaration.
    pub(super) fn is_early(&self) -> bool {
        matches!(self, Self::Driver(error) if code(error) == Some(SNAPSHOT_UNAVAILABLE))
    }
}

/// Whether nobody can tell how the commit ended.
pub(super) fn is_unknown(error: &DriverError) -> bool {
    error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT)
}

/// The code of a command or a write that the server refused.
pub(super) fn code(error: &DriverError) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        _ => None,
    }
}

/// Whether no server answered.
pub(super) fn is_away(error: &DriverError) -> bool {
    matches!(
        error.kind.as_ref(),
        ErrorKind::Io(_)
            | ErrorKind::ServerSelection { .. }
            | ErrorKind::ConnectionPoolCleared { .. }
            | ErrorKind::DnsResolve { .. }
    )
}

impl From<Fault> for Unavailable {
    fn from(fault: Fault) -> Self {
        Self::Failed(Box::new(fault))
    }
}
