//! Roles: named sets of permissions, as documents of the host's own collection `_roles`.
//!
//! The built-in ones are made when they are missing and keep their ids; all but `superadmin` and `customer` can be
//! edited. What a caller may do is answered from memory while the stamp of [`super::state`] is the same.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwapOption;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use store_model::{
    Access, CollectionSchema, CommitRefused, Document, Field, Operation, Query, Refusal, Write,
    query::LIMIT_MAX,
};

use crate::store::{CommitError, ReadError, Store};

use super::state;

pub(super) const COLLECTION: &str = "_roles";
/// The role that may do everything. Somebody always has it, and nobody edits it.
pub(super) const SUPERADMIN: &str = "superadmin";
/// The role of every customer. What customers may do is their own, so it has no permissions.
const CUSTOMER: &str = "customer";

/// A role as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    pub id: String,
    pub version: u64,
    pub created_at: String,
    pub updated_at: String,
    pub name: String,
    pub description: String,
    pub permissions: Vec<String>,
    pub built_in: bool,
}

/// What can be said of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleContent {
    pub name: String,
    pub description: String,
    pub permissions: Vec<String>,
}

impl RoleContent {
    pub(super) fn body(&self, built_in: bool) -> Map<String, serde_json::Value> {
        let mut permissions = self.permissions.clone();
        permissions.sort();
        permissions.dedup();
        let mut body = Map::new();
        body.insert("name".to_owned(), json!(self.name));
        body.insert("description".to_owned(), json!(self.description));
        body.insert("permissions".to_owned(), json!(permissions));
        body.insert("builtIn".to_owned(), json!(built_in));
        body
    }
}

struct BuiltIn {
    id: &'static str,
    name: &'static str,
    description: &'static str,
    permissions: &'static [&'static str],
}

/// Some permissions come with plugins that are not there yet; until then they allow nothing.
const BUILT_IN: [BuiltIn; 7] = [
    BuiltIn { id: SUPERADMIN, name: "Superadmin", description: "May do everything.", permissions: &["*"] },
    BuiltIn {
        id: "catalog-manager",
        name: "Catalogue manager",
        description: "Keeps products and categories.",
        permissions: &["categories:*", "products:*"],
    },
    BuiltIn {
        id: "stock-manager",
        name: "Stock manager",
        description: "Keeps the stock, and sees all products.",
        permissions: &["inventory:*", "products:read"],
    },
    BuiltIn {
        id: "order-manager",
        name: "Order manager",
        description: "Keeps orders, payments and shipments.",
        permissions: &[
            "coupons:*",
            "dashboard:read",
            "fulfillments:*",
            "inventory:read",
            "orders:*",
            "payments:*",
            "products:read",
            "users:read",
        ],
    },
    BuiltIn {
        id: "support",
        name: "Support",
        description: "Sees customers and their orders.",
        permissions: &["inventory:read", "orders:read", "products:read", "users:read"],
    },
    BuiltIn {
        id: "operator",
        name: "Operator",
        description: "Runs the platform: plugins, webhooks, the audit log.",
        permissions: &["audit:read", "dashboard:read", "plugins:*", "webhooks:*"],
    },
    BuiltIn {
        id: CUSTOMER,
        name: "Customer",
        description: "Every customer. Reaches its own objects only.",
        permissions: &[],
    },
];

/// Whether a role stays as it is.
pub(super) fn is_fixed(id: &str) -> bool {
    id == SUPERADMIN || id == CUSTOMER
}

/// What roles allow, read under one stamp.
struct Known {
    stamp: u64,
    permissions: HashMap<String, Vec<String>>,
}

/// The roles in the store.
pub(super) struct Roles {
    store: Store,
    known: ArcSwapOption<Known>,
}

impl Roles {
    /// Makes the built-in roles that are missing. The collection is declared.
    pub(super) async fn open(store: Store) -> Result<Self, RolesOpenError> {
        let ids: Vec<String> = BUILT_IN.iter().map(|role| role.id.to_owned()).collect();
        let there = store.document_get_many(COLLECTION, &ids, None).await?;
        for (role, _) in BUILT_IN.iter().zip(&there).filter(|(_, there)| there.is_none()) {
            let content = RoleContent {
                name: role.name.to_owned(),
                description: role.description.to_owned(),
                permissions: role.permissions.iter().map(|&permission| permission.to_owned()).collect(),
            };
            let insert = Write::new(COLLECTION, role.id, Operation::Insert(content.body(true)));
            match store.commit(vec![insert, state::changed(None)]).await {
                Ok(_)
                // Another host starts at the same time.
                | Err(CommitError::Refused(CommitRefused { reason: Refusal::AlreadyExists, .. })) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self { store, known: ArcSwapOption::empty() })
    }

    /// Everything that the roles allow, in order, without repetition. An unknown role allows nothing. `stamp` was read
    /// before.
    pub(super) async fn permissions_of(
        &self,
        roles: &[String],
        stamp: u64,
    ) -> Result<Vec<String>, ReadError> {
        if roles.is_empty() {
            return Ok(Vec::new());
        }
        // A later stamp is as good: it was read after this call began, or by somebody who saw more.
        let known = match self.known.load_full().filter(|known| known.stamp >= stamp) {
            Some(known) => known,
            None => {
                let known = Arc::new(Known { stamp, permissions: self.read_all().await? });
                self.known.store(Some(known.clone()));
                known
            }
        };
        let mut permissions: Vec<String> = Vec::new();
        for permission in roles.iter().filter_map(|id| known.permissions.get(id)).flatten() {
            if !permissions.contains(permission) {
                permissions.push(permission.clone());
            }
        }
        Ok(permissions)
    }

    async fn read_all(&self) -> Result<HashMap<String, Vec<String>>, ReadError> {
        let mut permissions = HashMap::new();
        let mut query = Query { limit: LIMIT_MAX, ..Query::default() };
        loop {
            let page = self.store.document_find(COLLECTION, &query).await?;
            permissions
                .extend(page.documents.iter().filter_map(read).map(|role| (role.id, role.permissions)));
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => return Ok(permissions),
            }
        }
    }

    pub(super) async fn by_id(&self, id: &str) -> Result<Option<Role>, ReadError> {
        let found = self.store.document_get_many(COLLECTION, &[id.to_owned()], None).await?;
        Ok(found.into_iter().next().flatten().as_ref().and_then(read))
    }

    /// The first of the roles that does not exist.
    pub(super) async fn missing(&self, ids: &[String]) -> Result<Option<String>, ReadError> {
        let found = self.store.document_get_many(COLLECTION, ids, None).await?;
        Ok(ids.iter().zip(&found).find(|(_, found)| found.is_none()).map(|(id, _)| id.clone()))
    }

    /// The ids of all roles, for a message.
    pub(super) async fn ids(&self) -> Result<Vec<String>, ReadError> {
        let mut ids: Vec<String> = self.read_all().await?.into_keys().collect();
        ids.sort();
        Ok(ids)
    }
}

/// Why the roles could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum RolesOpenError {
    #[error("the roles cannot be read")]
    Read(#[from] ReadError),
    #[error("the built-in roles cannot be made")]
    Commit(#[from] CommitError),
}

pub(super) fn schema() -> CollectionSchema {
    CollectionSchema {
        fields: vec![Field::text("name", Access::Index), Field::boolean("builtIn", Access::Scan)],
        ..CollectionSchema::host("roles", "rol")
    }
}

pub(super) fn read(document: &Document) -> Option<Role> {
    serde_json::from_str(&document.json)
        .inspect_err(|error| tracing::error!(role.id = document.id, %error, "A role is damaged"))
        .ok()
}
