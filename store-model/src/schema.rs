//! What a plugin declares about a collection.

mod check;
mod violations;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::is_timestamp;

pub use violations::Violations;

/// A collection: its name, who owns its documents, and which fields can be queried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CollectionSchema {
    /// Lower-case ASCII letters, digits and `_`, at most 40 characters.
    pub name: String,
    /// Prefix of generated ids without the underscore, such as `prod`.
    pub id_prefix: String,
    /// Path of the scalar text field that names the owning customer, when documents belong to someone.
    #[serde(default)]
    pub owner: Option<String>,
    /// Every field that a filter or a sort may name. `id`, `version`, `createdAt` and `updatedAt` are
    /// always declared: `id` and the two times as indexed, `version` as `scan`.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// Compound indexes, for speed. They change no answer.
    #[serde(default)]
    pub indexes: Vec<Index>,
    /// Fields searched by full text.
    #[serde(default)]
    pub text: Vec<TextField>,
}

/// A queryable field. Its scalar kind is checked at every commit: a document holds that kind, null, or
/// nothing there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Field {
    /// Dotted path. A `multi` path crosses exactly one array: `tags`, `variants.sku`. Where an element of that
    /// array is an object, the rest of the path is looked up in it.
    pub path: String,
    pub kind: FieldKind,
    /// Whether the path goes through an array. A multi field cannot be sorted by.
    #[serde(default)]
    pub multi: bool,
    pub access: Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldKind {
    Text,
    Integer,
    Boolean,
    /// Text in RFC 3339, UTC, with milliseconds (`2026-11-23T09:00:00.000Z`), which sorts as time.
    Timestamp,
}

/// How a field may be queried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Served by an index.
    Index,
    /// Served by an index, and no two documents (nor, for a multi field, two elements of one document)
    /// hold the same non-null value.
    Unique,
    /// Allowed without an index: the author accepts that the collection is scanned.
    Scan,
}

/// A compound index over single-valued declared fields, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Index {
    pub fields: Vec<String>,
}

/// A text field and its integer weight in the ranking (1 to 100). The path may cross arrays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TextField {
    pub path: String,
    pub weight: u32,
}

/// The members that the host keeps, in the order in which every document starts.
pub const HOST_MEMBERS: [&str; 4] = ["id", "version", "createdAt", "updatedAt"];

/// Whether a top-level member is for its plugin alone: it is stored and read, and left out where a document becomes an
/// answer, an event or a part of another document.
pub fn is_hidden(member: &str) -> bool {
    member.starts_with('_')
}

/// What is declared about one path: a [`Field`] without the path, so that implicit fields cost nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declared {
    pub kind: FieldKind,
    pub multi: bool,
    pub access: Access,
}

impl CollectionSchema {
    /// A collection without fields, to be filled in.
    pub fn new(name: &str, id_prefix: &str) -> Self {
        Self {
            name: name.to_owned(),
            id_prefix: id_prefix.to_owned(),
            owner: None,
            fields: Vec::new(),
            indexes: Vec::new(),
            text: Vec::new(),
        }
    }

    /// A collection of the host itself: its name gets the reserved first `_`.
    pub fn host(name: &str, id_prefix: &str) -> Self {
        Self::new(&format!("_{name}"), id_prefix)
    }

    /// What is declared about a path, by the author or implicitly. The owner field is always declared.
    pub fn field(&self, path: &str) -> Option<Declared> {
        let implicit = |kind, access| Some(Declared { kind, multi: false, access });
        match path {
            "id" => implicit(FieldKind::Text, Access::Unique),
            "version" => implicit(FieldKind::Integer, Access::Scan),
            "createdAt" | "updatedAt" => implicit(FieldKind::Timestamp, Access::Index),
            _ => match self.fields.iter().find(|field| field.path == path) {
                Some(field) => Some(field.declared()),
                None if self.owner.as_deref() == Some(path) => implicit(FieldKind::Text, Access::Index),
                None => None,
            },
        }
    }

    /// Every field whose values documents supply: the declared ones, and the owner field when it is not
    /// among them.
    pub fn supplied_fields(&self) -> Vec<Field> {
        let mut fields = self.fields.clone();
        if let Some(owner) = &self.owner
            && !fields.iter().any(|field| field.path == *owner)
        {
            fields.push(Field::text(owner, Access::Index));
        }
        fields
    }
}

impl Field {
    pub fn new(path: &str, kind: FieldKind, access: Access) -> Self {
        Self { path: path.to_owned(), kind, multi: false, access }
    }

    pub fn text(path: &str, access: Access) -> Self {
        Self::new(path, FieldKind::Text, access)
    }

    pub fn integer(path: &str, access: Access) -> Self {
        Self::new(path, FieldKind::Integer, access)
    }

    pub fn boolean(path: &str, access: Access) -> Self {
        Self::new(path, FieldKind::Boolean, access)
    }

    pub fn timestamp(path: &str, access: Access) -> Self {
        Self::new(path, FieldKind::Timestamp, access)
    }

    /// The same field, through an array.
    #[must_use]
    pub fn multi(mut self) -> Self {
        self.multi = true;
        self
    }

    pub fn declared(&self) -> Declared {
        Declared { kind: self.kind, multi: self.multi, access: self.access }
    }
}

impl FieldKind {
    /// Whether a non-null value is of this kind.
    pub fn accepts(self, value: &Value) -> bool {
        match (self, value) {
            // SQLite functions end a text at NUL, so a declared text holds none.
            (Self::Text, Value::String(text)) => !text.contains('\0'),
            (Self::Integer, Value::Number(number)) => number.as_i64().is_some(),
            (Self::Boolean, Value::Bool(_)) => true,
            (Self::Timestamp, Value::String(text)) => is_timestamp(text),
            _ => false,
        }
    }

    /// The kind in words, for messages.
    pub fn expectation(self) -> &'static str {
        match self {
            Self::Text => "a text without NUL",
            Self::Integer => "a 64-bit integer",
            Self::Boolean => "a boolean",
            Self::Timestamp => "a UTC timestamp such as 2026-11-23T09:00:00.000Z",
        }
    }
}

/// Why a declaration was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("collection `{collection}`: {message}")]
pub struct SchemaError {
    pub collection: String,
    pub message: String,
}

/// Why collections could not be declared: nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeclareRefused {
    #[error("the declaration is wrong")]
    Schema(#[from] SchemaError),
    /// Documents that are already stored do not fit. `documents` names the first of them.
    #[error("collection `{collection}`: stored documents do not fit at `{path}` ({message}): {}", .documents.join(", "))]
    Documents { collection: String, path: String, message: String, documents: Vec<String> },
}

/// How many documents a [`DeclareRefused::Documents`] names at most.
pub const NAMED_DOCUMENTS: usize = 10;
