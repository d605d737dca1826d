//! A host under test: in this process, on a port of its own, with a store in a temporary directory and a clock that
//! the test moves.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use host::{
    app::App,
    clock::{Clock, ManualClock},
    config::Config,
    identity::{AccountKind, NewAccount},
};
use secrecy::SecretString;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::{
    client::Client,
    store::mongod::{self, TestDatabase},
};

/// 2026-01-01T00:00:00Z.
pub const START_MS: i64 = 1_767_225_600_000;
pub const ADMIN_EMAIL: &str = "admin@example.com";
pub const ADMIN_PASSWORD: &str = "correct horse battery staple";

/// What the hosts of tests sign tokens with.
pub const JWT_SECRET: &str = "a secret of the tests, long enough to sign with";

/// Where built components lie: `target/plugins` and `target/fixtures` of the repository, made by `cargo xtask test`.
pub fn built(folder: &str, name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let path = target.join(folder).join(format!("{name}.wasm"));
    assert!(path.exists(), "{} is missing: run `cargo xtask test`, which builds it", path.display());
    path
}

/// Where cargo builds.
pub fn target_dir() -> PathBuf {
    // A test binary lies in target/<profile>/deps, the bench above it.
    let binary = std::env::current_exe().unwrap();
    let folder = binary.parent().unwrap();
    let profile = if folder.ends_with("deps") { folder.parent().unwrap() } else { folder };
    profile.parent().unwrap().to_owned()
}

/// Gives a data directory the compiled plugins of all tests: compiling them anew would take most of a test's time.
/// The cache compares contents, so what another build left there is not used. A directory of its own made before is
/// left alone.
pub fn share_compiled(data_dir: &Path) {
    let shared = target_dir().join("compiled-for-tests");
    let make = |dir: &Path| DirBuilder::new().recursive(true).mode(0o700).create(dir).unwrap();
    make(&shared);
    make(data_dir);
    // Tests that start at once would each make a key, and the last one would count.
    let key = shared.join("key");
    if !key.exists() {
        let temporary = shared.join(format!(".key.{}", std::process::id()));
        std::fs::write(&temporary, [7; 32]).unwrap();
        std::fs::rename(&temporary, &key).unwrap();
    }
    let compiled = data_dir.join("compiled");
    if !compiled.exists() {
        std::os::unix::fs::symlink(&shared, &compiled).unwrap();
    }
}

/// Describes a host to start.
pub struct TestHostBuilder {
    components: Vec<(String, Vec<u8>)>,
    grants: String,
    configure: Box<dyn FnOnce(&mut Config)>,
    data: Option<TempDir>,
    on_mongodb: bool,
    database: Option<Arc<TestDatabase>>,
    start_ms: i64,
}

/// A running host.
pub struct TestHost {
    pub app: App,
    pub clock: ManualClock,
    pub plugins_dir: PathBuf,
    origin: String,
    admin_token: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
    data: TempDir,
    /// Goes away with the host.
    database: Option<Arc<TestDatabase>>,
}

/// The grants of the shipped plugins.
pub const SHOP_GRANTS: &str = include_str!("../../config/plugins.toml");

/// The plugins of a shop that needs nothing from outside.
pub(crate) const SHOP_PLUGINS: [&str; 10] = [
    "products",
    "categories",
    "inventory",
    "users",
    "orders",
    "pricing-promotions",
    "pricing-tax",
    "shipping-flat",
    "payment-manual",
    "payment-sandbox",
];

impl TestHostBuilder {
    /// A host without plugins.
    pub fn empty() -> Self {
        Self {
            components: Vec::new(),
            grants: String::new(),
            configure: Box::new(|_| {}),
            data: None,
            on_mongodb: false,
            database: None,
            start_ms: START_MS,
        }
    }

    /// A host with the shipped plugins.
    pub fn shop() -> Self {
        SHOP_PLUGINS.into_iter().fold(Self::empty(), Self::plugin).grants(SHOP_GRANTS)
    }

