//! The primary of the database dies while many buy the same: never more than there is, and whoever was told so has it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::{
    future::join_all,
    join,
    stream::{self, StreamExt as _},
};
use platform_tests::{
    checkout::{Shopper, key, sell},
    conservation,
    host::TestHostBuilder,
    shop::{documents, id},
    sizes::BUYER_FAILOVERS,
    store::mongod::{self, ReplicaSet, TestDatabase},
    wait::{found_within, within},
};

use super::{remains, settled};

/// Longer than an election, and what the host waits for one.
const PATIENCE: Duration = Duration::from_secs(120);
const PIECES: u32 = 20;
const BUYERS: u32 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn no_piece_is_sold_twice_while_the_primary_dies() {
    let rounds = BUYER_FAILOVERS.get();
    let Some(program) = mongod::program() else { return };
    let mut set = ReplicaSet::start(&program, 3).await;
    let database = Arc::new(TestDatabase { uri: set.uri("shop") });
    let mut host = TestHostBuilder::shop().patient().on_database(database).start().await;
    let admin = host.admin().await;
    for round in 0..rounds {
        let sku = format!("CUP-{round}");
        sell(&admin, &sku, i64::from(PIECES)).await;
        let client = &host.anonymous();
        let guests = (0..BUYERS).map(async |_| Shopper::with(client.clone(), &[(sku.as_str(), 1)]).await);
        let guests: Vec<Shopper> = stream::iter(guests).buffer_unordered(16).collect().await;
        let answered = AtomicU32::new(0);
        let buying = join_all(guests.iter().enumerate().map(async |(number, guest)| {
            let (name, body) = (key(&format!("failover-{number}")), guest.order("tok_approve"));
            found_within(PATIENCE, "an order is decided", async || {
                let answer = guest.checkout(&name, &body).await;
                answered.fetch_add(1, Ordering::Relaxed);
                let problem = match answer.status.as_u16() {
                    201 => return Some(Some(answer.json())),
                    // What it was asked to do was done, and it was not told: the reconciler finds out.
                    202 => return Some(None),
                    _ => answer.json(),
                };
                match problem["code"].as_str().unwrap() {
                    "insufficient_stock" | "payment_declined" => return Some(None),
                    // Repeats of what the first commit has done are held up for a minute of the host's: it goes by as
                    // fast as the answers come.
                    "idempotency_in_progress" => host.clock.advance(Duration::from_secs(1)),
                    code => assert!(problem["retryable"] == true || code == "conflict", "{problem}"),
                }
                None
            })
            .await
        }));
        let killing = async {
            within(PATIENCE, "something is answered", async || answered.load(Ordering::Relaxed) > 0).await;
            let primary = set.primary().await;
            set.nodes[primary].kill();
            primary
        };
        let (told, killed) = join!(buying, killing);
        set.nodes[killed].start_again(&program);
        set.joined(killed).await;
        host.clock.advance(Duration::from_secs(11 * 60));
        settled(&host).await;
        let orders = documents(&host, "orders").await;
        let confirmed: Vec<&String> = orders
            .iter()
            .filter(|(_, order)| order["status"] == "confirmed" && order["items"][0]["sku"] == *sku)
            .map(|(id, _)| id)
            .collect();
        for order in told.iter().flatten() {
            assert!(confirmed.iter().any(|it| **it == id(order)), "round {round}: was told {order}");
        }
        let level = admin.get(&format!("/inventory/{sku}")).await.expect(200);
        let sold = confirmed.len() as u64;
        assert!(sold > 0 && sold <= u64::from(PIECES), "round {round}: {sold} of {PIECES} are sold");
        assert_eq!(level["available"], u64::from(PIECES) - sold, "round {round}");
        let mut faults = conservation::faults(&host).await;
        faults.extend(remains::faults(&host).await);
        assert!(faults.is_empty(), "round {round}: {faults:#?}");
    }
}
