//! Settings of the store.

use std::{fmt, path::PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
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

/// Why a text names no store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a store is named by a folder or by a `mongodb://` address, not by an empty text")]
pub struct TargetError;

impl StoreConfig {
    /// The store that a text names: a `mongodb://` address, or the folder of an embedded store.
    ///
    /// # Errors
    /// The text is empty.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        match text {
            "" => Err(TargetError),
            _ if text.starts_with("mongodb://") || text.starts_with("mongodb+srv://") => {
                Ok(Self::mongo(text))
            }
            folder => Ok(Self::embedded(folder)),
        }
    }

    /// Whether both name one store in the same words.
    pub fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Embedded(one), Self::Embedded(other)) => one.directory == other.directory,
            (Self::Mongo(one), Self::Mongo(other)) => one.uri.expose_secret() == other.uri.expose_secret(),
            _ => false,
        }
    }

    /// Whether there may be something to open. Opening an embedded store that is not there makes it.
    pub fn exists(&self) -> bool {
        match self {
            Self::Embedded(config) => config.file().exists(),
            Self::Mongo(_) => true,
        }
    }

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

impl EmbeddedConfig {
    /// The database.
    pub fn file(&self) -> PathBuf {
        self.directory.join("wares.db")
    }
}

/// Where the store is, for messages. Never a password.
impl fmt::Display for StoreConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(config) => write!(formatter, "`{}`", config.directory.display()),
            Self::Mongo(config) => write!(formatter, "`{}`", without_secrets(config.uri.expose_secret())),
        }
    }
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

/// An address without who calls and without options, some of which are secret too.
fn without_secrets(uri: &str) -> String {
    let (scheme, rest) = uri.split_once("://").unwrap_or(("mongodb", uri));
    let rest = rest.split('?').next().unwrap_or_default();
    // A password may hold an `@` that is not encoded.
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    format!("{scheme}://{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_without_its_password() {
        for (uri, told) in [
            ("mongodb://shop:hunter2@one:1,two:2/shop?replicaSet=rs0", "`mongodb://one:1,two:2/shop`"),
            ("mongodb://shop:hu@nter2@one/shop?tlsCertificateKeyFilePassword=x", "`mongodb://one/shop`"),
            ("mongodb+srv://cluster.example/shop", "`mongodb+srv://cluster.example/shop`"),
        ] {
            assert_eq!(StoreConfig::parse(uri).unwrap().to_string(), told);
        }
        assert!(matches!(StoreConfig::parse("folder").unwrap(), StoreConfig::Embedded(_)));
        assert!(StoreConfig::parse("").is_err());
    }
}
