//! From a filled cart to a paid, shipped, returned order.

use platform_tests::host::TestHost;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn plugins_load() {
    let host = TestHost::shop().await;
    assert_eq!(host.refusals(), []);
    let cart = host.anonymous().post("/carts", &json!({})).await.expect(201);
    println!("{cart:#}");
}
