//! `[store]`: where the data is kept.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{Wrong, ensure, secret};
use crate::store::StoreConfig;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// Folder of the embedded store, media, the control socket, compiled plugins and the generated development secret.
    pub data_dir: PathBuf,
    /// Address of a MongoDB replica set. Empty means the embedded store. May hold a password.
    #[serde(with = "secret")]
    pub mongodb_uri: Option<SecretString>,
    /// Address of a Redis server. Empty means that cache and bus are in process. May hold a password.
    #[serde(with = "secret")]
    pub redis_uri: Option<SecretString>,
    /// Bucket for uploaded media. Empty means the data directory.
    pub bucket: String,
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("wares-data"),
            mongodb_uri: None,
            redis_uri: None,
            bucket: String::new(),
        }
    }
}

impl StoreSection {
    /// The store that is configured.
    pub fn store_config(&self) -> StoreConfig {
        match &self.mongodb_uri {
            Some(uri) => StoreConfig::mongo(uri.clone()),
            None => StoreConfig::embedded(&self.data_dir),
        }
    }

    pub(super) fn check(&self) -> Result<(), Wrong> {
        ensure(self.data_dir != Path::new(""), "store.data_dir", "the path of a folder")?;
        let address = self.mongodb_uri.as_ref().map(ExposeSecret::expose_secret);
        ensure(
            address.is_none_or(|uri| uri.starts_with("mongodb://") || uri.starts_with("mongodb+srv://")),
            "store.mongodb_uri",
            "an address such as mongodb://db1:27017,db2:27017/shop?replicaSet=rs0",
        )
    }
}
