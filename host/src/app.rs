//! The application: the only place that builds and owns the store, identity and plugins.

use std::{
    io,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    audit::AuditLog,
    chain::chain,
    cli::Application,
    clock::Clock,
    config::{Config, Environment},
    egress::Egress,
    http::{self, ApiCall, InFlightKeys, Limits, Payload, Visit},
    identity::{Identity, IdentityError},
    mail::{Mailer, MailerError},
    media::{self, Media, StorageError},
    openapi::{self, About, Documents},
    plugin::{
        self, AotCache, Caller, DirectoryPolicy, Outside, PluginRuntime, Plugins, ReloadError, ReplayError,
        Replayed,
        schedule::{self, Scheduler},
    },
    secrets::Secrets,
    seed::{SystemApi, SystemApiError},
    store::{DeclareError, OpenError, Store, idempotency, lease::Lease},
};

/// A running host. Clones share it.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    api_base: String,
    store: Store,
    identity: Identity,
    audit: AuditLog,
    media: Media,
    runtime: Arc<PluginRuntime>,
    /// The cache of compiled plugins.
    compiled: Arc<AotCache>,
    plugins: Plugins,
    in_flight: InFlightKeys,
    limits: Limits,
    /// The documents of the generation that was asked about last.
    openapi: ArcSwapOption<Documents>,
    stopping: AtomicBool,
}

