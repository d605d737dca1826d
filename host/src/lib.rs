//! The Wares host.

pub mod clock;
pub mod config;
pub mod identity;
pub mod store;
