//! The Wares host.

pub mod app;
pub mod audit;
pub mod backup;
mod breaker;
mod chain;
pub mod cli;
pub mod clock;
pub mod codes;
pub mod config;
pub mod control;
pub mod egress;
#[cfg(debug_assertions)]
mod failpoint;
mod http;
pub mod identity;
pub mod import;
pub mod mail;
pub mod media;
pub mod openapi;
pub mod plugin;
pub mod secrets;
pub mod seed;
pub mod store;
pub mod telemetry;
mod text;
