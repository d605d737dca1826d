//! Uploads that are not taken, and that nothing of them stays.

use hyper::Method;
use platform_tests::{
    host::{TestHost, TestHostBuilder},
    images::{BOUNDARY, Part, gif, png},
    shop::documents,
    wait::eventually,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{files, keeps_nothing, upload};

/// Parts, status, code, pointer.
type Refusal<'r> = (&'r [Part<'r>], u16, &'static str, &'static str);

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_wrong_says_where() {
    let mut host = TestHost::shop().await;
    let admin = host.admin().await;
    // Larger than what is looked at before the first byte is written.
    let large = png(3, 2, 2_000_000);
    let (png, gif) = (png(3, 2, 100), gif());
    let long = "é".repeat(501);
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    let file: Part<'_> = ("file", Some("image/png"), &large);
    let refusals: &[Refusal<'_>] = &[
        (&[], 422, "validation_failed", ""),
        (&[("alt", None, b"x")], 422, "validation_failed", "/file"),
        (&[("file", Some("image/png"), b"")], 422, "validation_failed", "/file"),
        (&[("image", Some("image/png"), &png)], 422, "unknown_field", "/image"),
        (&[file, ("a/b~c", None, b"x")], 422, "unknown_field", "/a~1b~0c"),
        (&[file, ("file", Some("image/gif"), &gif)], 422, "validation_failed", "/file"),
        (&[("alt", None, b"x"), file, ("alt", None, b"x")], 422, "validation_failed", "/alt"),
        (&[file, ("alt", None, long.as_bytes())], 422, "validation_failed", "/alt"),
        (&[file, ("alt", None, b"\xff")], 422, "validation_failed", "/alt"),
        (&[("file", Some("image/jpeg"), &png)], 415, "unsupported_media_type", "/file"),
        (&[("file", Some("text/html"), &gif)], 415, "unsupported_media_type", "/file"),
        (&[("file", Some("image/svg+xml"), svg)], 415, "unsupported_media_type", "/file"),
        (&[("file", Some("image/png"), svg)], 415, "unsupported_media_type", "/file"),
        (&[("file", None, b"<!doctype html>")], 415, "unsupported_media_type", "/file"),
        (&[("file", Some("image/png"), &png[..20])], 422, "validation_failed", "/file"),
    ];
    for (parts, status, code, pointer) in refusals {
        let problem = keeps_nothing(&host, upload(&admin, parts)).await.expect_problem(*status, code);
        if !pointer.is_empty() {
            assert_eq!(problem["errors"][0]["pointer"], *pointer, "{problem}");
        }
    }
    let longest = "é".repeat(500);
    upload(&admin, &[("alt", None, longest.as_bytes()), ("file", None, &png)]).await.expect(201);
    upload(&admin, &[("file", Some("application/octet-stream"), &gif)]).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_form_is_refused() {
    let mut host = TestHost::shop().await;
    let admin = host.admin().await;
    let post = |content_type: &str, body: Vec<u8>| {
        admin.send(admin.request(Method::POST, "/media").header("content-type", content_type).text(body))
    };
    let form = format!("multipart/form-data; boundary={BOUNDARY}");
    let begun = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n");
    keeps_nothing(&host, async {
        for content_type in ["application/json", "multipart/mixed; boundary=x", "multipart/form-data"] {
            post(content_type, b"{}".to_vec()).await.expect_problem(415, "unsupported_media_type");
        }
        for body in [String::new(), "x".to_owned(), begun.clone(), format!("{begun}--{BOUNDARY}--")] {
            post(&form, body.into_bytes()).await.expect_problem(422, "validation_failed");
        }
        // A file whose form has no end.
        let cut = [begun.as_bytes(), &png(3, 2, 2_000_000)].concat();
        post(&form, cut).await.expect_problem(422, "validation_failed");
        // Headers without an end are not collected.
        let endless = [format!("--{BOUNDARY}\r\nX: ").into_bytes(), vec![b'x'; 4_000_000]].concat();
        post(&form, endless).await.expect_problem(422, "validation_failed");
        let packed = admin.request(Method::POST, "/media").header("content-encoding", "gzip");
        admin
            .send(packed.form(&[("file", None, &gif())]))
            .await
            .expect_problem(415, "unsupported_media_type");
        let draft = admin.request(Method::POST, "/media?x=1").form(&[("file", None, &gif())]);
        admin.send(draft).await.expect_error_at(400, "unknown_parameter", "x", "unknown_parameter");
        let draft = admin.request(Method::POST, "/media").header("accept", "text/html");
        admin.send(draft.form(&[("file", None, &gif())])).await.expect_problem(406, "not_acceptable");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused() {
    let mut host = TestHostBuilder::shop()
        .configure(|config| {
            config.media.max_bytes = 2_000_000;
            config.media.max_side = 5_000;
            config.media.max_pixels = 10_000_000;
        })
        .start()
        .await;
    let admin = host.admin().await;
    let largest = png(5_000, 2_000, 2_000_000);
    upload(&admin, &[("file", None, &largest)]).await.expect(201);
    keeps_nothing(&host, async {
        // A little more, and so much more that it is known before.
        for bytes in [2_000_001, 3_000_000] {
            let answer = upload(&admin, &[("file", None, &png(3, 2, bytes))]).await;
            answer.expect_error_at(413, "payload_too_large", "/file", "payload_too_large");
        }
        for (width, height) in [(5_001, 1), (1, 5_001), (5_000, 2_001), (u32::MAX, u32::MAX), (0, 5), (5, 0)]
        {
            let answer = upload(&admin, &[("file", None, &png(width, height, 100))]).await;
            answer.expect_error_at(422, "validation_failed", "/file", "validation_failed");
        }
    })
    .await;
}

/// An upload over a connection of its own, which comes as slowly as a test likes.
pub(super) struct SlowUpload {
    stream: TcpStream,
    image: Vec<u8>,
    sent: usize,
}

impl SlowUpload {
    pub(super) async fn begin(host: &TestHost, token: &str, bytes: usize) -> Self {
        let address = host.origin().strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /api/v1/media HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: image/png\r\nContent-Length: {bytes}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        Self { stream, image: png(3, 2, bytes), sent: 0 }
    }

    pub(super) async fn send(&mut self, bytes: usize) {
        self.stream.write_all(&self.image[self.sent..self.sent + bytes]).await.unwrap();
        self.sent += bytes;
    }

    pub(super) async fn answer(mut self) -> String {
        // The connection stays open as long as the host waits for the rest of the body.
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            let read = self.stream.read_buf(&mut answer).await.unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_stops_leaves_nothing() {
    let host = TestHostBuilder::shop()
        .configure(|config| {
            config.media.max_uploads = 1;
            config.media.upload_timeout_ms = 1_000;
        })
        .start()
        .await;
    let token = host.staff("slow@example.com", &["catalog-manager"]).await;
    let client = host.with_token(&token);
    let mut stalled = SlowUpload::begin(&host, &token, 3_000_000).await;
    stalled.send(2_000_000).await;
    eventually("the file begins", async || files(&host).len() == 1).await;
    let image = gif();
    let other = upload(&client, &[("file", None, &image)]).await;
    assert_eq!(other.header("retry-after"), Some("1"));
    other.expect_problem(503, "overloaded");
    let answer = stalled.answer().await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("request_timeout"), "{answer}");
    assert!(files(&host).is_empty());
    assert!(documents(&host, "_jobs").await.is_empty());

    let mut hung_up = SlowUpload::begin(&host, &token, 3_000_000).await;
    hung_up.send(2_000_000).await;
    eventually("the file begins", async || files(&host).len() == 1).await;
    drop(hung_up);
    eventually("the file goes", async || files(&host).is_empty()).await;
    eventually("there is room again", async || {
        upload(&client, &[("file", None, &image)]).await.status == 201
    })
    .await;
    assert_eq!(documents(&host, "_media").await.len(), 1);
}