    /// Adds a shipped plugin.
    pub fn plugin(self, name: &str) -> Self {
        self.component(&format!("{name}.wasm"), std::fs::read(built("plugins", name)).unwrap())
    }

    /// Adds a fixture.
    pub fn fixture(self, name: &str) -> Self {
        self.component(&format!("{name}.wasm"), std::fs::read(built("fixtures", name)).unwrap())
    }

    /// Adds a file to the plugins directory.
    pub fn component(mut self, file: &str, bytes: Vec<u8>) -> Self {
        self.components.push((file.to_owned(), bytes));
        self
    }

    /// The text of the plugins file.
    pub fn grants(mut self, text: &str) -> Self {
        self.grants.push_str(text);
        self
    }

    /// Replaces a part of the plugins file, which has to be there.
    pub fn regrant(mut self, part: &str, by: &str) -> Self {
        assert!(self.grants.contains(part), "{part} is not in {}", self.grants);
        self.grants = self.grants.replace(part, by);
        self
    }

    /// Changes the configuration.
    pub fn configure(mut self, change: impl FnOnce(&mut Config) + 'static) -> Self {
        self.configure = Box::new(change);
        self
    }

    /// Changes the configuration, after what was changed before.
    pub fn configure_more(mut self, change: impl FnOnce(&mut Config) + 'static) -> Self {
        let before = self.configure;
        self.configure = Box::new(|config| {
            before(config);
            change(config);
        });
        self
    }

    /// Gives calls so much time and room that a busy machine fails none of them, and sessions so much that they outlast
    /// what a test does with the clock: for tests in which many call at once.
    pub fn patient(mut self) -> Self {
        const LONG_MS: u64 = 60_000;
        let before = self.configure;
        self.grants = self.grants.replace("timeout_ms = 3000", &format!("timeout_ms = {LONG_MS}"));
        self.configure = Box::new(|config| {
            before(config);
            config.plugins.queue_timeout_ms = LONG_MS;
            config.plugins.provider_timeout_ms = LONG_MS;
            config.plugins.limits.timeout_ms = LONG_MS;
            config.plugins.limits.cpu_ms = LONG_MS / 2;
            config.auth.jwt_expiry = Duration::from_secs(5 * 86_400);
        });
        self
    }

    /// Goes on with the data of a host that was stopped.
    pub fn with_data(mut self, data: TempDir) -> Self {
        self.data = Some(data);
        self
    }

    /// Keeps the documents in a database of its own on the shared MongoDB server.
    pub fn on_mongodb(mut self) -> Self {
        self.on_mongodb = true;
        self
    }

    /// Goes on with a database that another host had.
    pub fn on_database(mut self, database: Arc<TestDatabase>) -> Self {
        self.database = Some(database);
        self
    }

    /// Starts with this time instead of [`START_MS`].
    pub fn at_ms(mut self, start_ms: i64) -> Self {
        self.start_ms = start_ms;
        self
    }

