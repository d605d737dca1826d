//! Stores under test, and short ways to write documents and queries.

pub mod backend;
pub mod durable;
pub mod generate;
pub mod mongod;
pub mod write;

pub use backend::{SuiteBackend, SuiteStore};
