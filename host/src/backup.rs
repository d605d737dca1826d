//! Backups: everything that a store holds, as lines of JSON.
//!
//! A backup is what moves a shop, whatever it is moved through: a file, the control socket, or nothing at all between
//! two stores. It starts with a header, goes on with each collection (its declaration, its documents, how many they
//! are and their hash), and ends with a hash of all lines. [`encode`] makes it from a snapshot; [`Checker`] takes it
//! apart and refuses whatever an encoder did not make.
//!
//! The hash of a collection is over ids and texts of its documents in order, so it is the same for the same documents
//! on every backend and in every backup.
//!
//! Deliberately absent: what a store does not hold (configuration, grants, secrets, compiled plugins), encryption and
//! compression, which other programs do better on the stream.

mod checker;
mod contents;
mod encoder;
mod file;
mod line;
#[cfg(test)]
mod tests;
mod transfer;

use std::error::Error;

use bytes::Bytes;
use futures_util::stream::BoxStream;

pub use checker::{Checker, Damage, Item};
pub use contents::{CollectionContents, Contents};
pub use encoder::encode;
pub use file::{BackupFile, read_file};
pub use transfer::{NoSink, Sink, StoreSink, TransferError, transfer};

/// A backup in chunks that end anywhere. An end without the last line is an interruption.
pub type Chunks = BoxStream<'static, Result<Bytes, SourceError>>;

/// Why no more of a backup came.
pub type SourceError = Box<dyn Error + Send + Sync>;
