//! CPU, time, memory, host calls and output of a call are bounded, and each bound has its own outcome.

use futures_util::future::join_all;
use platform_tests::host::TestHost;

use super::{fails, hostile};

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_take_too_much_ends_in_its_own_outcome() {
    let host = hostile().start().await;
    fails(&host, "GET /hostile/spin", 504, "plugin_timeout", "cpu").await;
    fails(&host, "GET /hostile/sleep", 504, "plugin_timeout", "timeout").await;
    fails(&host, "GET /hostile/recurse", 502, "plugin_failed", "trap").await;
    fails(&host, "GET /hostile/panic", 502, "plugin_failed", "trap").await;
    fails(&host, "GET /hostile/exit", 502, "plugin_failed", "trap").await;
    fails(&host, "GET /hostile/grow", 502, "plugin_failed", "memory").await;
    fails(&host, "GET /hostile/host-calls", 502, "plugin_failed", "host_calls").await;
    fails(&host, "GET /hostile/huge-argument", 502, "plugin_failed", "host_calls").await;
    fails(&host, "GET /hostile/many-results", 502, "plugin_failed", "host_calls").await;
    fails(&host, "GET /hostile/clock-flood", 502, "plugin_failed", "host_calls").await;
    fails(&host, "GET /hostile/print-flood", 502, "plugin_failed", "log").await;
    fails(&host, "GET /hostile/error-flood", 502, "plugin_failed", "host_calls").await;
    fails(&host, "POST /hostile/event-flood", 502, "plugin_failed", "host_calls").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handles_are_bounded_before_the_calls_that_make_them_are() {
    let host = hostile().start().await;
    host.grant("[plugins.hostile.limits]\nhandles = 100\nhost_calls = 10000\n").await;
    fails(&host, "GET /hostile/handles", 502, "plugin_failed", "trap").await;
    host.anonymous().get("/hostile/fine").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_does_not_show_its_cause_to_the_client() {
    let host = hostile().start().await;
    let problem = host.anonymous().get("/hostile/panic").await.expect_problem(502, "plugin_failed");
    assert!(!problem.to_string().contains("secret-looking"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_over_the_budget_are_dropped_and_the_call_goes_on() {
    let host = hostile().start().await;
    assert_eq!(host.anonymous().get("/hostile/log-flood").await.expect(200), 500);
    assert_eq!(host.calls("hostileLogFlood", "ok").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_sees_no_files_environment_arguments_or_input() {
    let host = hostile().start().await;
    let seen = host.anonymous().get("/hostile/files").await.expect(200);
    let nothing = serde_json::json!({
        "root": false, "passwd": false, "write": false, "env": 0, "args": 0, "stdin": "",
    });
    assert_eq!(seen, nothing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_sees_the_hosts_clock() {
    let host = hostile().start().await;
    host.clock.set_ms(1_900_000_000_123);
    let seen = host.anonymous().get("/hostile/fine").await.expect(200);
    assert_eq!(seen["nowMs"], 1_900_000_000_123_i64);
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_answered_while_guests_spin_on_every_core() {
    let host = hostile().start().await;
    let client = host.anonymous();
    let spinning = join_all((0..8).map(|_| client.get("/hostile/spin")));
    let (spun, ()) = futures_util::join!(spinning, others_go_on(&host));
    for answer in spun {
        assert_eq!(answer.expect_problem(504, "plugin_timeout")["outcome"], "cpu");
    }
    others_go_on(&host).await;
}

async fn others_go_on(host: &TestHost) {
    for _ in 0..50 {
        host.anonymous().get("/trivial").await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_the_plugins_file_take_effect() {
    let host = hostile().start().await;
    let client = host.anonymous();
    let large = || client.get("/hostile/large-response?kind=200000");
    large().await.expect(200);
    host.grant("[plugins.hostile.limits]\nresponse_bytes = 100000\n").await;
    assert_eq!(large().await.expect_problem(502, "plugin_output_invalid")["outcome"], "output");
    host.grant("[plugins.hostile.limits]\nhost_calls = 20\n").await;
    fails(&host, "GET /hostile/log-flood", 502, "plugin_failed", "host_calls").await;
    host.grant("[plugins.hostile.limits]\nmemory_bytes = 2097152\n").await;
    fails(&host, "GET /hostile/marker-write", 502, "plugin_failed", "memory").await;
    host.grant("[plugins.hostile.limits]\ntimeout_ms = 200\ncpu_ms = 60000\n").await;
    fails(&host, "GET /hostile/spin", 504, "plugin_timeout", "timeout").await;
    host.grant("").await;
    large().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_no_call_can_meet_are_refused_and_the_earlier_ones_stay() {
    let host = hostile().start().await;
    for (limit, named) in [
        ("timeout_ms = 0", "timeout_ms"),
        ("cpu_ms = 0", "cpu_ms"),
        ("memory_bytes = 65536", "memory_bytes"),
        ("memory_bytes = 1099511627776", "memory_bytes"),
        ("concurrency = 0", "concurrency"),
        ("table_elements = 4000000000", "table_elements"),
    ] {
        host.grant(&format!("[plugins.hostile.limits]\n{limit}\n")).await;
        let (reason, still_serving) = host.refusal();
        assert!(reason.contains(named), "{limit}: {reason}");
        assert!(still_serving, "{limit}");
        host.anonymous().get("/hostile/fine").await.expect(200);
    }
    host.grant("").await;
    assert_eq!(host.refusals(), []);
}
