//! Versions: `ETag`, `If-Match`, `If-None-Match`, `HEAD`.

use hyper::Method;
use platform_tests::{
    client::{Answer, Client},
    host::TestHost,
    shop::{category, id, product, writes_nothing},
};
use serde_json::json;

async fn get_if_none(client: &Client, path: &str, tag: &str) -> Answer {
    client.send(client.request(Method::GET, path).header("if-none-match", tag)).await
}

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    what_the_client_has_is_not_sent_again,
    a_head_is_the_get_without_its_body,
    a_write_that_names_a_stale_version_changes_nothing,
    of_many_who_name_the_same_version_one_writes,
    what_a_write_shows_is_what_a_read_shows,
);

async fn what_the_client_has_is_not_sent_again(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    let shelf = admin.post("/categories", &category("Shelf")).await.expect(201);
    let cup = admin.post("/products", &product("Cup", "C")).await.expect(201);
    let paths = [
        format!("/products/{}", id(&cup)),
        "/products/by-slug/cup".to_owned(),
        "/products?limit=5&sort=name".to_owned(),
        format!("/categories/{}", id(&shelf)),
        "/categories/by-slug/shelf".to_owned(),
        "/categories".to_owned(),
        "/categories/tree".to_owned(),
    ];
    let mut tags = Vec::new();
    for path in &paths {
        let first = public.get(path).await;
        let tag = first.header("etag").unwrap().to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag} is a strong tag");
        assert_eq!(first.header("cache-control"), Some("public, no-cache"));
        for sent in [tag.clone(), format!("\"x\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
            let again = get_if_none(&public, path, &sent).await;
            assert_eq!(again.status, 304, "{path} with {sent}");
            assert!(again.body.is_empty());
            assert_eq!(again.header("etag"), Some(tag.as_str()));
            for name in ["cache-control", "vary", "x-total-count", "content-range"] {
                assert_eq!(again.header(name), first.header(name), "{name} of {path}");
            }
            assert_eq!(again.header("content-type"), None);
        }
        for sent in ["\"1\"", "\"\"", "1", "\"0-0000000000000000\""] {
            get_if_none(&public, path, sent).await.expect(200);
        }
        // Staff get the same bytes; only caches in between must not share them.
        let staff = admin.get(path).await;
        assert_eq!(
            (staff.header("etag"), staff.header("cache-control")),
            (Some(&tag[..]), Some("private, no-cache"))
        );
        tags.push(tag);
    }
    admin.patch(&paths[0], &json!({"tags": ["new"]})).await.expect(200);
    admin.patch(&paths[3], &json!({"rank": 1})).await.expect(200);
    for (path, tag) in paths.iter().zip(&tags) {
        let changed = get_if_none(&public, path, tag).await;
        assert_eq!(changed.status, 200, "{path}");
        assert_ne!(changed.header("etag"), Some(tag.as_str()), "{path}");
    }
}

async fn a_head_is_the_get_without_its_body(mut host: TestHost) {
    let (admin, public) = (host.admin().await, host.anonymous());
    let cup = admin.post("/products", &product("Cup", "C")).await.expect(201);
    for path in [
        format!("/products/{}", id(&cup)),
        "/products".to_owned(),
        "/categories/tree".to_owned(),
        "/products/none".to_owned(),
    ] {
        let get = public.get(&path).await;
        let head = public.send(public.request(Method::HEAD, &path)).await;
        assert!(head.body.is_empty());
        assert_eq!(head.status, get.status, "{path}");
        for name in ["etag", "content-type", "cache-control", "x-total-count", "content-range"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {path}");
        }
        // RFC 9110, 9.3.2: the length of the GET's answer, or none.
        if let Some(length) = head.header("content-length") {
            assert_eq!(length.parse::<usize>().unwrap(), get.body.len(), "{path}");
        }
    }
    let path = format!("/products/{}", id(&cup));
    let tag = public.get(&path).await.header("etag").unwrap().to_owned();
    let head = public.send(public.request(Method::HEAD, &path).header("if-none-match", &tag)).await;
    assert_eq!(head.status, 304);
}

