//! `wares db restore`: where it may, and what an interrupted one leaves.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::Stdio,
};

use platform_tests::{process::Place, random, sizes::RESTORE_KILLS, store::durable};
use proptest::prelude::RngExt;
use serde_json::{Value, json};
use store_model::Operation;

const DOCUMENTS: usize = 3_000;

/// A backup that takes a while to restore, and what it holds.
async fn large() -> (Place, PathBuf, Value) {
    let place = Place::new();
    let store = durable::open(place.data_dir()).await;
    let ids: Vec<String> = (0..DOCUMENTS).map(|number| format!("d{number:05}")).collect();
    for batch in ids.chunks(500) {
        let mut writes: Vec<_> = batch.iter().map(|id| durable::document(id, "none")).collect();
        for write in &mut writes {
            if let Operation::Insert(body) = &mut write.operation {
                body.insert("blob".to_owned(), json!("x".repeat(900)));
            }
        }
        store.commit(writes).await.unwrap();
    }
    store.close().await;
    let file = place.path().join("shop.ndjson");
    let taken = place.answer(&["db", "backup", file.to_str().unwrap()]);
    (place, file, taken)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_was_killed_is_told_and_begins_anew() {
    let (_source, file, taken) = large().await;
    let file = file.to_str().unwrap();
    let mut place = Place::new();
    let mut runner = random::runner(1);
    let (mut kills, mut late) = (0, 0);
    while kills < RESTORE_KILLS.get() {
        let lines = runner.rng().random_range(1..=9);
        let mut restore = place.command(&["db", "restore", file]).stdout(Stdio::null()).spawn().unwrap();
        let told = BufReader::new(restore.stderr.take().unwrap()).lines().map_while(Result::ok);
        let reached = told.filter(|line| line.starts_with("Restoring")).nth(lines - 1);
        restore.kill().unwrap();
        let status = restore.wait().unwrap();
        assert!(reached.is_some(), "the restore ended before line {lines}");
        if status.success() {
            late += 1;
            assert!(late < 10, "no kill strikes");
            place = Place::new();
            continue;
        }
        kills += 1;

        let refused = place.refusal(&["serve", "--listen", "127.0.0.1:0"]);
        for part in ["is incomplete", file, "`wares db restore`", "begins anew"] {
            assert!(refused.contains(part), "no {part} in {refused}");
        }
        assert!(place.refusal(&["db", "backup", "other.ndjson"]).contains("is incomplete"));
        let checked = place.run(&["doctor", "--listen", "127.0.0.1:0"]);
        assert!(checked.code == Some(1) && checked.stdout.contains("is incomplete"), "{checked:?}");
    }
    let restored = place.answer(&["db", "restore", file]);
    assert_eq!((&restored["hash"], &restored["documents"]), (&taken["hash"], &json!(DOCUMENTS)));
    let verified = place.answer(&["db", "verify"]);
    assert_eq!((&verified["hash"], &verified["problems"]), (&taken["hash"], &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_stopped_leaves_an_empty_store() {
    let (_source, file, _) = large().await;
    let place = Place::new();
    let restore = ["db", "restore", file.to_str().unwrap()];
    let mut restore = place.command(&restore).stdout(Stdio::null()).spawn().unwrap();
    let mut told = BufReader::new(restore.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(told.any(|line| line.starts_with("Restoring")));
    let interrupt = std::process::Command::new("kill").args(["-INT", &restore.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    let rest: Vec<String> = told.collect();
    assert_eq!(restore.wait().unwrap().code(), Some(1), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("was stopped")), "{rest:?}");
    let verified = place.answer(&["db", "verify"]);
    assert_eq!((&verified["documents"], &verified["collections"]), (&json!(0), &json!([])));
    place.serve().stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_used_is_not_restored_over() {
    let (place, other) = (Place::new(), Place::new());
    place.create_admin();
    place.answer(&["db", "backup", "shop.ndjson"]);
    let file = place.path().join("shop.ndjson");
    let restore = ["db", "restore", file.to_str().unwrap()];

    let refused = place.refusal(&restore);
    assert!(refused.contains("not empty: _accounts"), "{refused}");
    let server = other.serve();
    let refused = other.refusal(&restore);
    assert!(refused.contains("a host runs on"), "{refused}");
    server.anonymous().get("/products").await.expect(200);
    server.stop();
    // It is the host that filled it.
    assert!(other.refusal(&restore).contains("not empty"));

    let missing = other.refusal(&["db", "restore", "nowhere.ndjson"]);
    assert!(missing.contains("cannot read `nowhere.ndjson`"), "{missing}");
    fs::write(other.path().join("list.txt"), "My shopping list: milk, eggs.\n").unwrap();
    for command in ["restore", "verify"] {
        let foreign = other.refusal(&["db", command, "list.txt"]);
        assert!(foreign.contains("line 1") && foreign.contains("not a Wares backup"), "{foreign}");
    }
}
