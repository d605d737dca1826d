//! The reference model: plain, slow, and right.
//!
//! Every answer is computed by looking at every document. The conformance and differential suites compare
//! the real backends with it, and plugin authors' native tests run against it. Deliberately absent:
//! indexes, persistence and locking; a caller who shares it wraps it in a mutex.

mod declare;
mod transaction;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde_json::{Map, Value};

use crate::{
    aggregate::{Aggregate, AggregateRow, Fold},
    apply::version_of,
    commit::{self, CommitEnd},
    cursor,
    document::Document,
    evaluate::{in_scope, matches},
    facets::{FacetCount, Facets, Tally},
    filter::Filter,
    query::{Page, Query, QueryError, Scope},
    schema::CollectionSchema,
    text::document_tokens,
    validate::{check_aggregate, check_facets, check_filter, check_query, check_scope},
    value::Scalar,
    write::{Commit, CommitRefused},
};

/// All collections and their documents.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    collections: HashMap<String, Collection>,
}

#[derive(Debug, Clone)]
struct Collection {
    schema: Arc<CollectionSchema>,
    documents: BTreeMap<String, Map<String, Value>>,
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    /// The declaration of a collection.
    pub fn collection(&self, name: &str) -> Option<Arc<CollectionSchema>> {
        self.collections.get(name).map(|collection| collection.schema.clone())
    }

    /// The documents with these ids, in their order; nothing for one that is missing or another owner's.
    pub fn get_many(
        &self,
        collection: &str,
        ids: &[String],
        scope: Option<&Scope>,
    ) -> Result<Vec<Option<Document>>, QueryError> {
        let Collection { schema, documents } = self.declared(collection)?;
        if let Some(scope) = scope {
            check_scope(schema, scope)?;
        }
        let visible =
            |document: &&Map<String, Value>| scope.is_none_or(|scope| in_scope(schema, scope, document));
        Ok(ids.iter().map(|id| documents.get(id).filter(visible).map(document)).collect())
    }

    pub fn find(&self, collection: &str, query: &Query) -> Result<Page, QueryError> {
        let schema = &self.declared(collection)?.schema;
        let prepared = check_query(schema, query)?;
        let mut found: Vec<(Vec<Scalar>, &Map<String, Value>)> = Vec::new();
        for document in self.matching(collection, &query.filter, query.scope.as_ref())? {
            let rank = match &prepared.text {
                Some(text) => text.rank(&document_tokens(schema, document)),
                None => Some(0),
            };
            if let Some(rank) = rank {
                found.push((prepared.order.position(document, rank), document));
            }
        }
        let total = query.count.then_some(found.len() as u64);
        found.sort_by(|(left, _), (right, _)| prepared.order.compare(left, right));
        if let Some(after) = &prepared.after {
            found.retain(|(position, _)| prepared.order.compare(position, after).is_gt());
        }
        let mut rest = found.split_off((query.offset as usize).min(found.len()));
        let more = rest.len() > query.limit as usize;
        rest.truncate(query.limit as usize);
        let next = match rest.last() {
            Some((position, _)) if more => Some(cursor::encode(collection, query, position)),
            _ => None,
        };
        let documents = rest.into_iter().map(|(_, document)| projected(document, &query.fields)).collect();
        Ok(Page { documents, next, total })
    }

    pub fn count(&self, collection: &str, filter: &Filter, scope: Option<&Scope>) -> Result<u64, QueryError> {
        Ok(self.matching(collection, filter, scope)?.len() as u64)
    }

    pub fn aggregate(
        &self,
        collection: &str,
        aggregate: &Aggregate,
    ) -> Result<Vec<AggregateRow>, QueryError> {
        check_aggregate(&self.declared(collection)?.schema, aggregate)?;
        let mut fold = Fold::new(aggregate);
        for document in self.matching(collection, &aggregate.filter, aggregate.scope.as_ref())? {
            fold.add(document);
        }
        Ok(fold.finish())
    }

    pub fn facets(&self, collection: &str, facets: &Facets) -> Result<Vec<Vec<FacetCount>>, QueryError> {
        let schema = &self.declared(collection)?.schema;
        let text = check_facets(schema, facets)?;
        let mut tallies: Vec<Tally<'_>> = facets.facets.iter().map(Tally::new).collect();
        for document in self.matching(collection, &facets.filter, facets.scope.as_ref())? {
            if text.as_ref().is_none_or(|text| text.rank(&document_tokens(schema, document)).is_some()) {
                tallies.iter_mut().for_each(|tally| tally.add(schema, document));
            }
        }
        Ok(tallies.into_iter().map(Tally::finish).collect())
    }

