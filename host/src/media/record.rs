//! The document of an image.

use serde_json::{Map, Value, json};
use store_model::Document;

use super::image::ImageKind;

/// What is known of an image when it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaRecord {
    pub id: String,
    pub version: u64,
    pub kind: ImageKind,
    pub size_bytes: u64,
    /// Of the bytes, in hexadecimal.
    pub blake3: String,
}

impl MediaRecord {
    pub(super) fn of(document: &Document) -> Option<Self> {
        let body: Value = serde_json::from_str(&document.json).ok()?;
        Some(Self {
            id: document.id.clone(),
            version: document.version,
            kind: ImageKind::of_content_type(body["contentType"].as_str()?)?,
            size_bytes: body["sizeBytes"].as_u64()?,
            blake3: body["blake3"].as_str()?.to_owned(),
        })
    }

    /// Its name in the storage.
    pub(super) fn file(&self) -> String {
        file_name(&self.id, self.kind)
    }
}

pub(super) fn file_name(id: &str, kind: ImageKind) -> String {
    format!("{id}.{}", kind.extension())
}

/// A file as its document tells it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    pub(super) kind: ImageKind,
    pub(super) size_bytes: u64,
    pub(super) width: u64,
    pub(super) height: u64,
    pub(super) blake3: blake3::Hash,
}

impl Facts {
    pub(super) fn body(&self, url: &str, alt: &str) -> Map<String, Value> {
        Map::from_iter([
            ("url".to_owned(), json!(url)),
            ("contentType".to_owned(), json!(self.kind.content_type())),
            ("sizeBytes".to_owned(), json!(self.size_bytes)),
            ("width".to_owned(), json!(self.width)),
            ("height".to_owned(), json!(self.height)),
            ("alt".to_owned(), json!(alt)),
            ("blake3".to_owned(), json!(self.blake3.to_hex().as_str())),
        ])
    }
}
