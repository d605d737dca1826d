//! Moving a backup from where it comes from to where it goes.

use std::{future::Future, io};

use bytes::Bytes;
use futures_util::StreamExt;

use super::{Checker, Chunks, Contents, Damage, Item, SourceError};
use crate::store::{LoadError, Loading};

/// What takes a backup.
pub trait Sink: Send {
    /// Takes a chunk, and the items of the lines that it completes.
    fn take(
        &mut self,
        chunk: &Bytes,
        items: Vec<Item>,
    ) -> impl Future<Output = Result<(), TransferError>> + Send;
}

/// Takes a backup and does nothing with it: the checks are what is wanted.
#[derive(Debug)]
pub struct NoSink;

/// Why a backup did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    #[error("the backup ended early")]
    Source(#[source] SourceError),
    #[error("the backup is damaged")]
    Damaged(#[source] Damage),
    #[error("the backup cannot be written")]
    Write(#[source] io::Error),
    #[error("the store cannot be filled")]
    Load(#[source] LoadError),
}

/// Moves a backup, and checks all of it on the way. `progress` hears how many of how many documents have arrived.
///
/// # Errors
/// The source fails, the sink fails, or it is not a whole backup; the sink has then taken a part.
pub async fn transfer(
    mut chunks: Chunks,
    sink: &mut impl Sink,
    mut progress: impl FnMut(u64, u64) + Send,
) -> Result<Contents, TransferError> {
    let mut checker = Checker::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(TransferError::Source)?;
        let items = checker.push(&chunk).map_err(TransferError::Damaged)?;
        sink.take(&chunk, items).await?;
        let (done, total) = checker.progress();
        progress(done, total);
    }
    checker.finish().map_err(TransferError::Damaged)
}

impl Sink for NoSink {
    async fn take(&mut self, _: &Bytes, _: Vec<Item>) -> Result<(), TransferError> {
        Ok(())
    }
}

/// Fills a store, one collection after the other.
pub struct StoreSink<'a> {
    loading: &'a Loading,
    collection: String,
}

impl<'a> StoreSink<'a> {
    pub fn new(loading: &'a Loading) -> Self {
        Self { loading, collection: String::new() }
    }
}

impl Sink for StoreSink<'_> {
    async fn take(&mut self, _: &Bytes, items: Vec<Item>) -> Result<(), TransferError> {
        for item in items {
            match item {
                Item::Collection(schema) => {
                    self.collection.clone_from(&schema.name);
                    self.loading.collection(schema).await.map_err(TransferError::Load)?;
                }
                Item::Documents(documents) => {
                    let loaded = self.loading.documents(&self.collection, documents).await;
                    loaded.map_err(TransferError::Load)?;
                }
            }
        }
        Ok(())
    }
}
