//! The laws of the document store.
//!
//! Everything that must mean the same on every backend is defined here once: scalar order, the filter
//! tree, sorting and keyset cursors, text tokens, write operations and how a commit is refused.
//! [`memory::MemoryStore`] is the reference model: a plain, slow implementation of those laws, which the
//! conformance and differential suites compare the real backends with and which plugin authors' native
//! tests run against.
//!
//! The crate does no I/O and knows no database. It has two consumers, the host and the plugin SDK; that
//! is why it is a crate and not a module.

pub mod aggregate;
pub mod apply;
pub mod commit;
pub mod cursor;
pub mod document;
pub mod evaluate;
pub mod facets;
pub mod filter;
pub mod memory;
mod natural_id;
pub mod order;
pub mod path;
pub mod query;
pub mod schema;
pub mod text;
pub mod time;
pub mod validate;
pub mod value;
pub mod write;

pub use aggregate::{Aggregate, AggregateRow, GroupKey, Measure};
pub use document::Document;
pub use facets::{Facet, FacetCount, Facets};
pub use filter::Filter;
pub use natural_id::{guest_of, natural_id};
pub use query::{Direction, Page, Query, QueryError, Scope, SortKey};
pub use schema::{
    Access, CollectionSchema, DeclareRefused, Field, FieldKind, Index, SchemaError, TextField, is_hidden,
};
pub use value::Scalar;
pub use write::{Commit, CommitRefused, Embed, FieldOperation, Operation, Refusal, Write};
