//! Swapping a plugin fails no request and mixes no versions.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use platform_tests::{host::TestHostBuilder, plugin::marked, sizes};

use super::hostile;

#[tokio::test(flavor = "multi_thread")]
async fn swaps_under_load_fail_no_request_and_mix_no_versions() {
    let host = TestHostBuilder::empty().marked("versioned", "a").fixture("trivial").start().await;
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let (client, stop, answered) = (host.anonymous(), stop.clone(), answered.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let path = if number % 2 == 0 { "/versioned/one" } else { "/versioned/two" };
                    let answer = client.get(path).await.expect(200);
                    assert_eq!(answer["first"], answer["last"], "one answer, one version");
                    assert!(answer["first"] == "a" || answer["first"] == "b", "{}", answer["first"]);
                    client.get("/trivial").await.expect(200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for swap in 0..sizes::SWAPS.get() {
        let version = if swap % 2 == 0 { "b" } else { "a" };
        let report = host.install("versioned.wasm", &marked("versioned", version)).await;
        assert_eq!(report["swapped"], true);
        // In force when the reload has answered, on both routes.
        for path in ["/versioned/one", "/versioned/two"] {
            assert_eq!(host.anonymous().get(path).await.expect(200)["first"], version);
        }
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert!(answered.load(Ordering::Relaxed) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_runs_ends_on_the_version_it_began_with() {
    let host = hostile().start().await;
    let client = host.anonymous();
    let running = tokio::spawn({
        let client = client.clone();
        async move { client.get("/hostile/sleep").await }
    });
    while host.app.plugins().current().plugins.len() == 2 && !running.is_finished() {
        std::fs::remove_file(host.plugins_dir.join("hostile.wasm")).unwrap();
        host.reload().await;
    }
    client.get("/hostile/fine").await.expect_problem(404, "not_found");
    // It began before or after the removal; a call that began is told how its own version ended.
    let answer = running.await.unwrap();
    if answer.status != 404 {
        assert_eq!(answer.expect_problem(504, "plugin_timeout")["outcome"], "timeout");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_generations_are_freed_once_nobody_uses_them() {
    let host = TestHostBuilder::empty().marked("versioned", "a").fixture("hostile").start().await;
    let client = host.anonymous();
    let mut old = Vec::new();
    for reload in 0..sizes::RELOADS.get() {
        old.push(Arc::downgrade(&host.app.plugins().current()));
        let version = if reload % 2 == 0 { "b" } else { "a" };
        host.install("versioned.wasm", &marked("versioned", version)).await;
        assert_eq!(client.get("/versioned/one").await.expect(200)["first"], version);
    }
    let gone = async || old.iter().all(|generation| generation.upgrade().is_none());
    platform_tests::wait::eventually("every old generation is freed", gone).await;
    // A call that is under way keeps its own.
    let kept = Arc::downgrade(&host.app.plugins().current());
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.get("/hostile/sleep").await }
    });
    let taken = async || kept.strong_count() > 1;
    platform_tests::wait::eventually("the call has begun", taken).await;
    host.install("versioned.wasm", &marked("versioned", "c")).await;
    assert!(kept.upgrade().is_some());
    slow.await.unwrap().expect_problem(504, "plugin_timeout");
    platform_tests::wait::eventually("it is freed", async || kept.upgrade().is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_finds_nothing_new_swaps_nothing() {
    let host = TestHostBuilder::empty().marked("versioned", "a").start().await;
    let before = host.app.plugins().current().id;
    for _ in 0..3 {
        let report = host.reload().await;
        assert_eq!((&report["swapped"], &report["generation"]), (&false.into(), &before.into()));
    }
}
