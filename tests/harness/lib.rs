//! What the suites share: factories, builders and sizes. Each part is a small file of its own.
#![allow(clippy::unwrap_used, reason = "the harness is test code: a panic is how it reports")]

pub mod backup;
pub mod checkout;
pub mod client;
pub mod conservation;
pub mod crash;
pub mod host;
pub mod images;
pub mod linear;
pub mod outside;
pub mod packages;
pub mod plugin;
pub mod process;
pub mod random;
pub mod sandbox;
pub mod shop;
pub mod sizes;
pub mod store;
pub mod stripe;
pub mod wait;