/// Why the host did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the store does not open")]
    Store(#[source] OpenError),
    #[error("the host's collections cannot be made")]
    Collections(#[source] DeclareError),
    #[error("mail cannot be sent")]
    Mail(#[source] MailerError),
    #[error("identity cannot be set up")]
    Identity(#[source] IdentityError),
    #[error("media cannot be kept")]
    Media(#[source] StorageError),
    #[error("the plugin engine does not start: {0}")]
    Engine(String),
    #[error("the cache of compiled plugins in {directory} cannot be used")]
    Cache {
        directory: std::path::PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the plugins cannot be loaded")]
    Plugins(#[source] ReloadError),
}

/// One thing that readiness depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    pub passes: bool,
    pub note: String,
}

impl App {
    /// Opens the store, sets up identity and loads the plugins.
    ///
    /// # Errors
    /// What keeps the host from serving. A plugin that is refused does not.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        let store = Store::open(config.store.store_config(), clock).await.map_err(StartError::Store)?;
        let mut collections = idempotency::host_collections();
        collections.extend(plugin::host_collections());
        collections.push(AuditLog::schema());
        collections.extend(media::host_collections());
        collections.push(Lease::schema());
        store.collections_declare_host(collections).await.map_err(StartError::Collections)?;
        let mailer = Mailer::open(&config.mail, config.environment, &config.store.data_dir)
            .map_err(StartError::Mail)?;
        let identity =
            Identity::open(store.clone(), &config.auth, mailer).await.map_err(StartError::Identity)?;
        let media = Media::open(store.clone(), &config.media, &config.store.data_dir.join("media"))
            .map_err(StartError::Media)?;
        let outside = Outside { egress: Egress::new(store.clock().clone()), secrets: Secrets::new(&config) };
        let pricing = config.pricing.settings();
        let runtime = PluginRuntime::new(&config.plugins, pricing, store.clone(), identity.clone(), outside)
            .map_err(|error| StartError::Engine(format!("{error:#}")))?;
        let runtime = Arc::new(runtime);
        let directory = config.store.data_dir.join("compiled");
        let aot = AotCache::open(&directory).map_err(|source| StartError::Cache { directory, source })?;
        let aot = Arc::new(aot);
        let policy = match config.environment {
            Environment::Development => DirectoryPolicy::Decides,
            Environment::Staging | Environment::Production => DirectoryPolicy::Proposes,
        };
        let plugins = Plugins::start(runtime.clone(), Some(aot.clone()), config.plugins.clone(), policy)
            .await
            .map_err(StartError::Plugins)?;
        let limits = Limits::new(&config.rate_limits, store.clock());
        let audit = AuditLog::new(store.clone(), &config.auth, &config.store.data_dir);
        let app = Self {
            inner: Arc::new(Inner {
                api_base: format!("/api/{}", config.server.api_version),
                limits,
                config,
                store,
                identity,
                media,
                runtime,
                compiled: aot,
                plugins,
                audit,
                in_flight: InFlightKeys::default(),
                openapi: ArcSwapOption::empty(),
                stopping: AtomicBool::new(false),
            }),
        };
        tokio::spawn(housekeeping(Arc::downgrade(&app.inner)));
        tokio::spawn(sealing(Arc::downgrade(&app.inner)));
        let scheduler = Scheduler::new(app.inner.runtime.clone(), app.inner.plugins.clone());
        tokio::spawn(scheduling(Arc::downgrade(&app.inner), scheduler));
        Ok(app)
    }

    /// Serves until `shutdown`, then drains what runs.
    pub async fn serve(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let stopping = async {
            shutdown.await;
            self.inner.stopping.store(true, Ordering::Relaxed);
        };
        http::serve(listener, http::router(self.clone()), &self.inner.config.server, stopping).await
    }

    /// Lets queued commits end and closes the store. What comes later is refused as unavailable.
    pub async fn close(&self) {
        self.store().clone().close().await;
    }

    /// A request of the host itself, with every right, through the same path as any other.
    pub async fn system_request(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        self.system_request_with(method, path, body, &[]).await
    }

    /// The same with headers.
    pub async fn system_request_with(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        given: &[(&str, &str)],
    ) -> (u16, Value) {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in given {
            // What is no header cannot be meant: it comes from this program's own commands.
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        }
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
            None => (path.to_owned(), None),
        };
        let request_id: Arc<str> = Arc::from(self.store().id_new("req"));
        let call = ApiCall {
            method: Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET),
            path: path.clone(),
            query,
            headers,
            body: Payload::Ready(body.map(|body| body.to_string()).unwrap_or_default().into()),
            visit: Visit::of_host(request_id.clone()),
            caller: Some(Caller::system()),
        };
        match http::dispatch(self, call).await {
            Ok(response) => {
                let status = response.status().as_u16();
                let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
                (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
            }
            Err(error) => error.into_document(&path, &request_id),
        }
    }

    /// What plugins run, what was refused and why.
    pub fn plugins_report(&self) -> Value {
        let generation = self.inner.plugins.current();
        let plugins: Vec<Value> = generation
            .plugins
            .values()
            .map(|plugin| {
                let descriptor = &plugin.prepared.descriptor;
                json!({
                    "id": plugin.id(),
                    "version": plugin.version(),
                    "title": descriptor.title,
                    "digest": plugin.prepared.digest,
                    "sizeBytes": plugin.prepared.size_bytes,
                    "roles": plugin.prepared.role_names(),
                    "state": if plugin.is_failing() { "failing" } else { "active" },
                    "routes": descriptor.routes.iter().map(|route| format!("{} {}", route.method, route.path)).collect::<Vec<_>>(),
                    "collections": descriptor.collections.iter().map(|it| &it.name).collect::<Vec<_>>(),
                })
            })
            .collect();
        json!({ "generation": generation.id, "plugins": plugins, "refused": self.inner.plugins.report().refused })
    }

    /// Prices an order again from what was kept with it.
    ///
    /// # Errors
    /// What is missing, or a rule that does not answer any more.
    pub async fn order_replay(&self, order: &str) -> Result<Replayed, ReplayError> {
        let inner = &self.inner;
        let loaded = inner.plugins.current();
        plugin::replay(&inner.runtime, Some(&inner.compiled), &inner.config.plugins, &loaded, order).await
    }

    /// The OpenAPI documents of the current generation.
    pub fn openapi(&self) -> Arc<Documents> {
        let generation = self.plugins().current();
        if let Some(known) = self.inner.openapi.load_full().filter(|it| it.generation == generation.id) {
            return known;
        }
        let documents = Arc::new(Documents::of(&generation, &self.about()));
        self.inner.openapi.store(Some(documents.clone()));
        documents
    }

    fn about(&self) -> About {
        let server = format!("{}{}", self.inner.config.server.base_url, self.api_base());
        About { server, version: env!("CARGO_PKG_VERSION") }
    }

    /// Whether this host should get traffic.
    pub async fn readiness(&self) -> Vec<Check> {
        let store = self.store().document_get_many("_plugin_sets", &["set_active".to_owned()], None).await;
        let generation = self.plugins().current();
        let stopping = self.inner.stopping.load(Ordering::Relaxed);
        vec![
            Check {
                name: "store",
                passes: store.is_ok(),
                note: store.err().map(|error| chain(&error)).unwrap_or_default(),
            },
            Check {
                name: "plugins",
                passes: !generation.plugins.is_empty(),
                note: format!("generation {} with {} plugins", generation.id, generation.plugins.len()),
            },
            Check { name: "running", passes: !stopping, note: String::new() },
        ]
    }

    /// One round of what the host does every ten minutes and at its start: deletes what has expired.
    pub async fn housekeep(&self) {
        match idempotency::purge(self.store()).await {
            Ok(0) => {}
            Ok(purged) => tracing::debug!("Deleted {purged} expired idempotency records"),
            Err(error) => tracing::warn!(cause = %chain(&error), "Expired records were not deleted"),
        }
        match self.identity().sweep().await {
            Ok(0) => {}
            Ok(swept) => tracing::debug!("Deleted {swept} sessions and counts whose time was over"),
            Err(error) => tracing::warn!(cause = %chain(&error), "Expired sessions were not deleted"),
        }
        self.collect_media().await;
    }

    /// Takes files of media away that no document names any more.
    pub(crate) async fn collect_media(&self) {
        match self.media().collect().await {
            Ok(0) => {}
            Ok(removed) => tracing::debug!("Deleted {removed} files of media"),
            Err(error) => tracing::warn!(cause = %chain(&error), "Files of media were not deleted"),
        }
    }

    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Such as `/api/v1`.
    pub fn api_base(&self) -> &str {
        &self.inner.api_base
    }

    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    pub fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    pub fn audit(&self) -> &AuditLog {
        &self.inner.audit
    }

    pub fn media(&self) -> &Media {
        &self.inner.media
    }

    pub fn plugins(&self) -> &Plugins {
        &self.inner.plugins
    }

    pub fn runtime(&self) -> &Arc<PluginRuntime> {
        &self.inner.runtime
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    pub(crate) fn in_flight(&self) -> &InFlightKeys {
        &self.inner.in_flight
    }
}

/// How often what has expired is deleted.
const HOUSEKEEPING: Duration = Duration::from_secs(600);

/// Does what falls due, as long as the application lives.
async fn housekeeping(inner: Weak<Inner>) {
    let mut rounds = tokio::time::interval(HOUSEKEEPING);
    loop {
        rounds.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        App { inner }.housekeep().await;
    }
}

/// How often the audit log is sealed.
const SEALING: Duration = Duration::from_secs(60);

/// Seals the audit log, as long as the application lives.
async fn sealing(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(SEALING).await;
        let Some(inner) = inner.upgrade() else { return };
        if let Err(error) = inner.audit.seal().await {
            tracing::warn!(cause = %chain(&error), "The audit log was not sealed");
        }
    }
}

/// Starts the operations that plugins have scheduled, until the application stops.
async fn scheduling(inner: Weak<Inner>, mut scheduler: Scheduler) {
    let mut rounds = tokio::time::interval(schedule::TICK);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        match inner.upgrade() {
            Some(inner) if !inner.stopping.load(Ordering::Relaxed) => {}
            _ => return,
        }
        scheduler.round().await;
    }
}

impl SystemApi for App {
    async fn request_with(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Result<(u16, Value), SystemApiError> {
        Ok(self.system_request_with(method, path, body, headers).await)
    }
}

impl Application for App {
    async fn start(config: Config, clock: Clock) -> Result<Self, anyhow::Error> {
        Ok(Self::start(config, clock).await?)
    }

    async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), io::Error> {
        self.serve(listener, shutdown).await
    }

    fn identity(&self) -> &Identity {
        self.identity()
    }

    fn audit(&self) -> &AuditLog {
        self.audit()
    }

    fn store(&self) -> &Store {
        self.store()
    }

    fn plugins_report(&self) -> Value {
        self.plugins_report()
    }

    async fn order_replay(&self, order: &str) -> Result<Replayed, ReplayError> {
        self.order_replay(order).await
    }

    fn openapi(&self, compatible: bool) -> Value {
        let document = openapi::document(&self.plugins().current(), &self.about());
        if compatible { openapi::to_3_0(&document) } else { document }
    }

    async fn stop(&self) {
        // What was done in the last minute is sealed too.
        if let Err(error) = self.inner.audit.seal().await {
            tracing::warn!(cause = %chain(&error), "The audit log was not sealed");
        }
        self.close().await;
    }
}
