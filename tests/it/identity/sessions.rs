//! Sessions: what a login begins, a refresh goes on with, and anybody of the two ends.

use std::time::Duration;

use futures_util::future::join_all;
use host::identity::AccountKind;
use platform_tests::{host::TestHost, shop::documents};
use serde_json::{Value, json};

use super::people::{PASSWORD, account, client, customer, host, host_on_mongodb, login, logout, me, refresh};

on_each_backend!(
    host(), host_on_mongodb();
    both_flows_log_in_their_own,
    a_refresh_uses_its_token_up,
    a_reused_token_ends_the_session,
    parallel_refreshes_leave_one_family,
    sessions_are_listed_and_ended_at_once,
    logging_out_everywhere_ends_all,
);

async fn both_flows_log_in_their_own(host: TestHost) {
    let tokens = customer(&host, "eve@example.com").await;
    assert_eq!((&tokens["tokenType"], &tokens["expiresIn"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(tokens["user"]["kind"], "customer");
    assert!(tokens["user"]["lastLoginAt"].is_string() && tokens["user"]["passwordHash"].is_null());
    let eve = me(&client(&host, &tokens)).await.expect(200);
    assert_eq!((&eve["user"]["email"], &eve["permissions"]), (&json!("eve@example.com"), &json!([])));

    account(&host, AccountKind::Admin, "ada@example.com", &["catalog-manager"]).await;
    let tokens = login(&host, "admin", "ada@example.com", PASSWORD).await;
    assert_eq!(tokens.header("cache-control"), Some("no-store"));
    let ada = me(&client(&host, &tokens.expect(200))).await.expect(200);
    assert_eq!(ada["permissions"], json!(["categories:*", "products:*"]));

    // Neither has an account in the other's flow.
    login(&host, "admin", "eve@example.com", PASSWORD).await.expect_problem(401, "invalid_credentials");
    login(&host, "customer", "ada@example.com", PASSWORD).await.expect_problem(401, "invalid_credentials");
}

async fn a_refresh_uses_its_token_up(host: TestHost) {
    let first = customer(&host, "eve@example.com").await;
    let second = refresh(&host, &first["refreshToken"]).await.expect(200);
    assert_ne!(first["refreshToken"], second["refreshToken"]);
    me(&client(&host, &second)).await.expect(200);
    // The answer may have been lost: once more within five seconds, and no more.
    host.clock.advance(Duration::from_secs(4));
    let again = refresh(&host, &first["refreshToken"]).await.expect(200);
    assert_eq!(again["refreshToken"], second["refreshToken"]);
    refresh(&host, &first["refreshToken"]).await.expect_problem(401, "token_revoked");
    me(&client(&host, &second)).await.expect(200);
    let third = refresh(&host, &second["refreshToken"]).await.expect(200);
    assert_eq!(documents(&host, "_sessions").await.len(), 1);
    // A session lives as long as it is refreshed, up to its end.
    host.clock.advance(Duration::from_secs(13 * 86_400));
    let fourth = refresh(&host, &third["refreshToken"]).await.expect(200);
    host.clock.advance(Duration::from_secs(14 * 86_400 + 1));
    refresh(&host, &fourth["refreshToken"]).await.expect_problem(401, "token_expired");
    host.app.identity().sweep().await.unwrap();
    refresh(&host, &fourth["refreshToken"]).await.expect_problem(401, "token_invalid");
    assert!(documents(&host, "_sessions").await.is_empty());
}

async fn a_reused_token_ends_the_session(host: TestHost) {
    for old in [0, 1] {
        let email = format!("eve{old}@example.com");
        let mut family = vec![customer(&host, &email).await];
        for _ in 0..2 {
            family.push(refresh(&host, &family.last().unwrap()["refreshToken"]).await.expect(200));
        }
        let other = login(&host, "customer", &email, PASSWORD).await.expect(200);
        host.clock.advance(Duration::from_secs(6));
        refresh(&host, &family[old]["refreshToken"]).await.expect_problem(401, "token_revoked");
        for tokens in &family {
            refresh(&host, &tokens["refreshToken"]).await.expect_problem(401, "token_revoked");
            me(&client(&host, tokens)).await.expect_problem(401, "token_revoked");
        }
        me(&client(&host, &other)).await.expect(200);
    }
    let reused: Vec<Value> = documents(&host, "_audit")
        .await
        .into_values()
        .filter(|entry| entry["outcome"] == "token_reused")
        .collect();
    assert_eq!(reused.len(), 2, "{reused:?}");
}

async fn parallel_refreshes_leave_one_family(host: TestHost) {
    let first = customer(&host, "eve@example.com").await;
    let answers = join_all((0..50).map(|_| refresh(&host, &first["refreshToken"]))).await;
    let mut tokens = Vec::new();
    for answer in answers {
        match answer.status.as_u16() {
            200 => tokens.push(answer.expect(200)["refreshToken"].clone()),
            _ => drop(answer.expect_problem(401, "token_revoked")),
        }
    }
    // The one that was first, and the one that is tolerated: both are told the same token.
    assert_eq!(tokens.len(), 2, "{tokens:?}");
    assert_eq!(tokens[0], tokens[1]);
    assert_eq!(documents(&host, "_sessions").await.len(), 1);
    let next = refresh(&host, &tokens[0]).await.expect(200);
    me(&client(&host, &next)).await.expect(200);
}

async fn sessions_are_listed_and_ended_at_once(host: TestHost) {
    let first = customer(&host, "eve@example.com").await;
    host.clock.advance(Duration::from_secs(1));
    let second = login(&host, "customer", "eve@example.com", PASSWORD).await.expect(200);
    let stranger = client(&host, &customer(&host, "mallory@example.com").await);
    let (one, two) = (client(&host, &first), client(&host, &second));
    let sessions = two.get("/auth/sessions").await.expect(200);
    let sessions = sessions.as_array().unwrap();
    let current: Vec<&Value> = sessions.iter().map(|session| &session["current"]).collect();
    assert_eq!(current, [&json!(true), &json!(false)]);
    assert_eq!(sessions[0]["address"], "127.0.0.1");
    assert!(sessions.iter().all(|session| session["tokenHash"].is_null() && session["salt"].is_null()));

    let older = format!("/auth/sessions/{}", sessions[1]["id"].as_str().unwrap());
    // Another's session looks like none.
    let theirs = stranger.delete(&older).await.expect_problem(404, "not_found");
    let none = stranger.delete("/auth/sessions/ses_00000000000000000000000000").await;
    assert_eq!(theirs["detail"], none.expect_problem(404, "not_found")["detail"]);
    me(&one).await.expect(200);

    two.delete(&older).await.expect(204);
    me(&one).await.expect_problem(401, "token_revoked");
    refresh(&host, &first["refreshToken"]).await.expect_problem(401, "token_revoked");
    two.delete(&older).await.expect_problem(404, "not_found");

    logout(&two).await.expect(204);
    me(&two).await.expect_problem(401, "token_revoked");
    let third = login(&host, "customer", "eve@example.com", PASSWORD).await.expect(200);
    let body = json!({ "refreshToken": third["refreshToken"] });
    host.anonymous().post("/auth/logout", &body).await.expect(204);
    me(&client(&host, &third)).await.expect_problem(401, "token_revoked");
    me(&stranger).await.expect(200);
}

async fn logging_out_everywhere_ends_all(host: TestHost) {
    let mut all = vec![customer(&host, "eve@example.com").await];
    for _ in 0..2 {
        all.push(login(&host, "customer", "eve@example.com", PASSWORD).await.expect(200));
    }
    let stranger = client(&host, &customer(&host, "mallory@example.com").await);
    client(&host, &all[1]).delete("/auth/sessions").await.expect(204);
    for tokens in &all {
        me(&client(&host, tokens)).await.expect_problem(401, "token_revoked");
        refresh(&host, &tokens["refreshToken"]).await.expect_problem(401, "token_revoked");
    }
    me(&stranger).await.expect(200);
    let again = login(&host, "customer", "eve@example.com", PASSWORD).await.expect(200);
    let sessions = client(&host, &again).get("/auth/sessions").await.expect(200);
    assert_eq!(sessions.as_array().unwrap().len(), 1);
}
