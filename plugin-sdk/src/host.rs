//! The host as a handler sees it.

use store_model::{Aggregate, AggregateRow, Document, FacetCount, Facets, Filter, Query};

use crate::{commit::CommitRequest, error::StoreError, time::timestamp};
#[cfg(not(target_family = "wasm"))]
use crate::{
    error::Problem,
    hooks::Hooks,
    http_client::{self, SendError},
    identity::AccountCall,
    secrets::SecretError,
};

/// Severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// A page as the store answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawPage {
    pub documents: Vec<Document>,
    pub next: Option<String>,
    pub total: Option<u64>,
}

/// What the host offers. There are two: the real one across the component boundary, and
/// [`MockHost`](crate::mock::MockHost) in native tests. Handlers use it through [`Context`].
pub trait Host {
    fn get_many(&self, collection: &str, ids: &[String]) -> Result<Vec<Option<Document>>, StoreError>;
    fn find(&self, collection: &str, query: &Query) -> Result<RawPage, StoreError>;
    fn count(&self, collection: &str, filter: &Filter) -> Result<u64, StoreError>;
    fn aggregate(&self, collection: &str, aggregate: &Aggregate) -> Result<Vec<AggregateRow>, StoreError>;
    fn facets(&self, collection: &str, facets: &Facets) -> Result<Vec<Vec<FacetCount>>, StoreError>;
    fn commit(&self, commit: CommitRequest) -> Result<Vec<Option<Document>>, StoreError>;
    /// A new id: the prefix (2 to 4 lower-case letters), an underscore and 26 characters that sort by time.
    fn new_id(&self, prefix: &str) -> Result<String, StoreError>;
    /// That many new ids, ascending.
    fn new_ids(&self, prefix: &str, count: usize) -> Result<Vec<String>, StoreError>;
    fn log(&self, level: Level, message: &str, fields: &[(&str, &str)]);
    /// Unix milliseconds of the host's clock.
    fn now_ms(&self) -> i64;
    /// Accounts, in native tests; see [`identity`](crate::identity).
    #[cfg(not(target_family = "wasm"))]
    fn accounts(&self, _call: AccountCall) -> Result<Vec<u8>, Problem> {
        Err(Problem::new(502, "plugin_failed").detail("This host has no accounts."))
    }
    /// Other plugins, in native tests; see [`hooks`](crate::hooks).
    #[cfg(not(target_family = "wasm"))]
    fn hooks(&self) -> Option<&dyn Hooks> {
        None
    }
    /// The outside, in native tests; see [`crate::http_client`].
    #[cfg(not(target_family = "wasm"))]
    fn http_send(&self, _request: &http_client::Request) -> Result<http_client::Response, SendError> {
        Err(SendError::Denied("this host reaches nobody".to_owned()))
    }
    /// Secrets, in native tests; see [`secrets`](crate::secrets).
    #[cfg(not(target_family = "wasm"))]
    fn verify_hmac(&self, _secret: &str, _message: &[u8], _signature: &[u8]) -> Result<bool, SecretError> {
        Err(SecretError::Denied("this host has no secrets".to_owned()))
    }
}

/// What a handler works with: the host and the plugin's configuration.
pub struct Context<'h> {
    pub(crate) host: &'h dyn Host,
    pub(crate) config: &'h [u8],
}

impl<'h> Context<'h> {
    pub fn new(host: &'h dyn Host, config: &'h [u8]) -> Self {
        Self { host, config }
    }

    /// The plugin's configuration, which the host has checked against its schema. Members that are missing take the
    /// type's defaults.
    pub fn config<T: serde::de::DeserializeOwned + Default>(&self) -> T {
        if self.config.is_empty() {
            T::default()
        } else {
            serde_json::from_slice(self.config).unwrap_or_default()
        }
    }

    /// The time of the host's clock in Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.host.now_ms()
    }

    /// The time of the host's clock, RFC 3339 in UTC with milliseconds.
    pub fn now(&self) -> String {
        timestamp(self.now_ms())
    }

    pub fn log(&self, level: Level, message: &str, fields: &[(&str, &str)]) {
        self.host.log(level, message, fields);
    }
}
