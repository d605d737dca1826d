//! A plugin has what the operator granted, and is told which line would grant more.

use platform_tests::{
    host::{SHOP_GRANTS, TestHostBuilder},
    plugin::marked,
};

use super::{fails, hostile};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_granted_is_refused_with_the_line_that_grants_it() {
    let host = TestHostBuilder::shop().start().await;
    host.install("misdescribed.wasm", &marked("misdescribed", "asks")).await;
    let (reason, still_serving) = host.refusal();
    let line = "products = [\"read\"]";
    assert!(reason.contains(&format!("`{line}`")), "{reason}");
    assert!(reason.contains("`[plugins.misdescribed.store]`"), "{reason}");
    assert!(!still_serving);
    host.anonymous().get("/misdescribed").await.expect_problem(404, "not_found");

    let granted = format!("{SHOP_GRANTS}\n[plugins.misdescribed.store]\n{line}\n");
    host.grant(&granted).await;
    assert_eq!(host.refusals(), []);
    assert_eq!(host.anonymous().get("/misdescribed").await.expect(200)["products"], 0);

    // Reading does not grant writing; the version that only reads goes on.
    host.install("misdescribed.wasm", &marked("misdescribed", "asks-write")).await;
    let (reason, still_serving) = host.refusal();
    assert!(reason.contains("`products = [\"read\", \"write\"]`"), "{reason}");
    assert!(still_serving);
    assert_eq!(host.anonymous().get("/misdescribed").await.expect(200)["marker"], "asks");
}

/// Of the host's own collections a plugin may read accounts, where the operator lets it, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn of_what_is_the_hosts_own_accounts_can_be_read() {
    let host = TestHostBuilder::shop().start().await;
    for marker in ["writes-accounts", "asks-sessions"] {
        host.install("misdescribed.wasm", &marked("misdescribed", marker)).await;
        let (reason, _) = host.refusal();
        assert!(reason.contains("which is the host's own"), "{marker}: {reason}");
    }
    host.install("misdescribed.wasm", &marked("misdescribed", "asks-accounts")).await;
    let (reason, _) = host.refusal();
    let line = "_accounts = [\"read\"]";
    assert!(reason.contains(&format!("`{line}`")), "{reason}");
    host.grant(&format!("{SHOP_GRANTS}\n[plugins.misdescribed.store]\n{line}\n")).await;
    assert_eq!(host.refusals(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_optional_may_be_granted_or_not() {
    let host = TestHostBuilder::shop().start().await;
    host.install("misdescribed.wasm", &marked("misdescribed", "asks-optional")).await;
    assert_eq!(host.refusals(), []);
    let told = async || host.anonymous().get("/misdescribed").await.expect(200)["products"].clone();
    assert_eq!(told().await, serde_json::Value::Null);
    host.grant(&format!("{SHOP_GRANTS}\n[plugins.misdescribed.store]\nproducts = [\"read\"]\n")).await;
    assert_eq!(told().await, 0);
    host.grant(SHOP_GRANTS).await;
    assert_eq!(told().await, serde_json::Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn using_what_was_not_asked_for_ends_the_call() {
    let host = hostile().start().await;
    fails(&host, "GET /hostile/denied", 502, "plugin_failed", "denied").await;
    fails(&host, "POST /hostile/denied-write", 502, "plugin_failed", "denied").await;
    for collection in ["_audit", "_idempotency", "_plugin_sets", "_accounts", "", "nothing"] {
        let path = format!("/hostile/denied?kind={collection}");
        assert_eq!(host.anonymous().get(&path).await.expect(200), true, "`{collection}` is refused");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugins_file_that_cannot_be_read_changes_nothing_and_is_reported() {
    let host = hostile().start().await;
    std::fs::write(host.data_dir().join("plugins.toml"), "[plugins.hostile]\nunknown = 1\n").unwrap();
    assert!(host.app.plugins().reload().await.is_err());
    let (reason, still_serving) = host.refusal();
    assert!(reason.contains("unknown"), "{reason}");
    assert!(still_serving);
    host.anonymous().get("/hostile/fine").await.expect(200);
    host.grant("").await;
    assert_eq!(host.refusals(), []);
}
