//! What is kept of security: who did what, from where, and what came of it.

use host::identity::AccountKind;
use platform_tests::shop::documents;
use serde_json::{Value, json};

use super::people::{PASSWORD, account, client, customer, host, login, logout};

#[tokio::test(flavor = "multi_thread")]
async fn logins_of_the_staff_and_every_failure_are_kept() {
    let host = host().await;
    let ada = account(&host, AccountKind::Admin, "ada@example.com", &["superadmin"]).await;
    customer(&host, "eve@example.com").await;
    login(&host, "customer", "eve@example.com", "wrong").await.expect_problem(401, "invalid_credentials");
    login(&host, "admin", "nobody@example.com", "wrong").await.expect_problem(401, "invalid_credentials");
    let tokens = login(&host, "admin", "ada@example.com", PASSWORD).await.expect(200);
    logout(&client(&host, &tokens)).await.expect(204);
    let entries: Vec<Value> = documents(&host, "_audit").await.into_values().collect();
    let told: Vec<(&str, &str, &str)> = entries
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap_or_default();
            (text("operationId"), text("outcome"), text("actorKind"))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("loginCustomer", "invalid_credentials", "customer"),
            ("loginAdmin", "invalid_credentials", "anonymous"),
            ("loginAdmin", "ok", "admin"),
            ("logout", "ok", "admin"),
        ]
    );
    assert_eq!((&entries[2]["actorId"], &entries[2]["address"]), (&json!(ada.id), &json!("127.0.0.1")));
    assert!(entries.iter().all(|entry| entry["requestId"].as_str().is_some_and(|id| id.starts_with("req_"))));
    let all = json!(entries).to_string();
    assert!(!all.contains("wrong") && !all.contains("nobody@example.com"), "{all}");
}
