//! HTTP: the only module that knows axum and hyper.
//!
//! A request passes [`server`] → [`router`] → [`dispatch`] → a plugin, or one of the host's own endpoints in [`api`].
//! Every refusal is an [`error::ApiError`].

mod api;
mod dispatch;
mod error;
mod health;
mod idempotency;
mod json;
mod list_query;
mod precondition;
mod router;
mod server;

pub(crate) use dispatch::{ApiCall, Payload, dispatch};
pub(crate) use error::chain;
pub(crate) use idempotency::InFlightKeys;
pub(crate) use router::router;
pub(crate) use server::serve;
