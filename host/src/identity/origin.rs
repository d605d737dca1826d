//! Where a request came from: what the audit log, sessions and the slowing of guesses know of it.

use std::net::IpAddr;

use serde_json::{Value, json};
use store_model::{Operation, Write};

use crate::store::{Actor, AuditEntry, Store};

use super::AccountKind;

/// A request on an account, as far as identity cares.
#[derive(Debug, Clone)]
pub struct Origin {
    pub operation_id: &'static str,
    pub request_id: String,
    /// The client's, or nothing for a command.
    pub address: Option<IpAddr>,
    pub user_agent: Option<String>,
}

impl Origin {
    /// A command of the operator's.
    pub fn command(operation_id: &'static str) -> Self {
        Self { operation_id, request_id: "-".to_owned(), address: None, user_agent: None }
    }

    pub(super) fn address_text(&self) -> Option<String> {
        self.address.map(|address| address.to_string())
    }

    /// The write that records what came of the request. `actor` is nobody where an unknown person tried.
    pub(super) fn audit(
        &self,
        store: &Store,
        actor: Option<(AccountKind, &str)>,
        outcome: &str,
        writes: &[Write],
    ) -> Write {
        let actor = Actor {
            kind: actor.map_or("anonymous", |(kind, _)| kind.as_str()).to_owned(),
            id: actor.map(|(_, id)| id.to_owned()),
            address: self.address_text(),
        };
        let changes = writes.iter().filter_map(change).collect();
        AuditEntry {
            actor: &actor,
            operation_id: self.operation_id,
            request_id: &self.request_id,
            outcome,
            changes,
        }
        .write(store)
    }
}

/// What a write changes, unless it is only bookkeeping about guesses or roles.
fn change(write: &Write) -> Option<Value> {
    let verb = match &write.operation {
        Operation::Insert(_) => "create",
        Operation::Replace(_) | Operation::Update(_) => "change",
        Operation::Delete => "delete",
        Operation::Check => return None,
    };
    let internal = [super::guess::COLLECTION, super::state::COLLECTION].contains(&write.collection.as_str());
    (!internal).then(|| json!({ "collection": write.collection, "id": write.id, "verb": verb }))
}
