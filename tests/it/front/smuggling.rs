//! Requests that two servers could read in two ways, and ones that are made to be expensive.

use std::time::Duration;

use platform_tests::host::TestHost;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Sends bytes, and answers all that the host says until it closes; nothing when it goes on listening.
async fn said(host: &TestHost, request: &[u8]) -> Option<String> {
    let mut stream = TcpStream::connect(host.origin().strip_prefix("http://").unwrap()).await.unwrap();
    // The host may have answered and closed before all is sent.
    let _closed = stream.write_all(request).await;
    let mut said = Vec::new();
    let closed = timeout(Duration::from_secs(10), stream.read_to_end(&mut said)).await;
    closed.is_ok().then(|| String::from_utf8_lossy(&said).into_owned())
}

fn statuses(said: &str) -> Vec<&str> {
    said.match_indices("HTTP/1.1 ").filter_map(|(at, _)| said.get(at + 9..at + 12)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_read_in_two_ways_is_refused_and_the_connection_closed() {
    let host = TestHost::shop().await;
    let inner = "GET /api/v1/categories HTTP/1.1\r\nHost: shop\r\n\r\n";
    let post = "POST /api/v1/auth/admin/login HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n";
    for (what, request) in [
        ("two lengths", format!("{post}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc{inner}")),
        ("a length that is none", format!("{post}Content-Length: +3\r\n\r\nabc{inner}")),
        ("a negative length", format!("{post}Content-Length: -1\r\n\r\n{inner}")),
        ("a list of lengths", format!("{post}Content-Length: 3, 4\r\n\r\nabc{inner}")),
        ("a folded header", format!("{post}X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n{inner}")),
        ("a space before the colon", format!("{post}Content-Length : 3\r\n\r\nabc{inner}")),
        (
            "an unknown coding last",
            format!("{post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{inner}"),
        ),
        ("an unknown coding", format!("{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{inner}")),
        ("a broken chunk", format!("{post}Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n{inner}")),
        ("a bare line feed in a name", format!("{post}X-A\n: b\r\n\r\n{inner}")),
        ("NUL in a header", format!("{post}X-A: \0\r\n\r\n{inner}")),
        ("no method", "\0\0\0\0\r\n\r\n".to_owned()),
        ("another protocol", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
    ] {
        let said = said(&host, request.as_bytes()).await.unwrap_or_else(|| panic!("{what}: left open"));
        let statuses = statuses(&said);
        assert!(statuses.len() <= 1, "{what}: the second request was answered: {said}");
        assert!(matches!(statuses.first(), None | Some(&"400")), "{what}: {said}");
    }
}

/// With both, RFC 9112 lets a server use the coding, if it closes the connection afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_length_beside_a_coding_hides_no_request() {
    let host = TestHost::shop().await;
    let inner = "GET /api/v1/categories HTTP/1.1\r\nHost: shop\r\n\r\n";
    let request = format!(
        "POST /api/v1/auth/admin/login HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
        5 + inner.len()
    );
    let said = said(&host, request.as_bytes()).await.expect("the connection is closed");
    assert_eq!(statuses(&said), ["400"], "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_have_a_bound() {
    let host = TestHost::shop().await;
    let many = (0..200).map(|number| format!("X-{number}: a\r\n")).collect::<String>();
    let request = format!("GET /api/v1/products HTTP/1.1\r\nHost: shop\r\n{many}\r\n");
    assert_eq!(statuses(&said(&host, request.as_bytes()).await.unwrap()), ["431"]);
    let large = "x".repeat(64 * 1024);
    let request = format!("GET /api/v1/products HTTP/1.1\r\nHost: shop\r\nX-Large: {large}\r\n\r\n");
    assert_eq!(statuses(&said(&host, request.as_bytes()).await.unwrap()), ["431"]);
}

/// A body that says it is compressed is not unpacked: a small one could become a large one.
#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_body_is_not_unpacked() {
    let mut host = TestHost::shop().await;
    let admin = host.admin().await;
    let draft = admin.request(hyper::Method::POST, "/products").header("content-encoding", "gzip");
    let draft =
        draft.header("content-type", "application/json").text(vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    admin.send(draft).await.expect_problem(415, "unsupported_media_type");
}
