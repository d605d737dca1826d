//! X1: a server that is stopped and goes on.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use host::clock::Clock;
use platform_tests::{
    host::TestHostBuilder,
    shop::product,
    sizes::SILENCE_SECONDS,
    store::{
        backend::open_mongo,
        mongod::{self, ReplicaSet},
        write::{increment, insert, update},
    },
    wait::eventually,
};
use secrecy::SecretString;
use serde_json::json;
use store_model::CollectionSchema;

/// The longest that anybody waits.
const ANSWERED: Duration = Duration::from_millis(2_500);
/// When all is well again after the server is.
const HEALED: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_host_answers_while_its_server_is_silent_and_heals_by_itself() {
    let Some(program) = mongod::program() else { return };
    let set = ReplicaSet::start(&program, 1).await;
    let uri = SecretString::from(set.uri("shop"));
    let host = TestHostBuilder::shop().configure(move |config| config.store.mongodb_uri = Some(uri));
    let mut host = host.start().await;
    let admin = host.admin().await;
    let made = admin.post("/products", &product("Cup", "C0")).await.expect(201);
    let path = format!("/products/{}", made["id"].as_str().unwrap());
    let anonymous = host.anonymous();
    let probe = async |path: &str| anonymous.get(path).await.status.as_u16();
    assert_eq!((probe("//readyz").await, probe("//livez").await), (200, 200));

    set.nodes[0].signal("-STOP");
    set.nodes[0].stopped().await;
    let until = Instant::now() + Duration::from_secs(SILENCE_SECONDS.get().into());
    let clients = (0..8).map(|client| {
        let (admin, anonymous, path) = (&admin, host.anonymous(), &path);
        async move {
            let mut asked = 0;
            while Instant::now() < until {
                let started = Instant::now();
                let answer = if client % 2 == 0 {
                    anonymous.get(path).await
                } else {
                    admin.post("/products", &product("Cup", &format!("C{client}-{asked}"))).await
                };
                assert!(started.elapsed() <= ANSWERED, "{:?}: {}", started.elapsed(), answer.text());
                assert_eq!(answer.status, 503, "{}", answer.text());
                asked += 1;
            }
            asked
        }
    });
    let probes = async {
        let started = Instant::now();
        assert_eq!((probe("//readyz").await, probe("//livez").await), (503, 200));
        assert!(started.elapsed() <= ANSWERED, "{:?}", started.elapsed());
    };
    let (asked, ()) = futures_util::join!(join_all(clients), probes);
    assert!(asked.iter().all(|asked| *asked > 0));

    set.nodes[0].signal("-CONT");
    let healed = Instant::now();
    eventually("the host heals", async || probe(&path).await == 200 && probe("//readyz").await == 200).await;
    // What was under way when the server fell silent holds no document for longer.
    eventually("the host commits", async || {
        admin.post("/products", &product("Cup", "healed")).await.status.as_u16() < 500
    })
    .await;
    assert!(healed.elapsed() <= HEALED, "{:?}", healed.elapsed());
    drop(host.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_was_cut_off_does_not_keep_its_documents() {
    let Some(program) = mongod::program() else { return };
    let set = ReplicaSet::start(&program, 1).await;
    let store = open_mongo(&set.uri("shop"), Clock::system()).await;
    store.collections_declare(vec![CollectionSchema::new("things", "thing")]).await.unwrap();
    store.commit(vec![insert("things", "hot", json!({"n": 0}))]).await.unwrap();
    let add = || {
        let store = store.clone();
        tokio::spawn(async move {
            store.commit(vec![update("things", "hot", vec![increment("n", 1)])]).await.is_ok()
        })
    };
    let mut certain = 0;
    for _ in 0..3 {
        let adding: Vec<_> = (0..20).map(|_| add()).collect();
        // Somewhere in the middle of them.
        let before = store.document_get_many("things", &["hot".to_owned()], None).await.unwrap();
        assert!(before[0].is_some());
        set.nodes[0].signal("-STOP");
        let started = Instant::now();
        for added in join_all(adding).await {
            certain += i64::from(added.unwrap());
        }
        assert!(started.elapsed() <= ANSWERED, "{:?}", started.elapsed());
        set.nodes[0].signal("-CONT");
        let healed = Instant::now();
        eventually("the document can be written", async || {
            let added = add().await.unwrap();
            certain += i64::from(added);
            added
        })
        .await;
        assert!(healed.elapsed() <= HEALED, "{:?}", healed.elapsed());
    }
    let found = store.document_get_many("things", &["hot".to_owned()], None).await.unwrap();
    let found: serde_json::Value = serde_json::from_str(&found[0].as_ref().unwrap().json).unwrap();
    // Without an answer it may have happened or not.
    assert!(found["n"].as_i64().unwrap() >= certain, "{found} after {certain}");
}
