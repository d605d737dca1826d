//! What a crash leaves: a host dies at every boundary between two writes of an operation, another goes on with its data,
//! and when the times have passed that orders wait, nothing is half done.

mod buyers;
mod deeds;
mod failover;
mod remains;

use std::time::Duration;

use platform_tests::{
    conservation,
    crash::{OUTCOME_SECONDS, Stage, system_ms},
    host::TestHost,
    random,
    sizes::{CRASHES, CRASHES_MONGODB, is_extended},
    store::mongod,
    wait::within,
};
use proptest::prelude::RngExt as _;
use serde_json::{Value, json};

use deeds::{Deed, Scene};

/// One crash and what comes after it.
#[derive(Debug, Clone)]
struct Schedule {
    point: String,
    /// Which of the scene's errands is under way.
    errand: usize,
    repeat: Repeat,
    /// Whether the reservation is over when the next host starts.
    late: bool,
}

/// When the client asks again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Never,
    BeforeSettling,
    AfterSettling,
}

macro_rules! crashes {
    ($($test:ident: $deed:expr;)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            play_all($deed).await;
        })*
    };
}

crashes! {
    a_crash_of_a_checkout_that_is_approved_leaves_all_of_it_or_nothing: Deed::Checkout("tok_approve");
    a_crash_of_a_checkout_without_an_answer_leaves_all_of_it_or_nothing: Deed::Checkout("tok_timeout");
    a_crash_of_a_checkout_that_waits_for_the_customer_leaves_nothing: Deed::Checkout("tok_action");
    a_crash_of_a_checkout_that_is_declined_leaves_nothing: Deed::Checkout("tok_decline");
    a_crash_of_an_order_of_the_last_pieces_leaves_all_of_it_or_nothing: Deed::StaffOrder;
    a_crash_of_a_second_payment_charges_once: Deed::Pay;
    a_crash_of_a_capture_captures_once: Deed::Capture;
    a_crash_of_a_refund_refunds_once: Deed::Refund;
    a_crash_of_a_cancellation_cancels_once: Deed::Cancel;
    a_crash_while_money_is_given_back_gives_it_back_once: Deed::Void;
    a_crash_while_an_outcome_is_found_out_loses_nothing: Deed::FindOut;
    a_crash_while_an_order_expires_gives_everything_back: Deed::Expire;
}

/// The boundaries of a deed, each as often as the size says.
async fn play_all(deed: Deed) {
    let mut runner = random::runner(1);
    let scene = deed.scene(None).await;
    let points = deed.points();
    let skipped = if is_extended() { 0 } else { points.len() - deed.own_points() };
    for point in &points[skipped..] {
        for _ in 0..CRASHES.get() {
            let schedule = schedule(&mut runner, point.clone(), &scene);
            play(deed, &scene, scene.stage.copy(), &schedule).await;
        }
    }
}

macro_rules! crashes_on_mongodb {
    ($($test:ident: $deed:expr, $step:expr;)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            play_on_mongodb($deed, $step).await;
        })*
    };
}

crashes_on_mongodb! {
    // After the first commit, after the provider's and after the last.
    on_mongodb_a_crash_leaves_all_of_a_checkout_or_nothing: Deed::Checkout("tok_approve"), 3;
    on_mongodb_a_crash_of_a_second_payment_charges_once: Deed::Pay, 6;
    on_mongodb_a_crash_of_a_capture_captures_once: Deed::Capture, 6;
    on_mongodb_a_crash_of_a_refund_refunds_once: Deed::Refund, 6;
    on_mongodb_a_crash_of_a_cancellation_cancels_once: Deed::Cancel, 1;
    on_mongodb_a_crash_while_an_order_expires_gives_everything_back: Deed::Expire, 10;
}

