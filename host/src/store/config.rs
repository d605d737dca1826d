//! Settings of the store.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

/// Where documents are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum StoreConfig {
    /// An SQLite database in a directory of this machine, for one server.
    Embedded(EmbeddedConfig),
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self::Embedded(EmbeddedConfig::default())
    }
}

/// Why a text names no store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("a store is named by a folder or by a `mongodb://` address, not by an empty text")]
    Empty,
    #[error("MongoDB is not available in this build: name a folder for an embedded store")]
    MongoDb,
}

impl StoreConfig {
    /// The store that a text names: a `mongodb://` address, or the folder of an embedded store.
    ///
    /// # Errors
    /// The text names none, or one that this build does not have.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        match text {
            "" => Err(TargetError::Empty),
            _ if text.starts_with("mongodb://") || text.starts_with("mongodb+srv://") => {
                Err(TargetError::MongoDb)
            }
            folder => Ok(Self::embedded(folder)),
        }
    }

    /// Whether there may be something to open. Opening an embedded store that is not there makes it.
    pub fn exists(&self) -> bool {
        match self {
            Self::Embedded(config) => config.file().exists(),
        }
    }

    /// The embedded store in a directory, with the defaults for the rest.
    pub fn embedded(directory: impl Into<PathBuf>) -> Self {
        Self::Embedded(EmbeddedConfig { directory: directory.into(), ..EmbeddedConfig::default() })
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
