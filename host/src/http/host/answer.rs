//! Answers of the host's own operations.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;

use super::Call;
use crate::{
    app::App,
    http::{
        error::ApiError,
        precondition::{Etag, none_match},
        respond::set,
    },
    store::Answer,
};

/// 204.
pub(crate) fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// 202.
pub(crate) fn accepted() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// JSON that nobody may keep: tokens and what is the caller's alone.
///
/// # Errors
/// `internal`, if the value is none in JSON.
pub(crate) fn private(status: StatusCode, value: &impl Serialize) -> Result<Response, ApiError> {
    let mut response = json(status, value)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// A resource, or 304 when the client has it already.
///
/// # Errors
/// `internal`, if the value is none in JSON.
pub(crate) fn shown(call: &Call, version: Option<u64>, value: &impl Serialize) -> Result<Response, ApiError> {
    let body = text(value)?;
    let etag = Etag::of(version, body.as_bytes());
    let reads = call.method != "PUT";
    let unchanged = reads && none_match(&call.headers, &etag);
    let mut response = Response::new(if unchanged { Body::empty() } else { Body::from(body) });
    let headers = response.headers_mut();
    if !unchanged {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    set(headers, header::ETAG, etag.as_str());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("authorization"));
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    Ok(response)
}

/// 201 with the resource and where it is, below the API base.
///
/// # Errors
/// `internal`, if the value is none in JSON.
pub(crate) fn created(app: &App, location: &str, value: &impl Serialize) -> Result<Response, ApiError> {
    let mut response = private(StatusCode::CREATED, value)?;
    set(response.headers_mut(), header::LOCATION, &format!("{}{location}", app.api_base()));
    Ok(response)
}

/// The answer that went with a commit, now or when the request was made first.
pub(super) fn of_commit(app: &App, answer: Answer, replayed: bool) -> Result<Response, ApiError> {
    if replayed && answer.status >= 400 {
        return Err(ApiError::replayed(answer.body.as_deref().unwrap_or_default()));
    }
    let body = answer.body.unwrap_or_default();
    let etag = Etag::of(answer.version, body.as_bytes());
    let is_empty = body.is_empty();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    for (name, value) in answer.headers.iter().filter(|(name, _)| name == "location") {
        debug_assert_eq!(name, "location");
        set(headers, header::LOCATION, &format!("{}{value}", app.api_base()));
    }
    if !is_empty {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        set(headers, header::ETAG, etag.as_str());
    }
    if replayed {
        headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, ApiError> {
    let mut response = Response::new(Body::from(text(value)?));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn text(value: &impl Serialize) -> Result<String, ApiError> {
    serde_json::to_string(value).map_err(|error| {
        tracing::error!(%error, "An answer is no JSON");
        ApiError::new("internal", "The request could not be answered.")
    })
}
