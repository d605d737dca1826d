//! Accounts of the mock host. Who may set what is the real host's to decide, so here everybody may.

use serde_json::{Map, Value, json};
use store_model::{Access, CollectionSchema, Field, Operation, TextField, Write};

use super::MockHost;
use crate::{
    Problem,
    host::Host as _,
    identity::{ACCOUNTS, AccountCall},
};

/// What may be asked of accounts, as the real host has it.
pub(super) fn schema() -> CollectionSchema {
    CollectionSchema {
        fields: vec![
            Field::text("email", Access::Unique),
            Field::text("name", Access::Index),
            Field::text("kind", Access::Index),
            Field::text("status", Access::Scan),
            Field::text("phone", Access::Index),
            Field::text("roles", Access::Index).multi(),
            Field::text("groups", Access::Index).multi(),
            Field::boolean("emailVerified", Access::Scan),
            Field::boolean("acceptsMarketing", Access::Scan),
            Field::timestamp("lastLoginAt", Access::Index),
        ],
        text: vec![TextField { path: "name".to_owned(), weight: 1 }],
        ..CollectionSchema::host("accounts", "usr")
    }
}

pub(super) fn declare(host: &MockHost) {
    let schema = schema();
    host.prefixes.borrow_mut().push((schema.name.clone(), schema.id_prefix.clone()));
    if let Err(error) = host.store.borrow_mut().declare_host(vec![schema]) {
        panic!("the accounts cannot be declared: {error}");
    }
}

pub(super) fn answer(host: &MockHost, call: AccountCall) -> Result<Vec<u8>, Problem> {
    let stored = |id: &str| host.document(ACCOUNTS, id).ok_or_else(Problem::not_found);
    let (account, write) = match call {
        AccountCall::Create(members) => {
            let mut account = json!({
                "kind": "customer", "name": "", "status": "active", "roles": [], "groups": [],
                "emailVerified": false, "phone": null, "acceptsMarketing": false,
            });
            overlay(&mut account, &members);
            let id = host.new_id("usr")?;
            let write = Write::new(ACCOUNTS, &id, Operation::Insert(body(&account)));
            let now = crate::time::timestamp(host.now_ms());
            overlay(
                &mut account,
                json!({"id": id, "createdAt": now, "updatedAt": now}).to_string().as_bytes(),
            );
            (account, write)
        }
        AccountCall::Change { id, changes } => {
            let mut account = stored(&id)?;
            let version = account["version"].as_u64();
            overlay(&mut account, &changes);
            let mut write = Write::new(ACCOUNTS, id, Operation::Replace(body(&account)));
            write.expected_version = version;
            (account, write)
        }
        AccountCall::Delete { id } => {
            let account = stored(&id)?;
            (account, Write::new(ACCOUNTS, id, Operation::Delete))
        }
        AccountCall::Sessions { id } => {
            stored(&id)?;
            return Ok(b"[]".to_vec());
        }
    };
    host.joining.borrow_mut().push(write);
    Ok(account.to_string().into_bytes())
}

fn overlay(account: &mut Value, members: &[u8]) {
    let members: Map<String, Value> = serde_json::from_slice(members).unwrap_or_default();
    for (name, value) in members {
        account[name] = value;
    }
}

/// What is stored, beside what the store keeps itself.
fn body(account: &Value) -> Map<String, Value> {
    let mut body = account.as_object().cloned().unwrap_or_default();
    body.retain(|name, _| !store_model::schema::HOST_MEMBERS.contains(&name.as_str()));
    body
}
