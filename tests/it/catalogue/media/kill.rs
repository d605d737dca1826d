//! `kill -9` while images come in.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use hyper::Method;
use platform_tests::{
    client::Client, host::TestHostBuilder, images::png, process::Place, random, shop::documents,
    wait::eventually,
};
use proptest::prelude::RngExt;
use tempfile::TempDir;

const WRITERS: u32 = 4;
const KILLS: u32 = 3;

/// Uploads one image after the other until there is no answer. Answers the ids and sizes.
async fn write(client: Client, writer: u32, answered: Arc<AtomicU32>) -> BTreeMap<String, usize> {
    let mut known = BTreeMap::new();
    for number in 0_u32.. {
        // Some fit into memory until they are known, some do not.
        let bytes = 500_000 + (number % 4) as usize * 600_000 + writer as usize;
        let draft = client.request(Method::POST, "/media").header("content-type", "image/png");
        let Some(answer) = client.try_send(draft.text(png(3, 2, bytes))).await else { break };
        known.insert(answer.expect(201)["id"].as_str().unwrap().to_owned(), bytes);
        answered.fetch_add(1, Ordering::Relaxed);
    }
    known
}

fn files(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_leaves_no_document_without_a_file_and_no_file_for_ever() {
    let mut runner = random::runner(2);
    let data = TempDir::new().unwrap();
    let place = Place::with_data_dir(TempDir::new().unwrap(), data.path().join("data"));
    place.create_admin();
    let mut known = BTreeMap::new();
    for _ in 0..KILLS {
        let server = place.serve();
        let token = server.login().await;
        let answered = Arc::new(AtomicU32::new(0));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write(server.with_token(Some(&token)), writer, answered.clone())))
            .collect();
        eventually("something is answered", async || answered.load(Ordering::Relaxed) > 0).await;
        // Not a wait for a condition: when the kill strikes is what is tried out.
        tokio::time::sleep(Duration::from_millis(runner.rng().random_range(5..=80))).await;
        server.kill();
        known.extend(join_all(writers).await.into_iter().flat_map(Result::unwrap));
    }

    let folder = data.path().join("data/media");
    let left = files(&folder);
    let host = TestHostBuilder::shop().with_data(data).start().await;
    let stored = documents(&host, "_media").await;
    for (id, bytes) in &known {
        assert_eq!(stored[id]["sizeBytes"], *bytes, "{id} was answered");
    }
    for (id, document) in &stored {
        let shown = host.anonymous().get(&format!("/media/{id}")).await;
        assert_eq!(shown.status, 200, "{id}");
        assert_eq!(shown.body, png(3, 2, document["sizeBytes"].as_u64().unwrap() as usize), "{id}");
    }
    // Later than any job of the servers, whose clock was that of the system.
    host.clock.advance(Duration::from_secs(100 * 365 * 24 * 3600));
    host.app.housekeep().await;
    let expected: BTreeSet<String> = stored.keys().map(|id| format!("{id}.png")).collect();
    assert_eq!(files(&folder), expected);
    assert!(documents(&host, "_jobs").await.is_empty());
    eprintln!("{} images, {} files without a document", stored.len(), left.len() - expected.len());
}
