//! The audit log, sealed: nobody who can write to the store changes what it tells unnoticed.
//!
//! Entries go into the commits of what they tell of (`store::audit`). A seal covers a batch of entries: it names each
//! with its hash, holds the hash of the seal before, and is authenticated with a key that is not in the store. So an
//! entry cannot be changed, removed or added below a seal, nor a seal itself, without the key. The number of the last
//! seal is also kept beside the store, so that taking the last ones away is noticed on the host that made them.
//!
//! What is not sealed yet (the last minute) is not protected, and neither is what somebody does who has the key.

mod seal;
mod verify;

use std::{path::PathBuf, sync::Arc};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use store_model::{Access, CollectionSchema, Field};

use crate::{config::AuthConfig, store::Store};

pub use seal::SealError;
pub use verify::AuditReport;

const SEALS: &str = "_audit_seals";

/// Seals the log and looks whether it is whole. Clones share it.
#[derive(Clone)]
pub struct AuditLog {
    store: Store,
    /// The key that seals first, then earlier ones.
    keys: Arc<Vec<SealKey>>,
    /// Where the last seal is remembered beside the store.
    head: PathBuf,
}

struct SealKey {
    id: String,
    key: [u8; 32],
}

/// A batch of entries that cannot be changed unnoticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Seal {
    /// From 1, without gaps.
    number: u64,
    /// The hash of the seal before; empty for the first.
    previous: String,
    key_id: String,
    /// Ids and hashes.
    entries: Vec<(String, String)>,
    /// The hash of all that.
    hash: String,
    /// The hash, authenticated.
    mac: String,
}

/// The last seal, beside the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    number: u64,
    hash: String,
}

impl AuditLog {
    /// The collections are declared.
    pub fn new(store: Store, config: &AuthConfig, data_dir: &std::path::Path) -> Self {
        let secrets = [&config.audit_key, &config.jwt_secret, &config.jwt_secret_previous];
        let keys = secrets.into_iter().flatten().map(SealKey::of).collect();
        Self { store, keys: Arc::new(keys), head: data_dir.join("audit-head.json") }
    }

    /// To be declared with the host's other collections.
    pub fn schema() -> CollectionSchema {
        CollectionSchema {
            fields: vec![Field::integer("number", Access::Unique)],
            ..CollectionSchema::host("audit_seals", "sea")
        }
    }
}

impl SealKey {
    fn of(secret: &SecretString) -> Self {
        let secret = secret.expose_secret().as_bytes();
        let id = blake3::derive_key("wares 2026-11-23 audit seal key id", secret);
        let id = id[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { id, key: blake3::derive_key("wares 2026-11-23 audit seal key", secret) }
    }

    fn mac(&self, hash: &str) -> blake3::Hash {
        blake3::keyed_hash(&self.key, hash.as_bytes())
    }
}

impl Seal {
    fn id(number: u64) -> String {
        format!("sea_{number:012}")
    }

    fn hash_of(number: u64, previous: &str, key_id: &str, entries: &[(String, String)]) -> String {
        // An array has one way to be written.
        let text = serde_json::json!([number, previous, key_id, entries]).to_string();
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }

    fn computed_hash(&self) -> String {
        Self::hash_of(self.number, &self.previous, &self.key_id, &self.entries)
    }
}

/// The hash of what an entry tells, whatever order its members are stored in.
fn entry_hash(json: &str) -> String {
    let mut entry: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    if let Some(members) = entry.as_object_mut() {
        // What sealing itself changes.
        members.retain(|name, _| !["seal", "version", "updatedAt"].contains(&name.as_str()));
    }
    entry.sort_all_objects();
    blake3::hash(entry.to_string().as_bytes()).to_hex().to_string()
}

fn read(document: &store_model::Document) -> Option<Seal> {
    serde_json::from_str(&document.json).ok()
}
