//! From what a plugin wrote to a request that may be sent.

use std::collections::BTreeSet;

use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Uri,
    header::{self, HeaderName, HeaderValue},
};
use secrecy::ExposeSecret as _;

use super::{Origin, Outgoing, SendError, origin};

const URL_BYTES: usize = 8 * 1024;
const HEADERS: usize = 64;
/// Names and values together.
const HEADER_BYTES: usize = 16 * 1024;
const BODY_BYTES: usize = 1024 * 1024;
/// As much as gateways take.
const KEY_CHARS: usize = 255;

const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Headers that the host sets, and those that speak to the next server on the way instead of the one that is meant.
const OWN: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// A request that may be sent, as often as needed.
pub(super) struct Checked {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Checks a request and finds the origin that it goes to.
pub(super) fn check(request: Outgoing, granted: &BTreeSet<Origin>) -> Result<(&Origin, Checked), SendError> {
    let method = METHODS.into_iter().find(|method| method.as_str() == request.method);
    let method =
        method.ok_or_else(|| invalid("the method is none of GET, HEAD, POST, PUT, PATCH and DELETE"))?;
    let (origin, uri) = target(&request.url, granted)?;
    let mut headers = headers(&request.headers, &request.secret_headers)?;
    match &request.idempotency_key {
        Some(key)
            if !(1..=KEY_CHARS).contains(&key.len()) || !key.bytes().all(|it| it.is_ascii_graphic()) =>
        {
            return Err(invalid(
                "the idempotency key is empty, too long, or has other characters than visible ones",
            ));
        }
        Some(key) => {
            let value =
                HeaderValue::from_str(key).map_err(|_| invalid("the idempotency key is malformed"))?;
            headers.insert(IDEMPOTENCY_KEY, value);
        }
        None if method == Method::GET || method == Method::HEAD => {}
        None => return Err(SendError::Invalid(format!("{method} needs an idempotency key"))),
    }
    if request.body.len() > BODY_BYTES {
        return Err(SendError::Invalid(format!("the body is larger than {BODY_BYTES} bytes")));
    }
    Ok((origin, Checked { method, uri, headers, body: request.body.into() }))
}

fn invalid(why: &str) -> SendError {
    SendError::Invalid(why.to_owned())
}

/// The granted origin of a URL, and the URL put together from that origin: how the plugin spelled it goes nowhere.
fn target<'g>(url: &str, granted: &'g BTreeSet<Origin>) -> Result<(&'g Origin, Uri), SendError> {
    let malformed = || invalid("the URL is no absolute one of http or https");
    let fine = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#');
    if url.len() > URL_BYTES || !url.bytes().all(fine) {
        return Err(invalid("the URL is too long, or has characters that no URL has, or a fragment"));
    }
    let parts = url.parse::<Uri>().map_err(|_| malformed())?.into_parts();
    let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else { return Err(malformed()) };
    if authority.as_str().contains('@') {
        return Err(invalid("the URL has a user or a password"));
    }
    let (host, port) = origin::split_port(authority.as_str()).ok_or_else(malformed)?;
    let origin = Origin::find(granted, scheme.as_str(), host, port).ok_or_else(|| {
        let authority: String = authority.as_str().chars().take(80).collect();
        SendError::Denied(format!("the plugin was not granted requests to `{scheme}://{authority}`"))
    })?;
    let mut uri = Uri::builder().scheme(origin.scheme()).authority(origin.authority());
    uri = uri.path_and_query(parts.path_and_query.as_ref().map_or("/", |it| it.as_str()));
    Ok((origin, uri.build().map_err(|_| malformed())?))
}

fn headers(
    plain: &[(String, String)],
    secret: &[(String, secrecy::SecretString)],
) -> Result<HeaderMap, SendError> {
    let lengths = plain.iter().map(|(name, value)| name.len() + value.len());
    let secret_lengths = secret.iter().map(|(name, value)| name.len() + value.expose_secret().len());
    if plain.len() + secret.len() > HEADERS || lengths.chain(secret_lengths).sum::<usize>() > HEADER_BYTES {
        return Err(SendError::Invalid(format!(
            "there are more than {HEADERS} headers, or {HEADER_BYTES} bytes of them"
        )));
    }
    let mut headers = HeaderMap::new();
    let agent = HeaderValue::from_static(concat!("wares/", env!("CARGO_PKG_VERSION")));
    headers.insert(header::USER_AGENT, agent);
    for (name, value) in plain {
        let name = header_name(name)?;
        let value = header_value(&name, value)?;
        if name == header::USER_AGENT {
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
    }
    for (name, value) in secret {
        let name = header_name(name)?;
        let mut value = header_value(&name, value.expose_secret())?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

fn header_name(name: &str) -> Result<HeaderName, SendError> {
    let parsed =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid("a header has a malformed name"))?;
    if OWN.contains(&parsed.as_str()) {
        return Err(SendError::Invalid(format!("the header `{parsed}` is set by the host alone")));
    }
    Ok(parsed)
}

/// The value is not shown where it is malformed: it may be a secret's.
fn header_value(name: &HeaderName, value: &str) -> Result<HeaderValue, SendError> {
    let fine = value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    HeaderValue::from_str(value).ok().filter(|_| fine).ok_or_else(|| {
        SendError::Invalid(format!("the value of the header `{name}` has other characters than visible ones"))
    })
}
