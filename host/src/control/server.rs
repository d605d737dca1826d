//! The host's end of the control socket.

use std::{
    fs,
    future::Future,
    io::{self, ErrorKind},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener as BlockingListener, UnixStream as BlockingStream},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::CONTENT_TYPE,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::UnixListener, sync::watch};

use super::{
    ControlError, HostStatus, MAX_BYTES, Refused, SystemRequest, SystemResponse, UserCreate, socket_path,
};
use crate::{
    audit::AuditReport,
    backup::{Chunks, SourceError},
    identity::User,
    plugin::Replayed,
};

/// What the host does for commands.
pub trait ControlHandlers: Send + Sync + 'static {
    fn user_create(&self, request: UserCreate) -> impl Future<Output = Result<User, Refused>> + Send;
    fn system_request(&self, request: SystemRequest) -> impl Future<Output = SystemResponse> + Send;
    fn status(&self) -> impl Future<Output = HostStatus> + Send;
    fn backup(&self) -> impl Future<Output = Result<Chunks, Refused>> + Send;
    /// Whether the audit log is what was sealed.
    fn audit_verify(&self) -> impl Future<Output = Result<AuditReport, Refused>> + Send;
    /// Prices an order again from what was kept with it.
    fn order_replay(&self, order: String) -> impl Future<Output = Result<Replayed, Refused>> + Send;
    /// What is wrong inside the store.
    fn verify(&self) -> impl Future<Output = Result<Vec<String>, Refused>> + Send;
}

type Body = UnsyncBoxBody<Bytes, SourceError>;

/// A bound control socket. Dropping it removes the file.
pub struct ControlServer<H> {
    listener: UnixListener,
    handlers: Arc<H>,
    file: SocketFile,
}

struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::debug!(%error, "The control socket was gone already");
        }
    }
}

impl<H: ControlHandlers> ControlServer<H> {
    /// Binds the socket in a data directory, in place of one that a killed host left behind.
    pub fn bind(data_dir: &Path, handlers: Arc<H>) -> Result<Self, ControlError> {
        let path = socket_path(data_dir);
        if BlockingStream::connect(&path).is_ok() {
            return Err(ControlError::InUse(data_dir.to_owned()));
        }
        let listener =
            bind_private(&path).map_err(|source| ControlError::Bind { path: path.clone(), source })?;
        Ok(Self { listener, handlers, file: SocketFile(path) })
    }

    /// Answers commands until the shutdown, and lets those in flight end.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, handlers, file } = self;
        let graceful = GracefulShutdown::new();
        let (stop, stopped) = watch::channel(());
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let stream = tokio::select! {
                () = &mut shutdown => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "A control connection could not be accepted");
                        // Out of descriptors, as a rule: trying again at once would only burn the processor.
                        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let handlers = handlers.clone();
            let stopped = stopped.clone();
            let service = service_fn(move |request| answer(handlers.clone(), stopped.clone(), request));
            let connection =
                graceful.watch(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "A control connection broke");
                }
            });
        }
        // New commands must not find a host that no longer answers.
        drop((listener, file));
        // A backup may take longer than a stop may.
        drop(stop);
        graceful.shutdown().await;
    }
}

/// Binds beside the path, closes the socket to others, and moves it into place: nobody ever meets it open, and a
/// stale file is replaced.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = BlockingListener::bind(&beside)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600))?;
    fs::rename(&beside, path)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

async fn answer<H: ControlHandlers>(
    handlers: Arc<H>,
    mut stopped: watch::Receiver<()>,
    request: Request<Incoming>,
) -> Result<Response<Body>, hyper::http::Error> {
    let route = (request.method().clone(), request.uri().path().to_owned());
    match (route.0, route.1.as_str()) {
        (Method::GET, "/status") => json(StatusCode::OK, &handlers.status().await),
        (Method::GET, "/verify") => match handlers.verify().await {
            Ok(problems) => json(StatusCode::OK, &problems),
            Err(refused) => json(StatusCode::CONFLICT, &refused),
        },
        (Method::GET, "/audit") => match handlers.audit_verify().await {
            Ok(report) => json(StatusCode::OK, &report),
            Err(refused) => json(StatusCode::CONFLICT, &refused),
        },
        (Method::POST, "/replay") => match read(request).await {
            Ok(order) => match handlers.order_replay(order).await {
                Ok(replayed) => json(StatusCode::OK, &replayed),
                Err(refused) => json(StatusCode::CONFLICT, &refused),
            },
            Err(refused) => json(StatusCode::BAD_REQUEST, &refused),
        },
        (Method::GET, "/backup") => match handlers.backup().await {
            Ok(chunks) => {
                let stop = async move {
                    // An error means that the other end is gone, which is the sign to stop.
                    let _ = stopped.changed().await;
                };
                let frames = chunks.take_until(Box::pin(stop)).map_ok(Frame::data);
                Response::builder()
                    .header(CONTENT_TYPE, "application/x-ndjson")
                    .body(Body::new(StreamBody::new(frames)))
            }
            Err(refused) => json(StatusCode::CONFLICT, &refused),
        },
        (Method::POST, "/users") => match read(request).await {
            Ok(body) => match handlers.user_create(body).await {
                Ok(user) => json(StatusCode::CREATED, &user),
                Err(refused) => json(StatusCode::CONFLICT, &refused),
            },
            Err(refused) => json(StatusCode::BAD_REQUEST, &refused),
        },
        (Method::POST, "/requests") => match read(request).await {
            Ok(body) => json(StatusCode::OK, &handlers.system_request(body).await),
            Err(refused) => json(StatusCode::BAD_REQUEST, &refused),
        },
        _ => json(
            StatusCode::NOT_FOUND,
            &Refused { message: "this host does not know the command".to_owned() },
        ),
    }
}

async fn read<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Refused> {
    let refused = |_| Refused { message: "the running host could not read the command".to_owned() };
    let body = Limited::new(request.into_body(), MAX_BYTES).collect().await.map_err(refused)?;
    // The parser's message may quote the password.
    serde_json::from_slice(&body.to_bytes()).map_err(|_| Refused {
        message: "the running host does not understand the command; both need the same version".to_owned(),
    })
}

fn json(status: StatusCode, body: &impl Serialize) -> Result<Response<Body>, hyper::http::Error> {
    let body = Full::from(serde_json::to_vec(body).unwrap_or_default());
    let body = Body::new(body.map_err(|never| match never {}));
    Response::builder().status(status).header(CONTENT_TYPE, "application/json").body(body)
}
