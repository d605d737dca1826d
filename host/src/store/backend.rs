//! What a backend provides. Private: callers see the facade.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use store_model::{Aggregate, AggregateRow, CollectionSchema, Commit, Document, Filter, Page, Query, Scope};

use super::error::{CommitError, DeclareError, ReadError};

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

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Vec<Option<Document>>, CommitError>>;

    fn verify(&self) -> BoxFuture<'_, Result<Vec<String>, ReadError>>;

    fn close(&self) -> BoxFuture<'_, ()>;
}
