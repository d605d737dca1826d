//! Figures over many documents.

use crate::{filter::Filter, query::Scope, value::Scalar};

/// Groups the matching documents and computes measures per group. Groups come in ascending order of their keys.
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
