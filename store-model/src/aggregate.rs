//! Figures over many documents.

mod fold;

pub use fold::Fold;

use crate::{filter::Filter, query::Scope, value::Scalar};

/// Groups the matching documents and computes measures per group. Groups come in ascending order of their keys.
///
/// Laws, alike on every backend:
/// - Without group keys there is exactly one row, even when nothing matches.
/// - A document whose unwound path is no array contributes nothing.
/// - Keys and measures name declared single fields, or anything below the unwound path. There, what is no
///   scalar (a float, an object, an array) is null as a key and ignored by a measure; so is a non-integer
///   by `Sum`.
/// - A `Sum` that leaves the 64-bit range stays at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    pub filter: Filter,
    /// One array path to unwind first: every element counts once, and keys and measures may name its members.
    pub unwind: Option<String>,
    pub group: Vec<GroupKey>,
    pub measures: Vec<Measure>,
    pub scope: Option<Scope>,
    /// Most groups to return, 1 to 1 000.
    pub limit: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupKey {
    /// The scalar at a path.
    Field(String),
    /// The day (`2026-11-23`) of a timestamp, shifted by an offset from UTC in minutes.
    Day { path: String, offset_minutes: i32 },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    Count,
    Sum(String),
    Min(String),
    Max(String),
}

/// One group. `measures` are in the order of the request; `Sum` of nothing is 0, `Min` and `Max` of nothing null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregateRow {
    pub key: Vec<Scalar>,
    pub measures: Vec<Scalar>,
}

impl Aggregate {
    /// The rest of a path below the unwound one; empty for the element itself.
    pub(crate) fn below<'a>(unwind: &str, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(unwind)?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('.') }
    }
}
