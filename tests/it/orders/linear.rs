//! One SKU behaves as if its operations happened one after the other.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use futures_util::future::join_all;
use platform_tests::{
    checkout::{items_order, post_with_key, sell},
    client::Client,
    conservation,
    host::{TestHost, TestHostBuilder},
    linear::{Act, MOST, Operation, is_linearizable},
    random::runner,
    shop::id,
    sizes::LINEAR_WINDOWS,
};
use proptest::{collection::vec, prelude::*, strategy::ValueTree as _};
use serde_json::json;

on_each_backend!(
    shop().start(), shop().on_mongodb().start();
    what_clients_see_of_a_stock_can_have_happened_in_some_order,
);

const CLIENTS: usize = 6;
const STEPS: usize = MOST / CLIENTS;
/// Few, so that there are none left again and again.
const PIECES: i64 = 3;

fn shop() -> TestHostBuilder {
    TestHostBuilder::shop().patient()
}

async fn what_clients_see_of_a_stock_can_have_happened_in_some_order(mut host: TestHost) {
    let admin = host.admin().await;
    sell(&admin, "CUP", PIECES).await;
    let mut runner = runner(1);
    let mut held: Vec<Vec<String>> = vec![Vec::new(); CLIENTS];
    let mut pieces = PIECES;
    let mut refused = 0;
    for window in 0..LINEAR_WINDOWS.get() {
        let wishes = vec(vec(0..10_u8, STEPS), CLIENTS).new_tree(&mut runner).unwrap().current();
        let history = History::default();
        let clients = held.iter_mut().zip(&wishes).enumerate().map(|(number, (held, wishes))| {
            let (admin, history) = (&admin, &history);
            async move {
                for (step, wish) in wishes.iter().enumerate() {
                    let key = format!("linear-{window}-{number}-{step}");
                    history.note(act(admin, &key, held, *wish)).await;
                }
            }
        });
        join_all(clients).await;
        let history = history.operations.into_inner().unwrap();
        assert!(is_linearizable(pieces, &history), "window {window}, from {pieces} pieces: {history:#?}");
        refused += history.iter().filter(|it| it.act == Act::Refused).count();
        pieces = PIECES - held.iter().map(|held| held.len() as i64).sum::<i64>();
        assert_eq!(available(&admin).await, pieces);
    }
    assert!(refused > 0, "the stock was never empty");
    conservation::check(&host).await;
}

/// Does what is wished, as far as it can be done: whoever has nothing to give back looks instead.
async fn act(admin: &Client, key: &str, held: &mut Vec<String>, wish: u8) -> Act {
    match wish {
        0..4 => {
            let answer = post_with_key(admin, "/orders", key, &items_order(&[("CUP", 1)])).await;
            if answer.status == 201 {
                held.push(id(&answer.json()).to_owned());
                return Act::Taken;
            }
            let problem = answer.expect_problem(409, "insufficient_stock");
            assert_eq!(problem["items"], json!([{"sku": "CUP", "requested": 1, "available": 0}]));
            Act::Refused
        }
        4..7 if !held.is_empty() => {
            let order = held.pop().unwrap();
            admin.post(&format!("/orders/{order}/cancel"), &json!({})).await.expect(200);
            Act::Released
        }
        _ => Act::Read(available(admin).await),
    }
}

async fn available(admin: &Client) -> i64 {
    admin.get("/inventory/CUP").await.expect(200)["available"].as_i64().unwrap()
}

/// What was done, with a clock that only tells before from after.
#[derive(Default)]
struct History {
    clock: AtomicU64,
    operations: Mutex<Vec<Operation>>,
}

impl History {
    async fn note(&self, act: impl Future<Output = Act>) {
        let invoked = self.clock.fetch_add(1, Ordering::SeqCst);
        let act = act.await;
        let returned = self.clock.fetch_add(1, Ordering::SeqCst);
        self.operations.lock().unwrap().push(Operation { act, invoked, returned });
    }
}