    pub async fn start(self) -> TestHost {
        host::telemetry::init_metrics();
        let data = self.data.unwrap_or_else(|| tempfile::tempdir().unwrap());
        let plugins_dir = data.path().join("plugins");
        std::fs::create_dir_all(&plugins_dir).unwrap();
        for (name, bytes) in &self.components {
            std::fs::write(plugins_dir.join(name), bytes).unwrap();
        }
        let data_dir = data.path().join("data");
        share_compiled(&data_dir);
        let grants = data.path().join("plugins.toml");
        std::fs::write(&grants, &self.grants).unwrap();
        let mut config = Config::default();
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        config.store.data_dir = data_dir;
        let database = match self.database {
            None if self.on_mongodb => Some(mongod::database().await),
            given => given,
        };
        config.store.mongodb_uri =
            database.as_ref().map(|database| SecretString::from(database.uri.as_str()));
        config.plugins.dir = plugins_dir.clone();
        config.plugins.grants = grants;
        config.plugins.watch = false;
        config.plugins.poll_ms = 200;
        config.plugins.debounce_ms = 20;
        config.auth.jwt_secret = Some(SecretString::from(JWT_SECRET));
        (self.configure)(&mut config);
        let (clock, manual) = Clock::manual(self.start_ms);
        let app = App::start(config, clock).await.unwrap_or_else(|error| {
            panic!("the host does not start: {error} {:?}", std::error::Error::source(&error));
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = app.clone();
        let served = tokio::spawn(async move {
            serving.serve(listener, async move { drop(stopped.await) }).await.unwrap();
        });
        TestHost {
            app,
            clock: manual,
            plugins_dir,
            origin,
            admin_token: None,
            stop: Some(stop),
            served,
            data,
            database,
        }
    }
}

impl TestHost {
    /// A host with the shipped plugins and nothing in the shop.
    pub async fn shop() -> Self {
        TestHostBuilder::shop().start().await
    }

    /// The same on MongoDB.
    pub async fn shop_on_mongodb() -> Self {
        TestHostBuilder::shop().on_mongodb().start().await
    }

    /// Describes another host on the same backend: one without plugins.
    pub fn another(&self) -> TestHostBuilder {
        let builder = TestHostBuilder::empty();
        if self.database.is_some() { builder.on_mongodb() } else { builder }
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// Where its documents are if not in the data directory.
    pub fn database(&self) -> Option<Arc<TestDatabase>> {
        self.database.clone()
    }

    /// A client that says nothing about itself.
    pub fn anonymous(&self) -> Client {
        Client::new(self.origin.clone(), None)
    }

    /// A client with a token of a test's own.
    pub fn with_token(&self, token: &str) -> Client {
        Client::new(self.origin.clone(), Some(token.to_owned()))
    }

    /// A client of a superadmin.
    pub async fn admin(&mut self) -> Client {
        if self.admin_token.is_none() {
            let token = self.staff(ADMIN_EMAIL, &["superadmin"]).await;
            self.admin_token = Some(token);
        }
        Client::new(self.origin.clone(), self.admin_token.clone())
    }

    /// Makes a staff account with these roles, logs it in and answers its token.
    pub async fn staff(&self, email: &str, roles: &[&str]) -> String {
        let account = NewAccount {
            email: email.to_owned(),
            name: "Staff".to_owned(),
            kind: AccountKind::Admin,
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
        };
        self.app.identity().account_create(account, SecretString::from(ADMIN_PASSWORD)).await.unwrap();
        let body = serde_json::json!({ "email": email, "password": ADMIN_PASSWORD });
        let login = self.anonymous().post("/auth/admin/login", &body).await.expect(200);
        login["accessToken"].as_str().unwrap().to_owned()
    }

    /// Makes a customer's account, logs it in and answers its client.
    pub async fn customer(&self, email: &str) -> Client {
        let account = NewAccount {
            email: email.to_owned(),
            name: "Customer".to_owned(),
            kind: AccountKind::Customer,
            roles: Vec::new(),
        };
        self.app.identity().account_create(account, SecretString::from(ADMIN_PASSWORD)).await.unwrap();
        let body = serde_json::json!({ "email": email, "password": ADMIN_PASSWORD });
        let login = self.anonymous().post("/auth/customer/login", &body).await.expect(200);
        self.with_token(login["accessToken"].as_str().unwrap())
    }

    /// Puts a component into the plugins directory as a careful writer does, and loads it.
    pub async fn install(&self, file: &str, bytes: &[u8]) -> Value {
        let temporary = self.plugins_dir.join(format!(".{file}.tmp"));
        std::fs::write(&temporary, bytes).unwrap();
        std::fs::rename(&temporary, self.plugins_dir.join(file)).unwrap();
        self.reload().await
    }

    /// Looks at the plugins directory again.
    pub async fn reload(&self) -> Value {
        serde_json::to_value(self.app.plugins().reload().await.unwrap()).unwrap()
    }

    /// Stops as on SIGTERM and answers the data, for another host to go on with.
    pub async fn stop(mut self) -> TempDir {
        drop(self.stop.take());
        self.served.await.unwrap();
        self.app.close().await;
        self.data
    }
}
