//! What a client takes, how an answer is encoded, and how a request is followed.

use std::io::Read as _;

use hyper::Method;
use platform_tests::{
    host::TestHost,
    shop::{id, product, with},
};

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    long_answers_are_compressed_for_those_who_take_it,
    who_takes_no_json_is_refused,
    an_address_that_is_too_long_is_refused,
    a_request_is_followed_by_its_ids,
);

async fn long_answers_are_compressed_for_those_who_take_it(mut host: TestHost) {
    let (admin, client) = (host.admin().await, host.anonymous());
    let long = with(product("Cup", "C"), "description", "A cup of stoneware. ".repeat(200));
    let created = admin.post("/products", &long).await.expect(201);
    let path = format!("/products/{}", id(&created));
    let plain = client.get(&path).await;
    assert_eq!(plain.header("content-encoding"), None);
    let tag = plain.header("etag").unwrap().to_owned();
    let varies = |name: &str| plain.headers.get_all("vary").iter().any(|value| value == name);
    assert!(varies("accept-encoding") && varies("authorization"), "{:?}", plain.headers);
    for (accepted, encoding) in [("gzip", "gzip"), ("br", "br"), ("gzip, br", "br")] {
        let get = || client.request(Method::GET, &path).header("accept-encoding", accepted);
        let answer = client.send(get()).await;
        assert_eq!(answer.header("content-encoding"), Some(encoding), "{accepted}");
        assert!(answer.body.len() < plain.body.len() / 2, "{} bytes", answer.body.len());
        if encoding == "gzip" {
            let mut text = String::new();
            flate2::read::GzDecoder::new(&answer.body[..]).read_to_string(&mut text).unwrap();
            assert_eq!(text, plain.text());
        }
        let coded = answer.header("etag").unwrap().to_owned();
        assert_ne!(coded, tag, "other bytes, another tag");
        // Either tag is good for a revalidation and for a change.
        for tag in [&tag, &coded] {
            assert_eq!(client.send(get().header("if-none-match", tag)).await.status, 304, "{tag}");
            let stale = admin.request(Method::PATCH, &path).header("if-match", &tag.replace("\"1", "\"9"));
            admin
                .send(stale.text("{}").header("content-type", "application/json"))
                .await
                .expect_problem(412, "version_conflict");
        }
    }
    let short = client.send(client.request(Method::GET, "//livez").header("accept-encoding", "gzip")).await;
    assert_eq!(short.header("content-encoding"), None);
    let refused = client.request(Method::GET, &path).header("accept-encoding", "identity");
    assert_eq!(client.send(refused).await.header("content-encoding"), None);
}

async fn who_takes_no_json_is_refused(mut host: TestHost) {
    let admin = host.admin().await;
    for accept in ["text/html", "application/xml", "application/json;q=0"] {
        let draft = admin.request(Method::GET, "/products").header("accept", accept);
        admin.send(draft).await.expect_problem(406, "not_acceptable");
        let draft =
            admin.request(Method::POST, "/products").header("accept", accept).json(&product("Cup", "C"));
        admin.send(draft).await.expect_problem(406, "not_acceptable");
    }
    for accept in ["application/json", "text/html, */*;q=0.1", "application/*"] {
        let answer = admin.send(admin.request(Method::GET, "/products").header("accept", accept)).await;
        assert_eq!(answer.expect(200), serde_json::json!([]));
    }
}

async fn an_address_that_is_too_long_is_refused(host: TestHost) {
    let client = host.anonymous();
    let path = format!("/products?q={}", "x".repeat(8 * 1024));
    client.get(&path).await.expect_problem(414, "uri_too_long");
    let path = format!("/{}", "x".repeat(8 * 1024));
    client.get(&path).await.expect_problem(414, "uri_too_long");
}

async fn a_request_is_followed_by_its_ids(host: TestHost) {
    let client = host.anonymous();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let draft = client
        .request(Method::GET, "/products")
        .header("x-request-id", "mine-1")
        .header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"));
    let answer = client.send(draft).await;
    assert_eq!(answer.header("x-request-id"), Some("mine-1"));
    let returned = answer.header("traceparent").unwrap();
    assert!(returned.starts_with(&format!("00-{trace}-")) && returned.ends_with("-01"), "{returned}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let first = client.get("/products").await;
    let second = client.get("/products").await;
    for name in ["x-request-id", "traceparent"] {
        assert_ne!(first.header(name).unwrap(), second.header(name).unwrap());
    }
    let draft = client.request(Method::GET, "/products").header("x-request-id", "two words");
    assert!(client.send(draft).await.header("x-request-id").unwrap().starts_with("req_"));
}
