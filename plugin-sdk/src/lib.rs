//! Write plugins for Wares in Rust.
//!
//! A plugin is a type that implements [`Plugin`], a few handlers, and one line, [`export_plugin!`]. Built with
//! `cargo build --target wasm32-wasip2` it is a component that the host loads; built natively it is ordinary
//! Rust whose handlers run against a [`mock::MockHost`] that obeys the store's laws.
//!
//! The generated bindings to the WIT contract stay private to this crate: authors see these modules only.
//! `docs/PLUGINS.md` walks through a first plugin.

pub mod address;
#[doc(hidden)]
pub mod bindings;
pub mod bulk;
pub mod change;
pub mod commit;
mod convert;
pub mod descriptor;
pub mod error;
#[doc(hidden)]
pub mod export;
pub mod hooks;
pub mod host;
pub mod http;
pub mod identity;
pub mod keys;
pub mod list_price;
#[cfg(not(target_family = "wasm"))]
pub mod mock;
pub mod money;
mod natural_id;
pub mod patch;
pub mod payment;
pub mod pricing;
pub mod router;
pub mod schema;
pub mod shipping;
pub mod slug;
pub mod store;
pub mod time;

pub use change::Change;
pub use commit::{Commit, WriteRef};
pub use descriptor::{Capability, Collection, Permission};
pub use error::{FieldError, Problem, StoreError};
pub use export::Plugin;
pub use host::{Context, Level};
pub use http::{Caller, ListQuery, Reply, Request};
pub use money::Money;
pub use natural_id::{guest_of, natural_id};
pub use router::Router;
pub use store::{Found, Stored};

pub use schemars::{self, JsonSchema};
pub use serde::{self, Deserialize, Serialize};
pub use serde_json::{self, Value, json};
pub use store_model::{
    Access, Aggregate, AggregateRow, Direction, Document, Facet, FacetCount, Facets, FieldKind,
    FieldOperation, Filter, GroupKey, Measure, Query, Refusal, Scalar, SortKey,
};

/// The result of a handler.
pub type Result<T, E = Problem> = std::result::Result<T, E>;
