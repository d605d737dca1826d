//! The lines of a backup that are not documents.

use serde::{Deserialize, Serialize};
use store_model::CollectionSchema;

use super::contents::{CollectionContents, Contents};

/// The version of the format. A change of the format reads the versions before it.
pub(super) const FORMAT: u64 = 1;

/// A line. Its only member says what it is; a document's first member is `id`, so the two are told apart.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Line {
    WaresBackup(Header),
    Collection(CollectionSchema),
    EndOfCollection(CollectionContents),
    EndOfBackup(Total),
}

/// How every backup starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    pub(super) format: u64,
    /// The version of the host that made it.
    pub(super) version: String,
    pub(super) created_at: String,
    pub(super) collections: u64,
    pub(super) documents: u64,
}

/// How every backup ends.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Total {
    collections: u64,
    documents: u64,
    /// Over all lines before this one, line breaks included.
    hash: String,
}

impl Line {
    pub(super) fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    pub(super) fn end_of_backup(contents: &Contents, lines: &blake3::Hasher) -> Self {
        Self::EndOfBackup(Total {
            collections: contents.collections.len() as u64,
            documents: contents.documents(),
            hash: lines.finalize().to_hex().to_string(),
        })
    }
}
