//! Refresh tokens in a cookie that no script reads.

use hyper::Method;
use platform_tests::{
    client::Answer,
    host::{TestHost, TestHostBuilder},
};
use serde_json::{Value, json};

use super::people::{PASSWORD, account, login};

const SHOP: &str = "https://shop.example";

async fn host() -> TestHost {
    let host = TestHostBuilder::empty()
        .configure(|config| {
            config.auth.refresh_cookie = true;
            config.server.base_url = "https://api.example".to_owned();
            config.server.cors_origins = vec![SHOP.to_owned()];
        })
        .start()
        .await;
    account(&host, host::identity::AccountKind::Customer, "eve@example.com", &[]).await;
    host
}

fn cookie(answer: &Answer) -> String {
    let text = answer.header("set-cookie").unwrap();
    for part in ["; HttpOnly", "; SameSite=Strict", "; Secure", "; Path=/api/v1/auth", "; Max-Age="] {
        assert!(text.contains(part), "{text}");
    }
    text.split(';').next().unwrap().to_owned()
}

async fn refresh(host: &TestHost, path: &str, cookie: &str, origin: Option<&str>) -> Answer {
    let client = host.anonymous();
    let mut draft = client.request(Method::POST, path).header("cookie", &format!("theme=dark; {cookie}"));
    if let Some(origin) = origin {
        draft = draft.header("origin", origin);
    }
    client.send(draft.json(&json!({}))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_goes_on_with_the_session_for_origins_that_may_call() {
    let host = host().await;
    let tokens = login(&host, "customer", "eve@example.com", PASSWORD).await;
    let first = cookie(&tokens);
    assert!(first.starts_with("wares_refresh_storefront=rft_"));
    assert_eq!(tokens.expect(200)["refreshToken"], Value::Null);
    for origin in [None, Some("https://evil.example"), Some("null"), Some("https://shop.example.evil.test")] {
        refresh(&host, "/auth/refresh", &first, origin).await.expect_problem(403, "forbidden");
    }
    let next = refresh(&host, "/auth/refresh", &first, Some(SHOP)).await;
    assert_eq!(next.header("access-control-allow-credentials"), Some("true"));
    let second = cookie(&next);
    assert_ne!(first, second);
    drop(next.expect(200));
    let third = cookie(&refresh(&host, "/auth/refresh", &second, Some("https://api.example")).await);
    let gone = refresh(&host, "/auth/logout", &third, Some(SHOP)).await;
    assert!(gone.header("set-cookie").unwrap().starts_with("wares_refresh_storefront=; "));
    gone.expect(204);
    refresh(&host, "/auth/refresh", &third, Some(SHOP)).await.expect_problem(401, "token_revoked");
    // The staff's cookie is another.
    let other = third.replace("storefront", "admin");
    refresh(&host, "/auth/refresh", &other, Some(SHOP)).await.expect_problem(401, "unauthenticated");
}
