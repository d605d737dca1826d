//! `wares serve`.

use std::{fmt::Write, process::ExitCode, sync::Arc};

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Application, Failure, Output, arguments::ServeArguments, seed::seed_if_empty, signals::Stop};
use crate::{
    audit::AuditReport,
    backup::{self, Chunks},
    chain::chain,
    clock::Clock,
    config::{Config, ServerConfig},
    control::{
        ControlHandlers, ControlServer, HostStatus, Refused, SystemRequest, SystemResponse, UserCreate,
    },
    identity::User,
    plugin::Replayed,
    store::StoreConfig,
    telemetry,
};

pub(super) async fn run<A: Application>(
    arguments: ServeArguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let config = prepare(&arguments, output)?;
    let stop = Stop::on_signals().map_err(|error| Failure::of(&error, "Try again."))?;
    serve::<A>(config, arguments.seed, output, stop).await
}

/// Loads the configuration and sets up the log.
pub(super) fn prepare(arguments: &ServeArguments, output: Output) -> Result<Config, Failure> {
    let loaded = Config::load(&arguments.overrides())?;
    let mut config = loaded.config;
    telemetry::init(&config);
    #[cfg(debug_assertions)]
    crate::failpoint::arm(loaded.fail_at);
    if let Some(warning) = config.prepare()? {
        output.warning(&warning);
    }
    Ok(config)
}

pub(super) async fn serve<A: Application>(
    mut config: Config,
    seed: bool,
    output: Output,
    stop: Stop,
) -> Result<ExitCode, Failure> {
    // First, because it is what fails most often, and before anything slow.
    let listener = listen(&mut config.server).await?;
    let application = start::<A>(config.clone()).await?;
    let handlers = Arc::new(Handlers { application: application.clone(), config: config.clone() });
    let control = match ControlServer::bind(&config.store.data_dir, handlers) {
        Ok(server) => Some(tokio::spawn(server.serve(stop.clone().wait()))),
        Err(error) => {
            // The shop does not need it.
            tracing::warn!(error = chain(&error), "Commands beside this host will not reach it");
            None
        }
    };
    if seed {
        seed_if_empty(&*application, output).await?;
    }
    announce(&*application, &config, output).await;
    let served = application.serve(listener, stop.wait()).await;
    if let Some(control) = control {
        let _ = control.await;
    }
    application.stop().await;
    served.map_err(|error| Failure::of(&error, "See the log above, then start the host again."))?;
    output.note("Stopped.");
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn start<A: Application>(config: Config) -> Result<Arc<A>, Failure> {
    let data_dir = config.store.data_dir.display().to_string();
    A::start(config, Clock::system()).await.map(Arc::new).map_err(|error| {
        let next_step = format!("Run `wares doctor --data-dir {data_dir}` to learn what to do.");
        Failure::of(error.as_ref(), next_step)
    })
}

/// Refuses a folder without a shop, for commands that only look: starting a host there would make one.
pub(super) fn has_shop(config: &Config) -> Result<(), Failure> {
    match config.store.store_config() {
        StoreConfig::Embedded(embedded) if !embedded.file().exists() => Err(Failure::new(
            format!("there is no shop in `{}`", embedded.directory.display()),
            "Name its folder with --data-dir; `wares serve` makes a new shop.",
        )),
        _ => Ok(()),
    }
}

/// Listens, and corrects the address when the system chose the port.
async fn listen(server: &mut ServerConfig) -> Result<TcpListener, Failure> {
    let wanted = server.listen;
    let listener = TcpListener::bind(wanted).await.map_err(|error| {
        Failure::new(
            format!("cannot listen on {wanted}: {error}"),
            "Stop what uses the address, or choose another one with --listen ADDRESS:PORT (port 0 takes a free one).",
        )
    })?;
    let derived = server.base_url == server.local_url();
    server.listen = listener.local_addr().unwrap_or(wanted);
    if derived {
        server.base_url = server.local_url();
    }
    Ok(listener)
}

async fn announce<A: Application>(application: &A, config: &Config, output: Output) {
    let url = &config.server.base_url;
    let facts = json!({
        "event": "ready",
        "version": env!("CARGO_PKG_VERSION"),
        "environment": config.environment.as_str(),
        "url": url,
        "api": format!("{url}{}", config.server.api_path()),
        "dataDir": config.store.data_dir,
        "pluginsDir": config.plugins.dir,
    });
    let fact = |name: &str| facts[name].as_str().unwrap_or_default().to_owned();
    let mut text = format!("Wares {} ({}) is ready.\n", fact("version"), fact("environment"));
    for (label, name) in [("API", "api"), ("Data", "dataDir"), ("Plugins", "pluginsDir")] {
        let _ = writeln!(text, "  {label:<8} {}", fact(name));
    }
    output.answer(&text, &facts);
    // A fresh shop has nobody who may change it.
    if let Ok(false) = application.identity().has_admin().await {
        output.note(&format!(
            "There is no administrator yet. Create one with\n  wares user create --kind admin --email you@example.com \
             --role superadmin --data-dir {}",
            config.store.data_dir.display()
        ));
    }
}

struct Handlers<A> {
    application: Arc<A>,
    config: Config,
}

impl<A: Application> ControlHandlers for Handlers<A> {
    async fn user_create(&self, request: UserCreate) -> Result<User, Refused> {
        let created =
            self.application.identity().account_create(request.account, request.password.into()).await;
        created.map_err(|error| Refused { message: chain(&error) })
    }

    async fn system_request(&self, request: SystemRequest) -> SystemResponse {
        let SystemRequest { method, path, body, headers } = request;
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        match self.application.request_with(&method, &path, body, &headers).await {
            Ok((status, body)) => SystemResponse { status, body },
            Err(error) => {
                SystemResponse { status: 503, body: json!({"code": "unavailable", "detail": error.0}) }
            }
        }
    }

    async fn status(&self) -> HostStatus {
        HostStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            url: self.config.server.base_url.clone(),
            environment: self.config.environment.as_str().to_owned(),
            plugins: self.plugins(),
        }
    }

    async fn backup(&self) -> Result<Chunks, Refused> {
        let store = self.application.store();
        let snapshot = store.snapshot().await.map_err(|error| Refused { message: chain(&error) })?;
        tracing::info!("A command takes a backup of {} documents", snapshot.documents());
        Ok(backup::encode(snapshot, store.clock().timestamp()))
    }

    async fn audit_verify(&self) -> Result<AuditReport, Refused> {
        self.application.audit().verify().await.map_err(|error| Refused { message: chain(&error) })
    }

    async fn order_replay(&self, order: String) -> Result<Replayed, Refused> {
        let replayed = self.application.order_replay(&order).await;
        replayed.map_err(|error| Refused { message: chain(&error) })
    }

    async fn verify(&self) -> Result<Vec<String>, Refused> {
        self.application.store().verify().await.map_err(|error| Refused { message: chain(&error) })
    }
}

impl<A: Application> Handlers<A> {
    fn plugins(&self) -> Value {
        self.application.plugins_report()
    }
}
