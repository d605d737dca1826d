//! Reading a request's body, and checking it against the route's schema.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::Bytes;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{
    error::{ApiError, FieldProblem},
    json,
};
use crate::{
    app::App,
    plugin::{RouteEntry, descriptor::RAW},
};

/// A body that is read only when the route wants one.
pub(crate) enum Payload {
    Ready(Bytes),
    Streaming(Body),
}

/// A body as it came and as the guest gets it.
pub(super) struct CheckedBody {
    pub(super) original: Bytes,
    pub(super) checked: Vec<u8>,
    /// What the guest is not to see.
    pub(super) secret: Option<Secret>,
}

/// What was taken out of a body that has a password.
pub(super) enum Secret {
    Password(SecretString),
    /// Made by another shop, from an import.
    Hash(String),
}

const PASSWORD_RULE: &str = "A password is a text of 12 characters to 1024 bytes.";
/// Stands where a password was: it fits what a schema asks of one.
const HIDDEN_PASSWORD: &str = "(hidden from plugins)";

/// `by_host` tells a command of the host's own, which may give a hash in place of a password.
pub(super) async fn checked(
    app: &App,
    entry: &RouteEntry,
    headers: &HeaderMap,
    payload: Payload,
    by_host: bool,
) -> Result<CheckedBody, ApiError> {
    let Some(check) = &entry.body else {
        // Nobody looks at it, so it may be of any type; it is read so that an idempotency key covers it.
        let original = match (&entry.route.method[..], payload) {
            ("GET", _) => Bytes::new(),
            (_, payload) => read(app, payload).await?,
        };
        return Ok(CheckedBody { original, checked: Vec::new(), secret: None });
    };
    if check.media_type == RAW {
        let original = read(app, payload).await?;
        return Ok(CheckedBody { checked: original.to_vec(), original, secret: None });
    }
    // Nothing is an object without members, where that is a good body.
    let is_nothing = !headers.contains_key(header::CONTENT_TYPE) && entry.route.method == "POST";
    if !is_nothing {
        check_content_type(headers, &check.media_type)?;
    }
    let original = read(app, payload).await?;
    let mut value = if is_nothing && original.is_empty() && check.violations(&json!({})).is_empty() {
        json!({})
    } else {
        if is_nothing {
            check_content_type(headers, &check.media_type)?;
        }
        json::parse(&original)?
    };
    check.strip_read_only(&mut value);
    let hash = if by_host && entry.route.takes_password { take_hash(&mut value) } else { None };
    let violations = check.violations(&value);
    if !violations.is_empty() {
        let unknown = violations.iter().any(|violation| violation.code == "unknown_field");
        let code = if unknown { "unknown_field" } else { "validation_failed" };
        let fields = violations
            .into_iter()
            .map(|violation| {
                // The checker's sentence quotes the value.
                let secret = entry.route.takes_password && violation.pointer == "/password";
                let message = if secret { PASSWORD_RULE.to_owned() } else { violation.message };
                FieldProblem { pointer: violation.pointer, code: violation.code.to_owned(), message }
            })
            .collect();
        return Err(ApiError::new(code, "The request does not fit the schema.").fields(fields));
    }
    // Written anew, so that the guest reads what was checked and not what another parser makes of the same bytes.
    let secret = if entry.route.takes_password { hash.or_else(|| hide_password(&mut value)) } else { None };
    Ok(CheckedBody { original, checked: value.to_string().into_bytes(), secret })
}

/// Takes `passwordHash` out of a body and puts something in place of the password that it is of.
fn take_hash(body: &mut Value) -> Option<Secret> {
    let members = body.as_object_mut()?;
    let hash = members.get("passwordHash")?.as_str()?.to_owned();
    members.remove("passwordHash");
    members.insert("password".to_owned(), HIDDEN_PASSWORD.into());
    Some(Secret::Hash(hash))
}

fn hide_password(body: &mut Value) -> Option<Secret> {
    let password = body.as_object_mut()?.get_mut("password")?;
    match std::mem::replace(password, HIDDEN_PASSWORD.into()) {
        Value::String(text) => Some(Secret::Password(SecretString::from(text))),
        _ => None,
    }
}

pub(super) fn check_content_type(headers: &HeaderMap, wanted: &str) -> Result<(), ApiError> {
    // A small body could unpack into a large one.
    let encoded = headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
    if encoded {
        return Err(ApiError::new("unsupported_media_type", "Send the body without a content coding."));
    }
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || essence == wanted {
        return Ok(());
    }
    Err(ApiError::new("unsupported_media_type", format!("Send the body as `{wanted}`.")))
}

/// Reads a body within the configured size and time.
pub(super) async fn read(app: &App, payload: Payload) -> Result<Bytes, ApiError> {
    let config = &app.config().server;
    let body = match payload {
        Payload::Ready(bytes) => return Ok(bytes),
        Payload::Streaming(body) => body,
    };
    let limited = http_body_util::Limited::new(body, config.max_body_bytes);
    let collected = http_body_util::BodyExt::collect(limited);
    match tokio::time::timeout(Duration::from_millis(config.body_timeout_ms), collected).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(ApiError::new(
            "payload_too_large",
            format!("The body has more than {} bytes.", config.max_body_bytes),
        )),
        Ok(Err(_)) => Err(ApiError::new("malformed_json", "The body did not arrive whole.")),
        Err(_elapsed) => Err(ApiError::new("request_timeout", "The body took too long to arrive.")),
    }
}