async fn a_write_that_names_a_stale_version_changes_nothing(mut host: TestHost) {
    let admin = host.admin().await;
    let cup = admin.post("/products", &product("Cup", "C")).await.expect(201);
    let shelf = admin.post("/categories", &category("Shelf")).await.expect(201);
    let cup_path = format!("/products/{}", id(&cup));
    let shelf_path = format!("/categories/{}", id(&shelf));
    let writes = [
        (Method::PUT, cup_path.clone(), product("Cup", "C")),
        (Method::PATCH, cup_path.clone(), json!({"tags": ["x"]})),
        (Method::PUT, shelf_path.clone(), category("Shelf")),
        (Method::PATCH, shelf_path.clone(), json!({"rank": 1})),
        (Method::POST, format!("{shelf_path}/move"), json!({"parentId": null})),
        (Method::DELETE, cup_path.clone(), json!({})),
        (Method::DELETE, shelf_path.clone(), json!({})),
    ];
    let send = async |method: &Method, path: &str, body: &serde_json::Value, tag: &str| {
        admin.send(admin.request(method.clone(), path).json(body).header("if-match", tag)).await
    };
    for (method, path, body) in &writes {
        let resource = path.trim_end_matches("/move");
        let current = admin.get(resource).await;
        let tag = current.header("etag").unwrap().to_owned();
        let version = current.expect(200)["version"].as_u64().unwrap();
        writes_nothing(&host, async {
            for wrong in [version + 1, version - 1, 0, u64::MAX] {
                for tag in [format!("\"{wrong}\""), format!("\"{wrong}-0123456789abcdef\"")] {
                    let problem =
                        send(method, path, body, &tag).await.expect_problem(412, "version_conflict");
                    assert_eq!(
                        (&problem["expected"], &problem["current"]),
                        (&json!(wrong), &json!(version)),
                        "{method} {path}"
                    );
                }
            }
            for wrong in ["7", "\"x\"", "", "\"-1\"", "\"99999999999999999999\"", "\"1\", \"2\""] {
                let answer = send(method, path, body, wrong).await;
                answer.expect_error_at(400, "invalid_parameter", "If-Match", "invalid_parameter");
            }
        })
        .await;
        // The number counts, so the tag of another representation of the version will do.
        let tag = if *method == Method::PATCH { format!("\"{version}\"") } else { tag };
        let done = send(method, path, body, &tag).await;
        assert!(done.status.is_success(), "{method} {path}: {}", done.text());
        if *method != Method::DELETE {
            let next = done.header("etag").unwrap().to_owned();
            assert!(next.starts_with(&format!("\"{}-", version + 1)), "{next}");
        }
        send(method, path, body, &tag).await.status.is_client_error().then_some(()).unwrap();
    }
    let gone = admin.request(Method::PATCH, &cup_path).json(&json!({})).header("if-match", "*");
    admin.send(gone).await.expect_problem(404, "not_found");
}

async fn of_many_who_name_the_same_version_one_writes(mut host: TestHost) {
    let admin = host.admin().await;
    let cup = admin.post("/products", &product("Cup", "C")).await.expect(201);
    let path = format!("/products/{}", id(&cup));
    for version in 1..=5_u64 {
        let tag = format!("\"{version}\"");
        let writes = (0..12).map(|number| {
            let body = json!({"metadata": {"by": number}});
            admin.send(admin.request(Method::PATCH, &path).json(&body).header("if-match", &tag))
        });
        let answers = futures_util::future::join_all(writes).await;
        let done = answers.iter().filter(|it| it.status == 200).count();
        assert_eq!(done, 1, "version {version}");
        for answer in answers.into_iter().filter(|it| it.status != 200) {
            let problem = answer.expect_problem(412, "version_conflict");
            assert_eq!((&problem["expected"], &problem["current"]), (&json!(version), &json!(version + 1)));
        }
    }
}

/// A client that wrote has the representation, and need not read it again to know its tag.
async fn what_a_write_shows_is_what_a_read_shows(mut host: TestHost) {
    let admin = host.admin().await;
    for (path, body) in [("/products", product("Cup", "C")), ("/categories", category("Shelf"))] {
        let created = admin.post(path, &body).await;
        let tag = created.header("etag").unwrap().to_owned();
        let created = created.expect(201);
        let path = format!("{path}/{}", created["id"].as_str().unwrap());
        let read = admin.get(&path).await;
        assert_eq!(read.header("etag"), Some(tag.as_str()), "{created}\n{}", read.text());
        let patched = admin.patch(&path, &json!({"name": "Other"})).await;
        let tag = patched.header("etag").unwrap().to_owned();
        let patched = patched.expect(200);
        let read = admin.get(&path).await;
        assert_eq!(read.header("etag"), Some(tag.as_str()), "{patched}\n{}", read.text());
    }
}
