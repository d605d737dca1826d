//! Reading: queries, pages and why a query is refused.

use crate::{document::Document, filter::Filter, value::Scalar};

/// A page of documents that match.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Query {
    pub filter: Filter,
    /// Full-text search: every word must occur, the last one as a prefix.
    pub text: Option<String>,
    /// Empty means by `id`, or by rank and then `id` when `text` is given. The id is always the last tiebreak, ascending.
    pub sort: Vec<SortKey>,
    /// 1 to [`LIMIT_MAX`].
    pub limit: u32,
    /// Continue after this position; only with the filter, text and sort it was made for.
    pub cursor: Option<String>,
    /// Skip this many, at most [`OFFSET_MAX`]; not together with `cursor`.
    pub offset: u32,
    /// Top-level members to return besides `id` and `version`; empty means all.
    pub fields: Vec<String>,
    /// Whether to count all matches.
    pub count: bool,
    /// Restricts the read to the documents of one owner.
    pub scope: Option<Scope>,
}

/// Most documents of one page.
pub const LIMIT_MAX: u32 = 1000;
/// Furthest offset: skipping costs as much as reading. Cursors go on without end.
pub const OFFSET_MAX: u32 = 10_000;

impl Default for Query {
    fn default() -> Self {
        Self {
            filter: Filter::all(),
            text: None,
            sort: Vec::new(),
            limit: 20,
            cursor: None,
            offset: 0,
            fields: Vec::new(),
            count: false,
            scope: None,
        }
    }
}

/// Most sort keys of one query.
pub const SORT_KEYS: usize = 8;
/// Most members of one projection.
pub const PROJECTED_FIELDS: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SortKey {
    pub path: String,
    pub direction: Direction,
}

impl SortKey {
    pub fn ascending(path: &str) -> Self {
        Self { path: path.to_owned(), direction: Direction::Ascending }
    }

    pub fn descending(path: &str) -> Self {
        Self { path: path.to_owned(), direction: Direction::Descending }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Null first.
    Ascending,
    /// Null last.
    Descending,
}

/// The owner whose documents a call may see. The host adds it; it cannot be removed by a plugin.
///
/// An owner that is null is refused: it would match every document that belongs to nobody.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Path of the owner field.
    pub path: String,
    /// Who the caller is, at least one: a customer may come with a guest's token.
    pub owners: Vec<Scalar>,
}

impl Scope {
    pub fn new(path: impl Into<String>, owner: impl Into<Scalar>) -> Self {
        Self { path: path.into(), owners: vec![owner.into()] }
    }

    /// The condition that documents must meet.
    pub fn filter(&self) -> Filter {
        match self.owners.as_slice() {
            [owner] => Filter::Eq(self.path.clone(), owner.clone()),
            owners => Filter::In(self.path.clone(), owners.to_vec()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub documents: Vec<Document>,
    /// Cursor of the next page; `None` at the end.
    pub next: Option<String>,
    /// How many match in all, when the query asked.
    pub total: Option<u64>,
}

/// Why a query was refused before it ran.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("collection `{0}` is not declared")]
    UnknownCollection(String),
    #[error("field `{0}` is not declared for filters")]
    UnknownFilter(String),
    #[error("field `{0}` cannot be sorted by")]
    UnknownSort(String),
    #[error("field `{path}` is compared with a value of another type")]
    WrongType { path: String },
    #[error("the cursor belongs to another query")]
    CursorMismatch,
    #[error("the query is too large: {0}")]
    TooLarge(String),
    #[error("collection `{0}` declares no text fields")]
    NoText(String),
}
