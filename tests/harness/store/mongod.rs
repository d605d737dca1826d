//! Real MongoDB servers: the one that all tests of a run share, and ones of a test's own that it may freeze or
//! kill.
//!
//! `cargo xtask test` gets the server program and starts the shared one. Without it the tests say that they
//! test nothing, or fail where that is not allowed.
#![allow(clippy::print_stderr, reason = "a test that tests nothing must tell so")]

use std::{
    env, fs,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use mongodb::{
    Client,
    bson::{Document, doc},
    options::ClientOptions,
};
use tempfile::TempDir;

use crate::{
    host::target_dir,
    wait::{found_within, within},
};

/// Set by the runner: address and port of the shared server.
const SHARED: &str = "WARES_TEST_MONGODB";
/// Set by the runner or by hand: the server program.
const PROGRAM: &str = "MONGOD_BIN";
/// Set where a test may not be left out.
const REQUIRED: &str = "WARES_TEST_REQUIRE_SERVERS";

/// Longer than a server takes to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// An election after two seconds instead of ten.
const ELECTION_MS: i32 = 2_000;

/// A database of one test, which goes away with the last handle.
#[derive(Debug)]
pub struct TestDatabase {
    pub uri: String,
}

/// A server process of a test's own.
#[derive(Debug)]
pub struct Mongod {
    process: Option<Child>,
    pub port: u16,
    set: Option<String>,
    folder: TempDir,
}

/// A replica set of a test's own.
#[derive(Debug)]
pub struct ReplicaSet {
    pub nodes: Vec<Mongod>,
}

/// Whether there is a shared server. That there is none is told loudly.
pub fn is_there() -> bool {
    let is_there = env::var(SHARED).is_ok();
    if !is_there {
        missing("no shared server");
    }
    is_there
}

/// A new database on the shared server.
///
/// # Panics
/// When there is no server.
pub async fn database() -> Arc<TestDatabase> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let address = env::var(SHARED).expect("the test has asked whether there is a server");
    make_primary(&[&address]).await;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("test_{}_{number}", std::process::id());
    Arc::new(TestDatabase { uri: format!("mongodb://{address}/{name}?replicaSet=rs0") })
}

/// The server program, for tests that start their own; nothing where there is none, which is told loudly.
pub fn program() -> Option<PathBuf> {
    let program = env::var(PROGRAM).ok().map(PathBuf::from);
    if program.is_none() {
        missing("no server program");
    }
    program
}

fn missing(what: &str) {
    let hint = "run `cargo xtask test`, or name a program in MONGOD_BIN";
    assert!(env::var(REQUIRED).is_err(), "MongoDB is not tested ({what}): {hint}");
    eprintln!("NOT TESTED on MongoDB ({what}): {hint}");
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let uri = self.uri.clone();
        // A test may end while its runtime does, so this one needs one of its own.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let client = Client::with_uri_str(&uri).await.unwrap();
                // What stays behind goes with the server.
                let _ = client.default_database().unwrap().drop().await;
            });
        });
        let _ = dropping.join();
    }
}

