//! Host functions, one module per WIT interface.
//!
//! Guests are untrusted: every function first spends from the call's budget, then checks the grant, then clamps or
//! checks what it was given.

mod hooks;
mod http_client;
mod identity;
mod log;
mod secrets;
mod store;

pub(super) use store::filter_to_guest;
