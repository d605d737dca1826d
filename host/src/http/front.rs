//! What every request passes before it is looked at: cross-origin rules, compression, tracing, `Accept`, `OPTIONS`.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tower_http::{
    compression::{
        CompressionLayer, CompressionLevel,
        predicate::{Predicate as _, SizeAbove},
    },
    cors::{AllowOrigin, CorsLayer},
};

use super::error::ApiError;
use crate::{app::App, plugin::Lookup};

/// Longest path with its query, in bytes.
const URI_BYTES: usize = 8 * 1024;
/// Shorter bodies are not worth compressing.
const COMPRESSED_BYTES: u64 = 1024;
/// Where both ways of compressing give most for little time.
const COMPRESSION_QUALITY: i32 = 4;
/// How long browsers may remember what they are allowed.
const PREFLIGHT_AGE: Duration = Duration::from_secs(3600);

/// What scripts of other origins may send besides what every script may.
const REQUEST_HEADERS: [&str; 10] = [
    "authorization",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "range",
    "traceparent",
    "tracestate",
    "x-cart-token",
    "x-request-id",
];

/// What scripts of other origins may read besides what every script may.
const RESPONSE_HEADERS: [&str; 14] = [
    "content-range",
    "etag",
    "idempotent-replayed",
    "link",
    "location",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "traceparent",
    "www-authenticate",
    "x-cache",
    "x-next-cursor",
    "x-request-id",
    "x-total-count",
];

/// Who may call from a browser. Access tokens travel in a header, which no browser adds by itself.
/// `credentials`: whether browsers may add the cookie of a refresh token.
pub(super) fn cors(origins: &[String], credentials: bool) -> CorsLayer {
    let origins = origins.to_vec();
    let allowed = move |origin: &HeaderValue, _: &axum::http::request::Parts| {
        origin.to_str().is_ok_and(|origin| is_allowed_origin(&origins, origin))
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_credentials(credentials)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(REQUEST_HEADERS.map(HeaderName::from_static))
        .expose_headers(RESPONSE_HEADERS.map(HeaderName::from_static))
        .max_age(PREFLIGHT_AGE)
}

pub(super) fn is_allowed_origin(origins: &[String], origin: &str) -> bool {
    origins.iter().any(|pattern| allows(pattern, origin))
}

/// `*`, an origin, or an origin with any port: `http://localhost:*`.
fn allows(pattern: &str, origin: &str) -> bool {
    match pattern.strip_suffix(":*") {
        Some(host) => {
            let port = origin.strip_prefix(host).and_then(|rest| rest.strip_prefix(':'));
            origin == host
                || port.is_some_and(|port| !port.is_empty() && port.bytes().all(|it| it.is_ascii_digit()))
        }
        None => pattern == "*" || pattern == origin,
    }
}

/// What keeps browsers from doing more with an answer than was meant. The page of the document has a policy of its own.
pub(super) fn secure(headers: &mut HeaderMap, encrypted: bool) {
    let mut add = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    add(header::X_FRAME_OPTIONS, "DENY");
    add(header::REFERRER_POLICY, "no-referrer");
    if encrypted {
        add(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}

pub(super) fn compression() -> CompressionLayer<impl tower_http::compression::Predicate> {
    let text = |_: StatusCode, _: axum::http::Version, headers: &HeaderMap, _: &axum::http::Extensions| {
        let kind =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        ["application/json", "application/javascript", "text/"].iter().any(|prefix| kind.starts_with(prefix))
    };
    CompressionLayer::new()
        .quality(CompressionLevel::Precise(COMPRESSION_QUALITY))
        .compress_when(SizeAbove::new(COMPRESSED_BYTES).and(text))
}

/// A strong tag names one sequence of bytes, so that of a compressed body is another.
pub(super) fn tag_encoding(headers: &mut HeaderMap) {
    let Some(encoding) = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()) else {
        return;
    };
    let tagged = headers
        .get(header::ETAG)
        .and_then(|tag| tag.to_str().ok()?.strip_suffix('"'))
        .and_then(|tag| HeaderValue::from_str(&format!("{tag}-{encoding}\"")).ok());
    if let Some(tagged) = tagged {
        headers.insert(header::ETAG, tagged);
    }
}

/// The tag of the body before it was compressed.
pub(super) fn without_encoding(tag: &str) -> String {
    ["-gzip\"", "-br\""]
        .iter()
        .find_map(|suffix| tag.strip_suffix(suffix))
        .map_or_else(|| tag.to_owned(), |tag| format!("{tag}\""))
}

/// Refuses an address that is longer than any of ours.
///
/// # Errors
/// `uri_too_long`.
pub(super) fn check_length(request: &Request) -> Result<(), ApiError> {
    let length = request.uri().path_and_query().map_or(0, |it| it.as_str().len());
    if length <= URI_BYTES {
        return Ok(());
    }
    Err(ApiError::new("uri_too_long", format!("The path with its query has at most {URI_BYTES} bytes.")))
}

/// Refuses a client that does not take JSON.
///
/// # Errors
/// `not_acceptable`.
pub(super) fn check_accept(headers: &HeaderMap) -> Result<(), ApiError> {
    if accepts(headers, &["*/*", "application/*", "application/json", "application/problem+json"]) {
        return Ok(());
    }
    Err(ApiError::new("not_acceptable", "Answers are `application/json`."))
}

/// Whether a client takes what any of these ranges names.
pub(super) fn accepts(headers: &HeaderMap, ranges: &[&str]) -> bool {
    let mut given = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    let takes = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let refused = parts.any(|part| {
            let quality = part.strip_prefix("q=").and_then(|quality| quality.trim().parse::<f32>().ok());
            quality == Some(0.0)
        });
        !refused && ranges.contains(&kind.as_str())
    };
    given.peek().is_none() || given.any(|value| value.trim().is_empty() || value.split(',').any(takes))
}

/// A W3C trace context: the client's with a span of ours, or a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TraceParent {
    pub(super) trace_id: String,
    span_id: String,
    flags: String,
}

