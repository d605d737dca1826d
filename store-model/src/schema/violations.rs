//! Which stored documents keep a declaration from being accepted.

use super::{CollectionSchema, DeclareRefused, NAMED_DOCUMENTS};
use crate::write::Refusal;

/// Gathers the documents that do not fit, for one message.
#[derive(Debug)]
pub struct Violations {
    collection: String,
    first: Option<(String, String)>,
    documents: Vec<String>,
}

impl Violations {
    pub fn new(schema: &CollectionSchema) -> Self {
        Self { collection: schema.name.clone(), first: None, documents: Vec::new() }
    }

    /// Notes why a document does not fit. The first reason is the one that is told.
    pub fn add(&mut self, id: &str, refusal: &Refusal) {
        let (path, message) = match refusal {
            Refusal::Invalid { path, message } => (path.clone(), message.clone()),
            Refusal::Unique { path, value, id } => {
                (path.clone(), format!("must be unique and {} is also in {id}", value.to_json()))
            }
            other => (String::new(), other.to_string()),
        };
        let (first, _) = self.first.get_or_insert((path.clone(), message));
        let id = id.to_owned();
        if *first == path && self.documents.len() < NAMED_DOCUMENTS && !self.documents.contains(&id) {
            self.documents.push(id);
        }
    }

    pub fn finish(&mut self) -> Result<(), DeclareRefused> {
        let Some((path, message)) = self.first.take() else { return Ok(()) };
        let documents = std::mem::take(&mut self.documents);
        Err(DeclareRefused::Documents { collection: self.collection.clone(), path, message, documents })
    }
}
