//! The Wares host.

pub mod clock;
pub mod store;
