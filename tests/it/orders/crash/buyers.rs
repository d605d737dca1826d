//! Many buy the same while the host is killed again and again: never more than there is, and every key has its order.

use std::{
    collections::{BTreeMap, BTreeSet},
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
    checkout::{address, sell},
    client::Client,
    conservation,
    crash::{Errand, Stage, system_ms},
    process::Place,
    random,
    shop::{documents, documents_of, id},
    sizes::{BUYER_KILLS, BUYER_KILLS_MONGODB},
    store::mongod::{self, TestDatabase},
    wait::{found_within, within},
};
use proptest::prelude::RngExt as _;
use serde_json::{Value, json};

use super::{remains, settled};

const BUYERS: u32 = 6;

/// What a buyer asked for, and what the host said if it said anything.
struct Purchase {
    errand: Errand,
    told: Option<(u16, Value)>,
}

/// Fills a cart with one piece and orders it. Nothing comes of it when the host dies before it has the cart, or has none
/// left to put into it.
async fn buy(client: &Client, origin: &str, key: String) -> Option<Purchase> {
    let cart = json!({"items": [{"sku": "CUP", "quantity": 1}]});
    let carts = Errand::new(client.clone(), "/carts", format!("cart-{key}"), cart);
    let cart = carts.send(origin).await.filter(|answer| answer.status == 201)?.json();
    let token = cart["cartToken"].as_str();
    for (part, said) in [
        ("addresses", json!({"shippingAddress": address()})),
        ("shipping", json!({"shippingMethod": "shipping-flat:standard"})),
    ] {
        let path = format!("/carts/{}/{part}", id(&cart));
        let saying = Errand::new(client.clone(), path, format!("{part}-{key}"), said).with_cart_token(token);
        saying.send_by(Method::PUT, origin).await?.expect(200);
    }
    let body = json!({
        "cartId": id(&cart),
        "email": "ada@example.com",
        "payment": {"provider": "payment-sandbox", "token": "tok_approve"},
    });
    let errand = Errand::new(client.clone(), "/orders", key, body).with_cart_token(token);
    let told = errand.send(origin).await.map(|answer| (answer.status.as_u16(), answer.json()));
    Some(Purchase { errand, told })
}

/// Buys until the host dies or has no more.
async fn buy_on(client: Client, origin: String, name: String, answered: Arc<AtomicU32>) -> Vec<Purchase> {
    let mut purchases = Vec::new();
    for number in 0_u32.. {
        let key = format!("a-long-key-of-{name}-n{number}");
        let Some(purchase) = buy(&client, &origin, key).await else { break };
        let is_last = purchase.told.as_ref().is_none_or(|(status, _)| *status != 201);
        purchases.push(purchase);
        answered.fetch_add(1, Ordering::Relaxed);
        if is_last {
            break;
        }
    }
    // Also who got nothing has got an answer.
    answered.fetch_add(1, Ordering::Relaxed);
    purchases
}

