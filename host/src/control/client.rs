//! A command's end of the control socket.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::UnixStream, task::JoinHandle};

use super::{ControlError, HostStatus, MAX_BYTES, SystemRequest, SystemResponse, UserCreate, socket_path};
use crate::{
    audit::AuditReport,
    backup::{Chunks, SourceError},
    identity::User,
    plugin::Replayed,
};

/// A running host. Every request is a connection of its own, so that requests can run side by side; on a Unix
/// socket that costs microseconds.
#[derive(Debug, Clone)]
pub struct ControlClient {
    path: PathBuf,
}

impl ControlClient {
    /// The host that runs on a data directory; none when nobody listens there.
    pub async fn connect(data_dir: &Path) -> Result<Option<Self>, ControlError> {
        let path = socket_path(data_dir);
        match UnixStream::connect(&path).await {
            Ok(_) => Ok(Some(Self { path })),
            // Refused: the file is left from a host that was killed. Invalid: the path is too long for a socket, so
            // there cannot be one.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound
                        | ErrorKind::NotADirectory
                        | ErrorKind::ConnectionRefused
                        | ErrorKind::InvalidInput
                ) =>
            {
                Ok(None)
            }
            Err(source) => Err(ControlError::Connect { path, source }),
        }
    }

    pub async fn status(&self) -> Result<HostStatus, ControlError> {
        self.send(Method::GET, "/status", &()).await
    }

    pub async fn user_create(&self, request: &UserCreate) -> Result<User, ControlError> {
        self.send(Method::POST, "/users", request).await
    }

    pub async fn system_request(&self, request: &SystemRequest) -> Result<SystemResponse, ControlError> {
        self.send(Method::POST, "/requests", request).await
    }

    /// What the store holds now, as a backup. The host stays busy with it until it is read or dropped.
    pub async fn backup(&self) -> Result<Chunks, ControlError> {
        let (response, connection) = self.request(Method::GET, "/backup", &()).await?;
        if response.status() != StatusCode::OK {
            return Err(refused(read(response).await?.1));
        }
        let chunks = response.into_body().into_data_stream().map_err(SourceError::from);
        // The connection lives as long as its stream.
        let chunks = stream::unfold((chunks, connection), async |(mut chunks, connection)| {
            let chunk = chunks.next().await?;
            Some((chunk, (chunks, connection)))
        });
        Ok(chunks.boxed())
    }

    /// Whether the audit log is what was sealed.
    pub async fn audit_verify(&self) -> Result<AuditReport, ControlError> {
        self.send(Method::GET, "/audit", &()).await
    }

    /// Prices an order again from what was kept with it.
    pub async fn order_replay(&self, order: &str) -> Result<Replayed, ControlError> {
        self.send(Method::POST, "/replay", &order).await
    }

    /// What is wrong inside the store; nothing when all is well.
    pub async fn verify(&self) -> Result<Vec<String>, ControlError> {
        self.send(Method::GET, "/verify", &()).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ControlError> {
        let (response, _connection) = self.request(method, path, body).await?;
        let (status, body) = read(response).await?;
        if matches!(status, StatusCode::OK | StatusCode::CREATED) {
            serde_json::from_slice(&body).map_err(|_| ControlError::Protocol)
        } else {
            Err(refused(body))
        }
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<(Response<Incoming>, Connection), ControlError> {
        let connected = UnixStream::connect(&self.path).await;
        let stream = connected.map_err(|source| ControlError::Connect { path: self.path.clone(), source })?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(ControlError::Http)?;
        let driver = Connection(tokio::spawn(async move {
            // The request hears of it.
            let _ = connection.await;
        }));
        let body = serde_json::to_vec(body).map_err(|_| ControlError::Protocol)?;
        let request = Request::builder().method(method).uri(path).header(HOST, "localhost");
        let request = request.body(Full::<Bytes>::from(body)).map_err(|_| ControlError::Protocol)?;
        let response = sender.send_request(request).await.map_err(ControlError::Http)?;
        Ok((response, driver))
    }
}

/// The task that drives a connection. Dropping it closes the connection.
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn read(response: Response<Incoming>) -> Result<(StatusCode, Bytes), ControlError> {
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
    Ok((status, body.map_err(|_| ControlError::Protocol)?.to_bytes()))
}

fn refused(body: Bytes) -> ControlError {
    serde_json::from_slice(&body).map_or(ControlError::Protocol, ControlError::Refused)
}
