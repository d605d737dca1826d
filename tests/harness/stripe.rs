//! A server that speaks Stripe's API as far as payments need it: it keeps intents, refunds and idempotency keys, refuses
//! what Stripe refuses, and misbehaves on demand.
//!
//! It is stricter in one thing: a `POST` without an idempotency key is refused.

mod answer;
mod ledger;

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use answer::Answer;
use ledger::Ledger;

/// What requests have to carry.
pub const API_KEY: &str = "sk_test_harness";
/// What webhooks are signed with.
pub const WEBHOOK_SECRET: &str = "whsec_harness";

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Does it and never answers.
    DoThenHang,
    /// Does it and closes the connection.
    DoThenClose,
    /// Does it and answers 500, which is then the answer to every repeat.
    DoThenFail,
    /// Does it and answers 200 with something that is no JSON.
    DoThenGarbage,
    /// Waits, and then does it, whether or not somebody still listens. Repeats meanwhile are answered 409.
    Slow(Duration),
    /// Does nothing and never answers.
    Hang,
    /// Does nothing and answers 500.
    Fail,
    /// Does nothing and answers 429.
    TooMany,
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Came {
    /// Such as `POST /v1/refunds`.
    pub what: String,
    pub key: Option<String>,
    pub authorization: Option<String>,
}

/// A webhook, to be posted as it is with its signature in `Stripe-Signature`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub body: String,
    pub signature: String,
}

/// The server, on a port of its own until it is dropped.
pub struct FakeStripe {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    ledger: Mutex<Ledger>,
    troubles: Mutex<VecDeque<Trouble>>,
}

impl FakeStripe {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { address, shared, serving }
    }

    /// What to configure as `apiBase`.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The host and port that a plugin has to be granted.
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Lets the next requests go wrong, in this order.
    pub fn misbehave(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.shared.troubles.lock().unwrap().extend(troubles);
    }

    /// How often customers were charged for an order: authorizations that succeeded, whatever became of them.
    pub fn charges(&self, order_id: &str) -> usize {
        self.ledger().of_order(order_id).filter(|intent| intent.charged).count()
    }

    /// What was captured for an order, in Stripe's units.
    pub fn captured(&self, order_id: &str) -> i64 {
        self.ledger().of_order(order_id).map(|intent| intent.received).sum()
    }

    /// What was refunded for an order, in Stripe's units.
    pub fn refunded(&self, order_id: &str) -> i64 {
        self.ledger().of_order(order_id).map(|intent| intent.refunded).sum()
    }

    /// The intents of an order as Stripe shows them.
    pub fn intents(&self, order_id: &str) -> Vec<Value> {
        self.ledger().of_order(order_id).map(ledger::Intent::json).collect()
    }

    /// The ids of the refunds of an order, in their order.
    pub fn refunds(&self, order_id: &str) -> Vec<String> {
        self.ledger().refunds_of_order(order_id)
    }

    /// The requests that came so far.
    pub fn requests(&self) -> Vec<Came> {
        self.ledger().requests.clone()
    }

    /// The customer does what the bank asks, or fails at it.
    pub fn complete(&self, intent: &str, is_good: bool) {
        self.ledger().complete(intent, is_good);
    }

    /// A refund that was pending comes to an end: `succeeded` or `failed`.
    pub fn settle(&self, refund: &str, status: &str) {
        self.ledger().settle(refund, status);
    }

    /// Lets the refunds that follow be pending.
    pub fn refunds_take_time(&self) {
        self.ledger().refunds_take_time = true;
    }

    /// Forgets the idempotency keys, as Stripe does after a day.
    pub fn forget_keys(&self) {
        self.ledger().keys.clear();
    }

    /// An event about an intent or a refund as it is now, signed at this time. `charge.refunded` is about an intent's
    /// charge.
    pub fn event(&self, kind: &str, about: &str, now_ms: i64) -> Event {
        let mut ledger = self.ledger();
        let (object, previous) = ledger.object(kind, about);
        let body = json!({
            "id": ledger.id("evt"),
            "object": "event",
            "api_version": "2024-06-20",
            "created": now_ms / 1000,
            "data": {"object": object, "previous_attributes": previous},
            "livemode": false,
            "pending_webhooks": 1,
            "type": kind,
        });
        sign(&body.to_string(), WEBHOOK_SECRET, now_ms)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.shared.ledger.lock().unwrap()
    }
}

impl Drop for FakeStripe {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Signs a body as Stripe does; with another secret for tests of forgeries.
pub fn sign(body: &str, secret: &str, now_ms: i64) -> Event {
    let time = now_ms / 1000;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{time}.{body}").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Event { body: body.to_owned(), signature: format!("t={time},v1={hex}") }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Its connections end with the server.
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| handle(Arc::clone(&shared), request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // How it ends is the client's matter.
            let _ = connection.await;
        });
    }
}

/// A connection that is closed without an answer.
type Closed = std::io::Error;

async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Closed> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(Closed::other)?.to_bytes();
    let header = |name: header::HeaderName| {
        parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let call = Call {
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        authorization: header(header::AUTHORIZATION),
        key: header(header::HeaderName::from_static("idempotency-key")),
        form: form_urlencoded::parse(&body).into_owned().collect(),
        is_form: header(header::CONTENT_TYPE).as_deref() == Some("application/x-www-form-urlencoded"),
    };
    let trouble = shared.troubles.lock().unwrap().pop_front();
    let came = Came {
        what: format!("{} {}", call.method, call.path),
        key: call.key.clone(),
        authorization: call.authorization.clone(),
    };
    shared.ledger.lock().unwrap().requests.push(came);
    match trouble {
        Some(Trouble::Hang) => never().await,
        Some(Trouble::Fail) => return Ok(Answer::api_error().into_response()),
        Some(Trouble::TooMany) => return Ok(Answer::too_many().into_response()),
        _ => {}
    }
    // A task of its own, because Stripe does what it was asked also when the client has gone.
    let doing = tokio::spawn(async move {
        if let Some(Trouble::Slow(delay)) = trouble {
            let is_first = shared.ledger.lock().unwrap().run(&call);
            if is_first {
                tokio::time::sleep(delay).await;
                shared.ledger.lock().unwrap().stop(&call);
            }
        }
        let mut ledger = shared.ledger.lock().unwrap();
        let answer = ledger.answer(&call);
        if trouble == Some(Trouble::DoThenFail) {
            ledger.replace_answer(&call, Answer::api_error());
        }
        answer
    });
    let answer = doing.await.unwrap();
    match trouble {
        Some(Trouble::DoThenHang) => never().await,
        Some(Trouble::DoThenClose) => return Err(Closed::other("the server closes")),
        Some(Trouble::DoThenFail) => return Ok(Answer::api_error().into_response()),
        Some(Trouble::DoThenGarbage) => {
            return Ok(Response::new(Full::from("<html>It works!</html>")));
        }
        _ => {}
    }
    Ok(answer.into_response())
}

async fn never() {
    let nothing: Infallible = std::future::pending().await;
    match nothing {}
}

/// A request as the ledger sees it.
pub(crate) struct Call {
    method: Method,
    path: String,
    authorization: Option<String>,
    key: Option<String>,
    form: Vec<(String, String)>,
    is_form: bool,
}