impl TraceParent {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut random = [0_u8; 24];
        // Without randomness a trace is not told from others; the request is answered all the same.
        let _unseeded = getrandom::fill(&mut random);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let given = headers.get("traceparent").and_then(|value| value.to_str().ok()).and_then(parse_trace);
        let (trace_id, flags) = given.unwrap_or_else(|| (hex(&random[..16]), "00".to_owned()));
        Self { trace_id, span_id: hex(&random[16..]), flags }
    }

    pub(super) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&format!("00-{}-{}-{}", self.trace_id, self.span_id, self.flags)).ok()
    }
}

/// The trace id and the flags of a header.
fn parse_trace(value: &str) -> Option<(String, String)> {
    let parts: Vec<&str> = value.split('-').collect();
    let [version, trace_id, span_id, flags, rest @ ..] = parts.as_slice() else { return None };
    let hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it))
    };
    let zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    let fine = hex(version, 2)
        && *version != "ff"
        && (*version != "00" || rest.is_empty())
        && hex(trace_id, 32)
        && !zero(trace_id)
        && hex(span_id, 16)
        && !zero(span_id)
        && hex(flags, 2);
    fine.then(|| ((*trace_id).to_owned(), (*flags).to_owned()))
}

/// Marks an `OPTIONS` that is no browser's question before another request. The cross-origin layer would answer it too.
#[derive(Debug, Clone, Copy)]
struct PlainOptions;

pub(super) fn mark_options(request: &mut Request) {
    if request.method() == Method::OPTIONS
        && !request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        request.extensions_mut().insert(PlainOptions);
        *request.method_mut() = Method::GET;
    }
}

/// Answers a marked `OPTIONS` with what the path takes.
pub(super) async fn answer_options(State(app): State<App>, request: Request, next: Next) -> Response {
    if request.extensions().get::<PlainOptions>().is_none() {
        return next.run(request).await;
    }
    match methods(&app, request.uri().path()) {
        Some(methods) => (StatusCode::NO_CONTENT, [(header::ALLOW, methods)]).into_response(),
        None => ApiError::not_found().into_response(),
    }
}

