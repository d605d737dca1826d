//! What commands need of the host.

use std::{future::Future, io};

use serde_json::Value;
use tokio::net::TcpListener;

use crate::{
    audit::AuditLog,
    clock::Clock,
    config::Config,
    identity::Identity,
    plugin::{ReplayError, Replayed},
    seed::SystemApi,
    store::Store,
};

/// A host that can be started, asked and stopped. Commands know it by this trait, so that they can be tested
/// without plugins.
pub trait Application: SystemApi + Send + Sync + Sized + 'static {
    /// Opens the store and loads the plugins.
    fn start(config: Config, clock: Clock) -> impl Future<Output = Result<Self, anyhow::Error>> + Send;

    /// Answers requests until the shutdown, and lets those in flight end.
    fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = Result<(), io::Error>> + Send;

    fn identity(&self) -> &Identity;

    fn audit(&self) -> &AuditLog;

    fn store(&self) -> &Store;

    /// The loaded plugins and those that could not be loaded, as `GET /plugins` shows them.
    fn plugins_report(&self) -> Value;

    /// Prices an order again from what was kept with it.
    fn order_replay(&self, order: &str) -> impl Future<Output = Result<Replayed, ReplayError>> + Send;

    /// The OpenAPI document of the loaded plugins: 3.1, or 3.0 for tools that know no other.
    fn openapi(&self, compatible: bool) -> Value;

    /// Waits for background work and closes the store.
    fn stop(&self) -> impl Future<Output = ()> + Send;
}
