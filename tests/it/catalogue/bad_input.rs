//! Input that is wrong in every way: it is refused with its code, and nothing is written.

use hyper::Method;
use platform_tests::{
    client::{Answer, Client},
    host::TestHost,
    shop::{category, id, product, with, writes_nothing},
};
use serde_json::{Value, json};

async fn send(
    client: &Client,
    method: Method,
    path: &str,
    content_type: &str,
    body: impl Into<Vec<u8>>,
) -> Answer {
    client.send(client.request(method, path).header("content-type", content_type).text(body)).await
}

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    what_is_not_json_is_refused,
    what_does_not_fit_the_schema_is_told_where,
    large_and_foreign_bodies_are_refused,
    paths_and_methods_that_do_not_exist_are_problems_too,
    the_request_id_is_the_clients_when_it_is_usable,
    a_login_is_checked_like_any_other_body,
);

async fn what_is_not_json_is_refused(mut host: TestHost) {
    let admin = host.admin().await;
    let cup = admin.post("/products", &product("Cup", "C")).await.expect(201);
    let shelf = admin.post("/categories", &category("Shelf")).await.expect(201);
    let targets = [
        (Method::POST, "/products".to_owned()),
        (Method::PUT, format!("/products/{}", id(&cup))),
        (Method::PATCH, format!("/products/{}", id(&cup))),
        (Method::POST, "/categories".to_owned()),
        (Method::PATCH, format!("/categories/{}", id(&shelf))),
        (Method::POST, format!("/categories/{}/move", id(&shelf))),
    ];
    let nested = |open: &str, close: &str, depth: usize| {
        format!(r#"{{"name":"X","metadata":{{"a":{}1{}}}}}"#, open.repeat(depth), close.repeat(depth))
            .into_bytes()
    };
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"{".to_vec(),
        b"nonsense".to_vec(),
        br#"{"name":"X"} {"name":"Y"}"#.to_vec(),
        br#"{"name":"X",}"#.to_vec(),
        br#"{'name':'X'}"#.to_vec(),
        br#"{"name":NaN}"#.to_vec(),
        br#"{"name":"X","metadata":{"a":1e999}}"#.to_vec(),
        br#"{"name":"X","name":"Y"}"#.to_vec(),
        br#"{"name":"X","metadata":{"a":{"b":1,"b":2}}}"#.to_vec(),
        br#"{"name":"X","n\u0061me":"Y"}"#.to_vec(),
        b"{\"name\":\"\xff\"}".to_vec(),
        br#"{"name":"\ud800"}"#.to_vec(),
        b"\xef\xbb\xbf{\"name\":\"X\"}".to_vec(),
        nested("[", "]", 200),
        nested(r#"{"a":"#, "}", 200),
        nested("[", "]", 100_000),
        nested(r#"{"a":"#, "}", 100_000),
        "[".repeat(100_000).into_bytes(),
    ];
    writes_nothing(&host, async {
        for (method, path) in &targets {
            for body in &bodies {
                let answer = send(&admin, method.clone(), path, "application/json", body.clone()).await;
                answer.expect_problem(400, "malformed_json");
            }
        }
    })
    .await;
}

async fn what_does_not_fit_the_schema_is_told_where(mut host: TestHost) {
    let admin = host.admin().await;
    let cup = admin.post("/products", &product("Cup", "C")).await.expect(201);
    let path = format!("/products/{}", id(&cup));
    let price = |price: Value| json!({"name": "X", "variants": [{"sku": "X", "prices": [price]}]});
    let wrong: Vec<(Value, &str, &str)> = vec![
        (json!({"name": "X", "colour": 1}), "/colour", "unknown_field"),
        (json!({"name": "X", "a/b~c": 1}), "/a~1b~0c", "unknown_field"),
        (json!({"name": "X", "": 1}), "/", "unknown_field"),
        (json!({"name": "X", "seo": {"titel": "x"}}), "/seo/titel", "unknown_field"),
        (json!({"name": "X", "variants": [{"sku": "X", "stock": 1}]}), "/variants/0/stock", "unknown_field"),
        (
            price(json!({"amount": 1, "currency": "USD", "vat": 1})),
            "/variants/0/prices/0/vat",
            "unknown_field",
        ),
        (json!({"name": 5}), "/name", "validation_failed"),
        (json!({"name": null}), "/name", "validation_failed"),
        (json!({"name": ""}), "/name", "validation_failed"),
        (json!({"name": "x".repeat(201)}), "/name", "validation_failed"),
        (json!({"name": "a\u{0}b"}), "/name", "validation_failed"),
        (json!({"name": "X", "status": "live"}), "/status", "validation_failed"),
        (json!({"name": "X", "slug": "Not A Slug"}), "/slug", "validation_failed"),
        (json!({"name": "X", "slug": "x".repeat(101)}), "/slug", "validation_failed"),
        (json!({"name": "X", "tags": "red"}), "/tags", "validation_failed"),
        (json!({"name": "X", "tags": [1]}), "/tags/0", "validation_failed"),
        (json!({"name": "X", "tags": ["a", "a"]}), "/tags/1", "validation_failed"),
        (json!({"name": "X", "metadata": []}), "/metadata", "validation_failed"),
        (json!({"name": "X", "metadata": {"$set": 1}}), "/metadata/$set", "validation_failed"),
        (json!({"name": "X", "attributes": {"a": {"b.c": 1}}}), "/attributes/a/b.c", "validation_failed"),
        (json!({"name": "X", "status": "active"}), "/variants", "validation_failed"),
        (json!({"name": "X", "variants": [{}]}), "/variants/0/sku", "validation_failed"),
        (json!({"name": "X", "variants": [{"sku": " x"}]}), "/variants/0/sku", "validation_failed"),
        (
            json!({"name": "X", "variants": [{"sku": "X", "weightGrams": 1.5}]}),
            "/variants/0/weightGrams",
            "validation_failed",
        ),
        (
            json!({"name": "X", "variants": [{"sku": "X", "weightGrams": -1}]}),
            "/variants/0/weightGrams",
            "validation_failed",
        ),
        (
            json!({"name": "X", "media": [{"url": "javascript:alert(1)"}]}),
            "/media/0/url",
            "validation_failed",
        ),
        (
            price(json!({"amount": 12.5, "currency": "USD"})),
            "/variants/0/prices/0/amount",
            "validation_failed",
        ),
        (
            price(json!({"amount": "12", "currency": "USD"})),
            "/variants/0/prices/0/amount",
            "validation_failed",
        ),
        (price(json!({"amount": -1, "currency": "USD"})), "/variants/0/prices/0/amount", "validation_failed"),
        (
            price(json!({"amount": 9_007_199_254_740_992_i64, "currency": "USD"})),
            "/variants/0/prices/0/amount",
            "validation_failed",
        ),
        (
            price(json!({"amount": u64::MAX, "currency": "USD"})),
            "/variants/0/prices/0/amount",
            "validation_failed",
        ),
        (price(json!({"amount": 1})), "/variants/0/prices/0/currency", "validation_failed"),
        (
            price(json!({"amount": 1, "currency": "usd"})),
            "/variants/0/prices/0/currency",
            "validation_failed",
        ),
        (
            price(json!({"amount": 1, "currency": "XXZ"})),
            "/variants/0/prices/0/currency",
            "validation_failed",
        ),
        (
            price(json!({"amount": 9, "currency": "USD", "compareAt": 9})),
            "/variants/0/prices/0/compareAt",
            "validation_failed",
        ),
        (
            price(json!({"amount": 9, "currency": "USD", "startsAt": "soon"})),
            "/variants/0/prices/0/startsAt",
            "validation_failed",
        ),
    ];
    writes_nothing(&host, async {
        for (body, pointer, error) in &wrong {
            let code = if *error == "unknown_field" { "unknown_field" } else { "validation_failed" };
            admin.post("/products", body).await.expect_error_at(422, code, pointer, error);
            admin.put(&path, body).await.expect_error_at(422, code, pointer, error);
            // An active product without variants is what the patch would not make.
            if *pointer != "/variants" {
                admin.patch(&path, body).await.expect_error_at(422, code, pointer, error);
            }
        }
        for body in [json!([]), json!("x"), json!(5), json!(null), json!([{"name": "X"}])] {
            for path in ["/products", "/categories"] {
                admin.post(path, &body).await.expect_error_at(
                    422,
                    "validation_failed",
                    "",
                    "validation_failed",
                );
            }
            admin.patch(&path, &body).await.expect_error_at(
                422,
                "validation_failed",
                "",
                "validation_failed",
            );
        }
        admin.post("/products", &json!({})).await.expect_error_at(
            422,
            "validation_failed",
            "/name",
            "validation_failed",
        );
        // Everything that is wrong is told at once.
        let problem = admin
            .post("/products", &json!({"colour": 1, "tags": 5}))
            .await
            .expect_problem(422, "unknown_field");
        let mut pointers: Vec<&str> =
            problem["errors"].as_array().unwrap().iter().map(|it| it["pointer"].as_str().unwrap()).collect();
        pointers.sort_unstable();
        assert_eq!(pointers, ["/colour", "/name", "/tags"]);
        for (body, pointer) in [
            (json!({"name": "X", "rank": 1.5}), "/rank"),
            (json!({"name": "X", "rank": 1_000_000_001}), "/rank"),
            (json!({"name": "X", "active": "yes"}), "/active"),
            (json!({"name": "X", "parentId": 5}), "/parentId"),
            (json!({"name": "X", "parentId": ""}), "/parentId"),
            (json!({"name": "X", "metadata": {"a.b": 1}}), "/metadata/a.b"),
        ] {
            admin.post("/categories", &body).await.expect_error_at(
                422,
                "validation_failed",
                pointer,
                "validation_failed",
            );
        }
        // The mark of a deletion is not a member that a client may set.
        let answer = admin
            .post("/categories", &json!({"name": "X", "deletingSince": "2026-01-01T00:00:00.000Z"}))
            .await;
        answer.expect_error_at(422, "unknown_field", "/deletingSince", "unknown_field");
    })
    .await;
}

async fn large_and_foreign_bodies_are_refused(mut host: TestHost) {
    let admin = host.admin().await;
    let cup = admin.post("/products", &product("Cup", "C")).await.expect(201);
    let other = admin.post("/products", &product("Bowl", "B")).await.expect(201);
    let path = format!("/products/{}", id(&cup));
    let sized = |bytes: usize| {
        let text = format!(r#"{{"name":"X","description":"","metadata":{{"a":"{}"}}}}"#, "x".repeat(bytes));
        text.into_bytes()
    };
    writes_nothing(&host, async {
        for bytes in [1 << 20, 2 << 20, 8 << 20] {
            for (method, path) in [
                (Method::POST, "/products"),
                (Method::PATCH, &path),
                (Method::PUT, &path),
                (Method::DELETE, &path),
            ] {
                let answer = send(&admin, method, path, "application/json", sized(bytes)).await;
                answer.expect_problem(413, "payload_too_large");
            }
        }
        for content_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/xml",
            "application/jsonx",
            "",
            "json",
        ] {
            for (method, path) in [(Method::POST, "/products"), (Method::PUT, &path), (Method::PATCH, &path)]
            {
                let answer = send(&admin, method, path, content_type, product("X", "X").to_string()).await;
                answer.expect_problem(415, "unsupported_media_type");
            }
        }
        let without = admin.request(Method::POST, "/products").text(product("X", "X").to_string());
        admin.send(without).await.expect_problem(415, "unsupported_media_type");
        let patch = send(&admin, Method::POST, "/products", "application/merge-patch+json", "{}").await;
        patch.expect_problem(415, "unsupported_media_type");
        // Half a mebibyte of members is small enough to read and too much to store.
        let members: serde_json::Map<String, Value> =
            (0..50_000).map(|number| (format!("k{number}"), json!(1))).collect();
        let many = with(product("X", "X"), "metadata", Value::Object(members));
        admin.post("/products", &many).await.expect_error_at(
            422,
            "validation_failed",
            "/metadata",
            "validation_failed",
        );
    })
    .await;
    for content_type in
        ["application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json;charset=utf-8"]
    {
        send(&admin, Method::PATCH, &path, content_type, "{}").await.expect(200);
    }
    // A DELETE may carry any body of any type.
    send(&admin, Method::DELETE, &path, "text/plain", "bye").await.expect(204);
    // react-admin says that its nothing is text, and reads the id from the answer.
    let gone = send(&admin, Method::DELETE, &format!("/products/{}", id(&other)), "text/plain", "")
        .await
        .expect(200);
    assert_eq!(gone, json!({"id": id(&other)}));
}

async fn paths_and_methods_that_do_not_exist_are_problems_too(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    let cup = admin.post("/products", &product("Cup", "C")).await.expect(201);
    writes_nothing(&host, async {
        for path in [
            "//",
            "//nowhere",
            "//api",
            "//api/v1",
            "//api/v1/",
            "//api/v2/products",
            "//api/v1products",
            "/nowhere",
            "/products/",
            "/products/a/b",
            "/Products",
            "//products",
            "/products/by-slug/",
            "/categories/x/move/y",
            "/auth/nowhere",
            "/products//",
            "/_audit",
            "/..",
            "/products/%00",
            "/products/a%0Ab",
            "/products/by-slug/%F0%9F%8D%B5",
        ] {
            let problem = public.get(path).await.expect_problem(404, "not_found");
            assert_eq!(problem["type"], "urn:wares:problem:not_found");
            assert!(problem["instance"].is_string(), "{problem}");
            let answer = public.send(public.request(Method::POST, path).json(&json!({}))).await;
            assert!(matches!(answer.status.as_u16(), 404 | 405), "POST {path}: {}", answer.text());
        }
        for path in ["/products/%ff", "/products/%C3%28", "/products/by-slug/%80", "/categories/%ff"] {
            public.get(path).await.expect_problem(400, "invalid_parameter");
        }
        // A percent sign that begins nothing stands for itself.
        public.get("/products/%zz").await.expect_problem(404, "not_found");
        let long = "x".repeat(300);
        public.get(&format!("/products/{long}")).await.expect_problem(404, "not_found");
        // An encoded slash is part of the id, not of the path.
        public.get(&format!("/products%2F{}", id(&cup))).await.expect_problem(404, "not_found");
        public.get("/products/by-slug%2Fcup").await.expect_problem(404, "not_found");

        for (method, path, allow) in [
            ("DELETE", "/products", "GET, HEAD, POST"),
            ("PUT", "/products", "GET, HEAD, POST"),
            ("POST", "/products/prod_x", "DELETE, GET, HEAD, PATCH, PUT"),
            ("PATCH", "/products/by-slug/x", "GET, HEAD"),
            ("DELETE", "/categories/tree", "GET, HEAD"),
            ("GET", "/categories/cat_x/move", "POST"),
            ("BREW", "/categories", "GET, HEAD, POST"),
            ("GET", "/auth/admin/login", "OPTIONS, POST"),
            ("POST", "//livez", "GET, HEAD, OPTIONS"),
        ] {
            let answer = admin.send(admin.request(method.parse().unwrap(), path)).await;
            let mut told: Vec<String> = answer
                .header("allow")
                .unwrap_or_default()
                .split(',')
                .map(|it| it.trim().to_owned())
                .collect();
            told.sort_unstable();
            assert_eq!(told.join(", "), allow, "{method} {path}");
            answer.expect_problem(405, "method_not_allowed");
        }
        let answer = admin.send(admin.request(Method::HEAD, "/categories/cat_x/move")).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some("POST")));
    })
    .await;
    // Percent-encoding that is not needed is no difference.
    let path = format!("/products/{}", id(&cup).replace('_', "%5F"));
    assert_eq!(public.get(&path).await.expect(200), cup);
}

