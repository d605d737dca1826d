//! Other people's tools, as their registries have them: clients that know nothing of the platform, generators of
//! clients, and a tester that reads the API's document.
//!
//! What they need is pinned in `tests/clients` and installed below `target` (`harness/packages.rs`). It takes
//! Node.js 20, Python 3.11, Java 11 and, the first time, the network.

mod generators;
mod people;
mod published;
mod schemathesis;
