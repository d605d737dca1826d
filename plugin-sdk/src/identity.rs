//! Accounts, for the plugin that owns profiles. It asks for [`Capability::identity`](crate::Capability::identity) and
//! reads accounts from the collection [`ACCOUNTS`]; on customer calls it sees the caller's own only. Plugins that only
//! read them ask for [`Capability::store_read`](crate::Capability::store_read) of it.
//!
//! What is prepared here goes with the call's next commit: account and profile change together or not at all. When that
//! commit is refused, the next attempt prepares anew.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Context, Problem, host::Host};

/// The collection of accounts, to be read.
pub const ACCOUNTS: &str = "_accounts";

/// An account as the host keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    pub id: String,
    /// `customer` or `admin`.
    pub kind: String,
    pub email: String,
    pub name: String,
    /// `active` or `disabled`.
    pub status: String,
    #[serde(default)]
    pub roles: Vec<String>,
    #[serde(default)]
    pub groups: Vec<String>,
    #[serde(default)]
    pub email_verified: bool,
    #[serde(default)]
    pub phone: Option<String>,
    #[serde(default)]
    pub accepts_marketing: bool,
    pub created_at: String,
    pub updated_at: String,
    #[serde(default)]
    pub last_login_at: Option<String>,
}

/// What is asked of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountCall {
    /// JSON with the members.
    Create(Vec<u8>),
    /// JSON with the members that change.
    Change {
        id: String,
        changes: Vec<u8>,
    },
    Delete {
        id: String,
    },
    Sessions {
        id: String,
    },
}

impl Context<'_> {
    /// Prepares an account and answers it as it will be. Its password is that of the request, whose route says
    /// [`password`](crate::router::Route::password). That the address is taken shows as a refusal of the commit, at
    /// `email`.
    ///
    /// # Errors
    /// What the host says to the client: who may set what is its to decide.
    pub fn account_create(&self, members: &impl Serialize) -> Result<Account, Problem> {
        read(call(self.host, AccountCall::Create(encode(members)?))?)
    }

    /// Prepares a change of an account and answers it as it will be. Members that are absent stay as they are.
    ///
    /// # Errors
    /// As [`account_create`](Self::account_create).
    pub fn account_change(&self, id: &str, changes: &impl Serialize) -> Result<Account, Problem> {
        read(call(self.host, AccountCall::Change { id: id.to_owned(), changes: encode(changes)? })?)
    }

    /// Prepares the removal of an account and its sessions.
    ///
    /// # Errors
    /// As [`account_create`](Self::account_create).
    pub fn account_delete(&self, id: &str) -> Result<(), Problem> {
        call(self.host, AccountCall::Delete { id: id.to_owned() }).map(drop)
    }

    /// The living sessions of an account, the newest first.
    ///
    /// # Errors
    /// As [`account_create`](Self::account_create).
    pub fn account_sessions(&self, id: &str) -> Result<Vec<Value>, Problem> {
        read(call(self.host, AccountCall::Sessions { id: id.to_owned() })?)
    }
}

/// Straight to the host and not through the trait: a component that never asks for accounts must not import them.
#[cfg(target_family = "wasm")]
fn call(_host: &dyn Host, call: AccountCall) -> Result<Vec<u8>, Problem> {
    crate::convert::accounts(call)
}

#[cfg(not(target_family = "wasm"))]
fn call(host: &dyn Host, call: AccountCall) -> Result<Vec<u8>, Problem> {
    host.accounts(call)
}

fn encode(members: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(members).map_err(|error| broken(&error))
}

fn read<T: serde::de::DeserializeOwned>(bytes: Vec<u8>) -> Result<T, Problem> {
    serde_json::from_slice(&bytes).map_err(|error| broken(&error))
}

fn broken(error: &serde_json::Error) -> Problem {
    Problem::new(502, "plugin_failed")
        .detail(format!("An account cannot be read or written as JSON: {error}"))
}
