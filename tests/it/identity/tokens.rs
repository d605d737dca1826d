//! What is no token of ours is refused with one body, whatever is wrong with it.

use host::identity::AccountKind;
use hyper::Method;
use platform_tests::host::{TestHost, TestHostBuilder};
use serde_json::{Value, json};

use super::people::{PASSWORD, account, client, customer, host, host_on_mongodb, login, me, refresh};

on_each_backend!(
    host(), host_on_mongodb();
    whatever_is_wrong_with_a_token_the_answer_is_the_same,
    a_made_up_refresh_token_ends_nothing,
    a_storefronts_token_opens_nothing_of_the_staff,
);

async fn whatever_is_wrong_with_a_token_the_answer_is_the_same(host: TestHost) {
    let tokens = customer(&host, "eve@example.com").await;
    let good = tokens["accessToken"].as_str().unwrap();
    let other = TestHostBuilder::empty()
        .configure(|config| config.auth.jwt_secret = Some("another environment's secret, long enough".into()))
        .start()
        .await;
    let foreign = customer(&other, "eve@example.com").await;
    let (header, rest) = good.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let attacks = [
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        // {"alg":"none"}
        format!("eyJhbGciOiJub25lIn0.{claims}."),
        format!("{header}.{claims}.{}", "A".repeat(signature.len())),
        format!("{good}="),
        format!("{good}.{signature}"),
        "x".repeat(20_000),
        foreign["accessToken"].as_str().unwrap().to_owned(),
        tokens["refreshToken"].as_str().unwrap().to_owned(),
        format!("key_{}_{}", "0".repeat(26), "A".repeat(43)),
        "key_".to_owned(),
    ];
    let mut bodies = Vec::new();
    for attack in &attacks {
        let answer = me(&host.with_token(attack)).await;
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
        let mut problem = answer.expect_problem(401, "token_invalid");
        problem["requestId"] = Value::Null;
        bodies.push(problem);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:#?}");
    let twice = host.with_token(good).request(Method::GET, "/auth/me").header("authorization", "Bearer x");
    host.anonymous().send(twice).await.expect_problem(401, "token_invalid");
    host.anonymous().get("/auth/me").await.expect_problem(401, "unauthenticated");
    me(&host.with_token(good)).await.expect(200);
}

async fn a_made_up_refresh_token_ends_nothing(host: TestHost) {
    let tokens = customer(&host, "eve@example.com").await;
    let next = refresh(&host, &tokens["refreshToken"]).await.expect(200);
    host.clock.advance(std::time::Duration::from_secs(60));
    let good = next["refreshToken"].as_str().unwrap();
    let (session, _) = good.split_once('.').unwrap();
    for made_up in [
        format!("{session}.1.{}", "A".repeat(43)),
        format!("{session}.2.{}", "A".repeat(43)),
        format!("{session}.3.{}", "A".repeat(43)),
        format!("{session}.-1.x"),
        session.to_owned(),
        next["accessToken"].as_str().unwrap().to_owned(),
        "rft_00000000000000000000000000.1.x".to_owned(),
        "$ne".to_owned(),
        String::new(),
    ] {
        refresh(&host, &json!(made_up)).await.expect_problem(401, "token_invalid");
    }
    for (body, code, pointer) in [
        (json!({}), "validation_failed", "/refreshToken"),
        (json!({"refreshToken": {"$gt": ""}}), "validation_failed", "/refreshToken"),
        (json!({"refreshToken": good, "accountId": "usr_1"}), "unknown_field", "/accountId"),
    ] {
        host.anonymous().post("/auth/refresh", &body).await.expect_error_at(422, code, pointer, code);
    }
    refresh(&host, &next["refreshToken"]).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_can_be_changed_without_logging_anybody_out() {
    let first = host().await;
    let tokens = customer(&first, "eve@example.com").await;
    let time = first.app.store().clock().now_ms();
    let data = first.stop().await;
    let second = TestHostBuilder::empty()
        .with_data(data)
        .configure(|config| {
            config.auth.jwt_secret_previous = config.auth.jwt_secret.take();
            config.auth.jwt_secret = Some("the next secret of the tests, long enough".into());
        })
        .start()
        .await;
    second.clock.set_ms(time);
    me(&client(&second, &tokens)).await.expect(200);
    let next = refresh(&second, &tokens["refreshToken"]).await.expect(200);
    me(&client(&second, &next)).await.expect(200);
    let data = second.stop().await;
    // Two changes later nothing of the first secret counts; what the second one signed does.
    let third = TestHostBuilder::empty()
        .with_data(data)
        .configure(|config| config.auth.jwt_secret = Some("the next secret of the tests, long enough".into()))
        .start()
        .await;
    me(&client(&third, &tokens)).await.expect_problem(401, "token_invalid");
    me(&client(&third, &next)).await.expect(200);
    refresh(&third, &next["refreshToken"]).await.expect(200);
}

async fn a_storefronts_token_opens_nothing_of_the_staff(host: TestHost) {
    let eve = client(&host, &customer(&host, "eve@example.com").await);
    for path in ["/roles", "/permissions", "/api-keys"] {
        eve.get(path).await.expect_problem(403, "forbidden");
    }
    account(&host, AccountKind::Admin, "ada@example.com", &["superadmin"]).await;
    let ada = client(&host, &login(&host, "admin", "ada@example.com", PASSWORD).await.expect(200));
    ada.get("/roles").await.expect(200);
}
