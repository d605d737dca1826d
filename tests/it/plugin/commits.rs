//! What was committed counts, whatever becomes of the guest afterwards.

use platform_tests::host::TestHostBuilder;
use serde_json::json;

use super::{hostile, operation_of};

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_of_a_commit_is_sent_when_the_guest_fails_after_it() {
    let host = hostile().start().await;
    let client = host.anonymous();
    for (path, outcome) in [
        ("/hostile/commit-then-panic", "trap"),
        ("/hostile/commit-then-spin", "cpu"),
        ("/hostile/commit-then-refused", "problem"),
    ] {
        let answer = client.post(path, &json!({})).await;
        let location = answer.header("location").unwrap_or_default().to_owned();
        let created = answer.expect(201);
        let id = created["id"].as_str().unwrap();
        assert_eq!(location, format!("/api/v1/hostile/documents/{id}"), "{path}");
        assert_eq!(client.get(&format!("/hostile/documents/{id}")).await.expect(200), created, "{path}");
        assert_eq!(host.calls(&operation_of(path), outcome).await, 1, "{path} is told as what it was");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_of_a_call_that_failed_after_its_commit_gets_the_same_answer() {
    let host = hostile().start().await;
    let client = host.anonymous();
    for path in ["/hostile/commit-then-panic", "/hostile/commit-then-refused"] {
        let key = format!("a-key-of-128-bits-or-more-{path}");
        let send =
            || client.send(client.request("POST".parse().unwrap(), path).header("idempotency-key", &key));
        let first = send().await.expect(201);
        let again = send().await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{path}");
        assert_eq!(again.expect(201), first, "{path}");
    }
}

/// Something was written, so a repeat must not do it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_problem_after_a_commit_is_repeated_as_well() {
    let host = hostile().start().await;
    let client = host.anonymous();
    let send = |key: &'static str| {
        let draft = client.request("POST".parse().unwrap(), "/hostile/commit-then-problem");
        client.send(draft.header("idempotency-key", key))
    };
    let key = "a-key-of-128-bits-or-more-1";
    let first = send(key).await;
    assert_eq!(first.header("idempotent-replayed"), None);
    let first = first.expect_problem(404, "not_found");
    let again = send(key).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let again = again.expect_problem(404, "not_found");
    assert_eq!(again["detail"], first["detail"], "the id of what was written is told");
    assert_ne!(again["requestId"], first["requestId"]);
    let other = send("a-key-of-128-bits-or-more-2").await.expect_problem(404, "not_found");
    assert_ne!(other["detail"], first["detail"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_increments_of_a_queued_route_all_take_effect() {
    let host = TestHostBuilder::empty().fixture("counter").start().await;
    let client = host.anonymous();
    let calls = (0..50).map(|_| client.post("/counters/cnt_a/queued", &serde_json::Value::Null));
    let mut counts: Vec<i64> = Vec::new();
    for answer in futures_util::future::join_all(calls).await {
        counts.push(answer.expect(200)["count"].as_i64().unwrap());
    }
    counts.sort_unstable();
    assert_eq!(counts, (1..=50).collect::<Vec<_>>());
    assert_eq!(client.get("/counters/cnt_a").await.expect(200)["count"], 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_increments_of_a_racing_route_are_lost_only_with_an_answer_that_says_so() {
    let host = TestHostBuilder::empty().fixture("counter").start().await;
    let client = host.anonymous();
    let calls = (0..50).map(|_| client.post("/counters/cnt_a/raced", &serde_json::Value::Null));
    let mut counted = 0;
    for answer in futures_util::future::join_all(calls).await {
        match answer.status.as_u16() {
            200 => counted += 1,
            409 => drop(answer.expect_problem(409, "already_exists")),
            _ => drop(answer.expect_problem(412, "version_conflict")),
        }
    }
    assert_eq!(client.get("/counters/cnt_a").await.expect(200)["count"], counted);
}
