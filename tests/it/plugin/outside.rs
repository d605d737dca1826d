//! What plugins reach outside: the hosts that they were granted and no others, with secrets that they never see, and
//! errors that tell what was never sent from what may have arrived.

mod stripe;

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use platform_tests::{
    host::{TestHost, TestHostBuilder},
    outside::{Act, OutsideServer, answer},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;

const KEY: &str = "a-key-that-nobody-sees";

/// The plugins file with these hosts and the secrets.
fn granted(hosts: &[&str]) -> String {
    format!("[plugins.sender]\nhttp = {hosts:?}\nsecrets = [\"SENDER_KEY\", \"SENDER_OTHER_KEY\"]\n")
}

/// A host with the sender, which has a value for one of its secrets.
async fn sender(grants: &str) -> TestHost {
    let given = |config: &mut host::config::Config| {
        config.secrets.given.insert("SENDER_KEY".to_owned(), SecretString::from(KEY));
    };
    TestHostBuilder::empty().fixture("sender").grants(grants).configure(given).start().await
}

/// The sender, granted this server by its origin.
async fn sender_to(server: &OutsideServer) -> TestHost {
    sender(&granted(&[&server.origin()])).await
}

async fn send(host: &TestHost, request: &Value) -> Value {
    host.anonymous().post("/sender/send", request).await.expect(200)
}

async fn get(host: &TestHost, url: &str) -> Value {
    send(host, &json!({"url": url})).await
}

#[track_caller]
fn fails(answer: &Value, error: &str) {
    assert_eq!(answer["error"], error, "{answer}");
    let may_be_sent = ["timeout", "transport", "too-large"].contains(&error);
    assert_eq!(answer["mayBeSent"], may_be_sent, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_arrives_as_it_was_written_and_so_does_its_answer() {
    let server = OutsideServer::start().await;
    let host = sender_to(&server).await;
    server.acts([answer(418, "x-one: 1\r\nX-Two: a\r\nx-two: b\r\n", "short and stout")]);
    let request = json!({
        "method": "PUT", "url": format!("{}/pots/1?b=c%20d", server.origin()),
        "headers": [["content-type", "text/plain"], ["x-mine", "yes"]], "body": "tea", "key": "k-1",
    });
    let got = send(&host, &request).await;
    assert_eq!((&got["status"], &got["body"]), (&json!(418), &json!("short and stout")));
    for header in [["x-one", "1"], ["x-two", "a"], ["x-two", "b"]] {
        assert!(got["headers"].as_array().unwrap().contains(&json!(header)), "{got}");
    }
    let sent = server.requests().remove(0);
    assert!(sent.starts_with("PUT /pots/1?b=c%20d HTTP/1.1\r\n"), "{sent}");
    assert!(sent.ends_with("\r\n\r\ntea"), "{sent}");
    let host_line = format!("host: 127.0.0.1:{}\r\n", server.port());
    for line in [&host_line, "idempotency-key: k-1\r\n", "x-mine: yes\r\n", "content-length: 3\r\n"] {
        assert_eq!(sent.matches(line).count(), 1, "{line} {sent}");
    }
    get(&host, &server.origin()).await;
    assert_eq!(server.connections(), 1, "the connection is used again");
    let authority = format!("127.0.0.1:{}", server.port());
    assert_eq!((host.sent(&authority, "4xx").await, host.sent(&authority, "2xx").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_where_it_was_not_granted() {
    let server = OutsideServer::start().await;
    let other = OutsideServer::start().await;
    let host = sender_to(&server).await;
    let (port, origin) = (server.port(), server.origin());
    for url in [
        other.origin(),
        format!("https://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://127.0.0.1.nip.io:{port}/"),
        format!("http://127.0.0.2:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        "http://127.0.0.1/".to_owned(),
        "https://api.sender.example/".to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let refused = get(&host, &url).await;
        assert!(refused["error"] == "denied" || refused["error"] == "invalid", "{url}: {refused}");
        assert_eq!(refused["mayBeSent"], false);
    }
    fails(&get(&host, &format!("http://user:password@127.0.0.1:{port}/")).await, "invalid");
    host.grant("[plugins.sender]\n").await;
    fails(&get(&host, &origin).await, "denied");
    assert_eq!((server.connections(), other.connections()), (0, 0));
    host.grant(&granted(&[&origin])).await;
    assert_eq!(get(&host, &origin).await["status"], 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_only_for_origins_that_are_granted_as_such() {
    let server = OutsideServer::start().await;
    let host = sender(&granted(&[&format!("127.0.0.1:{}", server.port())])).await;
    fails(&get(&host, &server.origin()).await, "denied");
    assert_eq!(server.connections(), 0);
    // The address itself is granted, and what answers there speaks no TLS.
    let url = format!("https://127.0.0.1:{}/", server.port());
    fails(&send(&host, &json!({"url": url, "timeoutMs": 200})).await, "unreachable");
    assert_eq!((server.connections(), server.requests().len()), (3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_means_an_address_inside_is_refused_unless_its_origin_is_granted() {
    let server = OutsideServer::start().await;
    let authority = format!("localhost:{}", server.port());
    let host = sender(&granted(&[&authority])).await;
    let refused = get(&host, &format!("https://{authority}/")).await;
    fails(&refused, "denied");
    assert!(refused["why"].as_str().unwrap().contains("grant the origin with its scheme"), "{refused}");
    assert_eq!(server.connections(), 0);
    host.grant(&granted(&[&format!("http://{authority}")])).await;
    assert_eq!(get(&host, &format!("http://{authority}/")).await["status"], 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let server = OutsideServer::start().await;
    let other = OutsideServer::start().await;
    let host = sender_to(&server).await;
    for status in [301, 302, 303, 307, 308] {
        server.acts([answer(status, &format!("location: {}/\r\n", other.origin()), "")]);
        assert_eq!(get(&host, &server.origin()).await["status"], status);
    }
    assert_eq!((server.requests().len(), other.connections()), (5, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_goes_to_the_server_and_is_not_seen_by_the_plugin() {
    let server = OutsideServer::start().await;
    let mut host = sender_to(&server).await;
    let with = |secret: &str, name: &str| json!({"url": server.origin(), "secretHeaders": [[name, secret]], "headers": [["x", "y"]]});
    let got = send(&host, &with("SENDER_KEY", "authorization")).await;
    assert_eq!(got["status"], 200);
    assert!(server.requests()[0].contains(&format!("authorization: Bearer {KEY}\r\n")));
    assert!(!got.to_string().contains(KEY), "{got}");

    fails(&send(&host, &with("SENDER_OTHER_KEY", "authorization")).await, "denied");
    fails(&send(&host, &with("PAYMENT_GATEWAY_KEY", "authorization")).await, "denied");
    fails(&send(&host, &with("JWT_SECRET", "authorization")).await, "denied");
    fails(&send(&host, &with("SENDER_KEY", "host")).await, "invalid");
    fails(&send(&host, &with("SENDER_KEY", "a\r\nb")).await, "invalid");
    assert_eq!(server.requests().len(), 1);

    let shown = host.admin().await.get("/plugins/sender").await.expect(200);
    assert!(!shown.to_string().contains(KEY), "{shown}");
    assert!(shown["grants"]["given"].as_array().unwrap().contains(&json!("secrets:SENDER_KEY")), "{shown}");

    // A secret that is no header value is not shown in the refusal either.
    let given = |config: &mut host::config::Config| {
        config.secrets.given.insert("SENDER_KEY".to_owned(), SecretString::from(format!("{KEY}\n{KEY}")));
    };
    let broken = TestHostBuilder::empty().fixture("sender").configure(given);
    let broken = broken.grants(&granted(&[&server.origin()])).start().await;
    let refused = send(&broken, &with("SENDER_KEY", "authorization")).await;
    fails(&refused, "invalid");
    assert!(!refused.to_string().contains(KEY), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_are_checked_with_secrets_that_have_a_value() {
    let host = sender(&granted(&[])).await;
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    mac.update(b"a message");
    let signature = mac.finalize().into_bytes().to_vec();
    let verify = async |secret: &str, message: &str, signature: &[u8]| {
        let body = json!({"secret": secret, "message": message, "signature": signature});
        host.anonymous().post("/sender/verify", &body).await.expect(200)
    };
    assert_eq!(verify("SENDER_KEY", "a message", &signature).await, json!({"fits": true}));
    assert_eq!(verify("SENDER_KEY", "another", &signature).await, json!({"fits": false}));
    assert_eq!(verify("SENDER_KEY", "a message", &signature[..31]).await, json!({"fits": false}));
    assert_eq!(verify("SENDER_OTHER_KEY", "a message", &signature).await["error"], "unavailable");
    assert_eq!(verify("PAYMENT_GATEWAY_KEY", "a message", &signature).await["error"], "denied");
    host.grant("").await;
    assert_eq!(verify("SENDER_KEY", "a message", &signature).await["error"], "denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_cannot_be_made_into_another_one() {
    let server = OutsideServer::start().await;
    let host = sender_to(&server).await;
    let origin = server.origin();
    for request in [
        json!({"headers": [["x", "a\r\nhost: evil"]]}),
        json!({"headers": [["x\r\nhost", "evil"]]}),
        json!({"headers": [["Host", "evil"]]}),
        json!({"headers": [["connection", "close"]]}),
        json!({"headers": [["Content-Length", "0"]], "method": "POST", "key": "k", "body": "GET / HTTP/1.1"}),
        json!({"headers": [["transfer-encoding", "chunked"]], "method": "POST", "key": "k"}),
        json!({"headers": [["idempotency-key", "another"]], "method": "POST", "key": "k"}),
        json!({"method": "POST"}),
        json!({"method": "POST", "key": "a\r\nb: c"}),
        json!({"method": "get"}),
        json!({"method": "CONNECT", "key": "k"}),
        json!({"method": "POST / HTTP/1.1\r\n", "key": "k"}),
        json!({"url": format!("{origin}/ HTTP/1.1\r\nx: y")}),
    ] {
        let mut whole = json!({"url": origin});
        whole.as_object_mut().unwrap().extend(request.as_object().unwrap().clone());
        fails(&send(&host, &whole).await, "invalid");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_large_is_cut_and_told() {
    let server = OutsideServer::start().await;
    let host = sender_to(&server).await;
    let size = 1 << 20;
    server.acts([answer(200, "", &"a".repeat(size)), answer(200, "", &"a".repeat(size + 1))]);
    assert_eq!(get(&host, &server.origin()).await["bytes"], size);
    let refused = get(&host, &server.origin()).await;
    fails(&refused, "too-large");
    assert_eq!(refused["why"], size.to_string());
    // One that does not say its size before.
    let chunk = format!("{:x}\r\n{}\r\n", 400_000, "a".repeat(400_000));
    let endless = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}", chunk.repeat(3));
    server.acts([Act::SayAndClose(endless)]);
    fails(&get(&host, &server.origin()).await, "too-large");
    let headers: String = (0..200).map(|number| format!("x-{number}: 1\r\n")).collect();
    server.acts([answer(200, &headers, ""), answer(200, &headers, ""), answer(200, &headers, "")]);
    fails(&get(&host, &server.origin()).await, "transport");
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_arrived_is_told_from_what_was_never_sent() {
    let server = OutsideServer::start().await;
    let host = sender_to(&server).await;
    let post = json!({"method": "POST", "url": server.origin(), "key": "k", "timeoutMs": 300});

    server.acts([Act::Hang, Act::Hang, Act::Hang]);
    fails(&send(&host, &post).await, "timeout");
    assert_eq!(server.requests().len(), 3);
    let keys = |it: &String| it.contains("idempotency-key: k\r\n");
    assert!(server.requests().iter().all(keys), "every attempt has the same key");
    // So that the breaker stays out of the way.
    assert_eq!(send(&host, &post).await["status"], 200);

    server.acts([
        Act::Close,
        Act::SayAndClose("HTTP/1.1 2".to_owned()),
        Act::Say("no HTTP\r\n\r\n".to_owned()),
    ]);
    fails(&send(&host, &post).await, "transport");
    assert_eq!(server.requests().len(), 7);
    assert_eq!(send(&host, &post).await["status"], 200);

    // It was closed after a request had arrived: that nobody is there now says nothing about that request.
    server.acts([Act::Close, answer(429, "retry-after: 0\r\n", ""), answer(429, "retry-after: 0\r\n", "")]);
    fails(&send(&host, &post).await, "transport");
    assert_eq!(server.requests().len(), 11);

    let gone = server.origin();
    drop(server);
    fails(&get(&host, &gone).await, "unreachable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_closed_while_it_rested_costs_no_request() {
    let server = OutsideServer::start().await;
    let host = sender_to(&server).await;
    server.acts([Act::SayAndClose("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned())]);
    let post = json!({"method": "POST", "url": server.origin(), "key": "k"});
    assert_eq!(send(&host, &post).await["status"], 200);
    assert_eq!(send(&host, &post).await["status"], 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_helps_is_tried_again_with_the_same_key_and_nothing_else_is() {
    let server = OutsideServer::start().await;
    let host = sender_to(&server).await;
    let post = json!({"method": "POST", "url": server.origin(), "key": "k"});
    for acts in [
        [answer(503, "", ""), Act::Close],
        [answer(502, "", ""), answer(504, "retry-after: 0\r\n", "")],
        [answer(429, "retry-after: 0\r\n", ""), Act::SayAndClose(String::new())],
    ] {
        let before = server.requests().len();
        server.acts(acts);
        assert_eq!(send(&host, &post).await["status"], 200);
        let sent = server.requests().split_off(before);
        assert_eq!(sent.len(), 3);
        assert!(sent.iter().all(|it| it.matches("idempotency-key: k\r\n").count() == 1), "{sent:?}");
    }
    for (status, headers) in [
        (500, ""),
        (501, ""),
        (409, ""),
        (429, ""),
        (429, "retry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\n"),
        // Longer than the call lasts.
        (503, "retry-after: 60\r\n"),
    ] {
        let before = server.requests().len();
        server.acts([answer(status, headers, "")]);
        assert_eq!(send(&host, &post).await["status"], status);
        assert_eq!(server.requests().len(), before + 1, "{status} {headers}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_before_its_deadline_with_what_it_knows() {
    let server = OutsideServer::start().await;
    let host =
        sender(&format!("{}[plugins.sender.limits]\ntimeout_ms = 1500\n", granted(&[&server.origin()])))
            .await;
    server.acts([Act::Hang]);
    fails(
        &send(&host, &json!({"method": "POST", "url": server.origin(), "key": "k", "timeoutMs": 60_000}))
            .await,
        "timeout",
    );
    assert_eq!(server.requests().len(), 1);
    assert_eq!(host.calls("senderSend", "ok").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_takes_nothing_from_the_cpu_budget() {
    let server = OutsideServer::start().await;
    let limits = "[plugins.sender.limits]\ncpu_ms = 200\n";
    let host = sender(&format!("{}{limits}", granted(&[&server.origin()]))).await;
    server.acts([Act::Hang]);
    let request = json!({"url": server.origin(), "timeoutMs": 1_000});
    assert_eq!(send(&host, &request).await["status"], 200, "after a second of waiting");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_keeps_failing_is_left_alone_for_a_while() {
    let server = OutsideServer::start().await;
    let origin = server.origin();
    let authority = format!("127.0.0.1:{}", server.port());
    let host = sender_to(&server).await;
    let closes = |count: usize| std::iter::repeat_n(Act::Close, count);
    // Three attempts, and the two after which it opens.
    server.acts(closes(5));
    fails(&get(&host, &origin).await, "transport");
    fails(&get(&host, &origin).await, "transport");
    assert_eq!(server.requests().len(), 5);

    fails(&get(&host, &origin).await, "unreachable");
    assert_eq!(server.requests().len(), 5, "nothing is sent while it is open");
    assert!(host.sent(&authority, "breaker_open").await >= 1);

    host.clock.advance(Duration::from_secs(10));
    server.acts(closes(1));
    fails(&get(&host, &origin).await, "transport");
    assert_eq!(server.requests().len(), 6, "one attempt, which failed");
    fails(&get(&host, &origin).await, "unreachable");

    host.clock.advance(Duration::from_secs(10));
    assert_eq!(get(&host, &origin).await["status"], 200);
    assert_eq!(get(&host, &origin).await["status"], 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_line_in_the_plugins_file_is_named() {
    let host = sender(&granted(&[])).await;
    for (line, says) in [
        ("http = [\"*.example\"]", "`*.example` is no host"),
        ("http = [\"https://api.example/v1\"]", "is no host"),
        ("secrets = [\"JWT_SECRET\"]", "the host's own secret"),
        ("secrets = [\"lower\"]", "is no name of a secret"),
    ] {
        std::fs::write(host.data_dir().join("plugins.toml"), format!("[plugins.sender]\n{line}\n")).unwrap();
        assert!(host.app.plugins().reload().await.is_err());
        let (reason, still_serving) = host.refusal();
        assert!(reason.contains(says), "{reason}");
        assert!(still_serving);
    }
}