/// What is in the store of a host that is dead: the orders, and whether each has its key and each key its order.
async fn look(place: &Place, database: Option<&TestDatabase>, known: &mut BTreeSet<String>) {
    let config = match database {
        Some(database) => StoreConfig::mongo(database.uri.clone()),
        None => StoreConfig::embedded(place.data_dir()),
    };
    let store = Store::open(config, Clock::system()).await.unwrap();
    let orders = documents_of(&store, "orders").await;
    let records = documents_of(&store, "_idempotency").await;
    let mut faults = remains::keys(&store, &orders).await;
    // Keys of requests that died are deleted after a while, so those of earlier runs may be gone.
    for (id, order) in orders.iter().filter(|(id, _)| !known.contains(*id)) {
        let record = remains::record_of(order).and_then(|key| records.get(key));
        let is_right = match record {
            Some(record) if record["state"] == "answered" => {
                let said =
                    if record["status"] == 201 { &record["body"]["id"] } else { &record["body"]["orderId"] };
                *said == **id
            }
            Some(record) => record["state"] == "running" && order["status"] != "confirmed",
            None => false,
        };
        if !is_right {
            faults.push(format!("order {id} is {} and its key {record:?}", order["status"]));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    known.extend(orders.into_keys());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn however_often_the_host_is_killed_no_piece_is_sold_twice_and_no_key_has_no_order() {
    sell_all(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_mongodb_however_often_the_host_is_killed_no_piece_is_sold_twice_and_no_key_has_no_order() {
    if mongod::is_there() {
        sell_all(Some(mongod::database().await)).await;
    }
}

async fn sell_all(database: Option<Arc<TestDatabase>>) {
    let mut runner = random::runner(1);
    let kills = if database.is_some() { BUYER_KILLS_MONGODB.get() } else { BUYER_KILLS.get() };
    let pieces = i64::from(6 * kills);
    let mut host = Stage::new(database).host(system_ms() - 3_600_000).await;
    let admin = host.admin().await;
    sell(&admin, "CUP", pieces).await;
    let (place, database) = Stage::of(host).await.place();
    let mut purchases: Vec<Purchase> = Vec::new();
    let mut known = BTreeSet::new();
    for run in 0..kills {
        let server = place.serve();
        let answered = Arc::new(AtomicU32::new(0));
        let buyers: Vec<_> = (0..BUYERS)
            .map(|buyer| {
                let (client, origin) = (server.anonymous(), server.origin().to_owned());
                tokio::spawn(buy_on(client, origin, format!("r{run}b{buyer}"), answered.clone()))
            })
            .collect();
        within(Duration::from_secs(30), "something is answered", async || {
            answered.load(Ordering::Relaxed) > 0
        })
        .await;
        // Not a wait for a condition: when the kill strikes is what is tried out.
        tokio::time::sleep(Duration::from_millis(runner.rng().random_range(0..=150))).await;
        server.kill();
        purchases.extend(join_all(buyers).await.into_iter().flat_map(Result::unwrap));
        look(&place, database.as_deref(), &mut known).await;
    }

    // Requests of the dead no longer count as running, and nobody has asked yet what became of their payments.
    let host = Stage::left(place, database).host(system_ms() + 65_000).await;
    let unanswered = purchases.iter().filter(|purchase| purchase.told.is_none()).count();
    for purchase in &mut purchases {
        // MongoDB ends the transactions of the dead after a minute, and holds what they were writing until then.
        let answer = found_within(Duration::from_secs(90), "the dead let go", async || {
            purchase.errand.send(host.origin()).await.filter(|answer| answer.status != 503)
        });
        let answer = answer.await;
        let (status, body) = (answer.status.as_u16(), answer.json());
        match &purchase.told {
            Some((201, told)) => assert_eq!((status, &body), (201, told)),
            // The provider was too slow; what became of it is found out.
            Some((202, told)) => assert_eq!((status, &body), (202, told)),
            // There was nothing left, and there may be again; or the reconciler was faster, and has given it up; or what
            // the dead hold in the database keeps the provider waiting.
            _ => assert!(
                [201, 202].contains(&status)
                    || ["insufficient_stock", "payment_declined"].map(Value::from).contains(&body["code"]),
                "{status}: {body}"
            ),
        }
        purchase.told = Some((status, body));
    }
    settled(&host).await;
    for number in 0.. {
        let key = format!("a-long-key-of-the-last-n{number}");
        let Some(purchase) = buy(&host.anonymous(), host.origin(), key).await else { break };
        let status = purchase.told.as_ref().map(|(status, _)| *status);
        purchases.push(purchase);
        if status != Some(201) {
            break;
        }
    }
    settled(&host).await;

    let orders = documents(&host, "orders").await;
    let confirmed: BTreeMap<&str, &Value> = orders
        .iter()
        .filter(|(_, order)| order["status"] == "confirmed")
        .map(|(id, order)| (id.as_str(), order))
        .collect();
    assert_eq!(confirmed.len() as i64, pieces, "all is sold, and nothing twice");
    let told = |wanted: u16| -> BTreeSet<&str> {
        let told = purchases.iter().filter_map(|purchase| purchase.told.as_ref());
        told.filter(|(status, _)| *status == wanted).map(|(_, order)| id(order)).collect()
    };
    let sold: BTreeSet<&str> = confirmed.keys().copied().collect();
    assert_eq!(told(201).difference(&sold).collect::<Vec<_>>(), Vec::<&&str>::new(), "what was sold is sold");
    let known: BTreeSet<&str> = told(201).union(&told(202)).copied().collect();
    assert_eq!(
        sold.difference(&known).collect::<Vec<_>>(),
        Vec::<&&str>::new(),
        "nobody knows that they have it"
    );
    let carts: BTreeSet<&str> = confirmed.values().filter_map(|order| order["cartId"].as_str()).collect();
    assert_eq!(carts.len(), confirmed.len(), "a cart is ordered once");
    let mut faults = conservation::faults(&host).await;
    faults.extend(remains::faults(&host).await);
    assert!(faults.is_empty(), "{faults:#?}");
    let data = Stage::of(host).await;
    eprintln!("{kills} kills, {} purchases, {unanswered} without an answer, {pieces} sold", purchases.len());
    drop(data);
}
