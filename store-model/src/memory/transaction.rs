//! A transaction on the model: every change remembers what was there before.

use std::{collections::HashMap, convert::Infallible, sync::Arc};

use serde_json::{Map, Value};

use super::Collection;
use crate::{
    commit::Transaction, document::Document, evaluate::values_at, schema::CollectionSchema, value::Scalar,
};

pub(super) struct Undoable<'a> {
    collections: &'a mut HashMap<String, Collection>,
    before: Vec<Before>,
}

/// What a collection held under an id.
type Before = (String, String, Option<Map<String, Value>>);

impl<'a> Undoable<'a> {
    pub(super) fn new(collections: &'a mut HashMap<String, Collection>) -> Self {
        Self { collections, before: Vec::new() }
    }

    pub(super) fn undo(mut self) {
        while let Some((collection, id, before)) = self.before.pop() {
            self.set(&collection, id, before);
        }
    }

    fn set(
        &mut self,
        collection: &str,
        id: String,
        document: Option<Map<String, Value>>,
    ) -> Option<Map<String, Value>> {
        let documents = &mut self.collections.get_mut(collection)?.documents;
        match document {
            Some(document) => documents.insert(id, document),
            None => documents.remove(&id),
        }
    }

    fn change(&mut self, collection: &str, id: &str, document: Option<Map<String, Value>>) {
        let before = self.set(collection, id.to_owned(), document);
        self.before.push((collection.to_owned(), id.to_owned(), before));
    }
}

impl Transaction for Undoable<'_> {
    type Error = Infallible;

    fn schema(&self, collection: &str) -> Option<Arc<CollectionSchema>> {
        self.collections.get(collection).map(|collection| collection.schema.clone())
    }

    fn read(&mut self, collection: &str, id: &str) -> Result<Option<Map<String, Value>>, Infallible> {
        Ok(self.collections.get(collection).and_then(|collection| collection.documents.get(id)).cloned())
    }

    fn holder(&mut self, collection: &str, path: &str, value: &Scalar) -> Result<Option<String>, Infallible> {
        let Some(Collection { schema, documents }) = self.collections.get(collection) else {
            return Ok(None);
        };
        let holds = |(_, document): &(&String, &Map<String, Value>)| {
            values_at(schema, document, path).contains(value)
        };
        Ok(documents.iter().find(holds).map(|(id, _)| id.clone()))
    }

    fn put(
        &mut self,
        collection: &str,
        _old: Option<&Map<String, Value>>,
        new: &Map<String, Value>,
        document: &Document,
    ) -> Result<(), Infallible> {
        self.change(collection, &document.id, Some(new.clone()));
        Ok(())
    }

    fn delete(&mut self, collection: &str, id: &str, _old: &Map<String, Value>) -> Result<(), Infallible> {
        self.change(collection, id, None);
        Ok(())
    }
}
