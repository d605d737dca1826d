//! What can go wrong, for the client and for the plugin.

use serde_json::{Map, Value};
use store_model::{Refusal, Scalar};

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer into the body, such as `/variants/0/sku`, or a parameter's name.
    pub pointer: String,
    /// A code of the closed list in the API contract, such as `validation_failed`.
    pub code: String,
    /// A sentence for the developer who reads it.
    pub message: String,
}

impl FieldError {
    pub fn new(pointer: impl Into<String>, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code: code.into(), message: message.into() }
    }

    /// A `validation_failed` at `pointer`.
    pub fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(pointer, "validation_failed", message)
    }
}

/// A refusal that the client can act on; becomes an RFC 9457 problem document. The route must declare the code.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub status: u16,
    pub code: String,
    pub detail: Option<String>,
    pub errors: Vec<FieldError>,
    /// The code's typed extras. Boxed, because every handler's result has the size of a problem.
    pub extras: Box<Map<String, Value>>,
}

impl Problem {
    pub fn new(status: u16, code: impl Into<String>) -> Self {
        Self { status, code: code.into(), detail: None, errors: Vec::new(), extras: Box::default() }
    }

    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub fn extra(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extras.insert(name.into(), value.into());
        self
    }

    /// 404: there is no such thing, or it is not the caller's.
    pub fn not_found() -> Self {
        Self::new(404, "not_found").detail("There is no such resource.")
    }

    /// 422 with at least one field error.
    pub fn validation(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::new(422, "validation_failed").detail("The request has invalid members.");
        problem.errors = errors;
        problem
    }

    /// 400: a query parameter has a value that its schema could not rule out.
    pub fn invalid_parameter(name: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let mut problem = Self::new(400, "invalid_parameter").detail(message.clone());
        problem.errors.push(FieldError::new(name, "invalid_parameter", message));
        problem
    }

    /// 409: the resource is in the way of somebody else; worth a retry.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(409, "conflict").detail(detail)
    }

    /// 409: the value at `pointer` is taken.
    pub fn already_exists(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        let message = message.into();
        let mut problem = Self::new(409, "already_exists").detail(message.clone());
        problem.errors.push(FieldError::new(pointer, "already_exists", message));
        problem
    }

    /// 412: the resource has changed since the client read it.
    pub fn version_conflict(expected: u64, current: u64) -> Self {
        Self::new(412, "version_conflict")
            .detail("The resource has changed since it was read.")
            .extra("expected", expected)
            .extra("current", current)
    }
}

/// Why the store did not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// The plugin has no right to this collection: a matter for `config/plugins.toml`.
    Denied(String),
    /// The request makes no sense: an undeclared field, a wrong type, too much of something.
    Invalid { path: String, message: String },
    /// The cursor belongs to another query.
    CursorMismatch,
    /// Write number `write` was refused; nothing of the commit was applied.
    Refused { write: usize, reason: Refusal },
    /// The store cannot answer now.
    Unavailable(String),
}

impl StoreError {
    /// Which write of a commit was refused and why; `None` for every other failure.
    pub fn refusal(&self) -> Option<(usize, &Refusal)> {
        match self {
            Self::Refused { write, reason } => Some((*write, reason)),
            _ => None,
        }
    }

    /// Whether a commit was refused because a value of the unique field `path` is taken.
    pub fn is_taken(&self, path: &str) -> bool {
        matches!(self.refusal(), Some((_, Refusal::Unique { path: at, .. })) if at == path)
    }
}

impl From<StoreError> for Problem {
    /// The answer for failures that a handler does not treat itself.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Denied(what) => Problem::new(502, "plugin_failed").detail(what),
            StoreError::Invalid { path, message } => {
                Problem::validation(vec![FieldError::invalid(pointer_of(&path), message)])
            }
            StoreError::CursorMismatch => Problem::new(400, "cursor_mismatch")
                .detail("The cursor belongs to another filter, sort or search."),
            StoreError::Refused { reason, .. } => refusal_problem(reason),
            StoreError::Unavailable(_) => {
                Problem::new(503, "unavailable").detail("The store cannot answer right now.")
            }
        }
    }
}

fn refusal_problem(reason: Refusal) -> Problem {
    match reason {
        Refusal::NotFound => Problem::not_found(),
        Refusal::AlreadyExists => Problem::already_exists("/id", "A resource with this id exists."),
        Refusal::Version { expected, current } => Problem::version_conflict(expected, current),
        Refusal::Guard => Problem::conflict("The resource is not in the state this needs."),
        Refusal::Unique { path, value, .. } => {
            let value = match value {
                Scalar::Text(text) => text,
                other => format!("{other:?}"),
            };
            Problem::already_exists(pointer_of(&path), format!("`{value}` is already in use."))
        }
        Refusal::Invalid { path, message } => {
            Problem::validation(vec![FieldError::invalid(pointer_of(&path), message)])
        }
    }
}

/// A dotted path as a JSON pointer.
pub fn pointer_of(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("/{}", path.replace('.', "/")) }
}

/// A member's name as a segment of a JSON pointer: `~` and `/` are escaped.
pub fn escape(member: &str) -> String {
    member.replace('~', "~0").replace('/', "~1")
}
