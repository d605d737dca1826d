//! The API's documents: they are what the server does.

use std::collections::BTreeSet;

use hyper::Method;
use platform_tests::{
    host::{SHOP_GRANTS, TestHost},
    plugin::marked,
};
use serde_json::Value;

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            let each = item.as_object().unwrap().iter();
            each.map(|(method, operation)| (method.to_uppercase(), path.clone(), operation.clone()))
        })
        .collect()
}

/// Everything that a reference in the document names is there.
fn references(document: &Value, value: &Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                let pointer = reference.strip_prefix('#').expect("references stay in the document");
                assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
            }
            members.values().for_each(|member| references(document, member));
        }
        Value::Array(elements) => elements.iter().for_each(|element| references(document, element)),
        _ => {}
    }
}

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    the_document_lists_what_is_served_and_nothing_else,
    the_document_keeps_the_rules_of_generators,
    the_tag_follows_the_generation,
    the_page_needs_nobody_else,
    the_documents_can_be_closed,
);

async fn the_document_lists_what_is_served_and_nothing_else(host: TestHost) {
    let client = host.anonymous();
    for path in ["//openapi.json", "//openapi-3.0.json"] {
        let document = client.get(path).await.expect(200);
        let documented: BTreeSet<String> =
            operations(&document).iter().map(|(method, path, _)| format!("{method} {path}")).collect();
        let mut served: BTreeSet<String> =
            crate::identity::access::HOST_ROUTES.iter().map(|&route| route.to_owned()).collect();
        for plugin in host.app.plugins_report()["plugins"].as_array().unwrap() {
            served.extend(
                plugin["routes"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()),
            );
        }
        assert_eq!(documented, served);
        references(&document, &document);
    }
}

/// What client generators and readers need, in both versions.
async fn the_document_keeps_the_rules_of_generators(host: TestHost) {
    for path in ["//openapi.json", "//openapi-3.0.json"] {
        let document = host.anonymous().get(path).await.expect(200);
        assert!(document["info"]["license"]["name"].is_string());
        let mut ids = BTreeSet::new();
        for (method, path, operation) in operations(&document) {
            let what = format!("{method} {path}");
            let id = operation["operationId"].as_str().unwrap();
            assert!(
                id.starts_with(|it: char| it.is_ascii_lowercase()) && id.chars().all(char::is_alphanumeric),
                "{what}"
            );
            assert!(ids.insert(id.to_owned()), "{what}: {id} is used twice");
            assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{what}");
            assert!(operation["security"].is_array(), "{what}");
            for text in ["summary", "description"] {
                assert!(operation[text].as_str().is_some_and(|text| !text.is_empty()), "{what}: {text}");
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(status.parse::<u16>().is_ok(), "{what}: {status}");
                let response = match response["$ref"].as_str() {
                    Some(reference) => document.pointer(&reference[1..]).unwrap(),
                    None => response,
                };
                assert!(response["description"].as_str().is_some_and(|it| !it.is_empty()), "{what} {status}");
                for (kind, media) in response["content"].as_object().into_iter().flatten() {
                    assert!(media["schema"].is_object(), "{what} {status} {kind}");
                    assert!(!media["example"].is_null(), "{what} {status} {kind}: no example");
                }
                if status.starts_with(['4', '5']) {
                    assert!(response["content"]["application/problem+json"].is_object(), "{what} {status}");
                }
            }
            for media in
                operation["requestBody"]["content"].as_object().into_iter().flat_map(|it| it.values())
            {
                assert!(!media["example"].is_null(), "{what}: no example of the request");
            }
            let mut names = BTreeSet::new();
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = (parameter["in"].to_string(), parameter["name"].to_string());
                assert!(names.insert(name), "{what}: {parameter} is there twice");
                assert!(
                    parameter["description"].as_str().is_some_and(|it| !it.is_empty()),
                    "{what}: {parameter}"
                );
            }
        }
        let text = document.to_string();
        let old = document["openapi"] == "3.0.3";
        assert_eq!(text.contains("\"nullable\""), old);
        assert_eq!(text.contains("\"null\""), !old);
    }
}

async fn the_tag_follows_the_generation(host: TestHost) {
    let host = host.another().marked("versioned", "a").start().await;
    let client = host.anonymous();
    for path in ["//openapi.json", "//openapi-3.0.json"] {
        let first = client.get(path).await;
        let tag = first.header("etag").unwrap().to_owned();
        assert_eq!(first.header("content-type"), Some("application/json"));
        let again = client.request(Method::GET, path).header("if-none-match", &tag);
        assert_eq!(client.send(again.clone()).await.status, 304);
        host.reload().await;
        assert_eq!(client.send(again.clone()).await.status, 304, "nothing has changed");
        std::fs::write(
            host.plugins_dir.join("trivial.wasm"),
            std::fs::read(platform_tests::host::built("fixtures", "trivial")).unwrap(),
        )
        .unwrap();
        host.reload().await;
        let changed = client.send(again).await;
        assert_ne!(changed.header("etag"), Some(tag.as_str()));
        assert!(changed.expect(200)["paths"]["/trivial"].is_object());
        std::fs::remove_file(host.plugins_dir.join("trivial.wasm")).unwrap();
        host.install("versioned.wasm", &marked("versioned", "b")).await;
        assert!(client.get(path).await.expect(200)["paths"]["/trivial"].is_null());
    }
}

async fn the_page_needs_nobody_else(host: TestHost) {
    let client = host.anonymous();
    let page = client.get("//docs").await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("connect-src 'self'"), "{policy}");
    let text = page.text();
    assert!(text.contains("/openapi.json") && text.contains("/docs/scalar.js"), "{text}");
    assert!(!text.contains("https://"), "{text}");
    let bundle = client.get("//docs/scalar.js").await;
    assert_eq!(bundle.header("content-type"), Some("application/javascript; charset=utf-8"));
    assert!(bundle.body.len() > 1_000_000);
    let again = client
        .request(Method::GET, "//docs/scalar.js")
        .header("if-none-match", bundle.header("etag").unwrap());
    assert_eq!(client.send(again).await.status, 304);
}

async fn the_documents_can_be_closed(host: TestHost) {
    let shop = host.another().plugin("products").plugin("categories").grants(SHOP_GRANTS);
    let host = shop.configure(|config| config.server.docs = false).start().await;
    for path in ["//openapi.json", "//openapi-3.0.json", "//docs", "//docs/scalar.js"] {
        host.anonymous().get(path).await.expect_problem(404, "not_found");
    }
    host.anonymous().get("/products").await.expect(200);
}
