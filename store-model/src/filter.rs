//! The filter tree.

use crate::value::Scalar;

/// A condition on a document.
///
/// Laws, alike on every backend:
/// - A missing member equals null. `Eq(path, Null)` matches both; `Ne(path, x)` is the negation of `Eq`.
/// - Range operators, `Prefix` and `Contains` never match null, and their operand cannot be null.
/// - On a multi field a comparison holds when any element satisfies it; `Ne` and `Nin` when no element equals.
///   `Eq(path, Null)` holds when there is no non-null element.
/// - `Exists(path, true)` holds when there is a non-null value.
/// - `Prefix` and `Contains` are case-sensitive and compare UTF-8 text.
/// - `And([])` is true, `Or([])` is false. `In` without values is false, `Nin` without values is true.
/// - `Not` negates exactly: what does not match its operand, nulls included, matches it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Filter {
    Eq(String, Scalar),
    Ne(String, Scalar),
    In(String, Vec<Scalar>),
    Nin(String, Vec<Scalar>),
    Gt(String, Scalar),
    Gte(String, Scalar),
    Lt(String, Scalar),
    Lte(String, Scalar),
    Prefix(String, String),
    Contains(String, String),
    Exists(String, bool),
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
}

/// Deepest nesting of a filter tree.
pub const FILTER_DEPTH: usize = 8;
/// Most nodes in a filter tree.
pub const FILTER_NODES: usize = 200;
/// Most values in one `In` or `Nin`.
pub const FILTER_VALUES: usize = 1000;

impl Filter {
    /// The filter that every document matches.
    pub fn all() -> Self {
        Self::And(Vec::new())
    }

    pub fn eq(path: &str, value: impl Into<Scalar>) -> Self {
        Self::Eq(path.to_owned(), value.into())
    }

    /// What a condition is about; nothing for one that is made of others.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Eq(path, _)
            | Self::Ne(path, _)
            | Self::In(path, _)
            | Self::Nin(path, _)
            | Self::Gt(path, _)
            | Self::Gte(path, _)
            | Self::Lt(path, _)
            | Self::Lte(path, _)
            | Self::Prefix(path, _)
            | Self::Contains(path, _)
            | Self::Exists(path, _) => Some(path),
            Self::And(_) | Self::Or(_) | Self::Not(_) => None,
        }
    }
}
