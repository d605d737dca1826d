//! Whether the process lives and whether it can serve.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde_json::json;

use crate::{app::App, telemetry};

/// `GET /livez`: the process answers.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the store answers, plugins are loaded and the host is not stopping.
pub(super) async fn ready(State(app): State<App>) -> impl IntoResponse {
    let checks = app.readiness().await;
    let ready = checks.iter().all(|check| check.passes);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let checks: Vec<_> = checks
        .iter()
        .map(|check| json!({ "name": check.name, "passes": check.passes, "note": check.note }))
        .collect();
    let body = json!({ "ready": ready, "checks": checks });
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string())
}

/// `GET /metrics`: Prometheus text.
pub(super) async fn metrics() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], telemetry::metrics_text())
}
