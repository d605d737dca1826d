//! Writing: one commit, all or nothing.

use serde_json::{Map, Value};

use crate::{filter::Filter, query::Scope, value::Scalar};

/// An atomic set of writes. Writes apply in order, each to the state the earlier ones left.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    pub writes: Vec<Write>,
    /// The time of the commit, RFC 3339 UTC with milliseconds: becomes `createdAt` and `updatedAt`.
    pub now: String,
}

/// One change of one document.
///
/// Checked in this order, alike on every backend: existence (others' documents do not exist), version,
/// guard, the result's kinds, the result's owner, uniqueness. An insert has neither version nor guard, and
/// what it inserts must belong to the owner of the scope.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    pub collection: String,
    pub id: String,
    pub operation: Operation,
    /// The version the document must have.
    pub expected_version: Option<u64>,
    /// A condition the document must meet before the write.
    pub guard: Option<Filter>,
    /// Restricts the write to the documents of one owner: others' look missing.
    pub scope: Option<Scope>,
    /// Members to fill from the results of earlier writes of the commit (`Insert` and `Replace` only).
    pub embeds: Vec<Embed>,
}

impl Write {
    /// A write without conditions.
    pub fn new(collection: impl Into<String>, id: impl Into<String>, operation: Operation) -> Self {
        Self {
            collection: collection.into(),
            id: id.into(),
            operation,
            expected_version: None,
            guard: None,
            scope: None,
            embeds: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Refused with [`Refusal::AlreadyExists`] when the id is taken.
    Insert(Map<String, Value>),
    /// Replaces every member but those the host keeps.
    Replace(Map<String, Value>),
    Update(Vec<FieldOperation>),
    Delete,
    /// Changes nothing, but the document must exist and meet version and guard, and no concurrent commit
    /// may change it before this one ends.
    Check,
}

/// Changes one member. Paths are dotted and go through objects only; missing objects on the way are made.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldOperation {
    Set {
        path: String,
        value: Value,
    },
    Unset {
        path: String,
    },
    /// A missing or null member counts as 0; overflow and non-integers are refused as invalid.
    Increment {
        path: String,
        by: i64,
    },
    /// Appends to an array; a missing or null member counts as empty.
    Append {
        path: String,
        value: Value,
    },
    /// Removes all elements equal to the value from an array; a missing one stays missing.
    Remove {
        path: String,
        value: Value,
    },
}

impl FieldOperation {
    pub fn set(path: impl Into<String>, value: Value) -> Self {
        Self::Set { path: path.into(), value }
    }

    pub fn increment(path: impl Into<String>, by: i64) -> Self {
        Self::Increment { path: path.into(), by }
    }
}

/// Puts the document that write number `write` resulted in at the top-level member `member`.
#[derive(Debug, Clone, PartialEq)]
pub struct Embed {
    pub member: String,
    pub write: usize,
    /// Top-level members that replace the document's own in the embedded copy.
    pub overlay: Map<String, Value>,
}

/// Why a commit was not applied: nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write {write} refused: {reason}")]
pub struct CommitRefused {
    /// Position in [`Commit::writes`].
    pub write: usize,
    pub reason: Refusal,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the document does not exist")]
    NotFound,
    #[error("a document with this id exists")]
    AlreadyExists,
    #[error("the document has version {current}, not {expected}")]
    Version { expected: u64, current: u64 },
    #[error("the document does not meet the guard")]
    Guard,
    /// `id` names the other document, or this one when the value occurs twice in it.
    #[error("`{path}` must be unique and `{value:?}` is taken")]
    Unique { path: String, value: Scalar, id: String },
    /// A field of the wrong kind, a bad map key, an operation that does not fit the member it names.
    #[error("`{path}`: {message}")]
    Invalid { path: String, message: String },
}
