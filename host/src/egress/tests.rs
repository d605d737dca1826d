use proptest::prelude::*;

use super::{
    address::{is_public, may_be_named},
    check::check,
    *,
};

fn origins(granted: &[&str]) -> BTreeSet<Origin> {
    granted.iter().map(|it| Origin::parse(it).unwrap()).collect()
}

fn get(url: &str) -> Outgoing {
    Outgoing {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        secret_headers: Vec::new(),
        body: Vec::new(),
        timeout: None,
        idempotency_key: None,
    }
}

/// Where a request to a URL would go.
fn goes_to(url: &str, granted: &BTreeSet<Origin>) -> Result<String, SendError> {
    check(get(url), granted).map(|(_, checked)| checked.uri.to_string())
}

#[test]
fn an_origin_is_read_in_one_way_and_written_back() {
    for text in [
        "api.stripe.com",
        "api.stripe.com:8443",
        "10.0.0.5:8443",
        "https://payments.internal",
        "http://127.0.0.1:8089",
        "http://[::1]:8089",
    ] {
        assert_eq!(Origin::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Origin::parse("API.Stripe.com:443").unwrap().to_string(), "api.stripe.com");
    for text in [
        "",
        "*",
        "*.stripe.com",
        ".stripe.com",
        "stripe.com.",
        "api.stripe.com/",
        "api.stripe.com/v1",
        "api.stripe.com:",
        "api.stripe.com:0",
        "api.stripe.com:0443",
        "api.stripe.com:+443",
        "api.stripe.com:65536",
        "ftp://api.stripe.com",
        "HTTP://api.stripe.com",
        "https://user@api.stripe.com",
        "api stripe.com",
        "::1",
        "[::1",
        "2130706433",
        "0x7f.1",
        "127.1",
        "-a.example",
        "a..example",
        "bücher.example",
    ] {
        assert!(Origin::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn only_names_of_the_internet_can_be_asked_for() {
    for (text, can) in [
        ("api.stripe.com", true),
        ("api.stripe.com:8443", true),
        ("https://api.stripe.com", false),
        ("http://api.stripe.com", false),
        ("127.0.0.1", false),
        ("[::1]", false),
    ] {
        assert_eq!(Origin::parse(text).unwrap().can_be_asked_for(), can, "{text}");
    }
}

#[test]
fn a_url_goes_to_a_granted_origin_and_is_written_anew() {
    let granted = origins(&["api.stripe.com", "other.example:8443", "http://127.0.0.1:8089"]);
    for (url, goes) in [
        ("https://api.stripe.com/v1/refunds?a=b", "https://api.stripe.com/v1/refunds?a=b"),
        ("https://API.Stripe.COM:443", "https://api.stripe.com/"),
        ("https://other.example:8443/x", "https://other.example:8443/x"),
        ("http://127.0.0.1:8089/", "http://127.0.0.1:8089/"),
    ] {
        assert_eq!(goes_to(url, &granted).as_deref(), Ok(goes), "{url}");
    }
    for url in [
        "http://api.stripe.com/",
        "http://api.stripe.com:443/",
        "https://api.stripe.com:8443/",
        "https://other.example/",
        "https://127.0.0.1:8089/",
        "http://127.0.0.1/",
        "http://localhost:8089/",
        "http://2130706433:8089/",
        "http://0x7f000001:8089/",
        "http://[::ffff:127.0.0.1]:8089/",
        "https://api.stripe.com./",
        "https://api.stripe.com.evil.example/",
        "https://evil.example/api.stripe.com",
        "https://evilapi.stripe.com/",
        "https://stripe.com/",
    ] {
        assert!(matches!(goes_to(url, &granted), Err(SendError::Denied(_))), "{url}");
    }
    for url in [
        "",
        "/v1/refunds",
        "api.stripe.com",
        "//api.stripe.com/",
        "https:///v1",
        "https://api.stripe.com@evil.example/",
        "https://user:password@api.stripe.com/",
        "https://api.stripe.com\\@evil.example/",
        "https://api.stripe.com/#fragment",
        "https://api.stripe.com/a b",
        "https://api.stripe.com/\r\nhost: evil",
        "https://api.stripe.com/ü",
        "https://api.stripe.com:443:443/",
    ] {
        assert!(matches!(goes_to(url, &granted), Err(SendError::Invalid(_))), "{url:?}");
    }
    assert!(matches!(goes_to("ftp://api.stripe.com/", &granted), Err(SendError::Denied(_))));
    let long = format!("https://api.stripe.com/{}", "a".repeat(9_000));
    assert!(matches!(goes_to(&long, &granted), Err(SendError::Invalid(_))));
}

proptest! {
    /// Nothing before, behind or within a granted host makes another one of it.
    #[test]
    fn hosts_are_matched_whole(
        host in "[a-z]{1,8}(\\.[a-z]{1,8}){0,3}",
        before in "[a-z0-9.@:/\\\\%-]{0,6}",
        after in "[a-z0-9.@:\\\\%-]{0,6}",
    ) {
        let granted = origins(&[&host]);
        let url = format!("https://{before}{host}{after}/");
        match goes_to(&url, &granted) {
            // The host alone, or behind something that is a path.
            Ok(goes) => {
                prop_assert!(goes.starts_with(&format!("https://{host}/")), "{url} goes to {goes}");
                prop_assert!(before.is_empty() || before == host, "{url}");
                prop_assert!(after.is_empty() || after == ":443", "{url}");
            }
            Err(error) => {
                prop_assert!(!(before.is_empty() && after.is_empty()), "{url}: {error}");
                prop_assert!(!error.may_be_sent());
            }
        }
    }

    #[test]
    fn whatever_a_plugin_writes_goes_to_a_granted_origin_or_nowhere(url in "\\PC{0,60}", https in any::<bool>()) {
        let granted = origins(&["api.stripe.com"]);
        let url = if https { format!("https://{url}") } else { url };
        if let Ok(goes) = goes_to(&url, &granted) {
            prop_assert!(goes.starts_with("https://api.stripe.com/"), "{url:?} goes to {goes}");
        }
    }
}

#[test]
fn addresses_inside_networks_are_not_of_the_internet() {
    for address in
        ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]
    {
        assert!(is_public(address.parse().unwrap()), "{address}");
    }
    for address in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::7f00:1",
        "64:ff9b::a00:1",
        "2001:db8::1",
        "2002:7f00:1::",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "ff02::1",
    ] {
        assert!(!is_public(address.parse().unwrap()), "{address}");
    }
    for (address, may) in
        [("10.1.2.3", true), ("127.0.0.1", true), ("fd12::1", true), ("1.1.1.1", true)].into_iter().chain(
            ["169.254.169.254", "fe80::1", "0.0.0.0", "::", "::ffff:169.254.169.254"].map(|it| (it, false)),
        )
    {
        assert_eq!(may_be_named(address.parse().unwrap()), may, "{address}");
    }
}

#[test]
fn headers_that_could_change_the_request_are_refused() {
    let granted = origins(&["api.stripe.com"]);
    let refused = |name: &str, value: &str| {
        let headers = vec![(name.to_owned(), value.to_owned())];
        let plain = check(Outgoing { headers, ..get("https://api.stripe.com/") }, &granted).err();
        let secret_headers = vec![(name.to_owned(), SecretString::from(value))];
        let secret = check(Outgoing { secret_headers, ..get("https://api.stripe.com/") }, &granted).err();
        assert_eq!(plain, secret);
        if let Some(error) = &plain {
            assert!(matches!(error, SendError::Invalid(_)), "{error}");
            assert!(value.len() < 5 || !error.to_string().contains(value), "{error}");
        }
        plain.is_some()
    };
    assert!(!refused("x-fine", "a value; of \"any\" kind"));
    for (name, value) in [
        ("x", "a\r\nhost: evil"),
        ("x", "a\nb"),
        ("x", "a\0b"),
        ("x", "ü"),
        ("x\r\ny", "a"),
        ("x y", "a"),
        ("", "a"),
        ("Host", "evil.example"),
        ("Connection", "close"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Idempotency-Key", "another"),
        ("upgrade", "websocket"),
    ] {
        assert!(refused(name, value), "{name:?}: {value:?}");
    }
    let many = |count: usize, length: usize| {
        let headers = vec![("x".to_owned(), "a".repeat(length)); count];
        check(Outgoing { headers, ..get("https://api.stripe.com/") }, &granted).is_ok()
    };
    assert!(many(64, 10));
    assert!(!many(65, 10) && !many(2, 9_000));
}

#[test]
fn methods_keys_and_bodies_are_checked() {
    let granted = origins(&["api.stripe.com"]);
    let with = |method: &str, key: Option<&str>, body: usize| {
        let idempotency_key = key.map(str::to_owned);
        let request = Outgoing {
            method: method.to_owned(),
            idempotency_key,
            body: vec![0; body],
            ..get("https://api.stripe.com/")
        };
        check(request, &granted).map(|(_, checked)| checked.headers.get("idempotency-key").cloned())
    };
    assert_eq!(with("GET", None, 0), Ok(None));
    assert_eq!(with("POST", Some("k"), 1 << 20).unwrap().unwrap(), "k");
    let (long, longest) = ("k".repeat(256), "k".repeat(255));
    assert!(with("DELETE", Some(&longest), 0).is_ok());
    for (method, key, body) in [
        ("POST", None, 0),
        ("DELETE", None, 0),
        ("POST", Some(""), 0),
        ("POST", Some("a b"), 0),
        ("POST", Some("a\r\nb"), 0),
        ("POST", Some(long.as_str()), 0),
        ("POST", Some("k"), (1 << 20) + 1),
        ("post", Some("k"), 0),
        ("CONNECT", Some("k"), 0),
        ("TRACE", Some("k"), 0),
        ("GET /x HTTP/1.1\r\n", None, 0),
    ] {
        assert!(matches!(with(method, key, body), Err(SendError::Invalid(_))), "{method} {key:?} {body}");
    }
}

fn answer(status: u16) -> Outcome {
    Ok(Incoming { status, headers: Vec::new(), body: Vec::new() })
}

fn told_to_wait(status: u16, after: &str) -> Outcome {
    answer(status)
        .map(|answer| Incoming { headers: vec![("retry-after".to_owned(), after.to_owned())], ..answer })
}

fn unreachable() -> Outcome {
    Err(SendError::Unreachable(String::new()))
}

#[test]
fn what_may_be_done_stays_unknown_until_an_answer_decides() {
    let timeout = || Err(SendError::Timeout);
    for (earlier, latest, known) in [
        (timeout(), unreachable(), timeout()),
        (timeout(), answer(200), answer(200)),
        (timeout(), answer(402), answer(402)),
        (timeout(), answer(404), answer(404)),
        (timeout(), answer(401), timeout()),
        (timeout(), answer(409), timeout()),
        (timeout(), answer(429), timeout()),
        (timeout(), answer(503), timeout()),
        (answer(503), unreachable(), answer(503)),
        (answer(503), answer(429), answer(503)),
        (answer(503), answer(200), answer(200)),
        (unreachable(), timeout(), timeout()),
        (unreachable(), answer(429), answer(429)),
        (answer(429), unreachable(), unreachable()),
    ] {
        assert_eq!(settled(Some(earlier.clone()), latest.clone()), known, "{earlier:?} {latest:?}");
    }
}

#[test]
fn an_absurd_wait_can_be_added_to_any_time() {
    let wait = wait_before_next(1, &told_to_wait(503, &u64::MAX.to_string())).unwrap();
    assert!(wait >= Duration::from_secs(86_400) && std::time::Instant::now().checked_add(wait).is_some());
}

#[test]
fn only_what_helps_is_tried_again_and_not_before_the_other_side_wants() {
    for outcome in [unreachable(), Err(SendError::Timeout), answer(502), answer(503), answer(504)] {
        for (attempt, most) in [(1, 250), (2, 500)] {
            let wait = wait_before_next(attempt, &outcome).unwrap();
            assert!(wait <= Duration::from_millis(most), "{outcome:?} {wait:?}");
        }
    }
    for status in [429, 503] {
        let wait = wait_before_next(1, &told_to_wait(status, "7")).unwrap();
        assert!((7_000..=7_250).contains(&wait.as_millis()), "{wait:?}");
        assert_eq!(wait_before_next(1, &told_to_wait(status, "Wed, 21 Oct 2026 07:28:00 GMT")), None);
    }
    for outcome in [
        answer(200),
        answer(301),
        answer(402),
        answer(429),
        answer(500),
        answer(501),
        told_to_wait(500, "1"),
        Err(SendError::Denied(String::new())),
        Err(SendError::Invalid(String::new())),
        Err(SendError::TooLarge(1)),
    ] {
        assert_eq!(wait_before_next(1, &outcome), None, "{outcome:?}");
    }
}
