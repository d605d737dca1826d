//! Values, documents and errors, between the store and the guest.

use serde_json::{Map, Value};
use store_model::{Document, QueryError, Refusal, Scalar};

use crate::{
    chain::chain,
    plugin::bindings::wares::store::{query, store},
    store::{CommitError, ReadError},
};

pub(super) fn to_guest(document: Document) -> store::Document {
    store::Document { id: document.id, version: document.version, body: document.json.into_bytes() }
}

pub(super) fn scalar(value: query::Scalar) -> Scalar {
    match value {
        query::Scalar::Null => Scalar::Null,
        query::Scalar::Boolean(value) => Scalar::Boolean(value),
        query::Scalar::Integer(value) => Scalar::Integer(value),
        query::Scalar::Text(value) => Scalar::Text(value),
    }
}

pub(super) fn scalar_to_guest(value: Scalar) -> query::Scalar {
    match value {
        Scalar::Null => query::Scalar::Null,
        Scalar::Boolean(value) => query::Scalar::Boolean(value),
        Scalar::Integer(value) => query::Scalar::Integer(value),
        Scalar::Text(value) => query::Scalar::Text(value),
    }
}

pub(super) fn to_json(bytes: &[u8]) -> Result<Value, store::Error> {
    serde_json::from_slice(bytes).map_err(|error| invalid("", format!("not JSON: {error}")))
}

pub(super) fn to_object(bytes: &[u8]) -> Result<Map<String, Value>, store::Error> {
    serde_json::from_slice(bytes).map_err(|error| invalid("", format!("not a JSON object: {error}")))
}

pub(super) fn invalid(path: impl Into<String>, message: impl Into<String>) -> store::Error {
    store::Error::Invalid(store::Invalid { path: path.into(), message: message.into() })
}

pub(super) fn read_error(error: ReadError) -> store::Error {
    match error {
        ReadError::Query(QueryError::CursorMismatch) => store::Error::CursorMismatch,
        ReadError::Query(error) => invalid("", error.to_string()),
        ReadError::Unavailable(_) => {
            tracing::warn!(cause = %chain(&error), "The store did not answer a read");
            store::Error::Unavailable("the store cannot answer now".to_owned())
        }
    }
}

pub(super) fn commit_error(error: CommitError) -> store::Error {
    match error {
        CommitError::Refused(refused) => store::Error::Refused(store::Refused {
            write: u32::try_from(refused.write).unwrap_or(u32::MAX),
            reason: match refused.reason {
                Refusal::NotFound => store::Refusal::NotFound,
                Refusal::AlreadyExists => store::Refusal::AlreadyExists,
                Refusal::Version { expected, current } => {
                    store::Refusal::Version(store::VersionMismatch { expected, current })
                }
                Refusal::Guard => store::Refusal::Guard,
                Refusal::Unique { path, value, id } => {
                    store::Refusal::Unique(store::Taken { path, value: scalar_to_guest(value), id })
                }
                Refusal::Invalid { path, message } => {
                    store::Refusal::Invalid(store::Invalid { path, message })
                }
            },
        }),
        CommitError::Unavailable(_) => {
            tracing::warn!(cause = %chain(&error), "The store did not take a commit");
            store::Error::Unavailable("the store cannot answer now".to_owned())
        }
    }
}
