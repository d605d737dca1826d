//! Durable commits: 64 concurrent writers, group commit against one sync per commit.

use std::time::{Duration, Instant};

use host::{
    clock::Clock,
    store::{EmbeddedConfig, Store, StoreConfig},
};
use platform_tests::store::write;
use serde_json::json;
use store_model::{Access, CollectionSchema, Field};

use crate::table::{Table, median};

const WRITERS: usize = 64;
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(3);

pub(crate) async fn run(table: &mut Table) {
    let (mut grouped, mut single) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        grouped.push(commits_per_second(EmbeddedConfig::default().batch_commits).await);
        single.push(commits_per_second(1).await);
    }
    let (grouped, single) = (median(grouped), median(single));
    table.row(
        "Durable commits, 64 writers",
        format!("{grouped:.0}/s in groups"),
        format!("{single:.0}/s, one sync each"),
        grouped / single,
        "≥ 5",
    );
}

async fn commits_per_second(batch_commits: usize) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let config =
        EmbeddedConfig { directory: folder.path().to_owned(), batch_commits, ..EmbeddedConfig::default() };
    let store = Store::open(StoreConfig::Embedded(config), Clock::system()).await.unwrap();
    let mut schema = CollectionSchema::new("orders", "ord");
    schema.fields = vec![Field::text("number", Access::Unique), Field::text("status", Access::Index)];
    store.collections_declare(vec![schema]).await.unwrap();
    let started = Instant::now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut count = 0_u32;
                while started.elapsed() < ROUND {
                    let body = json!({
                        "number": format!("{writer}-{count}"), "status": "pending", "note": "x".repeat(900)
                    });
                    store.commit(vec![write::insert("orders", &store.id_new("ord"), body)]).await.unwrap();
                    count += 1;
                }
                count
            })
        })
        .collect();
    let mut total = 0;
    for writer in writers {
        total += writer.await.unwrap();
    }
    let rate = f64::from(total) / started.elapsed().as_secs_f64();
    store.close().await;
    rate
}
