//! A storm of repeats, some of which hang up, makes each order and each charge once.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use platform_tests::{
    checkout::{Shopper, key, sell},
    client::Answer,
    conservation,
    host::{TestHost, TestHostBuilder},
    random::runner,
    shop::documents,
    sizes::{ORDER_DUPLICATES, ORDER_KEYS},
    wait::found_within,
};
use proptest::{
    collection::vec,
    strategy::{Strategy as _, ValueTree as _},
};
use serde_json::Value;

on_each_backend!(
    shop().start(), shop().on_mongodb().start();
    a_storm_of_repeats_makes_each_order_once,
);

/// Longer than what a request leaves open is left alone.
const A_WHILE: Duration = Duration::from_secs(61);

fn shop() -> TestHostBuilder {
    TestHostBuilder::shop().patient()
}

/// What a repeat must repeat.
pub(super) fn told(answer: &Answer) -> (u16, Option<String>, String) {
    (answer.status.as_u16(), answer.header("location").map(str::to_owned), answer.text())
}

pub(super) fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

/// Asserts that it is to be asked again: the same request is being answered, or so many want the one level that not
/// all get their turn in time.
fn is_for_later(answer: Answer) {
    let is_dated = answer.header("retry-after").is_some();
    let problem = match answer.status.as_u16() {
        409 => answer.expect_problem(409, "idempotency_in_progress"),
        _ => answer.expect_problem(503, "unavailable"),
    };
    assert!(is_dated, "{problem}");
}

async fn a_storm_of_repeats_makes_each_order_once(mut host: TestHost) {
    let admin = host.admin().await;
    let (keys, duplicates) = (ORDER_KEYS.get() as usize, ORDER_DUPLICATES.get() as usize);
    sell(&admin, "CUP", keys as i64).await;
    let guests = (0..keys).map(|_| Shopper::with(host.anonymous(), &[("CUP", 1)]));
    let guests: Vec<Shopper> = stream::iter(guests).buffered(8).collect().await;
    let bodies: Vec<Value> = guests.iter().map(|guest| guest.order("tok_approve")).collect();
    let names: Vec<String> = (0..keys).map(|number| key(&format!("storm-{number}"))).collect();

    // One in ten hangs up, at some moment of the request.
    let moments = vec((0..10_u8, 0..60_000_u64), keys * duplicates);
    let moments = moments.new_tree(&mut runner(1)).unwrap().current();
    let sending = moments.into_iter().enumerate().map(|(number, (chance, micros))| {
        let at = number / duplicates;
        // With a connection of its own, which goes with it.
        let mut guest = guests[at].clone();
        guest.client = host.anonymous();
        let (body, name) = (&bodies[at], &names[at]);
        async move {
            let sent = guest.checkout(name, body);
            let answer = match chance {
                0 => tokio::time::timeout(Duration::from_micros(micros), sent).await.ok(),
                _ => Some(sent.await),
            };
            (at, answer)
        }
    });
    let answers: Vec<(usize, Option<Answer>)> = stream::iter(sending).buffer_unordered(128).collect().await;
    let mut first: Vec<Option<(u16, Option<String>, String)>> = vec![None; keys];
    let mut made = 0;
    for (at, answer) in answers {
        let Some(answer) = answer else { continue };
        if answer.status != 201 {
            is_for_later(answer);
            continue;
        }
        made += usize::from(!is_replayed(&answer));
        assert_eq!(*first[at].get_or_insert_with(|| told(&answer)), told(&answer));
    }
    assert!(made <= keys);
    // What hung up in the middle is left alone for a while, and then finished by whoever asks next.
    host.clock.advance(A_WHILE);
    for at in 0..keys {
        let answer = found_within(Duration::from_secs(20), "the order is answered", async || {
            let answer = guests[at].checkout(&names[at], &bodies[at]).await;
            if answer.status == 201 {
                return Some(answer);
            }
            is_for_later(answer);
            None
        })
        .await;
        assert_eq!(*first[at].get_or_insert_with(|| told(&answer)), told(&answer));
        for _ in 0..2 {
            let again = guests[at].checkout(&names[at], &bodies[at]).await;
            assert!(is_replayed(&again));
            assert_eq!(first[at], Some(told(&again)));
        }
        assert_eq!(first[at].as_ref().unwrap().0, 201);
    }
    for (collection, count) in [("orders", keys), ("reservations", keys), ("sandbox_charges", keys)] {
        assert_eq!(documents(&host, collection).await.len(), count, "{collection}");
    }
    let orders = documents(&host, "orders").await;
    assert!(orders.values().all(|order| order["status"] == "confirmed"));
    conservation::check(&host).await;
}
