//! The one error that becomes a response: RFC 9457 `application/problem+json`.

mod identity;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use crate::{
    chain::chain,
    codes,
    plugin::{CallError, Failure, HandlerProblem},
    store::{CommitError, ReadError},
};

/// A refusal or failure on its way to the client. What the client may read is here; what the log should keep was logged
/// where it happened.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    code: codes::Code,
    detail: Option<String>,
    errors: Vec<FieldProblem>,
    // Boxed, because every handler's result has room for an error.
    extras: Box<Map<String, Value>>,
    headers: Box<HeaderMap>,
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldProblem {
    pub(crate) pointer: String,
    pub(crate) code: String,
    pub(crate) message: String,
}

/// Members of a problem document that follow from its code and its request.
const DOCUMENT_MEMBERS: &[&str] = &["type", "title", "status", "instance", "requestId", "retryable"];

impl ApiError {
    /// An error of the closed list; an unknown code is an internal error.
    pub(crate) fn new(code: &str, detail: impl Into<String>) -> Self {
        let fallback = codes::Code { name: "internal", status: 500, title: "Internal error" };
        Self {
            code: codes::code(code).unwrap_or(fallback),
            detail: Some(detail.into()),
            errors: Vec::new(),
            extras: Box::default(),
            headers: Box::default(),
        }
    }

    pub(crate) fn not_found() -> Self {
        Self::new("not_found", "There is no such resource.")
    }

    /// A parameter that cannot be what it is.
    pub(crate) fn parameter(code: &str, name: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::new(code, message.clone()).field(name, code, message)
    }

    pub(crate) fn field(mut self, pointer: &str, code: &str, message: impl Into<String>) -> Self {
        self.errors.push(FieldProblem {
            pointer: pointer.to_owned(),
            code: code.to_owned(),
            message: message.into(),
        });
        self
    }

    pub(crate) fn fields(mut self, errors: Vec<FieldProblem>) -> Self {
        self.errors = errors;
        self
    }

    pub(crate) fn extra(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extras.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Tells the client when to come back.
    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        self.header(header::RETRY_AFTER, &seconds.to_string())
    }

    pub(crate) fn unavailable() -> Self {
        Self::new("unavailable", "The service cannot answer right now.").retry_after(1)
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    #[cfg(test)]
    pub(crate) fn code(&self) -> &'static str {
        self.code.name
    }

    /// The status and the problem document of a request of the host's own.
    pub(crate) fn into_document(self, instance: &str, request_id: &str) -> (u16, Value) {
        (self.code.status, self.document(instance, request_id))
    }

    /// The error behind a problem document that was stored as a request's answer.
    pub(super) fn replayed(document: &str) -> Self {
        let mut members: Map<String, Value> = serde_json::from_str(document).unwrap_or_default();
        let mut text = |name: &str| match members.remove(name) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        let mut error = Self::new(&text("code"), "");
        error.detail = Some(text("detail")).filter(|detail| !detail.is_empty());
        if let Some(Value::Array(errors)) = members.remove("errors") {
            let text = |error: &Value, name: &str| error[name].as_str().unwrap_or_default().to_owned();
            error.errors = errors
                .iter()
                .map(|it| FieldProblem {
                    pointer: text(it, "pointer"),
                    code: text(it, "code"),
                    message: text(it, "message"),
                })
                .collect();
        }
        members.retain(|name, _| !DOCUMENT_MEMBERS.contains(&name.as_str()));
        error.extras = Box::new(members);
        error.header(HeaderName::from_static("idempotent-replayed"), "true")
    }

    /// The problem document of a request.
    pub(super) fn document(&self, instance: &str, request_id: &str) -> Value {
        let retryable =
            matches!(self.code.status, 429 | 503 | 504) || self.code.name == "idempotency_in_progress";
        // A repeat gets the same answer: what became of the money is asked for by itself.
        let retryable = retryable && self.code.name != "payment_unknown";
        let mut document = json!({
            "type": format!("urn:wares:problem:{}", self.code.name),
            "title": self.code.title,
            "status": self.code.status,
            "detail": self.detail,
            "instance": instance,
            "code": self.code.name,
            "requestId": request_id,
            "retryable": retryable,
        });
        let Some(members) = document.as_object_mut() else { return document };
        if self.detail.is_none() {
            members.remove("detail");
        }
        if !self.errors.is_empty() {
            let errors: Vec<Value> = self
                .errors
                .iter()
                .map(|error| json!({"pointer": error.pointer, "code": error.code, "message": error.message}))
                .collect();
            members.insert("errors".to_owned(), Value::Array(errors));
        }
        for (name, value) in self.extras.iter() {
            members.entry(name.clone()).or_insert_with(|| value.clone());
        }
        document
    }
}

impl IntoResponse for ApiError {
    /// The response without its document: the outermost layer writes it, because it knows the request.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status();
        response.headers_mut().extend((*self.headers).clone());
        response.extensions_mut().insert(self);
        response
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        tracing::warn!(cause = %chain(&error), "The store did not answer a read");
        match error {
            ReadError::Query(_) => Self::new("internal", "The request could not be answered."),
            ReadError::Unavailable(_) => Self::unavailable(),
        }
    }
}

impl From<CommitError> for ApiError {
    fn from(error: CommitError) -> Self {
        tracing::warn!(cause = %chain(&error), "The store did not take a commit");
        match error {
            CommitError::Refused(_) => Self::new("conflict", "The request met another one."),
            CommitError::Unavailable(_) => Self::unavailable(),
        }
    }
}

impl From<CallError> for ApiError {
    /// The cause stays in the log; the answer names the kind of failure.
    fn from(error: CallError) -> Self {
        let answer = match error.failure {
            Failure::Timeout | Failure::Cpu => {
                Self::new("plugin_timeout", "The plugin that answers this took too long.")
            }
            Failure::Output => {
                Self::new("plugin_output_invalid", "The plugin that answers this answered something invalid.")
            }
            Failure::Trap
            | Failure::Memory
            | Failure::HostCalls
            | Failure::Log
            | Failure::Denied
            | Failure::Refused => Self::new("plugin_failed", "The plugin that answers this failed."),
            Failure::Overload => Self::new("overloaded", "The service is too busy.").retry_after(1),
            Failure::BreakerOpen => {
                let seconds = error.retry_after_ms.unwrap_or_default().div_ceil(1_000).max(1);
                Self::new("plugin_unavailable", "The plugin that answers this keeps failing.")
                    .retry_after(u32::try_from(seconds).unwrap_or(u32::MAX))
            }
        };
        answer.extra("outcome", error.failure.as_str())
    }
}

impl From<HandlerProblem> for ApiError {
    fn from(problem: HandlerProblem) -> Self {
        let mut error = Self::new(&problem.code, "");
        error.detail = problem.detail;
        error.extras = Box::new(problem.extras);
        error.errors = problem
            .errors
            .into_iter()
            .map(|(pointer, code, message)| FieldProblem { pointer, code, message })
            .collect();
        if error.code.status == 503 { error.retry_after(1) } else { error }
    }
}
