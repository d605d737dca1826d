//! The `wares` binary. All of it is in the library, where it can be tested.

use std::{future::Future, io, process::ExitCode};

use host::{
    cli::Application,
    clock::Clock,
    config::Config,
    identity::Identity,
    seed::{SystemApi, SystemApiError},
    store::{Store, StoreConfig},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The store and the accounts, without endpoints. It stands in until the host answers HTTP.
struct Bare {
    store: Store,
    identity: Identity,
}

impl SystemApi for Bare {
    async fn request(&self, _: &str, _: &str, _: Option<Value>) -> Result<(u16, Value), SystemApiError> {
        Err(SystemApiError("this build has no endpoints".to_owned()))
    }
}

impl Application for Bare {
    async fn start(config: Config, clock: Clock) -> Result<Self, anyhow::Error> {
        let store = Store::open(StoreConfig::embedded(&config.store.data_dir), clock).await?;
        let identity = Identity::open(store.clone(), &config.auth).await?;
        Ok(Self { store, identity })
    }

    async fn serve(
        &self,
        _: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), io::Error> {
        shutdown.await;
        Ok(())
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn plugins_report(&self) -> Value {
        json!([])
    }

    async fn stop(&self) {
        self.store.clone().close().await;
    }
}

fn main() -> ExitCode {
    host::cli::main::<Bare>()
}
