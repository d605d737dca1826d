//! Other people's tools, as their registries have them: clients that know nothing of the platform, and generators of
//! clients.
//!
//! What they need is pinned in `tests/clients` and installed below `target` (`harness/packages.rs`). It takes
//! Node.js 20, Python 3.11, Java 11 and, the first time, the network.

mod generators;
mod published;