impl Mongod {
    /// Starts a server, as a member of a replica set or alone.
    pub fn start(program: &PathBuf, set: Option<&str>) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = TempDir::new_in(target_dir()).unwrap();
        let mut server = Self { process: None, port, set: set.map(str::to_owned), folder };
        server.start_again(program);
        server
    }

    /// Starts a server that was killed, with its data.
    pub fn start_again(&mut self, program: &PathBuf) {
        let mut command = Command::new(program);
        command
            .args(["--bind_ip", "127.0.0.1", "--nounixsocket", "--quiet"])
            .args(["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64"])
            .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
            .args(["--port", &self.port.to_string()])
            .arg("--dbpath")
            .arg(self.folder.path())
            .arg("--logpath")
            .arg(self.folder.path().join("log"));
        if let Some(set) = &self.set {
            command.args(["--replSet", set]);
        }
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.process = Some(process.unwrap());
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Sends a signal such as `-STOP`.
    pub fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("the server was killed");
        let status = Command::new("kill").args([signal, &process.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits until all of it stands still after `-STOP`, which sending the signal does not.
    pub async fn stopped(&self) {
        let process = self.process.as_ref().expect("the server was killed");
        let threads = format!("/proc/{}/task", process.id());
        within(PATIENCE, "the server's silence", async || {
            fs::read_dir(&threads).unwrap().all(|thread| {
                let status = fs::read_to_string(thread.unwrap().path().join("status"));
                status.is_ok_and(|status| status.contains("\nState:\tT"))
            })
        })
        .await;
    }

    /// Waits until it has ended after a signal.
    pub async fn ended(&mut self) {
        within(PATIENCE, "the server's end", async || {
            self.process.as_mut().is_none_or(|process| process.try_wait().unwrap().is_some())
        })
        .await;
        self.process = None;
    }

    /// Kills it as the system would, with no chance to tidy up.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for Mongod {
    fn drop(&mut self) {
        self.kill();
    }
}

impl ReplicaSet {
    /// Starts a set and waits for its primary.
    pub async fn start(program: &PathBuf, nodes: usize) -> Self {
        let nodes: Vec<Mongod> = (0..nodes).map(|_| Mongod::start(program, Some("rs0"))).collect();
        let addresses: Vec<String> = nodes.iter().map(Mongod::address).collect();
        make_primary(&addresses.iter().map(String::as_str).collect::<Vec<_>>()).await;
        Self { nodes }
    }

    pub fn uri(&self, database: &str) -> String {
        let addresses: Vec<String> = self.nodes.iter().map(Mongod::address).collect();
        format!("mongodb://{}/{database}?replicaSet=rs0", addresses.join(","))
    }

    /// Which node is the primary. Waits until one is.
    pub async fn primary(&self) -> usize {
        found_within(PATIENCE, "the election of a primary", async || {
            for (position, node) in self.nodes.iter().enumerate() {
                if node.process.is_some() && is_primary(&hello(&node.address()).await) {
                    return Some(position);
                }
            }
            None
        })
        .await
    }

    /// Waits until a node takes part again.
    pub async fn joined(&self, position: usize) {
        within(PATIENCE, "the node's return", async || {
            let hello = hello(&self.nodes[position].address()).await.unwrap_or_default();
            let is = |role| hello.get_bool(role).unwrap_or_default();
            is("secondary") || is("isWritablePrimary")
        })
        .await;
    }
}

/// Makes a replica set of servers that were started as its members, unless they are one, and waits for its
/// primary.
async fn make_primary(addresses: &[&str]) {
    let members: Vec<Document> =
        (0_i32..).zip(addresses).map(|(id, host)| doc! { "_id": id, "host": *host }).collect();
    let config =
        doc! { "_id": "rs0", "members": members, "settings": { "electionTimeoutMillis": ELECTION_MS } };
    within(PATIENCE, &format!("a primary at {addresses:?}"), async || {
        for address in addresses {
            let found = hello(address).await;
            if is_primary(&found) {
                return true;
            }
            if found.is_some_and(|hello| !hello.contains_key("setName")) && *address == addresses[0] {
                // Another test may be doing the same, and one of them is first.
                let _ = admin(address, doc! { "replSetInitiate": config.clone() }).await;
            }
        }
        false
    })
    .await;
}

fn is_primary(hello: &Option<Document>) -> bool {
    hello.as_ref().is_some_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or_default())
}

async fn hello(address: &str) -> Option<Document> {
    admin(address, doc! { "hello": 1 }).await.ok()
}

/// Runs a command on one server, whatever its role.
async fn admin(address: &str, command: Document) -> mongodb::error::Result<Document> {
    let mut options = ClientOptions::parse(format!("mongodb://{address}/?directConnection=true")).await?;
    options.server_selection_timeout = Some(Duration::from_secs(1));
    let client = Client::with_options(options)?;
    let result = client.database("admin").run_command(command).await;
    client.shutdown().immediate(true).await;
    result
}
