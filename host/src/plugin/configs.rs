//! Configurations of plugins: every one that was ever active, by its digest, and those that were set while the host ran.
//!
//! What is set while the host runs stands over what the plugins file said at the time. Once the file says something else
//! of that plugin, the file counts again: whoever edits it means it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use store_model::{CollectionSchema, Operation, Query, Write};

use crate::store::{CommitError, ReadError, Store};

const CONFIGS: &str = "_plugin_configs";
const SETTINGS: &str = "_plugin_settings";

/// A configuration that was set while the host ran.
#[derive(Debug, Clone, PartialEq)]
pub struct SetConfig {
    pub config: Map<String, Value>,
    /// The digest of what the plugins file said.
    pub over: String,
    pub version: u64,
}

/// The configuration that counts for a plugin.
#[derive(Debug, Clone, Default)]
pub(super) struct Counting {
    pub(super) config: Map<String, Value>,
    /// That of the setting, and 0 for the plugins file's.
    pub(super) version: u64,
}

/// The host's collections for configurations.
pub(super) fn collections() -> Vec<CollectionSchema> {
    vec![CollectionSchema::new(CONFIGS, "cfg"), CollectionSchema::new(SETTINGS, "pst")]
}

/// A configuration as plugins get it, and its digest.
pub(super) fn encoded(config: &Map<String, Value>) -> (Vec<u8>, String) {
    let bytes = serde_json::to_vec(config).unwrap_or_default();
    let digest = blake3::hash(&bytes).to_hex().to_string();
    (bytes, digest)
}

/// Keeps a configuration for as long as a price may be looked at again.
pub(super) async fn keep(store: &Store, digest: &str, config: &[u8]) -> Result<(), CommitError> {
    let text = String::from_utf8_lossy(config).into_owned();
    let body = Map::from_iter([("config".to_owned(), Value::String(text))]);
    match store.commit(vec![write(CONFIGS, kept_id(digest), Operation::Insert(body))]).await {
        // It is there: the id follows from what it is.
        Ok(_) | Err(CommitError::Refused(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A configuration that was active once.
pub(super) async fn kept(store: &Store, digest: &str) -> Result<Option<Vec<u8>>, ReadError> {
    let found = store.document_get_many(CONFIGS, &[kept_id(digest)], None).await?;
    let Some(document) = found.into_iter().next().flatten() else { return Ok(None) };
    let body: Value = serde_json::from_str(&document.json).unwrap_or_default();
    Ok(body["config"].as_str().map(|text| text.as_bytes().to_vec()))
}

/// What was set while the host ran, by plugin.
///
/// # Errors
/// Those of the store's reads.
pub async fn set(store: &Store) -> Result<BTreeMap<String, SetConfig>, ReadError> {
    let page = store.document_find(SETTINGS, &Query { limit: 1_000, ..Query::default() }).await?;
    let parsed = page.documents.into_iter().filter_map(|document| {
        let body: Value = serde_json::from_str(&document.json).ok()?;
        // Settings of earlier versions are objects.
        let config = match &body["config"] {
            Value::String(text) => serde_json::from_str(text).ok()?,
            config => config.as_object()?.clone(),
        };
        let set = SetConfig { config, over: body["over"].as_str()?.to_owned(), version: document.version };
        Some((body["plugin"].as_str()?.to_owned(), set))
    });
    Ok(parsed.collect())
}

/// The write that sets a configuration over what the plugins file says, in the place of what was set before.
pub fn setting(plugin: &str, config: Map<String, Value>, over: &str, before: Option<&SetConfig>) -> Write {
    let body = Map::from_iter([
        ("plugin".to_owned(), json!(plugin)),
        // As text: what is a member's name here may be none in a document.
        ("config".to_owned(), Value::String(Value::Object(config).to_string())),
        ("over".to_owned(), json!(over)),
    ]);
    let operation = if before.is_some() { Operation::Replace(body) } else { Operation::Insert(body) };
    let write = write(SETTINGS, format!("pst_{plugin}"), operation);
    Write { expected_version: before.map(|before| before.version), ..write }
}

/// The write that makes a setting over which the plugins file was edited count no more, also where the file is edited
/// back.
pub(super) fn settled(plugin: &str, set: &SetConfig) -> Write {
    setting(plugin, set.config.clone(), "", Some(set))
}

fn kept_id(digest: &str) -> String {
    format!("cfg_{digest}")
}

fn write(collection: &str, id: String, operation: Operation) -> Write {
    Write {
        collection: collection.to_owned(),
        id,
        operation,
        expected_version: None,
        guard: None,
        scope: None,
        embeds: Vec::new(),
    }
}
