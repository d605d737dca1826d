//! Idempotency records: what a repeated request is answered with.
//!
//! The record's id is a hash of the caller, the method, the full path and the key, so two hosts that run the same
//! request meet on it. It is written by the request's own commits and never without them.

use serde_json::{Map, Value, json};
use store_model::{Access, CollectionSchema, Embed, Field, Filter, Operation, Scalar, Write};

use super::{Answer, PurgeError, ReadError, Store};

/// How long a record is kept.
pub const KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// How long a request may stay between its first and last commit before a repeat takes over.
const RUNNING_MS: i64 = 60_000;

/// The idempotency key of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    pub(super) record_id: String,
    /// A hash of the request's body.
    fingerprint: String,
    now_ms: i64,
    /// The version of an outdated record that this request replaces.
    pub(super) takes_over: Option<u64>,
}

/// What the store knows about a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// Nothing: go ahead with this key.
    New(IdempotencyKey),
    /// The same request was answered before.
    Answered(Answer),
    /// The key was used with another body.
    Reused,
    /// The first request is still running.
    Running,
}

impl IdempotencyKey {
    pub(super) const COLLECTION: &str = "_idempotency";

    /// `scope` names the caller, the method and the full path.
    pub fn new(scope: &str, key: &str, body: &[u8], now_ms: i64) -> Self {
        let mut hasher = blake3::Hasher::new();
        // The length keeps scope and key apart.
        hasher.update(&(scope.len() as u64).to_le_bytes());
        hasher.update(scope.as_bytes());
        hasher.update(key.as_bytes());
        let record_id = format!("idm_{}", &hasher.finalize().to_hex()[..40]);
        let fingerprint = fingerprint(&blake3::hash(body));
        Self { record_id, fingerprint, now_ms, takes_over: None }
    }

    /// The same key for another body, which is known by a hash: an upload's bytes are not kept.
    #[must_use]
    pub fn with_body(mut self, hash: &blake3::Hash) -> Self {
        self.fingerprint = fingerprint(hash);
        self
    }

    /// Identifies the record, for telling requests of one process apart before they reach the store.
    pub fn record_id(&self) -> &str {
        &self.record_id
    }

    /// Names the request by its key and its body, so that another one under the same key, after a day, is another.
    pub fn request_key(&self) -> String {
        format!("{}-{}", self.record_id, &self.fingerprint[..16])
    }

    /// Looks the key up.
    ///
    /// # Errors
    /// Those of the store's reads.
    pub async fn look_up(mut self, store: &Store) -> Result<Seen, ReadError> {
        let found = store.document_get_many(Self::COLLECTION, &[self.record_id.clone()], None).await?;
        let Some(document) = found.into_iter().next().flatten() else { return Ok(Seen::New(self)) };
        let record: Value = serde_json::from_str(&document.json).unwrap_or(Value::Null);
        let expires_ms = record["expiresMs"].as_i64().unwrap_or_default();
        let running = record["state"] == "running";
        let is_same = record["fingerprint"] == json!(self.fingerprint);
        // What another request has begun is not to be taken for what this one has.
        if expires_ms <= self.now_ms && (is_same || !running) {
            self.takes_over = Some(document.version);
            return Ok(Seen::New(self));
        }
        if !is_same {
            return Ok(Seen::Reused);
        }
        if running {
            return Ok(Seen::Running);
        }
        Ok(Seen::Answered(answer_of(&record)))
    }

    pub(super) fn record(
        &self,
        status: u16,
        headers: &[(String, String)],
        version: Option<u64>,
    ) -> Map<String, Value> {
        let mut record = self.base("answered", KEPT_MS);
        record.insert("status".to_owned(), json!(status));
        record.insert("headers".to_owned(), json!(headers));
        record.insert("shownVersion".to_owned(), json!(version));
        record
    }

    pub(super) fn running(&self) -> Map<String, Value> {
        self.base("running", RUNNING_MS)
    }

    /// Of a request that has ended without an answer to keep: outdated at once.
    pub(super) fn abandoned(&self) -> Map<String, Value> {
        self.base("running", 0)
    }

    pub(super) fn replace(&self, record: Map<String, Value>, version: u64, embeds: Vec<Embed>) -> Write {
        Write {
            collection: Self::COLLECTION.to_owned(),
            id: self.record_id.clone(),
            operation: Operation::Replace(record),
            expected_version: Some(version),
            guard: None,
            scope: None,
            embeds,
        }
    }

    /// Replaces an outdated record, unless it was purged and made anew meanwhile: then it may have the same version again.
    pub(super) fn take_over(&self, record: Map<String, Value>, version: u64, embeds: Vec<Embed>) -> Write {
        let outdated = Filter::Lte("expiresMs".to_owned(), Scalar::Integer(self.now_ms));
        Write { guard: Some(outdated), ..self.replace(record, version, embeds) }
    }

    fn base(&self, state: &str, kept_ms: i64) -> Map<String, Value> {
        let mut record = Map::new();
        record.insert("state".to_owned(), json!(state));
        record.insert("fingerprint".to_owned(), json!(self.fingerprint));
        record.insert("expiresMs".to_owned(), json!(self.now_ms.saturating_add(kept_ms)));
        record
    }
}

fn fingerprint(hash: &blake3::Hash) -> String {
    hash.to_hex()[..40].to_owned()
}

/// Deletes records whose time is over, and answers how many. A request that is taking one over makes it anew.
///
/// # Errors
/// Those of the store.
pub async fn purge(store: &Store) -> Result<usize, PurgeError> {
    let now = Scalar::Integer(store.clock().now_ms());
    let over = Filter::Lt("expiresMs".to_owned(), now);
    super::purge(store, IdempotencyKey::COLLECTION, over).await
}

fn answer_of(record: &Value) -> Answer {
    let body = match &record["body"] {
        Value::Null => None,
        body => Some(serde_json::to_string(body).unwrap_or_default()),
    };
    // The shown document's version is its own member when the answer is a document.
    let version = record["shownVersion"].as_u64().or_else(|| {
        record.get("subject")?;
        record["body"]["version"].as_u64()
    });
    Answer {
        status: record["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(200),
        headers: serde_json::from_value(record["headers"].clone()).unwrap_or_default(),
        body,
        version,
    }
}

/// The collections that requests' commits write besides the plugins' own.
pub fn host_collections() -> Vec<CollectionSchema> {
    let indexed = |mut schema: CollectionSchema, fields: Vec<Field>| {
        schema.fields = fields;
        schema
    };
    vec![
        indexed(
            CollectionSchema::host("idempotency", "idm"),
            vec![Field::integer("expiresMs", Access::Index)],
        ),
        indexed(
            CollectionSchema::host("events", "evt"),
            vec![Field::text("topic", Access::Index), Field::text("subject", Access::Index)],
        ),
        super::audit::schema(),
    ]
}
