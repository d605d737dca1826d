//! The document store, on every backend.

mod conformance;
mod differential;
mod durability;
mod jobs;
mod loading;
mod mongodb;
