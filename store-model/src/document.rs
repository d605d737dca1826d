//! A stored document.

/// A document as it was committed. `json` is an object that starts with the members kept by the host: `id`,
/// `version` (from 1, plus one with every change), `createdAt` and `updatedAt` (RFC 3339, UTC, milliseconds).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub id: String,
    pub version: u64,
    pub json: String,
}
