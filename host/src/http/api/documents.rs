//! The API's documents: `/openapi.json`, `/openapi-3.0.json` and the page that shows them.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use serde_json::json;

use crate::{
    app::App,
    http::{error::ApiError, precondition},
    openapi::Document,
};

/// The page runs the bundle that comes with the host, and talks to nobody else.
const POLICY: &str = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";
const BUNDLE: &str = "/docs/scalar.js";

/// `GET /openapi.json`: OpenAPI 3.1.
pub(crate) async fn openapi(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    check_open(&app)?;
    Ok(document(&headers, &app.openapi().current))
}

/// `GET /openapi-3.0.json`: the same for tools that know OpenAPI 3.0 only.
pub(crate) async fn openapi_3_0(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    check_open(&app)?;
    Ok(document(&headers, &app.openapi().compatible))
}

/// `GET /docs`: the page.
pub(crate) async fn page(State(app): State<App>) -> Result<Response, ApiError> {
    check_open(&app)?;
    let settings = json!({
        "url": "/openapi.json",
        "theme": "default",
        "hideClientButton": true,
        "hideDarkModeToggle": false,
        "withDefaultFonts": false,
        "telemetry": false,
        "showDeveloperTools": "never",
        "agent": { "disabled": true },
        "metaData": { "title": "Wares API" },
    });
    let page = scalar_api_reference::scalar_html(&settings, Some(BUNDLE));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Ok((headers, page).into_response())
}

/// `GET /docs/scalar.js`: what the page runs. It is 5 MB, which compressing leaves a quarter of.
pub(crate) async fn bundle(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    check_open(&app)?;
    let tag = concat!("\"", env!("CARGO_PKG_VERSION"), "-docs\"");
    let script = HeaderValue::from_static("application/javascript; charset=utf-8");
    if precondition::matches(&headers, tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let Some(bundle) = scalar_api_reference::get_asset("scalar.js") else {
        return Err(ApiError::not_found());
    };
    let mut response = Response::new(Body::from(bundle));
    response.headers_mut().insert(header::CONTENT_TYPE, script);
    set(&mut response, header::ETAG, tag);
    set(&mut response, header::CACHE_CONTROL, "no-cache");
    Ok(response)
}

fn check_open(app: &App) -> Result<(), ApiError> {
    if app.config().server.docs { Ok(()) } else { Err(ApiError::not_found()) }
}

fn document(headers: &HeaderMap, document: &Document) -> Response {
    let unchanged = precondition::matches(headers, &document.etag);
    let body = if unchanged { Bytes::new() } else { document.json.clone() };
    let mut response = Response::new(Body::from(body));
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        set(&mut response, header::CONTENT_TYPE, "application/json");
    }
    set(&mut response, header::ETAG, &document.etag);
    set(&mut response, header::CACHE_CONTROL, "no-cache");
    response
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
