//! A shop whose hosts die: `wares` processes that end at a chosen moment, and hosts of this process, whose clock a test
//! moves, on what they leave.

use std::{
    fs,
    os::unix::{fs::symlink, process::ExitStatusExt as _},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hyper::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    client::{Answer, Client},
    host::{JWT_SECRET, SHOP_GRANTS, SHOP_PLUGINS, TestHost, TestHostBuilder, built, share_compiled},
    process::Place,
    store::mongod::TestDatabase,
};

/// The signal of a process that ended itself.
const ABORTED: i32 = 6;

/// Seconds after which an outcome that never came is asked about: longer than a request counts as running, so that a
/// client can be faster than the reconciler.
pub const OUTCOME_SECONDS: i64 = 120;

/// Where a shop lies while no host is at work on it.
pub struct Stage {
    folder: TempDir,
    database: Option<Arc<TestDatabase>>,
}

impl Stage {
    /// A shop with nothing in it, in a folder, or with its documents in a database of MongoDB.
    pub fn new(database: Option<Arc<TestDatabase>>) -> Self {
        let folder = TempDir::new().unwrap();
        let plugins = folder.path().join("plugins");
        fs::create_dir(&plugins).unwrap();
        for name in SHOP_PLUGINS {
            // Nobody changes them, so all shops may have the same.
            let component = built("plugins", name).canonicalize().unwrap();
            symlink(component, plugins.join(format!("{name}.wasm"))).unwrap();
        }
        Self { folder, database }
    }

    /// The same shop once more. Only of one in a folder.
    pub fn copy(&self) -> Self {
        assert!(self.database.is_none(), "a database is not in the folder");
        let copy = Self::new(None);
        let data = copy.folder.path().join("data");
        share_compiled(&data);
        copy_files(&self.folder.path().join("data"), &data);
        copy
    }

    /// A host of this process, with this time.
    pub async fn host(self, now_ms: i64) -> TestHost {
        let builder = TestHostBuilder::empty().grants(&grants()).with_data(self.folder).at_ms(now_ms);
        // Tokens of one host are shown to others, hours later.
        let builder = builder.configure(|config| config.auth.jwt_expiry = Duration::from_secs(7 * 86_400));
        match self.database {
            Some(database) => builder.on_database(database).start().await,
            None => builder.start().await,
        }
    }

    /// What a host leaves that is stopped.
    pub async fn of(host: TestHost) -> Self {
        let database = host.database();
        Self { folder: host.stop().await, database }
    }

    /// `wares` on this shop, and what to put the shop back together with.
    pub fn place(self) -> (Place, Option<Arc<TestDatabase>>) {
        let grants_file = self.folder.path().join("plugins.toml");
        fs::write(&grants_file, grants()).unwrap();
        let mut place = Place::in_folder(self.folder);
        place.configure_whole(&format!(
            "plugins.grants = {:?}\nplugins.watch = false\ntelemetry.filter = \"warn\"\n",
            grants_file.display().to_string()
        ));
        place.set_environment("JWT_SECRET", JWT_SECRET);
        if let Some(database) = &self.database {
            place.set_environment("MONGODB_URI", database.uri.as_str());
        }
        (place, self.database)
    }

    /// What a `wares` left.
    pub fn left(place: Place, database: Option<Arc<TestDatabase>>) -> Self {
        Self { folder: place.into_folder(), database }
    }

    /// Has a `wares` serve that ends itself at this point, and does something that leads there.
    pub async fn die(self, point: &str, act: impl AsyncFnOnce(&str)) -> Self {
        let (mut place, database) = self.place();
        place.set_environment("WARES_FAIL_AT", point);
        let server = place.serve();
        act(server.origin()).await;
        let (status, stderr) = server.wait();
        assert_eq!(status.signal(), Some(ABORTED), "{point}: {status}: {stderr}");
        Self::left(place, database)
    }

    /// The same where a host gets there by itself.
    pub fn die_alone(self, point: &str) -> Self {
        let (mut place, database) = self.place();
        place.set_environment("WARES_FAIL_AT", point);
        let ended = place.run(&["serve", "--listen", "127.0.0.1:0"]);
        assert_eq!(ended.code, None, "{point}: {ended:?}");
        Self::left(place, database)
    }
}

/// What a client asks for, and asks again when it hears nothing.
#[derive(Clone)]
pub struct Errand {
    client: Client,
    cart_token: Option<String>,
    pub path: String,
    pub key: String,
    pub body: Value,
}

impl Errand {
    pub fn new(client: Client, path: impl Into<String>, key: impl Into<String>, body: Value) -> Self {
        Self { client, cart_token: None, path: path.into(), key: key.into(), body }
    }

    /// About a guest's cart.
    #[must_use]
    pub fn with_cart_token(self, token: Option<&str>) -> Self {
        Self { cart_token: token.map(str::to_owned), ..self }
    }

    /// Asks the host at this origin. Nothing is answered when it dies.
    pub async fn send(&self, origin: &str) -> Option<Answer> {
        self.send_by(Method::POST, origin).await
    }

    /// The same with another method.
    pub async fn send_by(&self, method: Method, origin: &str) -> Option<Answer> {
        let client = self.client.moved_to(origin);
        let draft = client.request(method, &self.path).header("idempotency-key", &self.key);
        let draft = match &self.cart_token {
            Some(token) => draft.header("x-cart-token", token),
            None => draft,
        };
        client.try_send(draft.json(&self.body)).await
    }
}

/// What processes that are not of this test take for now.
pub fn system_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// The grants of the shipped plugins, with a promotion for the coupon `TENTH` to open, a sandbox that is not waited for
/// long, and [`OUTCOME_SECONDS`].
fn grants() -> String {
    let patience = "[plugins.payment-sandbox.limits]\ntimeout_ms = 3000";
    assert!(SHOP_GRANTS.contains(patience), "the sandbox has other limits");
    let shop = SHOP_GRANTS.replace(patience, "[plugins.payment-sandbox.limits]\ntimeout_ms = 1000");
    let promotion = "[[plugins.pricing-promotions.config.promotions]]\nid = \"tenth\"\nname = \"A tenth off\"\n\
                     coupon = true\naction = { type = \"percentage\", basisPoints = 1000 }\n";
    format!("{shop}\n[plugins.orders.config]\noutcomeSeconds = {OUTCOME_SECONDS}\n{promotion}")
}

fn copy_files(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (kind, to) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            fs::create_dir_all(&to).unwrap();
            copy_files(&entry.path(), &to);
        } else if kind.is_file() {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
