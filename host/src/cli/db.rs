//! `wares db`: moving what the shop holds.
//!
//! All of it is one mechanism: a backup goes from an origin (the store, a running host, a file) through the checks to
//! where it is wanted (a file, an empty store, nowhere).

mod backup;
mod migrate;
mod restore;
mod verify;

use std::{fmt::Write, path::Path};

use serde_json::{Value, json};

pub(super) use self::{
    backup::run as backup, migrate::run as migrate, restore::run as restore, verify::run as verify,
};
use super::{Failure, Output, arguments::PlaceArguments, progress::Progress, signals::Stop};
use crate::{
    backup::{Chunks, Contents, NoSink, Sink, StoreSink, TransferError, encode, read_file, transfer},
    chain::chain,
    clock::Clock,
    config::Config,
    control::ControlClient,
    store::{LoadError, Loading, Store, StoreConfig},
};

/// What a backup is made of.
enum Origin {
    /// The host that runs on the data directory.
    Host(ControlClient),
    Store(Store),
}

impl Origin {
    /// The running host when there is one, since it has the store open, and else the store itself.
    async fn open(place: &PlaceArguments) -> Result<Self, Failure> {
        let config = Config::load(&place.overrides())?.config;
        match ControlClient::connect(&config.store.data_dir).await? {
            Some(client) => Ok(Self::Host(client)),
            None => open_store(config.store.store_config()).await.map(Self::Store),
        }
    }

    async fn chunks(&self) -> Result<Chunks, Failure> {
        match self {
            Self::Host(client) => Ok(client.backup().await?),
            Self::Store(store) => chunks(store).await,
        }
    }

    async fn verify(&self) -> Result<Vec<String>, Failure> {
        match self {
            Self::Host(client) => Ok(client.verify().await?),
            Self::Store(store) => store.verify().await.map_err(|error| Failure::of(&error, CHECK_DISK)),
        }
    }

    async fn close(self) {
        if let Self::Store(store) = self {
            store.close().await;
        }
    }
}

const CHECK_DISK: &str = "Check the disk, then try again.";

async fn open_store(config: StoreConfig) -> Result<Store, Failure> {
    if !config.exists() {
        let cause = format!("there is no store in {config}");
        return Err(Failure::new(cause, "Name the folder that has one with --data-dir."));
    }
    Ok(Store::open(config, Clock::system()).await?)
}

async fn chunks(store: &Store) -> Result<Chunks, Failure> {
    let snapshot = store.snapshot().await.map_err(|error| Failure::of(&error, CHECK_DISK))?;
    Ok(encode(snapshot, store.clock().timestamp()))
}

async fn file_chunks(file: &Path) -> Result<Chunks, Failure> {
    read_file(file).await.map_err(|error| {
        Failure::new(format!("cannot read `{}`: {error}", file.display()), "Check the path.")
    })
}

/// Moves a backup and shows how far it is.
async fn moved(
    chunks: Chunks,
    sink: &mut impl Sink,
    output: Output,
    label: &'static str,
) -> Result<Contents, TransferError> {
    let mut progress = Progress::in_lines(output, label);
    transfer(chunks, sink, |done, total| progress.set(done, total)).await
}

/// Fills a store with a backup, reads it back and compares. A store that could not be filled is empty afterwards.
async fn fill(
    loading: Loading,
    output: Output,
    label: &'static str,
    chunks: impl AsyncFnOnce() -> Result<Chunks, Failure>,
    prove: impl AsyncFnOnce(&Contents) -> Result<(), Failure>,
) -> Result<Contents, Failure> {
    let filling = async {
        let filled = moved(chunks().await?, &mut StoreSink::new(&loading), output, label).await;
        let filled = filled.map_err(failure)?;
        let snapshot = loading.snapshot().await.map_err(|error| Failure::of(&error, CHECK_DISK))?;
        let chunks = encode(snapshot, Clock::system().timestamp());
        let back = moved(chunks, &mut NoSink, output, "Comparing").await.map_err(failure)?;
        same(&filled, &back, "the store does not hold what was written to it")?;
        prove(&filled).await?;
        Ok(filled)
    };
    match unless_stopped(filling).await {
        Ok(filled) => {
            loading.finish().await.map_err(load_failure)?.close().await;
            Ok(filled)
        }
        Err(failure) => {
            if let Err(error) = loading.abandon().await {
                output.warning(&format!("the store is left incomplete: {}", chain(&error)));
            }
            Err(failure)
        }
    }
}

fn same(one: &Contents, other: &Contents, otherwise: &str) -> Result<(), Failure> {
    match one.differences(other).as_slice() {
        [] => Ok(()),
        names => Err(Failure::new(format!("{otherwise}: {} differ", names.join(", ")), CHECK_DISK)),
    }
}

/// Works to the end or until a signal.
async fn unless_stopped<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let stop = Stop::on_signals().map_err(|error| Failure::of(&error, "Try again."))?;
    tokio::select! {
        result = work => result,
        () = stop.wait() => Err(Failure::new("the command was stopped", "Nothing of it is left; run it again.")),
    }
}

fn failure(error: TransferError) -> Failure {
    match error {
        TransferError::Load(error) => load_failure(error),
        TransferError::Source(_) => {
            Failure::of(&error, "See the log of the host if one runs, then try again.")
        }
        TransferError::Write(_) => Failure::of(&error, "Free some space or choose another place."),
        TransferError::Damaged(_) => Failure::of(&error, "Use another backup."),
    }
}

fn load_failure(error: LoadError) -> Failure {
    match error {
        LoadError::Open(error) => error.into(),
        LoadError::NotEmpty { .. } => Failure::of(&error, "Name an empty one, or move this one away first."),
        LoadError::Refused { .. } | LoadError::Declare(_) => {
            Failure::of(&error, "Use another backup, or the version of Wares that made this one.")
        }
        LoadError::Read(_) | LoadError::Write(_) => Failure::of(&error, CHECK_DISK),
    }
}

/// A line for each collection, and one for all.
fn table(contents: &Contents) -> String {
    let width =
        contents.collections.iter().map(|collection| collection.name.len()).max().unwrap_or(0).max(10);
    let mut text = format!("{:<width$} {:>10}  HASH\n", "COLLECTION", "DOCUMENTS");
    let all = ("all", contents.documents(), contents.hash());
    let each = contents.collections.iter();
    let each =
        each.map(|collection| (collection.name.as_str(), collection.documents, collection.hash.clone()));
    for (name, documents, hash) in each.chain([all]) {
        let _ = writeln!(text, "{name:<width$} {documents:>10}  {hash}");
    }
    text
}

fn facts(contents: &Contents) -> Value {
    json!({
        "collections": contents.collections,
        "documents": contents.documents(),
        "hash": contents.hash(),
    })
}