/// Operations from `(act, invoked, returned)`.
fn operations(all: &[(Act, u64, u64)]) -> Vec<Operation> {
    all.iter().map(|&(act, invoked, returned)| Operation { act, invoked, returned }).collect()
}

/// What it is about, the pieces at first, and `(act, invoked, returned)`.
type Told = (&'static str, i64, &'static [(Act, u64, u64)]);

#[test]
fn the_checker_knows_what_cannot_have_been() {
    use Act::{Read, Refused, Released, Taken};
    let good: [Told; 5] = [
        ("nothing", 0, &[]),
        ("one after the other", 1, &[(Taken, 0, 1), (Refused, 2, 3), (Released, 4, 5), (Read(1), 6, 7)]),
        ("a refusal before a release that overlaps", 0, &[(Released, 0, 3), (Refused, 1, 2)]),
        ("the release first, although begun later", 0, &[(Taken, 0, 3), (Released, 1, 2)]),
        ("readers on both sides of a sale", 1, &[(Taken, 0, 9), (Read(1), 1, 2), (Read(0), 3, 4)]),
    ];
    for (what, pieces, history) in good {
        assert!(is_linearizable(pieces, &operations(history)), "{what}");
    }
    let bad: [Told; 5] = [
        ("one piece sold twice", 1, &[(Taken, 0, 2), (Taken, 1, 3)]),
        ("an old number after a sale", 1, &[(Taken, 0, 1), (Read(1), 2, 3)]),
        ("a refusal with a piece there", 1, &[(Refused, 0, 1)]),
        ("readers who see a sale undone", 1, &[(Taken, 0, 9), (Read(0), 1, 2), (Read(1), 3, 4)]),
        ("a sale before the release that it needs", 0, &[(Taken, 0, 1), (Released, 2, 3)]),
    ];
    for (what, pieces, history) in bad {
        assert!(!is_linearizable(pieces, &operations(history)), "{what}");
    }
}

#[test]
fn the_checker_agrees_with_trying_every_order() {
    let act = prop_oneof![
        Just(Act::Taken),
        Just(Act::Refused),
        Just(Act::Released),
        (0..3_i64).prop_map(Act::Read),
    ];
    // Moments are positions in a shuffle, so no two are the same.
    let history = vec(act, 0..6).prop_flat_map(|acts| {
        let moments: Vec<u64> = (0..acts.len() as u64 * 2).collect();
        (Just(acts), Just(moments).prop_shuffle())
    });
    runner(2_000)
        .run(&(0..3_i64, history), |(pieces, (acts, moments))| {
            let history: Vec<Operation> = acts
                .into_iter()
                .zip(moments.chunks(2))
                .map(|(act, it)| Operation { act, invoked: it[0].min(it[1]), returned: it[0].max(it[1]) })
                .collect();
            prop_assert_eq!(is_linearizable(pieces, &history), tried(pieces, &history, &mut Vec::new()));
            Ok(())
        })
        .unwrap();
}

/// Tries every order of the operations that are not in `order` yet.
fn tried(pieces: i64, history: &[Operation], order: &mut Vec<usize>) -> bool {
    if order.len() == history.len() {
        let is_in_time = order.iter().enumerate().all(|(at, &first)| {
            order[at..].iter().all(|&later| history[later].returned >= history[first].invoked)
        });
        let mut left = pieces;
        let fits = order.iter().all(|&index| match history[index].act {
            Act::Taken => {
                left -= 1;
                left >= 0
            }
            Act::Refused => left <= 0,
            Act::Released => {
                left += 1;
                true
            }
            Act::Read(seen) => seen == left,
        });
        return is_in_time && fits;
    }
    (0..history.len()).any(|index| {
        if order.contains(&index) {
            return false;
        }
        order.push(index);
        let found = tried(pieces, history, order);
        order.pop();
        found
    })
}
