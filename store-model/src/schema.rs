//! What a plugin declares about a collection.

use serde::{Deserialize, Serialize};

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

/// Why a declaration was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("collection `{collection}`: {message}")]
pub struct SchemaError {
    pub collection: String,
    pub message: String,
}