    /// Applies all writes or none. Results are the documents, nothing for deletes.
    pub fn commit(&mut self, commit: &Commit) -> Result<Vec<Option<Document>>, CommitRefused> {
        let mut transaction = transaction::Undoable::new(&mut self.collections);
        match commit::run(&mut transaction, commit.clone()) {
            Ok(results) => Ok(results),
            Err(CommitEnd::Refused(refused)) => {
                transaction.undo();
                Err(refused)
            }
            Err(CommitEnd::Failed(never)) => match never {},
        }
    }

    /// Every collection with its documents, sorted by name and by id.
    pub fn snapshot(&self) -> Vec<(Arc<CollectionSchema>, Vec<Document>)> {
        let sorted: BTreeMap<&String, &Collection> = self.collections.iter().collect();
        let contents = |collection: &Collection| {
            (collection.schema.clone(), collection.documents.values().map(document).collect())
        };
        sorted.into_values().map(contents).collect()
    }

    /// Puts documents as another store held them, all or none.
    pub fn load(&mut self, collection: &str, documents: &[Document]) -> Result<(), CommitRefused> {
        let mut transaction = transaction::Undoable::new(&mut self.collections);
        match commit::load(&mut transaction, collection, documents) {
            Ok(()) => Ok(()),
            Err(CommitEnd::Refused(refused)) => {
                transaction.undo();
                Err(refused)
            }
            Err(CommitEnd::Failed(never)) => match never {},
        }
    }

    fn matching(
        &self,
        collection: &str,
        filter: &Filter,
        scope: Option<&Scope>,
    ) -> Result<Vec<&Map<String, Value>>, QueryError> {
        let Collection { schema, documents } = self.declared(collection)?;
        check_filter(schema, filter)?;
        if let Some(scope) = scope {
            check_scope(schema, scope)?;
        }
        let matching = documents.values().filter(|document| {
            matches(schema, filter, document) && scope.is_none_or(|scope| in_scope(schema, scope, document))
        });
        Ok(matching.collect())
    }

    fn declared(&self, collection: &str) -> Result<&Collection, QueryError> {
        self.collections.get(collection).ok_or_else(|| QueryError::UnknownCollection(collection.to_owned()))
    }
}

fn document(body: &Map<String, Value>) -> Document {
    let id = body.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    Document { id, version: version_of(body), json: Value::Object(body.clone()).to_string() }
}

fn projected(body: &Map<String, Value>, fields: &[String]) -> Document {
    let mut body = body.clone();
    if !fields.is_empty() {
        body.retain(|key, _| key == "id" || key == "version" || fields.contains(key));
    }
    document(&body)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        schema::{Access, Field},
        write::{FieldOperation, Operation, Refusal, Write},
    };

    fn write(id: &str, operation: Operation) -> Write {
        Write::new("things", id, operation)
    }

    #[test]
    fn a_refused_commit_leaves_nothing_behind() {
        let schema = CollectionSchema {
            fields: vec![Field::text("slug", Access::Unique)],
            ..CollectionSchema::new("things", "thing")
        };
        let mut store = MemoryStore::new();
        store.declare(vec![schema]).unwrap();
        let insert = |id: &str, slug: &str| {
            write(id, Operation::Insert(json!({"slug": slug, "id": "x"}).as_object().cloned().unwrap()))
        };
        let now = "2026-11-23T09:00:00.000Z".to_owned();
        let commit = |writes: Vec<Write>| Commit { writes, now: now.clone() };
        let results = store.commit(&commit(vec![insert("a", "one")])).unwrap();
        let expected =
            format!(r#"{{"id":"a","version":1,"createdAt":"{now}","updatedAt":"{now}","slug":"one"}}"#);
        assert_eq!(results[0].as_ref().unwrap().json, expected);

        let rename = FieldOperation::Set { path: "slug".to_owned(), value: json!("two") };
        let writes =
            vec![write("a", Operation::Update(vec![rename])), insert("b", "one"), insert("c", "two")];
        let refused = store.commit(&commit(writes)).unwrap_err();
        assert_eq!(refused.write, 2);
        assert!(matches!(refused.reason, Refusal::Unique { id, .. } if id == "a"));
        let page = store.find("things", &Query::default()).unwrap();
        assert_eq!(page.documents.len(), 1);
        assert_eq!(page.documents[0].version, 1);
    }
}
