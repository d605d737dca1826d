//! Settings of the store.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// Where documents are kept.
#[derive(Debug, Clone)]
pub enum StoreConfig {
    /// An SQLite database in a directory of this machine, for one server.
    Embedded(EmbeddedConfig),
    /// A MongoDB replica set, for any number of servers.
    Mongo(MongoConfig),
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self::Embedded(EmbeddedConfig::default())
    }
}

impl StoreConfig {
    /// The embedded store in a directory, with the defaults for the rest.
    pub fn embedded(directory: impl Into<PathBuf>) -> Self {
        Self::Embedded(EmbeddedConfig { directory: directory.into(), ..EmbeddedConfig::default() })
    }

    /// A replica set, with the defaults for the rest.
    pub fn mongo(uri: impl Into<SecretString>) -> Self {
        Self::Mongo(MongoConfig::new(uri))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddedConfig {
    /// The data directory. It is made when missing, and locked while a server runs.
    pub directory: PathBuf,
    /// Most queries that run at the same time. More do not help: they share the cores and the disk.
    /// Lookups by id are not counted.
    pub readers: usize,
    /// Most commits that wait for the writer. When the queue is full, commits are refused at once, which
    /// is kinder than accepting them for a deadline they will miss.
    pub write_queue: usize,
    /// Most commits that share one sync of the disk; 1 gives every commit its own. Larger batches gain
    /// little once the sync is a small part of the whole, and make the first in the batch wait.
    pub batch_commits: usize,
    /// Page cache of each connection in KiB.
    pub cache_kib: u32,
    /// Whether the structure of the database is checked when it is opened, which reads all of it.
    /// Files larger than 512 MiB are left out, so that a large shop starts in time.
    pub check_on_open: bool,
    /// Largest size of the database in pages of 4 KiB, 0 for no bound. A full database refuses writes
    /// and goes on reading.
    pub max_pages: u32,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("wares-data"),
            readers: 8,
            write_queue: 1024,
            batch_commits: 64,
            cache_kib: 8 * 1024,
            check_on_open: true,
            max_pages: 0,
        }
    }
}

#[derive(Debug, Clone)]
pub struct MongoConfig {
    /// The address with everything that the driver understands, such as
    /// `mongodb://user:password@one:27017,two:27017/shop?replicaSet=rs0`. It may hold a password.
    pub uri: SecretString,
    /// Most connections to each server, unless the address says something else.
    pub connections: u32,
    /// Most commits that wait or run. When there are more they are refused at once.
    pub write_queue: usize,
}

impl MongoConfig {
    /// An address, with the defaults for the rest.
    pub fn new(uri: impl Into<SecretString>) -> Self {
        Self { uri: uri.into(), connections: 50, write_queue: 1024 }
    }
}
