//! From a snapshot to a backup.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use store_model::CollectionSchema;

use super::{
    Chunks, SourceError,
    contents::{Contents, Tally},
    line::{FORMAT, Header, Line},
};
use crate::store::Snapshot;

/// The backup of a snapshot. `created_at` is its time, as documents hold times.
pub fn encode(snapshot: Snapshot, created_at: String) -> Chunks {
    let encoder = Encoder {
        collections: snapshot.collections().iter().map(|collection| collection.schema.clone()).collect(),
        header: Some(Header {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            created_at,
            collections: snapshot.collections().len() as u64,
            documents: snapshot.documents(),
        }),
        snapshot,
        begun: 0,
        tally: Tally::default(),
        contents: Contents::default(),
        lines: blake3::Hasher::new(),
        chunk: Vec::new(),
    };
    let chunks = stream::try_unfold(Some(encoder), async |encoder: Option<Encoder>| {
        let Some(mut encoder) = encoder else { return Ok::<_, SourceError>(None) };
        let ended = encoder.advance().await?;
        let chunk = Bytes::from(std::mem::take(&mut encoder.chunk));
        Ok(Some((chunk, (!ended).then_some(encoder))))
    });
    chunks.boxed()
}

struct Encoder {
    snapshot: Snapshot,
    collections: Vec<Arc<CollectionSchema>>,
    /// Until it is written.
    header: Option<Header>,
    /// How many collections were begun; the last of them is open.
    begun: usize,
    tally: Tally,
    /// The collections that were ended.
    contents: Contents,
    lines: blake3::Hasher,
    chunk: Vec<u8>,
}

impl Encoder {
    /// Encodes one batch, or the end. Answers whether it was the end.
    async fn advance(&mut self) -> Result<bool, SourceError> {
        if let Some(header) = self.header.take() {
            self.line(&Line::WaresBackup(header))?;
        }
        let Some(batch) = self.snapshot.next().await? else {
            while self.begun < self.collections.len() {
                self.begin()?;
            }
            self.end()?;
            let last = Line::end_of_backup(&self.contents, &self.lines);
            self.line(&last)?;
            return Ok(true);
        };
        while self.open().is_none_or(|open| open.name != batch.collection.name) {
            self.begin()?;
        }
        for document in &batch.documents {
            self.tally.add(document);
            self.text(&document.json);
        }
        Ok(false)
    }

    fn open(&self) -> Option<&Arc<CollectionSchema>> {
        self.collections.get(self.begun.checked_sub(1)?)
    }

    /// Ends the open collection and begins the next.
    fn begin(&mut self) -> Result<(), SourceError> {
        self.end()?;
        let schema = self.collections.get(self.begun).ok_or("a batch belongs to no collection")?;
        let line = Line::Collection((**schema).clone());
        self.begun += 1;
        self.line(&line)
    }

    fn end(&mut self) -> Result<(), SourceError> {
        let Some(open) = self.open() else { return Ok(()) };
        let contents = self.tally.finish(&open.name);
        self.tally = Tally::default();
        self.contents.collections.push(contents.clone());
        self.line(&Line::EndOfCollection(contents))
    }

    fn line(&mut self, line: &Line) -> Result<(), SourceError> {
        let text = line.text()?;
        self.text(&text);
        Ok(())
    }

    fn text(&mut self, text: &str) {
        let start = self.chunk.len();
        self.chunk.extend_from_slice(text.as_bytes());
        self.chunk.push(b'\n');
        self.lines.update(&self.chunk[start..]);
    }
}
