//! Nothing is remembered between calls.

use platform_tests::host::TestHostBuilder;

/// Looking through all of the memory takes a while.
const LIMITS: &str = "[plugins.hostile.limits]\ncpu_ms = 20000\ntimeout_ms = 60000\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_call_leaves_in_memory_is_not_there_for_the_next() {
    let host = TestHostBuilder::empty().fixture("hostile").grants(LIMITS).start().await;
    let client = host.anonymous();
    for round in 0..8 {
        // Several at once use several slots of the pool, which later calls get again.
        let left = futures_util::future::join_all((0..4).map(|_| client.get("/hostile/marker-write"))).await;
        for answer in left {
            let left = answer.expect(200);
            assert_eq!(left["calls"], 0, "round {round}");
            assert!(left["marks"].as_u64().unwrap() >= 131_072, "the canary sings: {left}");
        }
        let found = futures_util::future::join_all((0..4).map(|_| client.get("/hostile/marker-read"))).await;
        for answer in found {
            assert_eq!(answer.expect(200), serde_json::json!({ "calls": 0, "marks": 0 }), "round {round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_leaves_nothing_behind_either() {
    let host = TestHostBuilder::empty().fixture("hostile").grants(LIMITS).start().await;
    let client = host.anonymous();
    for failing in ["/hostile/panic", "/hostile/grow", "/hostile/recurse"] {
        client.get("/hostile/marker-write").await.expect(200);
        client.get(failing).await.expect_problem(502, "plugin_failed");
        let found = client.get("/hostile/marker-read").await.expect(200);
        assert_eq!(found, serde_json::json!({ "calls": 0, "marks": 0 }), "{failing}");
    }
}
