//! Behaviour of the platform, tested from outside, in one binary.
#![allow(clippy::unwrap_used, reason = "test code: a panic is how it reports")]

mod catalogue;
mod doors;
mod front;
mod operation;
mod plugin;
mod readme_plugin;
mod store;