/// The methods that a path takes, separated by commas.
pub(super) fn methods(app: &App, path: &str) -> Option<String> {
    let mut methods = match path.strip_prefix(app.api_base()) {
        Some(below) => match (super::api::methods(below), app.plugins().current().lookup("OPTIONS", below)) {
            (Some(methods), _) | (None, Lookup::MethodNotAllowed(methods)) => methods,
            (None, Lookup::Found { .. } | Lookup::NotFound) => return None,
        },
        None if super::router::HOST_PATHS.contains(&path) => vec!["GET".to_owned()],
        None => return None,
    };
    if methods.iter().any(|method| method == "GET") {
        methods.push("HEAD".to_owned());
    }
    methods.push("OPTIONS".to_owned());
    methods.sort();
    Some(methods.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn origins_are_allowed_exactly_or_with_any_port() {
        for (pattern, origin, allowed) in [
            ("https://shop.example", "https://shop.example", true),
            ("https://shop.example", "https://shop.example.evil.test", false),
            ("https://shop.example", "http://shop.example", false),
            ("http://localhost:*", "http://localhost:5173", true),
            ("http://localhost:*", "http://localhost", true),
            ("http://localhost:*", "http://localhost.evil.test:80", false),
            ("http://localhost:*", "http://localhost:80@evil.test", false),
            ("http://localhost:*", "http://localhost:", false),
            ("*", "https://anything.test", true),
        ] {
            assert_eq!(allows(pattern, origin), allowed, "{pattern} {origin}");
        }
    }

    #[test]
    fn a_client_that_takes_json_is_answered() {
        for accept in [
            &["application/json"][..],
            &["*/*"],
            &["text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8"],
            &["text/html", "Application/JSON"],
            &["application/*;q=0.1"],
            &[""],
            &[],
        ] {
            assert!(check_accept(&headers("accept", accept)).is_ok(), "{accept:?}");
        }
        for accept in [&["text/html"][..], &["application/json;q=0"], &["application/xml, image/*;q=0.5"]] {
            assert_eq!(check_accept(&headers("accept", accept)).unwrap_err().code(), "not_acceptable");
        }
    }

    #[test]
    fn a_trace_goes_on_and_a_broken_one_begins_anew() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let given = format!("00-{trace}-00f067aa0ba902b7-01");
        let ours = TraceParent::of(&headers("traceparent", &[&given]));
        assert_eq!((ours.trace_id.as_str(), ours.flags.as_str()), (trace, "01"));
        assert_ne!(ours.header().unwrap(), given.as_str(), "the span is another");
        for broken in [
            "",
            "00-0-0-0",
            &format!("ff-{trace}-00f067aa0ba902b7-01"),
            &format!("00-{trace}-0000000000000000-01"),
            &format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            &format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
            &format!("00-{trace}-00f067aa0ba902b7-01-more"),
        ] {
            assert_ne!(TraceParent::of(&headers("traceparent", &[broken])).trace_id, trace, "{broken}");
        }
    }

    #[test]
    fn answers_are_fenced_in() {
        let mut plain = HeaderMap::new();
        secure(&mut plain, false);
        assert_eq!(plain["x-content-type-options"], "nosniff");
        assert_eq!(plain["content-security-policy"], "default-src 'none'; frame-ancestors 'none'");
        assert!(!plain.contains_key("strict-transport-security"));
        let mut page = headers("content-security-policy", &["default-src 'self'"]);
        secure(&mut page, true);
        assert_eq!(page["content-security-policy"], "default-src 'self'");
        assert_eq!(page["strict-transport-security"], "max-age=31536000");
    }

    #[test]
    fn the_tag_of_a_compressed_body_leads_back() {
        let mut response = headers("etag", &["\"7-ab\""]);
        tag_encoding(&mut response);
        assert_eq!(response["etag"], "\"7-ab\"");
        response.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
        tag_encoding(&mut response);
        assert_eq!(response["etag"], "\"7-ab-br\"");
        assert_eq!(without_encoding("\"7-ab-br\""), "\"7-ab\"");
        assert_eq!(without_encoding("\"7-ab\""), "\"7-ab\"");
    }
}