async fn the_request_id_is_the_clients_when_it_is_usable(host: TestHost) {
    let public = host.anonymous();
    let ask = async |id: &str| {
        let answer = public.send(public.request(Method::GET, "/nowhere").header("x-request-id", id)).await;
        let told = answer.header("x-request-id").unwrap().to_owned();
        assert_eq!(answer.expect_problem(404, "not_found")["requestId"], told);
        told
    };
    assert_eq!(ask("abc-1").await, "abc-1");
    for bad in ["", "a b", &"x".repeat(129), "\u{e9}"] {
        let told = ask(bad).await;
        assert!(told.starts_with("req_"), "{told}");
    }
}

async fn a_login_is_checked_like_any_other_body(host: TestHost) {
    host.staff("staff@example.com", &["superadmin"]).await;
    let public = host.anonymous();
    let path = "/auth/admin/login";
    let alike = |mut problem: Value| {
        problem["requestId"].take();
        problem
    };
    let wrong = public.post(path, &json!({"email": "staff@example.com", "password": "wrong"})).await;
    let unknown = public.post(path, &json!({"email": "nobody@example.com", "password": "wrong"})).await;
    assert_eq!(
        alike(wrong.expect_problem(401, "invalid_credentials")),
        alike(unknown.expect_problem(401, "invalid_credentials"))
    );
    let both = json!({"email": "a@example.com", "password": "x"});
    for (body, code, pointer) in [
        (json!({}), "validation_failed", ""),
        (json!([]), "validation_failed", ""),
        (with(both.clone(), "email", 5), "validation_failed", "/email"),
        (with(both.clone(), "password", Value::Null), "validation_failed", "/password"),
        (with(both, "remember", true), "unknown_field", "/remember"),
    ] {
        let problem = public.post(path, &body).await.expect_problem(422, code);
        let found = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .any(|it| it["pointer"].as_str().unwrap().starts_with(pointer));
        assert!(found, "{problem}");
    }
    send(&public, Method::POST, path, "application/json", "{").await.expect_problem(400, "malformed_json");
    send(&public, Method::POST, path, "text/plain", "{}").await.expect_problem(415, "unsupported_media_type");
    let large = format!(r#"{{"email":"{}"}}"#, "x".repeat(2 << 20));
    send(&public, Method::POST, path, "application/json", large)
        .await
        .expect_problem(413, "payload_too_large");
    let login = public
        .post(path, &json!({"email": "STAFF@example.com", "password": platform_tests::host::ADMIN_PASSWORD}))
        .await;
    assert_eq!(login.header("cache-control"), Some("no-store"));
    assert!(!login.expect(200).to_string().contains("passwordHash"));
}
