//! Service accounts' keys: documents of the host's own collection `_api_keys`.
//!
//! `key_<26 characters>_<256 bits>`: the first part is the id, and only a hash of the whole is stored.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use store_model::{Access, CollectionSchema, CommitRefused, Document, Field, Operation, Refusal, Write};

use crate::store::{AnswerPlan, CommitError, ReadError, Transaction};

use super::{
    AuthError, Identity, KnownPermission, Principal, PrincipalKind, permission,
    refresh::{hash, is_hash_of, random, secret_id},
};

pub(super) const COLLECTION: &str = "_api_keys";
const PREFIX: &str = "key_";

/// A key as it is shown: never the key itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    pub id: String,
    pub version: u64,
    pub created_at: String,
    pub name: String,
    pub permissions: Vec<String>,
    /// Nothing when it does not end by itself.
    pub expires_at: Option<String>,
    pub created_by: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    #[serde(flatten)]
    key: ApiKey,
    key_hash: String,
}

/// A key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey {
    pub name: String,
    pub permissions: Vec<String>,
    /// RFC 3339, UTC, with milliseconds.
    pub expires_at: Option<String>,
}

/// Why a key was not made or deleted.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeyError {
    #[error("there is no such key")]
    NotFound,
    /// Which of the permissions, from 0.
    #[error("permission {0} does not exist")]
    UnknownPermission(usize),
    #[error("permission {0} is not held by who gives it")]
    NotHeld(usize),
    #[error("the key would have expired already")]
    Expired,
    #[error("the key cannot be stored")]
    Commit(#[source] CommitError),
    #[error("the key cannot be made")]
    Internal,
}

impl Identity {
    /// Makes a key and answers it, the only time that it is told.
    ///
    /// # Errors
    /// Why it cannot be.
    pub async fn api_key_create(
        &self,
        new: NewApiKey,
        by: &Principal,
        known: &[KnownPermission],
        transaction: &Transaction,
    ) -> Result<(ApiKey, SecretString), ApiKeyError> {
        let store = &self.inner.store;
        for (position, wanted) in new.permissions.iter().enumerate() {
            if !permission::is_known(wanted, known) {
                return Err(ApiKeyError::UnknownPermission(position));
            }
            if !by.allows(wanted) {
                return Err(ApiKeyError::NotHeld(position));
            }
        }
        if new.expires_at.as_ref().is_some_and(|end| *end <= store.clock().timestamp()) {
            return Err(ApiKeyError::Expired);
        }
        let id = store.id_new("key");
        let secret = random::<32>().ok_or(ApiKeyError::Internal)?;
        let text = SecretString::from(format!("{id}_{secret}"));
        let mut body = Map::new();
        body.insert("name".to_owned(), json!(new.name));
        body.insert("permissions".to_owned(), json!(new.permissions));
        body.insert("expiresAt".to_owned(), json!(new.expires_at));
        body.insert("createdBy".to_owned(), json!(by.id));
        body.insert("keyHash".to_owned(), json!(hash(&text).to_hex().as_str()));
        let writes = vec![Write::new(COLLECTION, &id, Operation::Insert(body))];
        let documents =
            transaction.commit(store, writes, Vec::new(), None).await.map_err(ApiKeyError::Commit)?;
        let key = documents.first().and_then(Option::as_ref).and_then(read).ok_or(ApiKeyError::Internal)?;
        Ok((key.key, text))
    }

    /// Deletes a key, which ends it at once.
    ///
    /// # Errors
    /// Why it cannot be.
    pub async fn api_key_delete(
        &self,
        id: &str,
        transaction: &Transaction,
        answer: Option<AnswerPlan>,
    ) -> Result<(), ApiKeyError> {
        let writes = vec![Write::new(COLLECTION, id, Operation::Delete)];
        match transaction.commit(&self.inner.store, writes, Vec::new(), answer).await {
            Ok(_) => Ok(()),
            Err(CommitError::Refused(CommitRefused { write: 0, reason: Refusal::NotFound })) => {
                Err(ApiKeyError::NotFound)
            }
            Err(error) => Err(ApiKeyError::Commit(error)),
        }
    }

    /// The caller behind a key.
    pub(super) async fn authenticate_key(&self, text: &SecretString) -> Result<Principal, AuthError> {
        let id = secret_id(text, PREFIX).ok_or(AuthError::Invalid)?;
        let store = &self.inner.store;
        let found = store
            .document_get_each(&[(COLLECTION, id)])
            .await
            .map_err(|error: ReadError| AuthError::Unavailable(error))?;
        let stored = found.into_iter().next().flatten().as_ref().and_then(read).ok_or(AuthError::Invalid)?;
        if !is_hash_of(text, &stored.key_hash) {
            return Err(AuthError::Invalid);
        }
        // Times in this form compare as text.
        if stored.key.expires_at.as_ref().is_some_and(|end| *end <= store.clock().timestamp()) {
            return Err(AuthError::Expired);
        }
        Ok(Principal {
            id: stored.key.id,
            kind: PrincipalKind::Service,
            user: None,
            session_id: None,
            roles: Vec::new(),
            permissions: stored.key.permissions,
        })
    }
}

/// Whether a bearer token is meant to be a key.
pub(super) fn is_key(bearer: &str) -> bool {
    bearer.starts_with(PREFIX)
}

pub(super) fn schema() -> CollectionSchema {
    CollectionSchema {
        fields: vec![Field::text("name", Access::Index), Field::text("createdBy", Access::Index)],
        ..CollectionSchema::host("api_keys", "key")
    }
}

fn read(document: &Document) -> Option<Stored> {
    serde_json::from_str(&document.json)
        .inspect_err(|error| tracing::error!(key.id = document.id, %error, "A key is damaged"))
        .ok()
}
