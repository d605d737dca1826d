//! HTTP: the only module that knows axum and hyper.
//!
//! A request passes `server` → `router` → `dispatch` → a plugin, or one of the host's own endpoints in `api`.
//! Every refusal is an `error::ApiError`.

mod access;
mod api;
mod body;
mod cookie;
mod dialect;
mod dispatch;
mod error;
mod front;
mod health;
mod host;
mod idempotency;
mod json;
mod limits;
mod list_query;
mod parameters;
mod precondition;
mod remainder;
mod respond;
mod router;
mod server;
mod shape;
mod visit;

pub(crate) use api::document as host_operations;
pub(crate) use body::Payload;
pub(crate) use dispatch::{ApiCall, dispatch};
pub(crate) use idempotency::InFlightKeys;
pub(crate) use limits::Limits;
pub(crate) use router::router;
pub(crate) use server::serve;
pub(crate) use visit::Visit;
