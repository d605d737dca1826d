//! Tokens that are good for one thing, once, and not for long: documents of the host's own collection `_one_time`.
//!
//! `otk_<26 characters>_<256 bits>`: the first part is the id, and only a hash of the whole is stored. Using one deletes
//! its document in the commit of what it is for, so it works once, whoever else uses it at the same time.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use store_model::{Access, CollectionSchema, Document, Field, Operation, Write};

use crate::store::{ReadError, Store};

use super::{
    account::Account,
    refresh::{hash, is_hash_of, random, secret_id},
};

pub(super) const COLLECTION: &str = "_one_time";

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Purpose {
    /// A new password.
    Password,
    /// The account's address is read by who says so.
    Address,
}

impl Purpose {
    fn lasts(self) -> Duration {
        match self {
            Self::Password => Duration::from_secs(60 * 60),
            Self::Address => Duration::from_secs(3 * 86_400),
        }
    }
}

/// A token as stored. Not `Debug`: it holds the hash.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OneTime {
    id: String,
    version: u64,
    purpose: Purpose,
    pub(super) account_id: String,
    /// The account's when the token was made: a token from before a new password is worth nothing.
    pub(super) epoch: i64,
    /// Where the token was sent.
    pub(super) email: String,
    token_hash: String,
    pub(super) expires_at: String,
}

/// A new token and the write that makes it good; nothing without randomness.
pub(super) fn new(store: &Store, purpose: Purpose, account: &Account) -> Option<(SecretString, Write)> {
    let id = store.id_new("otk");
    let token = SecretString::from(format!("{id}_{}", random::<32>()?));
    let mut body = Map::new();
    body.insert("purpose".to_owned(), json!(purpose));
    body.insert("accountId".to_owned(), json!(account.id()));
    body.insert("epoch".to_owned(), json!(account.epoch()));
    body.insert("email".to_owned(), json!(account.user().email));
    body.insert("tokenHash".to_owned(), json!(hash(&token).to_hex().as_str()));
    body.insert("expiresAt".to_owned(), json!(store.clock().timestamp_in(purpose.lasts())));
    Some((token, Write::new(COLLECTION, id, Operation::Insert(body))))
}

/// The stored side of a token, if it is ours and for this.
pub(super) async fn find(
    store: &Store,
    token: &SecretString,
    purpose: Purpose,
) -> Result<Option<OneTime>, ReadError> {
    let Some(id) = secret_id(token, "otk_") else { return Ok(None) };
    let found = store.document_get_each(&[(COLLECTION, id)]).await?;
    let stored = found.into_iter().next().flatten().as_ref().and_then(read);
    Ok(stored.filter(|stored| stored.purpose == purpose && is_hash_of(token, &stored.token_hash)))
}

impl OneTime {
    /// The write that uses the token up.
    pub(super) fn use_up(&self) -> Write {
        let mut delete = Write::new(COLLECTION, &self.id, Operation::Delete);
        delete.expected_version = Some(self.version);
        delete
    }
}

pub(super) fn schema() -> CollectionSchema {
    CollectionSchema {
        fields: vec![Field::text("accountId", Access::Index), Field::timestamp("expiresAt", Access::Index)],
        ..CollectionSchema::host("one_time", "otk")
    }
}

fn read(document: &Document) -> Option<OneTime> {
    serde_json::from_str(&document.json)
        .inspect_err(|error| tracing::error!(token.id = document.id, %error, "A token is damaged"))
        .ok()
}
