//! A plugin has so many calls at once, and is left alone for a while when it keeps failing.

use std::time::Duration;

use platform_tests::{host::TestHostBuilder, wait::eventually};

use super::hostile;

fn with_one_permit(timeout_ms: u32) -> TestHostBuilder {
    let limits = format!("[plugins.hostile.limits]\nconcurrency = 1\ntimeout_ms = {timeout_ms}\n");
    TestHostBuilder::empty().fixture("hostile").fixture("trivial").grants(&limits).configure(|config| {
        config.plugins.queue_timeout_ms = 20;
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_beyond_the_concurrency_is_told_to_come_back() {
    let host = with_one_permit(3_000).start().await;
    let client = host.anonymous();
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.get("/hostile/sleep").await }
    });
    eventually("the plugin is full", async || client.get("/hostile/fine").await.status == 503).await;
    let answer = client.get("/hostile/fine").await;
    if answer.status == 503 {
        assert_eq!(answer.header("retry-after"), Some("1"));
        let problem = answer.expect_problem(503, "overloaded");
        assert_eq!((&problem["outcome"], &problem["retryable"]), (&"overload".into(), &true.into()));
    }
    assert!(host.calls("hostileFine", "overload").await > 0);
    client.get("/trivial").await.expect(200);
    slow.await.unwrap().expect_problem(504, "plugin_timeout");
    client.get("/hostile/fine").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_permit_takes_nothing_from_the_calls_own_time() {
    let limits = "[plugins.hostile.limits]\nconcurrency = 1\ntimeout_ms = 600\n";
    let builder = TestHostBuilder::empty().fixture("hostile").grants(limits);
    let host = builder.configure(|config| config.plugins.queue_timeout_ms = 5_000).start().await;
    let client = host.anonymous();
    // Together they hold the permit for longer than a call may take.
    let slow = futures_util::future::join_all((0..2).map(|_| client.get("/hostile/sleep")));
    let (slow, fine) = futures_util::join!(slow, client.get("/hostile/fine"));
    for answer in slow {
        assert_eq!(answer.expect_problem(504, "plugin_timeout")["outcome"], "timeout");
    }
    fine.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_gives_its_permit_back() {
    let host = with_one_permit(3_600_000).start().await;
    let client = host.anonymous();
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.get("/hostile/sleep").await }
    });
    eventually("the plugin is full", async || client.get("/hostile/fine").await.status == 503).await;
    slow.abort();
    eventually("the permit is free", async || client.get("/hostile/fine").await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_breaker_opens_for_an_operation_that_keeps_failing_and_closes_after_a_good_call() {
    let host = TestHostBuilder::empty().fixture("hostile").fixture("trivial").start().await;
    let client = host.anonymous();
    // One operation, which fails or not as it is asked.
    let (good, bad) = ("/hostile/huge-problem?kind=1", "/hostile/huge-problem?kind=4194305");
    for _ in 0..5 {
        client.get(good).await.expect_problem(404, "not_found");
        client.get(bad).await.expect_status_in(&[502]);
    }
    let answer = client.get(good).await;
    assert_eq!(answer.header("retry-after"), Some("30"));
    assert_eq!(answer.expect_problem(503, "plugin_unavailable")["outcome"], "breaker_open");
    assert_eq!(host.calls("hostileHugeProblem", "breaker_open").await, 1);
    let state = |id: &str| {
        let report = host.app.plugins_report();
        let plugin = report["plugins"].as_array().unwrap().iter().find(|it| it["id"] == id).unwrap().clone();
        plugin["state"].as_str().unwrap().to_owned()
    };
    assert_eq!((state("hostile").as_str(), state("trivial").as_str()), ("failing", "active"));
    // Who makes one operation fail keeps nobody from the others.
    client.get("/hostile/fine").await.expect(200);
    client.get("/trivial").await.expect(200);

    host.clock.advance(Duration::from_secs(29));
    let answer = client.get(good).await;
    assert_eq!(answer.header("retry-after"), Some("1"));
    answer.expect_problem(503, "plugin_unavailable");
    host.clock.advance(Duration::from_secs(1));
    client.get(bad).await.expect_status_in(&[502]);
    client.get(good).await.expect_problem(503, "plugin_unavailable");
    host.clock.advance(Duration::from_secs(30));
    client.get(good).await.expect_problem(404, "not_found");
    client.get(good).await.expect_problem(404, "not_found");
    assert_eq!(state("hostile"), "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn problems_and_overload_do_not_open_the_breaker() {
    let host = hostile()
        .configure(|config| {
            config.plugins.breaker.window = 5;
            config.plugins.breaker.min_calls = 5;
        })
        .start()
        .await;
    for _ in 0..20 {
        host.anonymous().get("/hostile/huge-problem?kind=1").await.expect_problem(404, "not_found");
    }
    host.anonymous().get("/hostile/fine").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repaired_plugin_does_not_inherit_an_open_breaker() {
    let host = TestHostBuilder::empty().fixture("hostile").start().await;
    for _ in 0..10 {
        host.anonymous().get("/hostile/panic").await.expect_problem(502, "plugin_failed");
    }
    host.anonymous().get("/hostile/panic").await.expect_problem(503, "plugin_unavailable");
    // What the operator changes is another plugin as far as the breaker is concerned.
    host.grant("[plugins.hostile.limits]\ntimeout_ms = 4000\n").await;
    host.anonymous().get("/hostile/panic").await.expect_problem(502, "plugin_failed");
}
