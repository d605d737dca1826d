//! What a backend provides. Private: callers see the facade.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use store_model::{
    Aggregate, AggregateRow, CollectionSchema, Commit, Document, FacetCount, Facets, Filter, Page, Query,
    Scope,
};

use super::{
    error::{CommitError, DeclareError, ReadError, Unavailable},
    snapshot::Snapshot,
};

/// A place where documents are kept.
///
/// Laws, beside those that `store-model` states:
/// - A commit is atomic and isolated: it runs as if alone, and `check` counts as a write in that.
/// - What was acknowledged is durable, and every read that starts afterwards sees it.
/// - `commit` may be dropped by its caller at any time. Once it was queued, it still runs to its end.
/// - Each read sees one moment: a page and its count belong together.
/// - After a fault nothing of the commit is acknowledged, and the backend heals without a restart.
pub(super) trait Backend: Send + Sync {
    /// Schemas are validated already.
    fn declare(&self, schemas: Vec<CollectionSchema>) -> BoxFuture<'_, Result<(), DeclareError>>;

    fn collection(&self, name: &str) -> Option<Arc<CollectionSchema>>;

    fn get_many<'a>(
        &'a self,
        collection: &'a str,
        ids: &'a [String],
        scope: Option<&'a Scope>,
    ) -> BoxFuture<'a, Result<Vec<Option<Document>>, ReadError>>;

    /// Documents of several collections, each by its place (collection and id), in their order. Each is as it was at
    /// some moment of the call; a backend that can gives all of one moment.
    fn get_each<'a>(
        &'a self,
        places: &'a [(&'a str, String)],
    ) -> BoxFuture<'a, Result<Vec<Option<Document>>, ReadError>> {
        let lookups = places.iter().map(|(collection, id)| async move {
            let found = self.get_many(collection, std::slice::from_ref(id), None).await?;
            Ok(found.into_iter().next().flatten())
        });
        Box::pin(futures_util::future::try_join_all(lookups))
    }

    fn find<'a>(&'a self, collection: &'a str, query: &'a Query) -> BoxFuture<'a, Result<Page, ReadError>>;

    fn count<'a>(
        &'a self,
        collection: &'a str,
        filter: &'a Filter,
        scope: Option<&'a Scope>,
    ) -> BoxFuture<'a, Result<u64, ReadError>>;

    fn aggregate<'a>(
        &'a self,
        collection: &'a str,
        aggregate: &'a Aggregate,
    ) -> BoxFuture<'a, Result<Vec<AggregateRow>, ReadError>>;
    fn facets<'a>(
        &'a self,
        collection: &'a str,
        facets: &'a Facets,
    ) -> BoxFuture<'a, Result<Vec<Vec<FacetCount>>, ReadError>>;

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Vec<Option<Document>>, CommitError>>;

    /// Everything that the store holds, of one moment and in order.
    ///
    /// Laws:
    /// - It is one moment for schemas and documents of all collections, and it comes after the call: every commit is
    ///   there whole or not at all, and one that was acknowledged before is there. Commits go on meanwhile.
    /// - Collections are sorted by the bytes of their names, those without documents included; documents by the bytes
    ///   of their ids. Each collection's count is exact.
    /// - A document's `json` is what [`Self::get_many`] gives, byte for byte.
    /// - Memory is bounded: batches of `BATCH_BYTES` or `BATCH_DOCUMENTS`, of one collection each, go through a channel
    ///   of `BATCHES`. A reader who takes no batch for `STALL` loses the snapshot, because it holds resources; one who
    ///   drops it ends it. A fault is sent as the last batch, and so is the end of the store.
    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot, ReadError>>;

    /// Puts documents as another store held them: the text byte for byte, with version and times, and everything
    /// that is derived from it. All of the call or none, durable when it is answered.
    ///
    /// Refused is what `store_model::commit::load` refuses, with the position of the document: text that no store
    /// wrote, and an id or a unique value that another document holds, of this call or stored before.
    fn load(&self, collection: String, documents: Vec<Document>) -> BoxFuture<'_, Result<(), CommitError>>;

    /// Takes every collection but one away, with its documents and everything derived from them. A crash meanwhile
    /// may leave some; called again, it takes the rest.
    fn clear(&self, keep: String) -> BoxFuture<'_, Result<(), Unavailable>>;

    fn verify(&self) -> BoxFuture<'_, Result<Vec<String>, ReadError>>;

    fn close(&self) -> BoxFuture<'_, ()>;
}
