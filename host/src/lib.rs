//! The Wares host.

pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod identity;
pub mod seed;
pub mod store;
pub mod telemetry;