/// The boundaries of a deed: all of them in the extended run, and otherwise some, of which two are so far apart.
async fn play_on_mongodb(deed: Deed, step: usize) {
    if !mongod::is_there() {
        return;
    }
    let mut runner = random::runner(1);
    let (first, step) = if is_extended() { (0, 1) } else { (1, step) };
    for point in deed.points().into_iter().skip(first).step_by(step) {
        for _ in 0..CRASHES_MONGODB.get() {
            let mut scene = deed.scene(Some(mongod::database().await)).await;
            let schedule = schedule(&mut runner, point.clone(), &scene);
            let stage = std::mem::replace(&mut scene.stage, Stage::new(None));
            play(deed, &scene, stage, &schedule).await;
        }
    }
}

fn schedule(runner: &mut proptest::test_runner::TestRunner, point: String, scene: &Scene) -> Schedule {
    let rng = runner.rng();
    let repeat = match rng.random_range(0..4) {
        0 => Repeat::BeforeSettling,
        1 => Repeat::AfterSettling,
        _ => Repeat::Never,
    };
    let errand = rng.random_range(0..scene.errands.len());
    Schedule { point, errand, repeat, late: rng.random_range(0..2) == 0 }
}

async fn play(deed: Deed, scene: &Scene, stage: Stage, schedule: &Schedule) {
    eprintln!("{deed:?} {schedule:?}");
    let errand = &scene.errands[schedule.errand];
    let stage = match deed {
        Deed::FindOut | Deed::Expire => stage.die_alone(&schedule.point),
        Deed::Void => {
            let cancel = async |origin: &str| {
                // The host may die before the answer is out.
                if let Some(answer) = errand.send(origin).await {
                    answer.expect_status(200);
                }
            };
            stage.die(&schedule.point, cancel).await
        }
        _ => {
            let ask = async |origin: &str| {
                let answer = errand.send(origin).await;
                assert!(answer.is_none(), "it was answered: {answer:?}");
            };
            stage.die(&schedule.point, ask).await
        }
    };
    let seconds = match (schedule.repeat, schedule.late) {
        // A request counts as running for a minute.
        (Repeat::BeforeSettling, _) => 65,
        (_, false) => OUTCOME_SECONDS + 10,
        (_, true) => 11 * 60,
    };
    let host = stage.host(system_ms() + seconds * 1_000).await;
    let mut told = None;
    if schedule.repeat == Repeat::BeforeSettling {
        told = Some(ask_twice(&host, scene, schedule).await);
    }
    settled(&host).await;
    if schedule.repeat == Repeat::AfterSettling {
        told = Some(ask_twice(&host, scene, schedule).await);
        settled(&host).await;
    }
    let mut faults = conservation::faults(&host).await;
    faults.extend(remains::faults(&host).await);
    faults.extend(deed.faults(&host, scene, schedule, told).await);
    assert!(faults.is_empty(), "{deed:?} {schedule:?}: {faults:#?}");
    drop(host.stop().await);
}

/// Asks again, and once more: what was answered is answered.
async fn ask_twice(host: &TestHost, scene: &Scene, schedule: &Schedule) -> (u16, Value) {
    let errand = &scene.errands[schedule.errand];
    let first = errand.send(host.origin()).await.unwrap();
    let again = errand.send(host.origin()).await.unwrap();
    let status = first.status.as_u16();
    assert_eq!(again.status.as_u16(), status, "{schedule:?}: {} and then {}", first.text(), again.text());
    let told = |answer: Value| match status {
        200..300 => answer,
        _ => json!([answer["code"], answer["orderId"], answer["transactionId"]]),
    };
    assert_eq!(told(again.json()), told(first.json()), "{schedule:?}");
    (status, first.json())
}

/// Lets the reconciler do all that there is to do, however long it takes by the host's clock.
async fn settled(host: &TestHost) {
    for _ in 0..8 {
        within(Duration::from_secs(30), "what is due is looked after", async || {
            remains::due(host).await.is_empty()
        })
        .await;
        if remains::open(host).await.is_empty() {
            return;
        }
        host.clock.advance(Duration::from_secs(11 * 60));
    }
    panic!("it never ends: {:#?}", remains::open(host).await);
}
