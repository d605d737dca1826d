//! Scalars: the values that filters compare, sorts order and indexes hold.

use serde::{Deserialize, Serialize};

/// A typed scalar. Comparisons happen only within one declared field kind, so the order between kinds
/// never shows; it exists so that scalars can be keys of ordered maps. `Null` sorts first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// Null or missing: the store does not tell them apart.
    Null,
    Boolean(bool),
    /// 64-bit signed.
    Integer(i64),
    /// UTF-8, ordered by its bytes. Timestamps are texts in RFC 3339, UTC, with milliseconds.
    Text(String),
}
