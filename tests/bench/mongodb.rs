//! The MongoDB store, against a loop that uses the driver directly with the same concerns.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use host::{clock::Clock, store::Store};
use mongodb::{
    Client, Collection,
    bson::{Document, doc},
    options::{Acknowledgment, ReadConcern, WriteConcern},
};
use platform_tests::store::{
    backend::open_mongo,
    mongod,
    write::{increment, insert, update},
};
use serde_json::json;
use store_model::{Access, CollectionSchema, Field};

use crate::table::{Table, median};

const CLIENTS: usize = 64;
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(3);
const ORDERS: &str = "orders";

pub(crate) async fn run(table: &mut Table) {
    if !mongod::is_there() {
        return;
    }
    let database = mongod::database().await;
    let store = open_mongo(&database.uri, Clock::system()).await;
    let mut schema = CollectionSchema::new(ORDERS, "ord");
    schema.fields = vec![Field::text("number", Access::Unique), Field::text("status", Access::Index)];
    store.collections_declare(vec![schema]).await.unwrap();
    let client = Client::with_uri_str(&database.uri).await.unwrap();
    let native = client.default_database().unwrap();
    native
        .run_command(doc! { "createIndexes": "native", "indexes": [
            { "name": "number", "key": { "number": 1 }, "unique": true },
            { "name": "status", "key": { "status": 1 } },
        ] })
        .await
        .unwrap();
    let native = native.collection::<Document>("native");
    store.commit(vec![insert(ORDERS, "hot", json!({"number": "hot", "n": 0}))]).await.unwrap();
    native.insert_one(doc! { "_id": "hot", "number": "hot", "n": 0 }).await.unwrap();

    let mut figures: [(Vec<f64>, Vec<f64>); 3] = Default::default();
    for _ in 0..ROUNDS {
        figures[0].0.push(per_second(async || read(&store).await).await);
        figures[0].1.push(per_second(async || read_natively(&native).await).await);
        figures[1].0.push(per_second(async || commit(&store).await).await);
        figures[1].1.push(per_second(async || commit_natively(&client, &native, &store).await).await);
        figures[2].0.push(per_second(async || contend(&store).await).await);
        figures[2].1.push(per_second(async || contend_natively(&native).await).await);
    }
    let rows = [
        ("MongoDB: reads of one document", "same read by the driver"),
        ("MongoDB: commits of one document", "transaction by the driver"),
        ("MongoDB: 64 clients, one document", "single update by the driver"),
    ];
    for ((what, baseline), (store, native)) in rows.into_iter().zip(figures) {
        let (store, native) = (median(store), median(native));
        table.row(what, format!("{store:.0}/s"), format!("{native:.0}/s, {baseline}"), store / native, "");
    }
    store.close().await;
}

/// How often 64 clients get something done in a second.
async fn per_second(work: impl AsyncFn()) -> f64 {
    let started = Instant::now();
    let clients = (0..CLIENTS).map(|_| {
        let work = &work;
        async move {
            let mut count = 0;
            while started.elapsed() < ROUND {
                work().await;
                count += 1;
            }
            count
        }
    });
    let total: u32 = join_all(clients).await.into_iter().sum();
    f64::from(total) / started.elapsed().as_secs_f64()
}

fn durable() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build()
}

async fn read(store: &Store) {
    let found = store.document_get_many(ORDERS, &["hot".to_owned()], None).await.unwrap();
    assert!(found[0].is_some());
}

async fn read_natively(native: &Collection<Document>) {
    let found = native.find_one(doc! { "_id": "hot" }).read_concern(ReadConcern::majority()).await.unwrap();
    assert!(found.is_some());
}

async fn commit(store: &Store) {
    let id = store.id_new("ord");
    let body = json!({"number": id, "status": "pending", "note": "x".repeat(900)});
    store.commit(vec![insert(ORDERS, &id, body)]).await.unwrap();
}

async fn commit_natively(client: &Client, native: &Collection<Document>, store: &Store) {
    let id = store.id_new("ord");
    let mut session = client.start_session().await.unwrap();
    session.start_transaction().read_concern(ReadConcern::snapshot()).write_concern(durable()).await.unwrap();
    let order = doc! { "_id": &id, "number": &id, "status": "pending", "note": "x".repeat(900) };
    native.insert_one(order).session(&mut session).await.unwrap();
    session.commit_transaction().await.unwrap();
}

async fn contend(store: &Store) {
    store.commit(vec![update(ORDERS, "hot", vec![increment("n", 1)])]).await.unwrap();
}

async fn contend_natively(native: &Collection<Document>) {
    let increment = doc! { "$inc": { "n": 1 } };
    native.update_one(doc! { "_id": "hot" }, increment).write_concern(durable()).await.unwrap();
}
