//! A client per role, and answers that say what was wrong.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Method, Request, StatusCode, header};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use serde_json::Value;

type Connector = legacy::connect::HttpConnector;

/// Sends requests below the API base of one host, as one caller.
#[derive(Clone)]
pub struct Client {
    http: legacy::Client<Connector, Full<Bytes>>,
    origin: String,
    token: Option<String>,
}

impl Client {
    pub(crate) fn new(origin: String, token: Option<String>) -> Self {
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        // The host closes connections that rest for five seconds; one that it is about to close is not used again.
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(3));
        Self { http: builder.build_http(), origin, token }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// The same caller at another host.
    pub fn moved_to(&self, origin: &str) -> Self {
        Self { origin: origin.to_owned(), ..self.clone() }
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        let request = self.request(Method::PATCH, path);
        self.send(request.header("content-type", "application/merge-patch+json").text(body.to_string())).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// A request with whatever a test wants to send. Paths that start with `//` are below the origin, not the API base.
    pub fn request(&self, method: Method, path: &str) -> Draft {
        let uri = match path.strip_prefix("//") {
            Some(path) => format!("{}/{path}", self.origin),
            None => format!("{}/api/v1{path}", self.origin),
        };
        let mut headers = Vec::new();
        if let Some(token) = &self.token {
            headers.push((header::AUTHORIZATION.to_string(), format!("Bearer {token}")));
        }
        Draft { method, uri, headers, body: Vec::new() }
    }

    pub async fn send(&self, draft: Draft) -> Answer {
        let what = format!("{} {}", draft.method, draft.uri);
        self.exchange(draft).await.unwrap_or_else(|error| panic!("{what} got no answer: {error}"))
    }

    /// The same where the host may die before it has answered: then there is none.
    pub async fn try_send(&self, draft: Draft) -> Option<Answer> {
        self.exchange(draft).await.ok()
    }

    async fn exchange(&self, draft: Draft) -> Result<Answer, String> {
        let mut builder = Request::builder().method(draft.method.clone()).uri(&draft.uri);
        for (name, value) in &draft.headers {
            builder = builder.header(name, value);
        }
        let request = builder.body(Full::new(Bytes::from(draft.body))).unwrap();
        let response = self.http.request(request).await.map_err(|error| format!("{error:?}"))?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
        Ok(Answer {
            what: format!("{} {}", draft.method, draft.uri),
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }
}

/// A request being put together.
#[derive(Debug, Clone)]
pub struct Draft {
    method: Method,
    uri: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Draft {
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").text(body.to_string())
    }

    pub fn text(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// What came back.
#[derive(Debug, Clone)]
#[must_use]
pub struct Answer {
    what: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// Asserts the status and answers the body as JSON (null when it is empty).
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.what, self.text());
        self.json()
    }

    /// Asserts the status of an answer whose body is of no interest.
    #[track_caller]
    pub fn expect_status(self, status: u16) {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.what, self.text());
    }

    /// Asserts one of several statuses, where more than one is right, and answers the body as JSON.
    #[track_caller]
    pub fn expect_status_in(self, statuses: &[u16]) -> Value {
        assert!(statuses.contains(&self.status.as_u16()), "{}: {} {}", self.what, self.status, self.text());
        self.json()
    }

    /// Asserts a problem document with this status and code, and answers it.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Value {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}: {}",
            self.what,
            self.text()
        );
        let problem = self.json();
        assert_eq!(self.status.as_u16(), status, "{}: {problem}", self.what);
        assert_eq!(problem["code"], code, "{}: {problem}", self.what);
        assert_eq!(problem["status"], status, "{}: {problem}", self.what);
        assert_eq!(problem["requestId"].as_str(), self.header("x-request-id"), "{}: {problem}", self.what);
        problem
    }

    /// Asserts a problem whose errors include this pointer with this code.
    #[track_caller]
    pub fn expect_error_at(self, status: u16, code: &str, pointer: &str, error: &str) -> Value {
        let problem = self.expect_problem(status, code);
        let found = problem["errors"]
            .as_array()
            .is_some_and(|errors| errors.iter().any(|it| it["pointer"] == pointer && it["code"] == error));
        assert!(found, "no {error} at {pointer} in {problem}");
        problem
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error} in {}", self.what, self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
