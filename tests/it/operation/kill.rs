//! D1 from outside: `kill -9` while clients create products.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use host::{
    clock::Clock,
    store::{Store, StoreConfig},
};
use hyper::Method;
use platform_tests::{
    client::{Answer, Client},
    process::Place,
    random,
    shop::{id, product},
    sizes::SERVER_KILLS,
    wait::eventually,
};
use proptest::prelude::RngExt;
use store_model::Filter;

const WRITERS: u32 = 6;

/// What the writers of one run know at its end.
#[derive(Default)]
struct Known {
    /// The id and the answer of every key that was answered.
    acknowledged: BTreeMap<String, (String, String)>,
    /// Keys whose request got no answer.
    unanswered: Vec<String>,
}

async fn create(client: &Client, key: &str) -> Option<Answer> {
    let draft = client.request(Method::POST, "/products").json(&product(key, key));
    client.try_send(draft.header("idempotency-key", key)).await
}

async fn write(client: Client, name: String, answered: Arc<AtomicU32>) -> Known {
    let mut known = Known::default();
    for number in 0_u32.. {
        let key = format!("{name}n{number}");
        let Some(answer) = create(&client, &key).await else {
            known.unanswered.push(key);
            break;
        };
        let text = answer.text();
        let created = answer.expect(201);
        known.acknowledged.insert(key, (id(&created).to_owned(), text));
        answered.fetch_add(1, Ordering::Relaxed);
    }
    known
}

/// The ids of all products by SKU, through the API.
async fn products(client: &Client) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut path = "/products?limit=100&count=none".to_owned();
    loop {
        let answer = client.get(&path).await;
        let next = answer.header("x-next-cursor").map(str::to_owned);
        for product in answer.expect(200).as_array().unwrap() {
            let variants = product["variants"].as_array().unwrap();
            assert_eq!(
                (variants.len(), &product["name"]),
                (1, &variants[0]["sku"]),
                "half a product: {product}"
            );
            let sku = variants[0]["sku"].as_str().unwrap().to_owned();
            found.entry(sku).or_default().push(id(product).to_owned());
        }
        match next {
            Some(cursor) => path = format!("/products?limit=100&count=none&cursor={cursor}"),
            None => return found,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_nothing_that_was_answered_and_a_repeat_doubles_nothing() {
    let mut runner = random::runner(1);
    let place = Place::new();
    place.create_admin();
    let mut acknowledged: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut unanswered = 0;
    for run in 0..SERVER_KILLS.get() {
        let server = place.serve();
        let token = server.login().await;
        let answered = Arc::new(AtomicU32::new(0));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let name = format!("r{run}w{writer}");
                tokio::spawn(write(server.with_token(Some(&token)), name, answered.clone()))
            })
            .collect();
        eventually("something is answered", async || answered.load(Ordering::Relaxed) > 0).await;
        let delay = Duration::from_millis(runner.rng().random_range(30..=150));
        // Not a wait for a condition: when the kill strikes is what is tried out.
        tokio::time::sleep(delay).await;
        server.kill();
        let known: Vec<Known> = join_all(writers).await.into_iter().map(Result::unwrap).collect();
        let open: Vec<String> = known.iter().flat_map(|known| known.unanswered.clone()).collect();
        assert_eq!(open.len(), WRITERS as usize);
        unanswered += open.len();
        acknowledged.extend(known.into_iter().flat_map(|known| known.acknowledged));

        let server = place.serve();
        let client = server.with_token(Some(&token));
        let found = products(&client).await;
        for (key, (id, _)) in &acknowledged {
            assert_eq!(found.get(key), Some(&vec![id.clone()]), "{key} was answered");
        }
        for (key, ids) in &found {
            assert!(acknowledged.contains_key(key) || open.contains(key), "{key} was never asked for");
            assert_eq!(ids.len(), 1, "{key} is there twice");
        }
        // A client that got no answer asks again, and so does one that forgot its answer.
        for key in &open {
            let answer = create(&client, key).await.unwrap();
            let replayed = answer.header("idempotent-replayed").is_some();
            assert_eq!(
                replayed,
                found.contains_key(key),
                "{key}: the record and the product are of one commit"
            );
            let text = answer.text();
            let created = answer.expect(201);
            if let Some(ids) = found.get(key) {
                assert_eq!(ids[0], id(&created));
            }
            acknowledged.insert(key.clone(), (id(&created).to_owned(), text));
        }
        let (key, (_, text)) = acknowledged.iter().next_back().unwrap();
        assert_eq!(create(&client, key).await.unwrap().text(), *text);
        server.stop();
    }

    // Inside: every product with its event, its audit entry and its record, and all indexes whole.
    let store = Store::open(StoreConfig::embedded(place.data_dir()), Clock::system()).await.unwrap();
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
    for collection in ["products", "_events", "_audit", "_idempotency"] {
        // Logins are kept too.
        let filter = match collection {
            "_audit" => Filter::eq("operationId", "createProduct"),
            _ => Filter::all(),
        };
        let count = store.document_count(collection, &filter, None).await.unwrap();
        assert_eq!(count, acknowledged.len() as u64, "{collection}");
    }
    store.close().await;
    eprintln!("{} products, {unanswered} requests without an answer", acknowledged.len());
}
