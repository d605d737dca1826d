//! Sessions: documents of the host's own collection `_sessions`, one for each login.
//!
//! A session is a family of refresh tokens, of which the last one is good. It lives while it is not revoked, not
//! expired, and has its account's epoch; an access token is good only while its session lives.

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use store_model::{
    Access, CollectionSchema, Document, Field, FieldOperation, Filter, Operation, Query, SortKey, Write,
};

use crate::store::{ReadError, Store};

use super::{Audience, account::Account};

pub(super) const COLLECTION: &str = "_sessions";
/// Most sessions that are shown; who has more revokes all.
const SHOWN: u32 = 100;
const USER_AGENT_CHARACTERS: usize = 300;

/// A session as stored. Not `Debug`: it holds what refresh tokens are made of.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) version: u64,
    pub(super) created_at: String,
    pub(super) account_id: String,
    pub(super) audience: Audience,
    /// The account's when the session began.
    pub(super) epoch: i64,
    /// Random, and a part of what refresh tokens are derived from.
    pub(super) salt: String,
    /// Which of the family's tokens is good, from 1.
    pub(super) generation: u64,
    /// A hash of the good token.
    pub(super) token_hash: String,
    pub(super) rotated_at_ms: i64,
    /// Whether the token before was used once more after it had been replaced.
    pub(super) repeated: bool,
    pub(super) last_seen_at: String,
    pub(super) expires_at: String,
    /// The end that no refresh moves.
    pub(super) ends_at: String,
    #[serde(default)]
    pub(super) user_agent: Option<String>,
    #[serde(default)]
    pub(super) address: Option<String>,
    #[serde(default)]
    pub(super) revoked_at: Option<String>,
}

/// A session as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    pub id: String,
    pub created_at: String,
    pub last_seen_at: String,
    pub expires_at: String,
    pub user_agent: Option<String>,
    pub address: Option<String>,
    pub current: bool,
}

impl Session {
    pub(super) fn is_of(&self, account: &Account) -> bool {
        self.account_id == account.id()
            && self.audience.account_kind() == account.kind()
            && self.epoch == account.epoch()
            && self.revoked_at.is_none()
    }

    pub(super) fn view(self, current: Option<&str>) -> SessionView {
        SessionView {
            current: current == Some(self.id.as_str()),
            id: self.id,
            created_at: self.created_at,
            last_seen_at: self.last_seen_at,
            expires_at: self.expires_at,
            user_agent: self.user_agent,
            address: self.address,
        }
    }

    /// A change that is refused when anybody changed the session since it was read.
    pub(super) fn change(&self, operations: Vec<FieldOperation>) -> Write {
        let mut write = Write::new(COLLECTION, &self.id, Operation::Update(operations));
        write.expected_version = Some(self.version);
        write
    }

    /// The write that ends the session. The document stays until its end, so that a stolen token of it is still known.
    pub(super) fn revocation(&self, now: &str) -> Write {
        Write::new(COLLECTION, &self.id, Operation::Update(vec![set("revokedAt", now)]))
    }
}

/// What a new session is made of.
pub(super) struct NewSession<'a> {
    pub(super) id: &'a str,
    pub(super) account: &'a Account,
    pub(super) audience: Audience,
    pub(super) salt: &'a str,
    pub(super) token_hash: &'a str,
    pub(super) now: &'a str,
    pub(super) now_ms: i64,
    pub(super) expires_at: &'a str,
    pub(super) ends_at: &'a str,
    pub(super) user_agent: Option<&'a str>,
    pub(super) address: Option<String>,
}

impl NewSession<'_> {
    pub(super) fn write(self) -> Write {
        let user_agent: Option<String> =
            self.user_agent.map(|text| text.chars().take(USER_AGENT_CHARACTERS).collect());
        let mut body = Map::new();
        for (name, value) in [
            ("accountId", json!(self.account.id())),
            ("audience", json!(self.audience)),
            ("epoch", json!(self.account.epoch())),
            ("salt", json!(self.salt)),
            ("generation", json!(1)),
            ("tokenHash", json!(self.token_hash)),
            ("rotatedAtMs", json!(self.now_ms)),
            ("repeated", json!(false)),
            ("lastSeenAt", json!(self.now)),
            ("expiresAt", json!(self.expires_at)),
            ("endsAt", json!(self.ends_at)),
            ("userAgent", json!(user_agent)),
            ("address", json!(self.address)),
        ] {
            body.insert(name.to_owned(), value);
        }
        Write::new(COLLECTION, self.id, Operation::Insert(body))
    }
}

pub(super) fn set(path: &str, value: impl Into<serde_json::Value>) -> FieldOperation {
    FieldOperation::Set { path: path.to_owned(), value: value.into() }
}

pub(super) fn schema() -> CollectionSchema {
    CollectionSchema {
        fields: vec![Field::text("accountId", Access::Index), Field::timestamp("expiresAt", Access::Index)],
        ..CollectionSchema::host("sessions", "ses")
    }
}

/// A document that is no session counts as missing, and is logged: only a damaged database has one.
pub(super) fn read(document: &Document) -> Option<Session> {
    serde_json::from_str(&document.json)
        .inspect_err(|error| tracing::error!(session.id = document.id, %error, "A session is damaged"))
        .ok()
}

pub(super) async fn by_id(store: &Store, id: &str) -> Result<Option<Session>, ReadError> {
    let found = store.document_get_each(&[(COLLECTION, id.to_owned())]).await?;
    Ok(found.into_iter().next().flatten().as_ref().and_then(read))
}

/// The sessions of an account that live, the newest first.
pub(super) async fn living(store: &Store, account: &Account) -> Result<Vec<Session>, ReadError> {
    let now = store.clock().timestamp();
    let filter = Filter::And(vec![
        Filter::eq("accountId", account.id()),
        Filter::Gt("expiresAt".to_owned(), now.into()),
    ]);
    let sort = vec![SortKey::descending("createdAt")];
    let query = Query { filter, sort, limit: SHOWN, ..Query::default() };
    let page = store.document_find(COLLECTION, &query).await?;
    Ok(page.documents.iter().filter_map(read).filter(|session| session.is_of(account)).collect())
}
