//! The shop answers.

use platform_tests::host::TestHost;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_product_is_created_and_read() {
    let mut host = TestHost::shop().await;
    let admin = host.admin().await;
    let answer = admin
        .post(
            "/products",
            &json!({
                "name": "Tea cup", "status": "active",
                "variants": [{"sku": "CUP-1", "prices": [{"amount": 1290, "currency": "USD"}]}]
            }),
        )
        .await;
    println!("{:?}", answer.headers);
    let created = answer.expect(201);
    println!("{created:#}");
    let read = host.anonymous().get(&format!("/products/{}", created["id"].as_str().unwrap())).await;
    println!("{:?}", read.headers);
    assert_eq!(read.expect(200), created);
}
