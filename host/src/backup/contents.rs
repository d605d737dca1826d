//! What a store or a backup holds, in figures that can be compared.

use serde::{Deserialize, Serialize};
use store_model::Document;

/// Documents and hash of each collection, sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    pub collections: Vec<CollectionContents>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectionContents {
    pub name: String,
    pub documents: u64,
    /// BLAKE3 in hexadecimal digits, over ids and texts of the documents in order.
    pub hash: String,
}

impl Contents {
    /// How many documents there are in all.
    pub fn documents(&self) -> u64 {
        self.collections.iter().map(|collection| collection.documents).sum()
    }

    /// One hash for all collections.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for collection in &self.collections {
            add(&mut hasher, &collection.name);
            add(&mut hasher, &collection.hash);
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The names of the collections that are not alike in both.
    pub fn differences<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        let only = |one: &'a Self, other: &'a Self| {
            one.collections.iter().filter(|collection| !other.collections.contains(collection))
        };
        let mut names: Vec<&str> =
            only(self, other).chain(only(other, self)).map(|collection| collection.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Counts and hashes the documents of one collection.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    documents: u64,
    hasher: blake3::Hasher,
}

impl Tally {
    pub(super) fn add(&mut self, document: &Document) {
        self.documents += 1;
        add(&mut self.hasher, &document.id);
        add(&mut self.hasher, &document.json);
    }

    pub(super) fn finish(&self, name: &str) -> CollectionContents {
        CollectionContents {
            name: name.to_owned(),
            documents: self.documents,
            hash: self.hasher.finalize().to_hex().to_string(),
        }
    }
}

/// The length keeps one text apart from the next.
fn add(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}
