//! Tokens on public routes. Who may call what is in `identity::matrix`.

use platform_tests::host::TestHost;
use serde_json::Value;

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    a_token_that_is_not_good_is_refused_also_where_none_is_needed,
);

async fn a_token_that_is_not_good_is_refused_also_where_none_is_needed(mut host: TestHost) {
    let admin = host.admin().await;
    let good = host.staff("second@example.com", &["superadmin"]).await;
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    let tampered = format!("{signed}.{other}{}", &signature[1..]);
    let mut bodies = Vec::new();
    for token in ["", "x", "a.b.c", &tampered] {
        let answer = host.with_token(token).get("/products").await;
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""), "{token}");
        let mut problem = answer.expect_problem(401, "token_invalid");
        problem["requestId"] = Value::Null;
        bodies.push(problem);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:#?}");
    let twice = admin.request("GET".parse().unwrap(), "/products").header("authorization", "Bearer x");
    admin.send(twice).await.expect_problem(401, "token_invalid");
    let basic = host.anonymous().request("GET".parse().unwrap(), "/products");
    let basic = basic.header("authorization", "Basic YTpi");
    host.anonymous().send(basic).await.expect_problem(401, "token_invalid");

    host.clock.advance(std::time::Duration::from_secs(3600));
    admin.get("/products").await.expect_problem(401, "token_expired");
}
