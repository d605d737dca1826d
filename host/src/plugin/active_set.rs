//! The active set and the components, kept in the store.
//!
//! The set is one document that names each plugin's digest and configuration; the components lie beside it in chunks.
//! So a host starts with what was active when it stopped, whatever its image brings along.

use std::{collections::BTreeSet, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use store_model::{CollectionSchema, Operation, Write};

use super::component::digest_of;
use crate::store::{CommitError, ReadError, Store};

const SETS: &str = "_plugin_sets";
const COMPONENTS: &str = "_components";
const CHUNKS: &str = "_component_chunks";
const SET_ID: &str = "set_active";
/// Well below any backend's document limit.
const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks in one commit: a component of the largest size takes a few.
const COMMIT_CHUNKS: usize = 16;

/// One active plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ActivePlugin {
    pub(super) id: String,
    pub(super) version: String,
    pub(super) digest: String,
    pub(super) config_digest: String,
    /// The file it came from: when that file becomes unusable, this plugin is the one that stays.
    #[serde(default)]
    pub(super) source: String,
    /// The collections that are its own, also while it is switched off or refused.
    #[serde(default)]
    pub(super) collections: Vec<String>,
}

/// Why the set could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ActiveSetError {
    #[error("cannot read the active plugins from the store")]
    Read(#[from] ReadError),
    #[error("cannot write the active plugins to the store")]
    Commit(#[from] CommitError),
    #[error("component {digest} in the store is damaged")]
    Damaged { digest: String },
}

/// The host's collections for plugins.
pub(super) fn collections() -> Vec<CollectionSchema> {
    vec![
        CollectionSchema::new(SETS, "set"),
        CollectionSchema::new(COMPONENTS, "cmp"),
        CollectionSchema::new(CHUNKS, "chk"),
    ]
}

/// The plugins that were active when the store was last written.
pub(super) async fn read(store: &Store) -> Result<Vec<ActivePlugin>, ActiveSetError> {
    let Some(document) = get(store, SETS, SET_ID).await? else { return Ok(Vec::new()) };
    Ok(serde_json::from_value(document["plugins"].clone()).unwrap_or_default())
}

/// The collections of all active plugins, also of those that do not serve at the moment.
///
/// # Errors
/// The set cannot be read.
pub async fn active_collections(store: &Store) -> Result<Vec<String>, ReadError> {
    let Some(document) = get(store, SETS, SET_ID).await? else { return Ok(Vec::new()) };
    let plugins: Vec<ActivePlugin> = serde_json::from_value(document["plugins"].clone()).unwrap_or_default();
    Ok(plugins.into_iter().flat_map(|plugin| plugin.collections).collect())
}

/// Writes the set.
pub(super) async fn write(store: &Store, plugins: &[ActivePlugin]) -> Result<(), ActiveSetError> {
    let body = Map::from_iter([("plugins".to_owned(), json!(plugins))]);
    let operation = match get(store, SETS, SET_ID).await? {
        Some(_) => Operation::Replace(body),
        None => Operation::Insert(body),
    };
    store.commit(vec![host_write(SETS, SET_ID.to_owned(), operation)]).await?;
    Ok(())
}

/// The digests of those components that the store holds.
pub(super) async fn known(store: &Store, digests: &[String]) -> Result<BTreeSet<String>, ActiveSetError> {
    let ids: Vec<String> = digests.iter().map(|digest| component_id(digest)).collect();
    let documents = store.document_get_many(COMPONENTS, &ids, None).await?;
    Ok(digests
        .iter()
        .zip(documents)
        .filter(|(_, found)| found.is_some())
        .map(|(digest, _)| digest.clone())
        .collect())
}

/// Puts a component into the store, unless it is there. Its own document comes last, so that a component that is there
/// is whole.
pub(super) async fn put_component(store: &Store, digest: &str, bytes: &[u8]) -> Result<(), ActiveSetError> {
    if known(store, &[digest.to_owned()]).await?.contains(digest) {
        return Ok(());
    }
    let chunks: Vec<&[u8]> = bytes.chunks(CHUNK_BYTES).collect();
    let numbered: Vec<(usize, &[u8])> = chunks.iter().copied().enumerate().collect();
    for batch in numbered.chunks(COMMIT_CHUNKS) {
        let ids: Vec<String> = batch.iter().map(|&(number, _)| chunk_id(digest, number)).collect();
        let there = store.document_get_many(CHUNKS, &ids, None).await?;
        let writes = batch
            .iter()
            .zip(&there)
            .filter(|(_, found)| found.is_none())
            .map(|(&(number, chunk), _)| {
                let body = Map::from_iter([("bytes".to_owned(), Value::String(BASE64.encode(chunk)))]);
                host_write(CHUNKS, chunk_id(digest, number), Operation::Insert(body))
            })
            .collect::<Vec<_>>();
        if !writes.is_empty() {
            store.commit(writes).await?;
        }
    }
    let body = Map::from_iter([
        ("digest".to_owned(), json!(digest)),
        ("sizeBytes".to_owned(), json!(bytes.len())),
        ("chunks".to_owned(), json!(chunks.len())),
    ]);
    store.commit(vec![host_write(COMPONENTS, component_id(digest), Operation::Insert(body))]).await?;
    Ok(())
}

/// Takes a component out of the store; `None` when it was never put there.
pub(super) async fn get_component(store: &Store, digest: &str) -> Result<Option<Arc<[u8]>>, ActiveSetError> {
    let Some(component) = get(store, COMPONENTS, &component_id(digest)).await? else { return Ok(None) };
    let count = usize::try_from(component["chunks"].as_u64().unwrap_or_default()).unwrap_or_default();
    let damaged = || ActiveSetError::Damaged { digest: digest.to_owned() };
    let mut bytes = Vec::new();
    for number in 0..count {
        let chunk = get(store, CHUNKS, &chunk_id(digest, number)).await?.ok_or_else(damaged)?;
        let text = chunk["bytes"].as_str().ok_or_else(damaged)?;
        bytes.extend(BASE64.decode(text).map_err(|_| damaged())?);
    }
    if digest_of(&bytes) != digest {
        return Err(damaged());
    }
    Ok(Some(bytes.into()))
}

async fn get(store: &Store, collection: &str, id: &str) -> Result<Option<Value>, ReadError> {
    let found = store.document_get_many(collection, &[id.to_owned()], None).await?;
    Ok(found.into_iter().next().flatten().and_then(|document| serde_json::from_str(&document.json).ok()))
}

fn component_id(digest: &str) -> String {
    format!("cmp_{}", digest.get(..40).unwrap_or(digest))
}

fn chunk_id(digest: &str, number: usize) -> String {
    format!("chk_{}_{number}", digest.get(..40).unwrap_or(digest))
}

fn host_write(collection: &str, id: String, operation: Operation) -> Write {
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
