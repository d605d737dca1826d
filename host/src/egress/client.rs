//! One attempt at one request, over connections that are kept for a while.

use std::{
    error::Error as _,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{Request, Response, Uri, body::Body as _};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::{
        self,
        connect::{HttpConnector, capture_connection, dns::Name},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::{net::TcpStream, time::timeout};
use tower::Service;

use super::{
    Incoming, Origin, SendError,
    address::{is_public, may_be_named},
    check::Checked,
};
use crate::chain::chain;

/// From the name to the end of the TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than servers keep theirs, so that few requests meet a connection that is being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const IDLE_CONNECTIONS: usize = 8;
const RESPONSE_HEADERS: usize = 100;
const RESPONSE_HEADER_BYTES: usize = 64 * 1024;

/// Two clients, because which addresses a name may have depends on the grant, and so which connections may be used
/// again.
pub(super) struct Client {
    public: HyperClient,
    named: HyperClient,
}

type HyperClient = legacy::Client<Connector, Full<Bytes>>;

impl Client {
    pub(super) fn new() -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Self { public: client(Scope::Public, provider.clone()), named: client(Scope::Named, provider) }
    }

    /// Sends a request once.
    pub(super) async fn attempt(
        &self,
        origin: &Origin,
        request: &Checked,
        time: Duration,
        response_bytes: usize,
    ) -> Result<Incoming, SendError> {
        let client = if origin.is_named() { &self.named } else { &self.public };
        let mut prepared = Request::new(Full::new(request.body.clone()));
        *prepared.method_mut() = request.method.clone();
        *prepared.uri_mut() = request.uri.clone();
        *prepared.headers_mut() = request.headers.clone();
        // Tells whether it came to a connection, right before the request is written to it.
        let connection = capture_connection(&mut prepared);
        let exchange = async {
            let response = client.request(prepared).await.map_err(|error| failed(&error, origin))?;
            read(response, response_bytes).await
        };
        match timeout(time, exchange).await {
            Ok(result) => result,
            Err(_elapsed) if connection.connection_metadata().is_none() => {
                Err(SendError::Unreachable(format!("`{origin}` did not take a connection in time")))
            }
            Err(_elapsed) => Err(SendError::Timeout),
        }
    }
}

fn client(scope: Scope, provider: Arc<rustls::crypto::CryptoProvider>) -> HyperClient {
    let mut tcp = HttpConnector::new_with_resolver(Resolver { scope });
    // The scheme was checked against the grant; TLS is the outer connector's.
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let tls = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(provider)
        .expect("ring has the cipher suites of all versions of TLS that rustls knows");
    let connector = Connector { inner: tls.https_or_http().enable_http1().wrap_connector(tcp) };
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .http1_max_headers(RESPONSE_HEADERS)
        .http1_max_buf_size(RESPONSE_HEADER_BYTES)
        .build(connector)
}

async fn read(
    response: Response<hyper::body::Incoming>,
    response_bytes: usize,
) -> Result<Incoming, SendError> {
    let (parts, body) = response.into_parts();
    if body.size_hint().lower() > response_bytes as u64 {
        return Err(SendError::TooLarge(response_bytes));
    }
    let body = match Limited::new(body, response_bytes).collect().await {
        Ok(body) => body.to_bytes().to_vec(),
        Err(error) if error.is::<LengthLimitError>() => return Err(SendError::TooLarge(response_bytes)),
        Err(error) => return Err(SendError::Transport(chain(error.as_ref()))),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = parts.headers.iter();
    let headers = headers.map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes()))).collect();
    Ok(Incoming { status: parts.status.as_u16(), headers, body })
}

/// What an error of the client says about the request. One on a connection that was kept is not told from any other:
/// the server may have read the request before it closed.
fn failed(error: &legacy::Error, origin: &Origin) -> SendError {
    if !error.is_connect() {
        return SendError::Transport(format!("the connection to `{origin}` failed: {}", chain(error)));
    }
    let mut cause = error.source();
    while let Some(it) = cause {
        if it.is::<Inside>() {
            return SendError::Denied(format!("`{origin}` is not of the internet: {it}"));
        }
        cause = it.source();
    }
    SendError::Unreachable(format!("`{origin}` cannot be reached: {}", chain(error)))
}

/// All addresses of a name are ones that its grant does not cover.
#[derive(Debug, thiserror::Error)]
#[error("its name has only addresses within a network; to send there, grant the origin with its scheme")]
struct Inside;

type Boxed = Box<dyn std::error::Error + Send + Sync>;

/// Which addresses a name may have.
#[derive(Debug, Clone, Copy)]
enum Scope {
    Public,
    Named,
}

/// Resolves names, and leaves out the addresses that they may not have. Looked at here and not before, so that the
/// address that was checked is the one that is used.
#[derive(Debug, Clone)]
struct Resolver {
    scope: Scope,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Boxed;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Boxed>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Boxed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let scope = self.scope;
        Box::pin(async move {
            let mut found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let is_empty = found.is_empty();
            found.retain(|address| match scope {
                Scope::Public => is_public(address.ip()),
                Scope::Named => may_be_named(address.ip()),
            });
            if found.is_empty() && !is_empty { Err(Inside.into()) } else { Ok(found.into_iter()) }
        })
    }
}

/// Connects, TLS included, within a time.
#[derive(Clone)]
struct Connector {
    inner: HttpsConnector<HttpConnector<Resolver>>,
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = Boxed;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Boxed>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Boxed>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.inner.call(uri);
        Box::pin(async move {
            timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or_else(|_| Err("it took too long".into()))
        })
    }
}
