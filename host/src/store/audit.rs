//! Entries of the audit log: who did what to what, when and from where.
//!
//! An entry is a write that goes into the commit of what it tells of, so that one never exists without the other.

use serde_json::{Map, Value, json};
use store_model::{Access, CollectionSchema, Field, Operation, Write};

use super::Store;

/// The collection of entries, which belongs to the host.
pub const COLLECTION: &str = "_audit";

/// Who acts, for the audit log. Only staff, service accounts and security actions are audited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actor {
    /// `anonymous`, `customer`, `admin`, `service` or `system`.
    pub kind: String,
    pub id: Option<String>,
    /// Where the request came from.
    pub address: Option<String>,
}

/// What an entry tells.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry<'a> {
    pub actor: &'a Actor,
    pub operation_id: &'a str,
    pub request_id: &'a str,
    /// `ok`, or why it was refused.
    pub outcome: &'a str,
    /// What was changed: `{collection, id, verb}` each.
    pub changes: Vec<Value>,
}

impl AuditEntry<'_> {
    /// The write that records it.
    pub fn write(self, store: &Store) -> Write {
        let mut entry = Map::new();
        entry.insert("actorKind".to_owned(), json!(self.actor.kind));
        entry.insert("actorId".to_owned(), json!(self.actor.id));
        entry.insert("address".to_owned(), json!(self.actor.address));
        entry.insert("operationId".to_owned(), json!(self.operation_id));
        entry.insert("requestId".to_owned(), json!(self.request_id));
        entry.insert("outcome".to_owned(), json!(self.outcome));
        entry.insert("subjects".to_owned(), subjects(&self.changes));
        entry.insert("changes".to_owned(), Value::Array(self.changes));
        Write::new(COLLECTION, store.id_new("aud"), Operation::Insert(entry))
    }
}

/// The ids of what was changed, each once, to be looked for.
fn subjects(changes: &[Value]) -> Value {
    let mut ids: Vec<&Value> = Vec::new();
    for id in changes.iter().filter_map(|change| change.get("id")) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    json!(ids)
}

/// To be declared with the host's other collections.
pub fn schema() -> CollectionSchema {
    CollectionSchema {
        fields: vec![
            Field::text("actorId", Access::Index),
            Field::text("actorKind", Access::Scan),
            Field::text("operationId", Access::Index),
            Field::text("outcome", Access::Scan),
            Field::text("subjects", Access::Index).multi(),
            // The number of the seal that covers the entry; null until there is one.
            Field::integer("seal", Access::Index),
        ],
        ..CollectionSchema::host("audit", "aud")
    }
}
