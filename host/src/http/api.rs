//! Endpoints that belong to the host.

pub(super) mod auth;
pub(super) mod documents;
pub(super) mod media;
