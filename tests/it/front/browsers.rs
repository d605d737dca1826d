//! Scripts of other origins.

use hyper::Method;
use platform_tests::{
    client::Answer,
    host::{TestHost, TestHostBuilder},
};

async fn shop() -> TestHost {
    let origins = ["https://shop.example".to_owned(), "http://localhost:*".to_owned()];
    TestHostBuilder::shop()
        .configure(move |config| config.server.cors_origins = origins.to_vec())
        .start()
        .await
}

async fn preflight(host: &TestHost, origin: &str, method: &str, headers: &str) -> Answer {
    let client = host.anonymous();
    let draft = client
        .request(Method::OPTIONS, "/products/prod_1")
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", headers);
    client.send(draft).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_origin_is_told_what_it_may_send_and_read() {
    let host = shop().await;
    for origin in ["https://shop.example", "http://localhost:5173"] {
        let wanted = "authorization,content-type,range,if-match,idempotency-key";
        let answer = preflight(&host, origin, "DELETE", wanted).await;
        assert!(answer.status.is_success(), "{}", answer.text());
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        let allowed = |name: &str| answer.header(name).unwrap_or_default().to_ascii_lowercase();
        for method in ["get", "post", "put", "patch", "delete"] {
            assert!(allowed("access-control-allow-methods").contains(method), "{method}");
        }
        for header in wanted.split(',') {
            assert!(allowed("access-control-allow-headers").contains(header), "{header}");
        }
    }
    let client = host.anonymous();
    let answer =
        client.send(client.request(Method::GET, "/products").header("origin", "https://shop.example")).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"));
    let exposed = answer.header("access-control-expose-headers").unwrap_or_default().to_ascii_lowercase();
    for header in
        ["x-total-count", "content-range", "link", "x-next-cursor", "etag", "location", "x-request-id"]
    {
        assert!(exposed.contains(header), "{header} in {exposed}");
    }
    let varies = answer.headers.get_all("vary").iter().any(|value| value == "origin");
    assert!(varies, "a shared cache must tell origins apart");
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    answer.expect(200);
    // A refusal is readable as well.
    let draft = client.request(Method::GET, "/nowhere").header("origin", "https://shop.example");
    let answer = client.send(draft).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"));
    answer.expect_problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_origin_is_allowed_nothing() {
    let host = shop().await;
    for origin in ["https://evil.test", "https://shop.example.evil.test", "null", "http://shop.example"] {
        let answer = preflight(&host, origin, "DELETE", "authorization").await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        let client = host.anonymous();
        let answer = client.send(client.request(Method::GET, "/products").header("origin", origin)).await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_options_tells_what_a_path_takes() {
    let host = shop().await;
    let client = host.anonymous();
    for (path, methods) in [
        ("/products", "GET, HEAD, OPTIONS, POST"),
        ("/products/prod_1", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/auth/admin/login", "OPTIONS, POST"),
        ("//livez", "GET, HEAD, OPTIONS"),
    ] {
        let answer = client.send(client.request(Method::OPTIONS, path)).await;
        assert_eq!(answer.header("allow"), Some(methods), "{path}");
        assert_eq!(answer.status, 204, "{path}");
    }
    client.send(client.request(Method::OPTIONS, "/nowhere")).await.expect_problem(404, "not_found");
}
