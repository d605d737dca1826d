//! The host's own operations as routes: methods and parameters. Who may call them is in the matrix.

use serde_json::json;

use super::people::host;

/// The routes that are the host's own.
pub(crate) const HOST_ROUTES: &[&str] = &[
    "GET /plugins",
    "GET /plugins/{id}",
    "PUT /plugins/{id}/config",
    "POST /auth/customer/login",
    "POST /auth/admin/login",
    "POST /auth/refresh",
    "POST /auth/logout",
    "GET /auth/me",
    "POST /auth/password",
    "POST /auth/password/forgot",
    "POST /auth/password/reset",
    "POST /auth/email/verification",
    "POST /auth/email/verify",
    "GET /auth/sessions",
    "DELETE /auth/sessions/{id}",
    "DELETE /auth/sessions",
    "GET /roles",
    "POST /roles",
    "GET /roles/{id}",
    "PUT /roles/{id}",
    "DELETE /roles/{id}",
    "GET /permissions",
    "GET /api-keys",
    "POST /api-keys",
    "DELETE /api-keys/{id}",
    "GET /audit",
    "POST /media",
    "GET /media/{id}",
    "DELETE /media/{id}",
];

#[tokio::test(flavor = "multi_thread")]
async fn routes_tell_their_methods_and_refuse_what_they_do_not_take() {
    let host = host().await;
    let client = host.anonymous();
    let options = |path: &'static str| client.send(client.request("OPTIONS".parse().unwrap(), path));
    assert_eq!(options("/roles/x").await.header("allow"), Some("DELETE, GET, HEAD, OPTIONS, PUT"));
    let refused = client.patch("/roles/x", &json!({})).await;
    assert_eq!(refused.header("allow"), Some("DELETE, GET, HEAD, OPTIONS, PUT"));
    refused.expect_problem(405, "method_not_allowed");
    client.get("/auth/nothing").await.expect_problem(404, "not_found");
    let plain = client.request("POST".parse().unwrap(), "/auth/refresh").text("{}");
    client.send(plain).await.expect_problem(415, "unsupported_media_type");
    client.post("/auth/refresh?x=1", &json!({})).await.expect_problem(400, "unknown_parameter");
    let html = client.request("GET".parse().unwrap(), "/auth/me").header("accept", "text/html");
    client.send(html).await.expect_problem(406, "not_acceptable");
}
