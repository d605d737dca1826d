//! The control socket: how commands reach a host that runs.
//!
//! Only one process can have the embedded store open, so `wares user create` beside a running host asks that host.
//! It speaks HTTP/1 over the Unix socket `wares.sock` in the data directory. The file system is the access check:
//! the socket belongs to its user alone (0600), and who can open it can read the database next to it anyway.
//!
//! A backup is streamed, and ends early when the host stops; whoever reads it sees that its last line is missing.
//!
//! Deliberately absent: anything a network client could reach.

mod client;
mod server;
#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::identity::NewAccount;

pub use client::ControlClient;
pub use server::{ControlHandlers, ControlServer};

const SOCKET: &str = "wares.sock";

/// Largest request and answer, in bytes: well above the body limit of the API.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Creates an account.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserCreate {
    #[serde(rename = "account")]
    pub account: NewAccount,
    /// Travels over the socket only, and becomes a secret at the other end.
    pub password: String,
}

/// A call of the API as the system, which may do everything.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SystemRequest {
    pub method: String,
    /// Below the API base: `/products`.
    pub path: String,
    #[serde(default)]
    pub body: Option<Value>,
    /// Such as `Idempotency-Key`.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

/// What the API answered.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct SystemResponse {
    pub status: u16,
    /// Null when there was no body.
    pub body: Value,
}

/// What a running host says of itself.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostStatus {
    pub version: String,
    pub pid: u32,
    /// Where it listens: `http://127.0.0.1:8080`.
    pub url: String,
    pub environment: String,
    pub plugins: Value,
}

/// A request that the running host refused, in words for its operator.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    pub message: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("another host runs on the data directory `{}`", .0.display())]
    InUse(PathBuf),
    #[error("the control socket `{}` cannot be made", .path.display())]
    Bind {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the control socket `{}` cannot be opened", .path.display())]
    Connect {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the running host closed the control connection")]
    Http(#[source] hyper::Error),
    #[error(
        "the running host answered something that this command does not understand; both need the same version"
    )]
    Protocol,
    #[error(transparent)]
    Refused(Refused),
}

fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join(SOCKET)
}
