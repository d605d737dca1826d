//! Requests to the outside. A plugin asks for [`Capability::http_client`](crate::Capability::http_client), and for
//! [`Capability::secret`](crate::Capability::secret) where a header holds a secret: the host puts its value in, and it
//! never enters the plugin.
//!
//! The host sends a request again where it was not answered with a decision, with the same idempotency key: the other
//! side must recognise a repeat by it. What the plugin is told is about all attempts together.

use crate::{Context, host::Host};

/// A request to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// In capitals.
    pub method: String,
    /// Absolute.
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub secret_headers: Vec<SecretHeader>,
    pub body: Vec<u8>,
    /// For one attempt; 0 is what the host allows. All of them never take longer than what is left of the call.
    pub timeout_ms: u32,
    /// The same for every attempt at one effect: sent as the header `Idempotency-Key`. Every request but `GET` and
    /// `HEAD` has one.
    pub idempotency_key: Option<String>,
}

/// A header whose value the plugin never sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretHeader {
    pub name: String,
    /// The secret's name.
    pub secret: String,
    /// Text before the value, such as `Bearer `.
    pub prefix: String,
}

/// What came back, whatever its status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// Names in lower case, as often as they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The first value of a header, whose name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// The host or a secret is not granted, or the secret has no value.
    Denied(String),
    /// The request is malformed, or larger than the host allows.
    Invalid(String),
    /// Nobody could be reached.
    Unreachable(String),
    /// Sent, and not answered in time.
    Timeout,
    /// Sent, at least in part, and the connection broke, or what came back is not HTTP.
    Transport(String),
    /// Sent, and the response is larger than this many bytes.
    TooLarge(u64),
}

impl SendError {
    /// Whether the other side may have got the request, and done what it says.
    pub fn may_be_sent(&self) -> bool {
        match self {
            Self::Denied(_) | Self::Invalid(_) | Self::Unreachable(_) => false,
            Self::Timeout | Self::Transport(_) | Self::TooLarge(_) => true,
        }
    }
}

impl Context<'_> {
    /// Sends a request, and again where that is safe and may help. No redirect is followed.
    ///
    /// # Errors
    /// [`SendError`], which tells whether the request may have been sent. Any status is a response.
    pub fn http_send(&self, request: &Request) -> Result<Response, SendError> {
        send(self.host, request)
    }
}

/// Straight to the host and not through the trait: a component that never sends must not import the client.
#[cfg(target_family = "wasm")]
fn send(_host: &dyn Host, request: &Request) -> Result<Response, SendError> {
    crate::convert::http_send(request)
}

#[cfg(not(target_family = "wasm"))]
fn send(host: &dyn Host, request: &Request) -> Result<Response, SendError> {
    host.http_send(request)
}
