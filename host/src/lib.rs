//! The Wares host.

pub mod clock;
pub mod config;
pub mod store;
