//! Answers in Stripe's words.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, header};
use serde_json::{Value, json};

#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) is_replay: bool,
}

impl Answer {
    pub(super) fn ok(body: Value) -> Self {
        Self { status: 200, body, is_replay: false }
    }

    /// A request that makes no sense. `code` may be empty.
    pub(super) fn invalid(code: &str, param: &str, message: &str) -> Self {
        let text = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
        Self::error(
            400,
            &json!({
                "type": "invalid_request_error", "code": text(code), "param": text(param), "message": message,
            }),
        )
    }

    pub(super) fn declined(decline_code: &str, intent: &Value) -> Self {
        let mut error = card_error(decline_code);
        error["payment_intent"] = intent.clone();
        Self::error(402, &error)
    }

    pub(super) fn unauthorized() -> Self {
        Self { status: 401, ..Self::invalid("", "", "Invalid API Key provided.") }
    }

    pub(super) fn missing(what: &str, id: &str, param: &str) -> Self {
        Self::invalid("resource_missing", param, &format!("No such {what}: '{id}'"))
    }

    /// The key was used with other parameters, or on another endpoint.
    pub(super) fn key_reused() -> Self {
        let message = "Keys for idempotent requests can only be used with the same parameters they were first used with.";
        Self::error(400, &json!({"type": "idempotency_error", "message": message}))
    }

    pub(super) fn key_in_use() -> Self {
        let message = "There is currently another in-progress request using this Idempotent Key.";
        let code = "idempotency_key_in_use";
        Self::error(409, &json!({"type": "idempotency_error", "code": code, "message": message}))
    }

    pub(super) fn too_many() -> Self {
        Self { status: 429, ..Self::invalid("rate_limit", "", "Too many requests hit the API too quickly.") }
    }

    pub(super) fn api_error() -> Self {
        Self::error(500, &json!({"type": "api_error", "message": "An unknown error occurred."}))
    }

    fn error(status: u16, error: &Value) -> Self {
        Self { status, body: json!({"error": error}), is_replay: false }
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::builder()
            .status(self.status)
            .header(header::CONTENT_TYPE, "application/json")
            .header("request-id", "req_harness");
        if self.is_replay {
            response = response.header("idempotent-replayed", "true");
        }
        response.body(Full::from(self.body.to_string())).unwrap()
    }
}

/// What Stripe says of a card that was declined.
pub(super) fn card_error(decline_code: &str) -> Value {
    json!({
        "type": "card_error", "code": "card_declined", "decline_code": decline_code,
        "message": "Your card was declined.",
    })
}
