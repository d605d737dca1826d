//! Faults of the database, and what they mean to a caller.

use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::store::error::Unavailable;

/// Something went wrong that is nobody's mistake.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the database reports an error")]
    Sql(#[from] rusqlite::Error),
    #[error("a stored document is not valid JSON")]
    Json(#[from] serde_json::Error),
    #[error("a worker of the store stopped")]
    Stopped,
    /// One fault that ended several requests.
    #[error(transparent)]
    Shared(Arc<Fault>),
}

impl Fault {
    /// Whether the whole transaction is lost, and not only the statement.
    ///
    /// SQLite may undo the transaction on its own after these, and what a savepoint still covers is not
    /// worth finding out.
    pub(super) fn is_fatal(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::OutOfMemory
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::ReadOnly
                    | ErrorCode::CannotOpen
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::OperationInterrupted
            )
        )
    }

    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Sql(error) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
            Self::Shared(fault) => fault.is_full(),
            Self::Json(_) | Self::Stopped => false,
        }
    }

    pub(super) fn is_damage(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        let code = error.sqlite_error_code();
        matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    }
}

impl From<Fault> for Unavailable {
    fn from(fault: Fault) -> Self {
        if fault.is_full() { Self::Full(Box::new(fault)) } else { Self::Failed(Box::new(fault)) }
    }
}
