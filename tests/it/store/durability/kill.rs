//! D1: kill -9 while eight writers commit.

use std::{
    collections::HashMap,
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::channel,
    thread,
    time::Duration,
};

use platform_tests::{
    random,
    sizes::KILLS,
    store::durable::{self, COLLECTION, DIRECTORY, RUN},
};
use proptest::prelude::RngExt;
use store_model::Query;
use tempfile::TempDir;

/// Kills in one directory, so that later ones hit a database with a past.
const KILLS_PER_DIRECTORY: u32 = 10;

/// Not a test of its own: the process that the other test kills.
#[test]
fn writer_process() {
    if let (Ok(directory), Ok(run)) = (env::var(DIRECTORY), env::var(RUN)) {
        durable::write_until_killed(Path::new(&directory), &run);
    }
}

#[test]
fn a_kill_loses_nothing_that_was_acknowledged_and_tears_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = random::runner(1);
    let mut acknowledged = Vec::new();
    let mut directory = TempDir::new().unwrap();
    let mut total = 0;
    for run in 0..KILLS.get() {
        if run % KILLS_PER_DIRECTORY == 0 {
            directory = TempDir::new().unwrap();
            acknowledged.clear();
        }
        let delay = Duration::from_millis(runner.rng().random_range(30..=150));
        let lines = write_and_kill(directory.path(), run, delay);
        assert!(!lines.is_empty());
        total += lines.len();
        acknowledged.extend(lines);
        runtime.block_on(check(directory.path(), &acknowledged));
    }
    assert!(total > KILLS.get() as usize);
}

/// Starts a writing process, kills it a while after its first acknowledgement, and returns all of those.
fn write_and_kill(directory: &Path, run: u32, delay: Duration) -> Vec<String> {
    let mut process = Command::new(env::current_exe().unwrap())
        .args(["--exact", "store::durability::kill::writer_process", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(RUN, run.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = process.stdout.take().unwrap();
    let (first, started) = channel();
    let reader = thread::spawn(move || {
        let mut lines = Vec::new();
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        while stdout.read_line(&mut line).is_ok_and(|length| length > 0) {
            // A line without its end was cut by the kill.
            if let Some(whole) = line.strip_suffix('\n')
                && (whole.starts_with("one ") || whole.starts_with("three "))
            {
                lines.push(whole.to_owned());
                let _ = first.send(());
            }
            line.clear();
        }
        lines
    });
    started.recv().expect("the writer acknowledges something");
    // Not a wait for a condition: when the kill strikes is what is tried out.
    thread::sleep(delay);
    process.kill().unwrap();
    process.wait().unwrap();
    reader.join().unwrap()
}

async fn check(directory: &Path, acknowledged: &[String]) {
    let store = durable::open(directory).await;
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
    let ids: Vec<String> = acknowledged
        .iter()
        .flat_map(|line| match line.split_once(' ') {
            Some(("three", group)) => durable::transaction(group).to_vec(),
            Some((_, id)) => vec![id.to_owned()],
            None => Vec::new(),
        })
        .collect();
    let documents = store.document_get_many(COLLECTION, &ids, None).await.unwrap();
    let lost: Vec<&String> =
        ids.iter().zip(&documents).filter(|(_, document)| document.is_none()).map(|(id, _)| id).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");

    let mut sizes: HashMap<String, usize> = HashMap::new();
    let mut query = Query { limit: 1000, ..Query::default() };
    loop {
        let page = store.document_find(COLLECTION, &query).await.unwrap();
        for document in page.documents {
            if let Some((group, _)) = document.id.split_once('.') {
                *sizes.entry(group.to_owned()).or_default() += 1;
            }
        }
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => break,
        }
    }
    let torn: Vec<_> = sizes.into_iter().filter(|(_, size)| *size != 3).collect();
    assert!(torn.is_empty(), "torn transactions: {torn:?}");
    store.close().await;
}
