//! Endpoints that belong to the host.

pub(super) mod auth;
pub(super) mod documents;
