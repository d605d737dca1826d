//! The plugin engine: from a file to an answered call.
//!
//! Invariants:
//! - Every call runs in a fresh instance that is dropped afterwards, whatever happened.
//! - A guest reaches what it was granted and nothing else; memory, CPU time, wall time, host calls, logs and output are
//!   bounded, and each bound has its own [`outcome::Failure`].
//! - Plugins get in through the `reloader` only, at start as at any later time.
//! - wasmtime is not used outside this module.

mod active_set;
mod admission;
mod aot;
mod baseline;
mod bindings;
mod call;
mod component;
mod configs;
mod counters;
pub mod descriptor;
mod directory;
mod engine;
pub mod generation;
pub mod grants;
mod handler;
mod hooks;
mod imports;
mod instance;
mod limits;
mod outcome;
mod reloader;
mod replay;
pub mod schedule;
pub mod schema_check;

pub use active_set::active_collections;
pub use aot::AotCache;
pub use call::{LoadedPlugin, PluginRuntime};
pub use component::{ComponentError, ConfigFault, Prepared, digest_of, prepare};
pub use configs::{SetConfig, set as configs_set, setting as config_setting};
pub use generation::{Generation, Lookup, RouteEntry};
pub(crate) use handler::VALID_UNTIL;
pub use handler::{Handled, HandlerProblem, HandlerRequest, HandlerResponse, ListRequest, PagePosition};
pub use instance::{Caller, CallerKind};
pub use outcome::{CallError, Failure};
pub use reloader::{DirectoryPolicy, Plugins, Refused, ReloadError, ReloadReport};
pub use replay::{ReplayError, Replayed, ReplayedRule, replay};

use crate::{egress::Egress, secrets::Secrets};

/// The ways out of a plugin.
#[derive(Clone)]
pub struct Outside {
    pub egress: Egress,
    pub secrets: Secrets,
}

/// The host's collections for plugins.
pub fn host_collections() -> Vec<store_model::CollectionSchema> {
    active_set::collections().into_iter().chain(configs::collections()).collect()
}
