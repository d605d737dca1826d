//! The host's own routes, and the way to the plugins for everything else below the API base.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::FutureExt as _;
use hyper::body::Body as _;

use super::{
    api,
    body::Payload,
    dispatch::{ApiCall, dispatch},
    error::ApiError,
    front::{self, TraceParent},
    health, idempotency,
    limits::TellLater,
    remainder::Remainder,
    visit::{Peer, Visit, client_address},
};
use crate::app::App;

/// The host's routes outside the API.
pub(super) const HOST_PATHS: &[&str] =
    &["/livez", "/readyz", "/metrics", "/openapi.json", "/openapi-3.0.json", "/docs", "/docs/scalar.js"];

/// All routes of the host.
pub(crate) fn router(app: App) -> Router {
    let base = app.api_base().to_owned();
    Router::new()
        .nest(&base, api::routes())
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(api::documents::openapi))
        .route("/openapi-3.0.json", get(api::documents::openapi_3_0))
        .route("/docs", get(api::documents::page))
        .route("/docs/scalar.js", get(api::documents::bundle))
        .fallback(to_plugins)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(app.clone(), front::answer_options))
        .layer(front::compression())
        .layer(front::cors(&app.config().server.cors_origins, app.config().auth.refresh_cookie))
        .layer(middleware::from_fn_with_state(app.clone(), around))
        .layer(middleware::from_fn(idempotency::finish))
        .with_state(app)
}

async fn method_not_allowed(State(app): State<App>, request: Request) -> ApiError {
    let error = ApiError::new("method_not_allowed", "The path does not answer this method.");
    // Nested below the API base, a route sees the path without it.
    let path = request.uri().path();
    let methods =
        front::methods(&app, path).or_else(|| front::methods(&app, &format!("{}{path}", app.api_base())));
    match methods {
        Some(methods) => error.header(header::ALLOW, &methods),
        None => error,
    }
}

/// Everything that is not the host's own goes to the plugins.
async fn to_plugins(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let Some(path) = parts.uri.path().strip_prefix(app.api_base()).filter(|path| path.starts_with('/'))
    else {
        return Err(ApiError::not_found());
    };
    let visit = parts.extensions.get::<Visit>();
    let call = ApiCall {
        method: parts.method.clone(),
        path: path.to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        body: Payload::Streaming(body),
        visit: visit.cloned().unwrap_or_else(|| Visit::of_host(Arc::from("-"))),
        caller: None,
    };
    dispatch(&app, call).await
}

/// Around every request: its id, the panic catcher, the problem document, the access line.
async fn around(State(app): State<App>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let body_timeout = Duration::from_millis(app.config().server.body_timeout_ms);
    let mut request = request.map(|body| Remainder::wrap(body, body_timeout));
    let request_id = request_id(&app, &request);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let trace = TraceParent::of(request.headers());
    let proxies = &app.config().server.trusted_proxies;
    let peer = request.extensions().get::<Peer>().copied();
    let address = peer.map(|Peer(peer)| client_address(peer, request.headers(), proxies));
    let quota = TellLater::default();
    let visit = Visit { request_id: request_id.clone(), address, quota: quota.clone() };
    request.extensions_mut().insert(visit);
    front::mark_options(&mut request);
    let mut response = match front::check_length(&request) {
        Ok(()) => {
            let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
            answered.unwrap_or_else(|_panic| {
                tracing::error!(request.id = %request_id, "A request panicked");
                ApiError::new("internal", "The request could not be answered.").into_response()
            })
        }
        Err(error) => error.into_response(),
    };
    front::tag_encoding(response.headers_mut());
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        response = write_problem(&error, response, &path, &request_id);
    }
    if let Some(told) = quota.get() {
        told.add_to(response.headers_mut());
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("x-request-id", value);
    }
    if let Some(value) = trace.header() {
        response.headers_mut().insert("traceparent", value);
    }
    front::secure(response.headers_mut(), app.config().server.base_url.starts_with("https://"));
    if method == Method::HEAD {
        // The length stays that of the GET's body, which an empty one would make 0.
        let length =
            response.body().size_hint().exact().filter(|_| response.status() != StatusCode::NOT_MODIFIED);
        if let Some(length) = length {
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        *response.body_mut() = Body::empty();
    }
    let duration = started.elapsed();
    metrics::histogram!("http_server_request_duration_seconds", "method" => method.to_string(), "status" => response.status().as_u16().to_string())
        .record(duration.as_secs_f64());
    tracing::info!(
        request.id = %request_id,
        trace.id = %trace.trace_id,
        http.method = %method,
        http.path = %path,
        http.status = response.status().as_u16(),
        duration_ms = duration.as_secs_f64() * 1e3,
        "{method} {path} {}",
        response.status().as_u16()
    );
    response
}

fn write_problem(error: &ApiError, response: Response, path: &str, request_id: &str) -> Response {
    let (mut parts, _empty) = response.into_parts();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if parts.status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(request.id = %request_id, "A request failed inside");
    }
    Response::from_parts(parts, Body::from(error.document(path, request_id).to_string()))
}

/// The client's id when it is usable, otherwise one of ours.
fn request_id(app: &App, request: &Request) -> Arc<str> {
    let given = request.headers().get("x-request-id").and_then(|value| value.to_str().ok());
    match given {
        Some(id)
            if !id.is_empty() && id.len() <= 128 && id.bytes().all(|byte| (0x21..0x7f).contains(&byte)) =>
        {
            Arc::from(id)
        }
        _ => Arc::from(app.store().id_new("req")),
    }
}
