//! The refresh token in a cookie, for browsers, where `auth.refresh_cookie` says so.
//!
//! No script reads it (`HttpOnly`), it is sent to `/auth` only, and not on the way from other sites (`SameSite`). A
//! browser adds it by itself, so a request that relies on it must also come from an origin that may call: other sites
//! cannot name one of ours.

use axum::http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret as _, SecretString};

use super::{error::ApiError, front};
use crate::{
    app::App,
    identity::{Audience, Login},
};

fn name(audience: Audience) -> &'static str {
    match audience {
        Audience::Admin => "wares_refresh_admin",
        Audience::Storefront => "wares_refresh_storefront",
    }
}

/// The `Set-Cookie` that keeps a login's refresh token.
pub(super) fn keeping(app: &App, login: &Login) -> Option<HeaderValue> {
    let token = login.refresh_token.expose_secret();
    written(app, login.audience, token, login.refresh_expires_in_s)
}

/// The `Set-Cookie` that forgets it.
pub(super) fn forgetting(app: &App, audience: Audience) -> Option<HeaderValue> {
    written(app, audience, "", 0)
}

fn written(app: &App, audience: Audience, value: &str, seconds: u64) -> Option<HeaderValue> {
    // Without TLS, as in development, a browser would not send a cookie that is marked so.
    let secure = if app.config().server.base_url.starts_with("https://") { "; Secure" } else { "" };
    let text = format!(
        "{}={value}; Path={}/auth; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}",
        name(audience),
        app.api_base()
    );
    let mut header = HeaderValue::from_str(&text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// The token in the request's cookie, if cookies are used and there is one.
///
/// # Errors
/// `forbidden` when the request does not come from an origin that may call.
pub(super) fn token(
    app: &App,
    headers: &HeaderMap,
    audience: Audience,
) -> Result<Option<SecretString>, ApiError> {
    if !app.config().auth.refresh_cookie {
        return Ok(None);
    }
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let Some((_, token)) = pairs.find(|(given, _)| *given == name(audience)) else { return Ok(None) };
    let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
    let server = &app.config().server;
    let trusted = origin.is_some_and(|origin| {
        origin == server.base_url || front::is_allowed_origin(&server.cors_origins, origin)
    });
    if !trusted {
        return Err(ApiError::new("forbidden", "The cookie counts for origins that may call only."));
    }
    Ok(Some(SecretString::from(token)))
}
