//! D4 and D5: three nodes that are killed and restarted, in the extended run.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use host::{
    clock::Clock,
    store::{CommitError, Store},
};
use platform_tests::{
    sizes::{FAILOVERS, RESTART_SECONDS},
    store::{
        backend::open_mongo,
        mongod::{self, ReplicaSet},
        write::insert,
    },
    wait::within,
};
use serde_json::json;
use store_model::{Access, CollectionSchema, Field, Filter, Query, SortKey};
use tokio::sync::watch;

const THINGS: &str = "things";
const WRITERS: usize = 4;
/// The longest that anybody waits.
const ANSWERED: Duration = Duration::from_millis(2_500);

async fn open(set: &ReplicaSet) -> Store {
    let store = open_mongo(&set.uri("shop"), Clock::system()).await;
    let schema = CollectionSchema {
        fields: vec![Field::text("slug", Access::Unique)],
        ..CollectionSchema::new(THINGS, "thing")
    };
    store.collections_declare(vec![schema]).await.unwrap();
    store
}

/// Writes until told to stop, and tells what was acknowledged.
async fn write(store: Store, writer: usize, stop: watch::Receiver<bool>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        if *stop.borrow() {
            break;
        }
        let pair = [0, 1].map(|part| format!("w{writer}n{number:06}p{part}"));
        let writes = pair.iter().map(|id| insert(THINGS, id, json!({"slug": id}))).collect();
        let started = Instant::now();
        match store.commit(writes).await {
            Ok(_) => acknowledged.extend(pair),
            Err(CommitError::Unavailable(_)) => {}
            Err(refused) => panic!("{refused:?}"),
        }
        assert!(started.elapsed() <= ANSWERED, "{:?}", started.elapsed());
    }
    acknowledged
}

async fn stored(store: &Store) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let mut query = Query { sort: vec![SortKey::ascending("id")], limit: 1000, ..Query::default() };
    loop {
        let page = store.document_find(THINGS, &query).await.unwrap();
        ids.extend(page.documents.into_iter().map(|document| document.id));
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return ids,
        }
    }
}

/// Waits until a commit goes through.
async fn wait_for_commit(store: &Store, id: String) {
    // A refusal means that it did go through before, without an answer.
    within(Duration::from_secs(60), "a commit", async || {
        let writes = vec![insert(THINGS, &id, json!({"slug": id}))];
        !matches!(store.commit(writes).await, Err(CommitError::Unavailable(_)))
    })
    .await;
}

fn assert_all_or_nothing(ids: &BTreeSet<String>) {
    for id in ids.iter().filter(|id| id.starts_with('w')) {
        let part = if id.ends_with("p0") { "p1" } else { "p0" };
        let other = format!("{}{part}", &id[..id.len() - 2]);
        assert!(ids.contains(&other), "{id} without {other}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_commit_is_lost_when_the_primary_dies() {
    let rounds = FAILOVERS.get();
    let Some(program) = mongod::program().filter(|_| rounds > 0) else { return };
    let mut set = ReplicaSet::start(&program, 3).await;
    let store = open(&set).await;
    let (stop, stopped) = watch::channel(false);
    let writers: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(write(store.clone(), writer, stopped.clone()))).collect();
    for round in 0..rounds {
        wait_for_commit(&store, format!("round{round}")).await;
        let primary = set.primary().await;
        set.nodes[primary].kill();
        wait_for_commit(&store, format!("killed{round}")).await;
        set.nodes[primary].start_again(&program);
        set.joined(primary).await;
    }
    stop.send_replace(true);
    let acknowledged = join_all(writers).await.into_iter().flat_map(Result::unwrap);
    let stored = stored(&store).await;
    let lost: Vec<String> = acknowledged.filter(|id| !stored.contains(id)).collect();
    assert_eq!(lost, Vec::<String>::new());
    assert_all_or_nothing(&stored);
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_is_no_more_than_a_pause() {
    let seconds = RESTART_SECONDS.get();
    let Some(program) = mongod::program().filter(|_| seconds > 0) else { return };
    let mut set = ReplicaSet::start(&program, 3).await;
    let store = open(&set).await;
    let (stop, stopped) = watch::channel(false);
    let writers: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(write(store.clone(), writer, stopped.clone()))).collect();
    let reads = Arc::new(store.clone());
    let reader = tokio::spawn(async move {
        while !*stopped.borrow() {
            let started = Instant::now();
            // Unavailable for a moment is all that may happen to a read.
            let counted = reads.document_count(THINGS, &Filter::all(), None).await;
            assert!(matches!(counted, Ok(_) | Err(host::store::ReadError::Unavailable(_))), "{counted:?}");
            assert!(started.elapsed() <= ANSWERED, "{:?}", started.elapsed());
        }
    });
    let until = Instant::now() + Duration::from_secs(seconds.into());
    let mut round = 0;
    while Instant::now() < until {
        let node = round % set.nodes.len();
        set.nodes[node].signal("-TERM");
        set.nodes[node].ended().await;
        wait_for_commit(&store, format!("restarted{round}")).await;
        set.nodes[node].start_again(&program);
        set.joined(node).await;
        round += 1;
    }
    stop.send_replace(true);
    reader.await.unwrap();
    let acknowledged = join_all(writers).await.into_iter().flat_map(Result::unwrap);
    let stored = stored(&store).await;
    let lost: Vec<String> = acknowledged.filter(|id| !stored.contains(id)).collect();
    assert_eq!(lost, Vec::<String>::new());
    assert_all_or_nothing(&stored);
}
