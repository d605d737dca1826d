//! Several hosts on one database, and what they find there.

use std::time::Duration;

use futures_util::future::join_all;
use host::{
    clock::Clock,
    store::{CommitError, MongoConfig, OpenError, Store, StoreConfig, Unavailable},
};
use mongodb::bson::{Bson, Document, doc};
use platform_tests::{
    store::{
        backend::{START_MS, open_mongo},
        generate,
        mongod::{self, Mongod},
        write::{increment, insert, set, update},
    },
    wait::eventually,
};
use serde_json::json;
use store_model::{Access, CollectionSchema, Field, Filter, Query};

const THINGS: &str = "things";

async fn host(uri: &str) -> Store {
    open_mongo(uri, Clock::manual(START_MS).0).await
}

fn schema(fields: Vec<Field>) -> CollectionSchema {
    CollectionSchema { fields, ..CollectionSchema::new(THINGS, "thing") }
}

async fn ids(store: &Store, filter: Filter) -> Vec<String> {
    let page = store.document_find(THINGS, &Query { filter, ..Query::default() }).await.unwrap();
    page.documents.into_iter().map(|document| document.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_write_the_same_document_lose_nothing() {
    if !mongod::is_there() {
        return;
    }
    let database = mongod::database().await;
    let (one, other) = (host(&database.uri).await, host(&database.uri).await);
    one.collections_declare(vec![generate::schema()]).await.unwrap();
    one.commit(vec![insert(THINGS, "a", json!({"n": 0}))]).await.unwrap();
    let counting = [&one, &other].map(|store| async {
        for _ in 0..40 {
            store.commit(vec![update(THINGS, "a", vec![increment("n", 1)])]).await.unwrap();
        }
    });
    join_all(counting).await;
    let found = other.document_get_many(THINGS, &["a".to_owned()], None).await.unwrap();
    let found = found[0].as_ref().unwrap();
    assert_eq!(found.version, 81);
    assert!(found.json.contains(r#""n":80"#), "{}", found.json);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_follows_what_another_declares_before_it_can_do_harm() {
    if !mongod::is_there() {
        return;
    }
    let database = mongod::database().await;
    let (old, new) = (host(&database.uri).await, host(&database.uri).await);
    old.collections_declare(vec![schema(Vec::new())]).await.unwrap();
    // The other one has never heard of the collection, and finds it.
    new.commit(vec![insert(THINGS, "a", json!({"tags": ["x"], "u": "one"}))]).await.unwrap();
    let fields = vec![Field::text("tags", Access::Index).multi(), Field::text("u", Access::Unique)];
    new.collections_declare(vec![schema(fields)]).await.unwrap();
    // This one knows the old declaration only, and what it writes follows the new one all the same.
    old.commit(vec![insert(THINGS, "b", json!({"tags": ["x", "y"], "u": "two"}))]).await.unwrap();
    old.commit(vec![update(THINGS, "a", vec![set("tags", json!(["y"]))])]).await.unwrap();
    assert_eq!(ids(&new, Filter::eq("tags", "y")).await, ["a", "b"]);
    assert!(old.commit(vec![insert(THINGS, "c", json!({"tags": "wrong"}))]).await.is_err());
    assert!(old.commit(vec![insert(THINGS, "c", json!({"u": "two"}))]).await.is_err());
    assert_eq!(new.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn declaring_does_not_stop_those_who_write() {
    if !mongod::is_there() {
        return;
    }
    let database = mongod::database().await;
    let (one, other) = (host(&database.uri).await, host(&database.uri).await);
    one.collections_declare(vec![schema(Vec::new())]).await.unwrap();
    let (done, _) = tokio::sync::watch::channel(false);
    let writers: Vec<_> = [one.clone(), other.clone()]
        .into_iter()
        .enumerate()
        .map(|(writer, store)| {
            let done = done.subscribe();
            tokio::spawn(async move {
                let mut written = 0;
                while !*done.borrow() {
                    let id = format!("w{writer}n{written}");
                    let body = json!({"tags": [id], "name": "red shoe", "u": id});
                    store.commit(vec![insert(THINGS, &id, body)]).await.unwrap();
                    written += 1;
                }
                written
            })
        })
        .collect();
    let full = CollectionSchema { owner: None, ..generate::schema() };
    for schema in [full.clone(), schema(Vec::new()), full] {
        other.collections_declare(vec![schema]).await.unwrap();
    }
    done.send_replace(true);
    let written: usize = join_all(writers).await.into_iter().map(Result::unwrap).sum();
    assert!(written > 0);
    let named = Filter::Prefix("tags".to_owned(), "w".to_owned());
    assert_eq!(other.document_count(THINGS, &named, None).await.unwrap(), written as u64);
    assert_eq!(other.verify().await.unwrap(), Vec::<String>::new());
    // The host that has declared nothing finds the same before long.
    eventually("the other host knows the field", async || {
        one.document_count(THINGS, &named, None).await.is_ok_and(|count| count == written as u64)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_read_their_documents_with_any_tool() {
    if !mongod::is_there() {
        return;
    }
    let database = mongod::database().await;
    let store = host(&database.uri).await;
    store.collections_declare(vec![generate::schema()]).await.unwrap();
    let body = json!({"n": 7, "free": {"price": 7.0}, "tags": ["b", "a"]});
    store.commit(vec![insert(THINGS, "a", body)]).await.unwrap();
    let client = mongodb::Client::with_uri_str(&database.uri).await.unwrap();
    let records = client.default_database().unwrap().collection::<Document>(THINGS);
    let record = records.find_one(doc! { "doc.n": 7 }).await.unwrap().unwrap();
    let document = record.get_document("doc").unwrap();
    assert_eq!(document.get("n"), Some(&Bson::Int64(7)));
    assert_eq!(document.get_document("free").unwrap().get("price"), Some(&Bson::Double(7.0)));
    let members: Vec<&String> = document.keys().collect();
    assert_eq!(members, ["id", "version", "createdAt", "updatedAt", "n", "free", "tags"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_runs_to_its_end_without_its_caller() {
    if !mongod::is_there() {
        return;
    }
    let database = mongod::database().await;
    let store = host(&database.uri).await;
    store.collections_declare(vec![schema(Vec::new())]).await.unwrap();
    let mut abandoned = Box::pin(store.commit(vec![insert(THINGS, "a", json!({}))]));
    assert!(futures_util::poll!(&mut abandoned).is_pending());
    drop(abandoned);
    // Closing lets it end.
    store.clone().close().await;
    let late = store.commit(vec![insert(THINGS, "b", json!({}))]).await.unwrap_err();
    assert!(matches!(late, CommitError::Unavailable(Unavailable::Closed)), "{late:?}");
    let store = host(&database.uri).await;
    assert_eq!(ids(&store, Filter::all()).await, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_once() {
    if !mongod::is_there() {
        return;
    }
    let database = mongod::database().await;
    let config = MongoConfig { write_queue: 2, ..MongoConfig::new(database.uri.as_str()) };
    let store = Store::open(StoreConfig::Mongo(config), Clock::system()).await.unwrap();
    store.collections_declare(vec![schema(Vec::new())]).await.unwrap();
    let commits = (0..50).map(|number| store.commit(vec![insert(THINGS, &format!("t{number}"), json!({}))]));
    let results = join_all(commits).await;
    let accepted = results.iter().filter(|result| result.is_ok()).count();
    let overloaded =
        |result: &Result<_, _>| matches!(result, Err(CommitError::Unavailable(Unavailable::Overloaded)));
    assert!((1..50).contains(&accepted));
    assert_eq!(results.iter().filter(|result| overloaded(result)).count(), 50 - accepted);
    assert_eq!(ids(&store, Filter::all()).await.len(), accepted.min(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_replica_set_is_refused_with_the_way_out() {
    let Some(program) = mongod::program() else { return };
    let (alone, idle) = (Mongod::start(&program, None), Mongod::start(&program, Some("rs0")));
    for address in [
        format!("mongodb://{}/shop", alone.address()),
        format!("mongodb://{}/shop?replicaSet=rs0", alone.address()),
        format!("mongodb://{}/shop?replicaSet=rs0", idle.address()),
    ] {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let opened = Store::open(StoreConfig::mongo(address.as_str()), Clock::system()).await;
            let Err(error) = opened else { panic!("{address} is no replica set") };
            let text = error.to_string();
            match error {
                OpenError::Standalone { .. } => {
                    assert!(
                        text.contains("mongod --replSet rs0") && text.contains("rs.initiate()"),
                        "{text}"
                    );
                    break;
                }
                // It does not listen yet.
                OpenError::Unreachable { .. } if tokio::time::Instant::now() < deadline => {}
                other => panic!("{address}: {other:?}"),
            }
        }
    }
}
