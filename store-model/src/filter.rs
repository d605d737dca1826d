//! The filter tree.

use std::iter;

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

/// The pattern of a condition that is not made of others, whatever it says of its path.
macro_rules! condition {
    ($path:ident) => {
        Self::Eq($path, _)
            | Self::Ne($path, _)
            | Self::In($path, _)
            | Self::Nin($path, _)
            | Self::Gt($path, _)
            | Self::Gte($path, _)
            | Self::Lt($path, _)
            | Self::Lte($path, _)
            | Self::Prefix($path, _)
            | Self::Contains($path, _)
            | Self::Exists($path, _)
    };
}

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
            condition!(path) => Some(path),
            Self::And(_) | Self::Or(_) | Self::Not(_) => None,
        }
    }

    /// What each condition in it is about, from left to right.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let mut waiting = vec![self];
        iter::from_fn(move || {
            loop {
                match waiting.pop()? {
                    condition!(path) => return Some(path.as_str()),
                    Self::And(filters) | Self::Or(filters) => waiting.extend(filters.iter().rev()),
                    Self::Not(filter) => waiting.push(filter),
                }
            }
        })
    }

    /// As [`paths`](Self::paths), for making the conditions be about something else.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let mut waiting = vec![self];
        iter::from_fn(move || {
            loop {
                match waiting.pop()? {
                    condition!(path) => return Some(path),
                    Self::And(filters) | Self::Or(filters) => waiting.extend(filters.iter_mut().rev()),
                    Self::Not(filter) => waiting.push(filter),
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_given_and_can_be_changed() {
        let (path, text) = (|name: &str| name.to_owned(), || "text".to_owned());
        let mut filter = Filter::And(vec![
            Filter::eq("a", 1),
            Filter::Ne(path("b"), 1.into()),
            Filter::In(path("c"), Vec::new()),
            Filter::Nin(path("d"), Vec::new()),
            Filter::Or(vec![
                Filter::Gt(path("e"), 1.into()),
                Filter::Gte(path("f"), 1.into()),
                Filter::Lt(path("g"), 1.into()),
                Filter::Lte(path("h"), 1.into()),
            ]),
            Filter::Not(Box::new(Filter::And(vec![
                Filter::Prefix(path("i"), text()),
                Filter::Contains(path("j"), text()),
            ]))),
            Filter::Exists(path("k"), true),
        ]);
        assert_eq!(filter.paths().collect::<String>(), "abcdefghijk");
        filter.paths_mut().for_each(|path| path.push('2'));
        assert_eq!(filter.paths().collect::<String>(), "a2b2c2d2e2f2g2h2i2j2k2");
        assert_eq!(Filter::all().paths().count(), 0);
    }
}
