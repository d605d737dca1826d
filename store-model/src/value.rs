//! Scalars: the values that filters compare, sorts order and indexes hold.

use serde::{Deserialize, Serialize};
use serde_json::Value;

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

impl Scalar {
    /// The scalar a JSON value is; `None` for floats, arrays and objects, which are never compared.
    pub fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self::Null),
            Value::Bool(flag) => Some(Self::Boolean(*flag)),
            Value::Number(number) => number.as_i64().map(Self::Integer),
            Value::String(text) => Some(Self::Text(text.clone())),
            Value::Array(_) | Value::Object(_) => None,
        }
    }

    pub fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Boolean(flag) => Value::Bool(*flag),
            Self::Integer(number) => Value::from(*number),
            Self::Text(text) => Value::String(text.clone()),
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Scalar {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Scalar {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Scalar {
    fn from(flag: bool) -> Self {
        Self::Boolean(flag)
    }
}
