//! Typed reads. Writes are in [`commit`](crate::commit).

use serde::{Deserialize, de::DeserializeOwned};
use store_model::{Aggregate, AggregateRow, Document, FacetCount, Facets, Filter, Query};

use crate::{
    commit::Commit,
    error::StoreError,
    host::{Context, Level, RawPage},
};

/// A document read from the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored<T> {
    pub id: String,
    pub version: u64,
    pub data: T,
}

/// A page of documents.
#[derive(Debug, Clone, PartialEq)]
pub struct Found<T> {
    pub items: Vec<Stored<T>>,
    /// Cursor of the next page.
    pub next: Option<String>,
    /// How many match, when the query asked.
    pub total: Option<u64>,
}

impl<'h> Context<'h> {
    /// The document with this id.
    pub fn get<T: DeserializeOwned>(
        &self,
        collection: &str,
        id: &str,
    ) -> Result<Option<Stored<T>>, StoreError> {
        match self.get_raw(collection, id)? {
            Some(document) => Ok(Some(self.decode(collection, document)?)),
            None => Ok(None),
        }
    }

    /// The document with this id as the store keeps it: JSON with `id`, `version`, `createdAt` and `updatedAt`.
    pub fn get_raw(&self, collection: &str, id: &str) -> Result<Option<Document>, StoreError> {
        let ids = [id.to_owned()];
        Ok(self.host.get_many(collection, &ids)?.into_iter().next().flatten())
    }

    /// The documents with these ids, in order. At most 1 000.
    pub fn get_many<T: DeserializeOwned>(
        &self,
        collection: &str,
        ids: &[String],
    ) -> Result<Vec<Option<Stored<T>>>, StoreError> {
        self.host
            .get_many(collection, ids)?
            .into_iter()
            .map(|document| document.map(|document| self.decode(collection, document)).transpose())
            .collect()
    }

    /// The documents with these ids as the store keeps them, in order. At most 1 000.
    pub fn get_many_raw(
        &self,
        collection: &str,
        ids: &[String],
    ) -> Result<Vec<Option<Document>>, StoreError> {
        self.host.get_many(collection, ids)
    }

    /// The documents that match.
    pub fn find<T: DeserializeOwned>(&self, collection: &str, query: &Query) -> Result<Found<T>, StoreError> {
        let page = self.host.find(collection, query)?;
        let items = page
            .documents
            .into_iter()
            .map(|document| self.decode(collection, document))
            .collect::<Result<_, _>>()?;
        Ok(Found { items, next: page.next, total: page.total })
    }

    /// The documents that match, as the store keeps them.
    pub fn find_raw(&self, collection: &str, query: &Query) -> Result<RawPage, StoreError> {
        self.host.find(collection, query)
    }

    /// The first document that matches.
    pub fn find_one<T: DeserializeOwned>(
        &self,
        collection: &str,
        filter: Filter,
    ) -> Result<Option<Stored<T>>, StoreError> {
        let query = Query { filter, limit: 1, ..Default::default() };
        Ok(self.find(collection, &query)?.items.into_iter().next())
    }

    /// How many documents match.
    pub fn count(&self, collection: &str, filter: &Filter) -> Result<u64, StoreError> {
        self.host.count(collection, filter)
    }

    /// Figures over the matching documents.
    pub fn aggregate(
        &self,
        collection: &str,
        aggregate: &Aggregate,
    ) -> Result<Vec<AggregateRow>, StoreError> {
        self.host.aggregate(collection, aggregate)
    }

    /// How the matching documents are distributed over values and ranges: the counts of each facet.
    pub fn facets(&self, collection: &str, facets: &Facets) -> Result<Vec<Vec<FacetCount>>, StoreError> {
        self.host.facets(collection, facets)
    }

    /// A new id: the prefix (2 to 4 lower-case letters), an underscore and 26 characters that sort by time.
    pub fn new_id(&self, prefix: &str) -> Result<String, StoreError> {
        self.host.new_id(prefix)
    }

    /// That many new ids, ascending, by one call into the host. At most 1 000.
    pub fn new_ids(&self, prefix: &str, count: usize) -> Result<Vec<String>, StoreError> {
        if count == 0 { Ok(Vec::new()) } else { self.host.new_ids(prefix, count) }
    }

    /// Starts a commit.
    pub fn commit(&self) -> Commit<'h> {
        Commit::new(self.host)
    }

    /// A document as `T`, which may borrow from it: a type that names a few members skips the rest.
    pub fn read<'d, T: Deserialize<'d>>(
        &self,
        collection: &str,
        document: &'d Document,
    ) -> Result<T, StoreError> {
        serde_json::from_str(&document.json).map_err(|error| {
            self.log(
                Level::Error,
                "A stored document does not fit its type",
                &[("collection", collection), ("document", &document.id), ("cause", &error.to_string())],
            );
            StoreError::Unavailable(format!("document {} of {collection} cannot be read", document.id))
        })
    }

    fn decode<T: DeserializeOwned>(
        &self,
        collection: &str,
        document: Document,
    ) -> Result<Stored<T>, StoreError> {
        let data = self.read(collection, &document)?;
        Ok(Stored { id: document.id, version: document.version, data })
    }
}
