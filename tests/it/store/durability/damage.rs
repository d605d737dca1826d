//! D3: damaged files. The store opens with what was committed, or says what is wrong; it never panics.

use std::{
    fs,
    path::{Path, PathBuf},
};

use host::{
    clock::Clock,
    store::{OpenError, ReadError, Store, StoreConfig},
};
use platform_tests::{
    random,
    sizes::DAMAGES,
    store::durable::{self, COLLECTION},
};
use proptest::prelude::RngExt;
use store_model::Query;
use tempfile::TempDir;

const DOCUMENTS: usize = 60;

async fn reopen(directory: &Path) -> Result<Store, OpenError> {
    Store::open(StoreConfig::embedded(directory), Clock::system()).await
}

async fn ids(store: &Store) -> Result<Vec<String>, ReadError> {
    let query = Query { limit: 1000, ..Query::default() };
    let page = store.document_find(COLLECTION, &query).await?;
    Ok(page.documents.into_iter().map(|document| document.id).collect())
}

fn expected(documents: usize) -> Vec<String> {
    (0..documents).map(|number| format!("t{number:03}")).collect()
}

/// The files of a store with documents, each of its own commit: as a clean stop leaves them, or as a kill
/// does, with the last commits in the WAL.
async fn files(clean: bool) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = TempDir::new().unwrap();
    let store = durable::open(directory.path()).await;
    for id in expected(DOCUMENTS) {
        store.commit(vec![durable::document(&id, "none")]).await.unwrap();
    }
    let read = || {
        ["wares.db", "wares.db-wal"]
            .iter()
            .filter_map(|name| Some((PathBuf::from(name), fs::read(directory.path().join(name)).ok()?)))
            .collect()
    };
    if !clean {
        return read();
    }
    store.close().await;
    read()
}

fn lay_out(files: &[(PathBuf, Vec<u8>)]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, bytes) in files {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    directory
}

#[tokio::test]
async fn a_cut_log_gives_the_commits_before_the_cut() {
    let whole = files(false).await;
    let mut runner = random::runner(1);
    for round in 0..DAMAGES.get() {
        let mut files = whole.clone();
        let log = &mut files[1].1;
        let at = runner.rng().random_range(0..log.len());
        if round % 2 == 0 {
            log.truncate(at);
        } else {
            log[at] ^= 1 << runner.rng().random_range(0..8);
        }
        let directory = lay_out(&files);
        match reopen(directory.path()).await {
            Ok(store) => match ids(&store).await {
                Ok(ids) => assert_eq!(ids, expected(ids.len())),
                // The cut is before the commit that declared the collection.
                Err(error) => assert!(store.collection(COLLECTION).is_none(), "{error:?}"),
            },
            Err(error) => assert!(error.to_string().contains("wares.db"), "{error}"),
        }
    }
}

#[tokio::test]
async fn a_damaged_database_is_refused_by_name_or_read_without_a_panic() {
    let whole = files(true).await;
    let mut runner = random::runner(1);
    let mut refused = 0;
    for round in 0..DAMAGES.get() {
        let mut files = whole.clone();
        let database = &mut files[0].1;
        let at = runner.rng().random_range(1..database.len());
        let cut = round % 2 == 0;
        if cut {
            database.truncate(at);
        } else {
            let end = database.len().min(at + 64);
            runner.rng().fill(&mut database[at..end]);
        }
        let directory = lay_out(&files);
        match reopen(directory.path()).await {
            Ok(store) => {
                assert!(!cut, "a file that was cut at {at} was opened");
                // What the structure cannot tell may be read, or fail to be.
                let _ = ids(&store).await;
                let _ = store.verify().await;
            }
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("wares.db"), "{error}");
            }
        }
    }
    assert!(refused >= DAMAGES.get() / 2);
}

#[tokio::test]
async fn a_foreign_or_newer_file_is_left_alone() {
    let directory = lay_out(&[(PathBuf::from("wares.db"), b"My shopping list: milk, eggs. ".repeat(9))]);
    let error = reopen(directory.path()).await.unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");

    let mut newer = files(true).await;
    // The version of the format, in the header of the file.
    newer[0].1[60..64].copy_from_slice(&99_u32.to_be_bytes());
    let directory = lay_out(&newer);
    let error = reopen(directory.path()).await.unwrap_err();
    assert!(matches!(error, OpenError::Format { found: 99, .. }), "{error}");
    assert_eq!(fs::read(directory.path().join("wares.db")).unwrap(), newer[0].1);
}

#[tokio::test]
async fn a_directory_serves_one_server() {
    let directory = TempDir::new().unwrap();
    let store = reopen(directory.path()).await.unwrap();
    let error = reopen(directory.path()).await.unwrap_err();
    let expected = format!("the data directory `{}` is in use by another server", directory.path().display());
    assert_eq!(error.to_string(), expected);
    let clone = store.clone();
    store.close().await;
    assert!(clone.commit(Vec::new()).await.is_err());
    reopen(directory.path()).await.unwrap();
}
