//! Images: uploading, showing and deleting them, and what never stays behind.

mod kill;
mod refused;

use std::{collections::BTreeSet, time::Duration};

use hyper::Method;
use platform_tests::{
    client::{Answer, Client},
    host::{TestHost, TestHostBuilder},
    images::{Part, gif, png},
    shop::{documents, id, product, with, writes_nothing},
    wait::eventually,
};
use serde_json::{Value, json};

async fn upload(client: &Client, parts: &[Part<'_>]) -> Answer {
    client.send(client.request(Method::POST, "/media").form(parts)).await
}

async fn upload_png(client: &Client, image: &[u8]) -> Value {
    upload(client, &[("file", Some("image/png"), image)]).await.expect(201)
}

/// The files below the data directory of a host.
fn files(host: &TestHost) -> BTreeSet<String> {
    let entries = std::fs::read_dir(host.data_dir().join("data/media")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Does something and asserts that it left neither document nor file.
async fn keeps_nothing<T>(host: &TestHost, act: impl Future<Output = T>) -> T {
    let before = files(host);
    let outcome = writes_nothing(host, act).await;
    assert_eq!(files(host), before);
    outcome
}

on_each_backend!(
    TestHost::shop(), TestHost::shop_on_mongodb();
    an_image_is_stored_shown_and_deleted,
    an_image_that_a_product_shows_is_kept,
    a_repeat_stores_nothing,
    a_file_without_a_document_is_taken_away,
    an_upload_whose_file_was_taken_away_is_refused,
);

async fn an_image_is_stored_shown_and_deleted(mut host: TestHost) {
    let admin = host.admin().await;
    let image = png(640, 480, 3_000_000);
    let created =
        upload(&admin, &[("alt", None, "A cup".as_bytes()), ("file", Some("image/png"), &image)]).await;
    let etag = created.header("etag").unwrap().to_owned();
    let location = created.header("location").unwrap().to_owned();
    let media = created.expect(201);
    assert!(etag.starts_with("\"1-"), "{etag}");
    assert_eq!(location, format!("/api/v1/media/{}", id(&media)));
    assert!(id(&media).starts_with("med_"));
    assert_eq!(media["url"], location.as_str(), "no address is configured");
    for (member, expected) in [
        ("version", json!(1)),
        ("contentType", json!("image/png")),
        ("sizeBytes", json!(3_000_000)),
        ("width", json!(640)),
        ("height", json!(480)),
        ("alt", json!("A cup")),
        ("createdAt", json!("2026-01-01T00:00:00.000Z")),
        ("updatedAt", json!("2026-01-01T00:00:00.000Z")),
    ] {
        assert_eq!(media[member], expected, "{member}");
    }
    assert_eq!(media["blake3"].as_str().map(str::len), Some(64));
    assert!(documents(&host, "_jobs").await.is_empty());
    let mut audit: Vec<Value> = documents(&host, "_audit").await.into_values().collect();
    // The login is kept too.
    audit.retain(|entry| entry["operationId"] != "loginAdmin");
    assert_eq!(audit.len(), 1);
    assert_eq!(audit[0]["operationId"], "createMedia");
    let changes = json!([{"collection": "_media", "id": id(&media), "verb": "create"}]);
    assert_eq!(audit[0]["changes"], changes);

    let path = format!("/media/{}", id(&media));
    let shown = host.anonymous().get(&path).await;
    assert_eq!(shown.status, 200);
    assert_eq!(shown.body, image);
    assert_eq!(files(&host), BTreeSet::from([format!("{}.png", id(&media))]));

    // Another version, an impossible one, and the right one.
    let delete = |tag: &str| admin.request(Method::DELETE, &path).header("if-match", tag);
    let problem =
        keeps_nothing(&host, admin.send(delete("\"2\""))).await.expect_problem(412, "version_conflict");
    assert_eq!((&problem["expected"], &problem["current"]), (&json!(2), &json!(1)));
    keeps_nothing(&host, admin.send(delete("1"))).await.expect_problem(400, "invalid_parameter");
    admin.send(delete(&etag)).await.expect(204);
    host.anonymous().get(&path).await.expect_problem(404, "not_found");
    eventually("the file goes", async || {
        files(&host).is_empty() && documents(&host, "_jobs").await.is_empty()
    })
    .await;
    assert!(documents(&host, "_media").await.is_empty());
    // The login, the upload and the deletion.
    assert_eq!(documents(&host, "_audit").await.len(), 3);
    keeps_nothing(&host, admin.delete(&path)).await.expect_problem(404, "not_found");
}

async fn an_image_that_a_product_shows_is_kept(mut host: TestHost) {
    let admin = host.admin().await;
    let media = upload_png(&admin, &png(3, 2, 100)).await;
    let path = format!("/media/{}", id(&media));
    let relative = media["url"].as_str().unwrap();
    for (sku, url) in [
        ("A", relative.to_owned()),
        ("B", format!("https://shop.example{relative}")),
        ("C", format!("https://cdn.example/w_200/{relative}?format=webp")),
    ] {
        let body =
            with(product("Cup", sku), "media", json!([{"url": "/other.png"}, {"url": url, "alt": "x"}]));
        let cup = admin.post("/products", &with(body, "status", "draft")).await.expect(201);
        let problem = keeps_nothing(&host, admin.delete(&path)).await.expect_problem(409, "reference_in_use");
        assert_eq!((&problem["collection"], &problem["documentId"]), (&json!("products"), &cup["id"]));
        admin.delete(&format!("/products/{}", id(&cup))).await.expect(204);
    }
    admin.delete(&path).await.expect(204);
}

async fn a_repeat_stores_nothing(mut host: TestHost) {
    let admin = host.admin().await;
    let keyed =
        |key: &str, method: Method, path: &str| admin.request(method, path).header("idempotency-key", key);
    let (one, other) = (png(3, 2, 2_000_000), png(3, 2, 2_000_001));
    let create = |image: &[u8], alt: &str| {
        let draft = keyed("k", Method::POST, "/media");
        admin.send(draft.form(&[("file", Some("image/png"), image), ("alt", None, alt.as_bytes())]))
    };
    let first = create(&one, "x").await;
    let told = |answer: &Answer| {
        let headers = ["location", "etag", "content-type"].map(|name| answer.header(name).map(str::to_owned));
        (answer.status, answer.text(), headers)
    };
    keeps_nothing(&host, async {
        let again = create(&one, "x").await;
        assert_eq!(told(&again), told(&first));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        create(&other, "x").await.expect_problem(422, "idempotency_key_reused");
        create(&one, "y").await.expect_problem(422, "idempotency_key_reused");
        let bad = keyed("a b", Method::POST, "/media").form(&[("file", None, &one)]);
        admin.send(bad).await.expect_error_at(
            400,
            "invalid_parameter",
            "Idempotency-Key",
            "invalid_parameter",
        );
    })
    .await;
    let path = format!("/media/{}", id(&first.expect(201)));
    admin.send(keyed("d", Method::DELETE, &path)).await.expect(204);
    eventually("the file goes", async || documents(&host, "_jobs").await.is_empty()).await;
    keeps_nothing(&host, async {
        let again = admin.send(keyed("d", Method::DELETE, &path)).await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        again.expect(204);
    })
    .await;
    // What was refused leaves its key free.
    keeps_nothing(&host, admin.send(keyed("f", Method::POST, "/media").form(&[("alt", None, b"x")])))
        .await
        .expect_problem(422, "validation_failed");
    admin.send(keyed("f", Method::POST, "/media").form(&[("file", None, &one)])).await.expect(201);
}

/// What a crash leaves: a file, whole or not, and the job that knows it.
async fn a_file_without_a_document_is_taken_away(mut host: TestHost) {
    let admin = host.admin().await;
    let kept = upload_png(&admin, &png(3, 2, 100)).await;
    let folder = host.data_dir().join("data/media");
    let jobs = host::store::jobs::Jobs::new(host.app.store().clone());
    for file in ["med_CRASHED0000000000000000001.png", "med_CRASHED0000000000000000002.png"] {
        let job = jobs.enqueue(host::store::jobs::NewJob {
            kind: "media-removal".to_owned(),
            payload: json!({"id": &file[..30], "file": file}),
            delay: Duration::from_secs(3600),
            attempts_max: 5,
        });
        host.app.store().commit(vec![job]).await.unwrap();
    }
    std::fs::write(folder.join("med_CRASHED0000000000000000001.png"), "whole").unwrap();
    std::fs::write(folder.join("med_CRASHED0000000000000000002.png#1"), "half").unwrap();
    // Nobody has put this into a job, so it is none of the host's business.
    std::fs::write(folder.join("README.txt"), "ours").unwrap();
    host.app.housekeep().await;
    assert_eq!(files(&host).len(), 4, "not before its time");
    host.clock.advance(Duration::from_secs(3600));
    host.app.housekeep().await;
    assert_eq!(files(&host), BTreeSet::from([format!("{}.png", id(&kept)), "README.txt".to_owned()]));
    assert!(documents(&host, "_jobs").await.is_empty());
    host.anonymous().get(&format!("/media/{}", id(&kept))).await.expect_status(200);
}

/// The longest imaginable upload: its file is taken away before its document comes.
async fn an_upload_whose_file_was_taken_away_is_refused(mut host: TestHost) {
    let admin = host.admin().await;
    let token = host.staff("slow@example.com", &["catalog-manager"]).await;
    let mut slow = refused::SlowUpload::begin(&host, &token, 3_000_000).await;
    slow.send(2_000_000).await;
    eventually("the file begins", async || files(&host).len() == 1).await;
    host.clock.advance(Duration::from_secs(3601));
    host.app.housekeep().await;
    assert!(files(&host).is_empty());
    slow.send(1_000_000).await;
    let answer = slow.answer().await;
    assert!(answer.starts_with("HTTP/1.1 503 ") || answer.starts_with("HTTP/1.1 409 "), "{answer}");
    assert!(documents(&host, "_media").await.is_empty());
    host.app.housekeep().await;
    assert!(files(&host).is_empty());
    drop(admin);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_may_be_kept_for_ever_and_does_nothing() {
    let mut host = TestHost::shop().await;
    let admin = host.admin().await;
    let image = png(3, 2, 100_000);
    let media = upload_png(&admin, &image).await;
    let client = host.anonymous();
    let path = format!("/media/{}", id(&media));
    let shown = client.get(&path).await;
    let etag = shown.header("etag").unwrap().to_owned();
    assert_eq!(etag, format!("\"1-{}\"", &media["blake3"].as_str().unwrap()[..16]));
    let expected = [
        ("content-type", "image/png"),
        ("content-length", "100000"),
        ("cache-control", "public, max-age=31536000, immutable"),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("content-disposition", "inline"),
    ];
    let get = |name: &str, value: &str| client.request(Method::GET, &path).header(name, value);
    let head = client.send(client.request(Method::HEAD, &path)).await;
    let packed = client.send(get("accept-encoding", "gzip, br")).await;
    for answer in [&shown, &head, &packed] {
        assert_eq!(answer.status, 200);
        for (name, value) in expected {
            assert_eq!(answer.header(name), Some(value), "{name}");
        }
        assert_eq!(answer.header("content-encoding"), None);
    }
    assert_eq!((head.body.len(), packed.body), (0, image.clone().into()));

    let unchanged = client.send(get("if-none-match", &etag)).await;
    assert_eq!((unchanged.status.as_u16(), unchanged.header("etag")), (304, Some(etag.as_str())));
    assert_eq!(unchanged.header("cache-control"), Some("public, max-age=31536000, immutable"));
    let part = client.send(get("range", "bytes=70000-70009").header("if-range", &etag)).await;
    assert_eq!((part.status.as_u16(), &part.body[..]), (206, &image[70_000..70_010]));
    assert_eq!(part.header("content-range"), Some("bytes 70000-70009/100000"));
    assert_eq!(part.header("content-length"), Some("10"));
    let whole = client.send(get("range", "bytes=200000-")).await;
    assert_eq!((whole.status.as_u16(), whole.body.len()), (200, 100_000));

    for accept in ["image/avif,image/webp,*/*;q=0.8", "image/*", "image/png", "IMAGE/PNG;q=0.1"] {
        client.send(get("accept", accept)).await.expect_status(200);
    }
    client.send(get("accept", "application/json")).await.expect_problem(406, "not_acceptable");
    client.get(&format!("{path}?w=200")).await.expect_problem(400, "unknown_parameter");
    host.with_token("x").get(&path).await.expect_problem(401, "token_invalid");
    for other in ["/media/none", "/media/med_%00", "/media/..%2fwares.db", &format!("{path}.png")] {
        client.get(other).await.expect_problem(404, "not_found");
    }
    // After a restore without the folder, say.
    std::fs::remove_file(host.data_dir().join(format!("data/media/{}.png", id(&media)))).unwrap();
    client.get(&path).await.expect_problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_is_absolute_where_that_of_the_api_is_known() {
    let mut host = TestHostBuilder::shop()
        .configure(|config| config.server.base_url = "https://api.shop.example".to_owned())
        .start()
        .await;
    let admin = host.admin().await;
    let media = upload_png(&admin, &png(3, 2, 100)).await;
    assert_eq!(media["url"], format!("https://api.shop.example/api/v1/media/{}", id(&media)));
    let cup = with(product("Cup", "C"), "media", json!([{"url": media["url"], "alt": "A cup"}]));
    let cup = admin.post("/products", &cup).await.expect(201);
    assert_eq!(cup["media"][0]["url"], media["url"]);
    admin.delete(&format!("/media/{}", id(&media))).await.expect_problem(409, "reference_in_use");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_may_come_without_a_form() {
    let mut host = TestHost::shop().await;
    let admin = host.admin().await;
    let raw = |kind: &str, image: Vec<u8>| {
        admin.send(admin.request(Method::POST, "/media").header("content-type", kind).text(image))
    };
    let media = raw("image/gif", gif()).await.expect(201);
    assert_eq!(
        json!([media["contentType"], media["width"], media["height"], media["alt"]]),
        json!(["image/gif", 3, 2, ""])
    );
    assert_eq!(raw("image/jpg", gif()).await.status, 415);
    keeps_nothing(&host, async {
        raw("image/png", gif()).await.expect_error_at(
            415,
            "unsupported_media_type",
            "",
            "unsupported_media_type",
        );
        raw("image/svg+xml", b"<svg/>".to_vec()).await.expect_problem(415, "unsupported_media_type");
        raw("text/plain", gif()).await.expect_problem(415, "unsupported_media_type");
        raw("image/gif", Vec::new()).await.expect_error_at(422, "validation_failed", "", "validation_failed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_do_what() {
    let mut host = TestHost::shop().await;
    let admin = host.admin().await;
    let nobody = host.staff("nobody@example.com", &[]).await;
    let stock = host.staff("stock@example.com", &["stock-manager"]).await;
    let manager = host.staff("manager@example.com", &["catalog-manager"]).await;
    let path = format!("/media/{}", id(&upload_png(&admin, &png(3, 2, 100)).await));
    let image = png(3, 2, 100);
    for (client, status, code) in [
        (host.anonymous(), 401, "unauthenticated"),
        (host.with_token(&nobody), 403, "forbidden"),
        (host.with_token(&stock), 403, "forbidden"),
        (host.with_token("x"), 401, "token_invalid"),
    ] {
        keeps_nothing(&host, async {
            let answer = upload(&client, &[("file", None, &image)]).await;
            assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
            answer.expect_problem(status, code);
            client.delete(&path).await.expect_problem(status, code);
        })
        .await;
    }
    let manager = host.with_token(&manager);
    let own = upload(&manager, &[("file", None, &image)]).await.expect(201);
    manager.delete(&format!("/media/{}", id(&own))).await.expect(204);

    for (method, path, allow) in [
        (Method::GET, "/media", "POST"),
        (Method::PUT, path.as_str(), "DELETE"),
        (Method::PATCH, path.as_str(), "GET"),
    ] {
        let answer = admin.send(admin.request(method, path)).await;
        assert!(answer.header("allow").unwrap().contains(allow), "{:?}", answer.header("allow"));
        answer.expect_problem(405, "method_not_allowed");
    }
    for (path, allow) in [("/media", "OPTIONS, POST"), (path.as_str(), "DELETE, GET, HEAD, OPTIONS")] {
        let answer = admin.send(admin.request(Method::OPTIONS, path)).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (204, Some(allow)));
    }
    // What react-admin sends.
    let answer = admin.send(admin.request(Method::DELETE, &path).header("content-type", "text/plain")).await;
    assert_eq!(answer.expect(200), json!({"id": path.rsplit('/').next()}));
}
