use serde_json::{Map, json};
use store_model::{CollectionSchema, Operation, Write};
use tempfile::TempDir;

use super::*;
use crate::{
    clock::Clock,
    store::{Loading, Store, StoreConfig},
};

const NOW: &str = "2026-11-23T09:00:00.000Z";

/// A store with an empty collection between two that are not.
async fn store(directory: &TempDir) -> Store {
    let store = Store::open(StoreConfig::embedded(directory.path()), Clock::system()).await.unwrap();
    let schemas = ["cups", "empty", "tea"].map(|name| CollectionSchema::new(name, "x"));
    store.collections_declare(schemas.to_vec()).await.unwrap();
    let write = |collection: &str, id: &str| {
        let body = Map::from_iter([("text".to_owned(), json!(format!("{id}\n\u{2028}ü")))]);
        Write::new(collection, id, Operation::Insert(body))
    };
    store.commit(vec![write("cups", "b"), write("cups", "a"), write("tea", "c")]).await.unwrap();
    store
}

async fn backup(store: &Store) -> Vec<u8> {
    let mut chunks = encode(store.snapshot().await.unwrap(), NOW.to_owned());
    let mut bytes = Vec::new();
    while let Some(chunk) = futures_util::StreamExt::next(&mut chunks).await {
        bytes.extend(chunk.unwrap());
    }
    bytes
}

fn check(bytes: &[u8], chunk: usize) -> Result<Contents, Damage> {
    let mut checker = Checker::new();
    for chunk in bytes.chunks(chunk) {
        checker.push(chunk)?;
    }
    checker.finish()
}

#[tokio::test]
async fn a_backup_has_a_line_for_everything() {
    let directory = TempDir::new().unwrap();
    let bytes = backup(&store(&directory).await).await;
    let text = String::from_utf8(bytes).unwrap();
    let starts = [
        "{\"waresBackup\":{\"format\":1,",
        "{\"collection\":{\"name\":\"cups\",",
        "{\"id\":\"a\",\"version\":1,",
        "{\"id\":\"b\",\"version\":1,",
        "{\"endOfCollection\":{\"name\":\"cups\",\"documents\":2,",
        "{\"collection\":{\"name\":\"empty\",",
        "{\"endOfCollection\":{\"name\":\"empty\",\"documents\":0,",
        "{\"collection\":{\"name\":\"tea\",",
        "{\"id\":\"c\",\"version\":1,",
        "{\"endOfCollection\":{\"name\":\"tea\",\"documents\":1,",
        "{\"endOfBackup\":{\"collections\":3,\"documents\":3,",
    ];
    assert_eq!(text.lines().count(), starts.len());
    for (line, start) in text.lines().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}

#[tokio::test]
async fn a_backup_is_read_whatever_its_chunks() {
    let directory = TempDir::new().unwrap();
    let bytes = backup(&store(&directory).await).await;
    let whole = check(&bytes, bytes.len()).unwrap();
    assert_eq!((whole.documents(), whole.collections.len()), (3, 3));
    for chunk in [1, 7, 100] {
        assert_eq!(check(&bytes, chunk).as_ref(), Ok(&whole));
    }
    // Each of the documents counts.
    assert!(whole.collections[0].hash != whole.collections[2].hash);
    let mut other = whole.clone();
    other.collections[2].hash.clone_from(&whole.collections[0].hash);
    assert_ne!(other.hash(), whole.hash());
    assert_eq!(other.differences(&whole), ["tea"]);
}

#[tokio::test]
async fn what_is_wrong_is_named_with_its_place() {
    let directory = TempDir::new().unwrap();
    let text = String::from_utf8(backup(&store(&directory).await).await).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let joined = |lines: &[&str]| lines.join("\n") + "\n";
    let without = |line: usize| joined(&[&lines[..line], &lines[line + 1..]].concat());
    let swapped = |one: usize, other: usize| {
        let mut lines = lines.clone();
        lines.swap(one, other);
        joined(&lines)
    };
    let cases = [
        (String::new(), 1, None, "not a Wares backup"),
        ("My shopping list\n".to_owned(), 1, None, "not a Wares backup"),
        (without(0), 1, None, "not a Wares backup"),
        (text.replacen("\"format\":1", "\"format\":2", 1), 1, None, "reads up to 1: use Wares 0.1.0"),
        (without(1), 2, None, "outside of any collection"),
        (without(2), 4, Some("cups"), "left out"),
        (swapped(2, 3), 4, Some("cups"), "`a` is out of order"),
        (without(4), 5, Some("cups"), "before the end of the collection"),
        (swapped(3, 5), 4, Some("cups"), "before the end of the collection"),
        (
            joined(&[&lines[..1], &lines[5..7], &lines[1..5], &lines[7..]].concat()),
            4,
            None,
            "`cups` out of order",
        ),
        (joined(&[&lines[..7], &lines[10..]].concat()), 8, None, "left out"),
        (without(10), 11, None, "not complete"),
        (text[..text.len() - 1].to_owned(), 11, None, "not complete"),
        (text.clone() + "\n", 12, None, "after the end"),
        (text.clone() + "x", 12, None, "after the end"),
        (text.replacen("\"id\":\"a\"", "\"id\":\"A\"", 1), 5, Some("cups"), "changed"),
        (text.replacen("\"documents\":3}}", "\"documents\":3}} ", 1), 1, None, "damaged header"),
        ("x".repeat(9 << 20), 1, None, "longer than any line"),
    ];
    for (number, (damaged, line, collection, message)) in cases.into_iter().enumerate() {
        let Err(damage) = check(damaged.as_bytes(), 64) else { panic!("case {number} is accepted") };
        assert_eq!(
            (damage.line, damage.collection.as_deref()),
            (line, collection),
            "case {number}: {damage}"
        );
        assert!(damage.message.contains(message), "case {number}: {damage}");
    }
}

#[tokio::test]
async fn a_backup_fills_a_store() {
    let (from, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let first = store(&from).await;
    let config = StoreConfig::embedded(to.path());
    let loading = Loading::begin(config, Clock::system(), "a test").await.unwrap();
    let mut heard = (0, 0);
    let chunks = encode(first.snapshot().await.unwrap(), NOW.to_owned());
    let progress = |done, total| heard = (done, total);
    let contents = transfer(chunks, &mut StoreSink::new(&loading), progress).await.unwrap();
    let second = loading.finish().await.unwrap();
    assert_eq!(heard, (3, 3));
    assert_eq!(check(&backup(&second).await, 1000).unwrap(), contents);
    assert_eq!(backup(&second).await, backup(&first).await);
}

#[tokio::test]
async fn a_file_has_its_name_when_it_is_whole() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("shop.ndjson");
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    let mut file = BackupFile::create(&path, false).unwrap();
    file.take(&Bytes::from("one"), Vec::new()).await.unwrap();
    assert_eq!((path.exists(), files()), (false, 1));
    drop(file);
    assert_eq!(files(), 0);

    let mut file = BackupFile::create(&path, false).unwrap();
    file.take(&Bytes::from("two"), Vec::new()).await.unwrap();
    let late = BackupFile::create(&path, false).unwrap();
    file.finish().unwrap();
    assert_eq!(late.finish().unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
    assert_eq!(BackupFile::create(&path, false).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    BackupFile::create(&path, true).unwrap().finish().unwrap();
    assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), files()), ("", 1));
}
