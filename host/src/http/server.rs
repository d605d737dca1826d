//! The accept loop.
//!
//! Ours and not axum's, because that one has no timer: a half-sent header or a silent connection would stay open for
//! ever. Here headers have a deadline, connections a cap, and stopping lets what runs finish.

use std::{io, sync::Arc, time::Duration};

use axum::{Router, extract::Request};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;

use super::visit::{Peer, Place};
use crate::config::ServerConfig;

/// Largest header section.
const HEADER_BYTES: usize = 32 * 1024;
/// How long to wait after a failed accept: usually the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `shutdown`, then drains.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    config: &ServerConfig,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let connections = Arc::new(Semaphore::new(config.max_connections as usize));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(config.header_timeout_ms))
        .max_buf_size(HEADER_BYTES)
        .half_close(false);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        // Above the cap new connections wait in the system's accept queue.
        let accepted = async {
            let permit = connections.clone().acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut shutdown => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(cause = %error, "A connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(cause = %error, "A connection keeps its delay");
        }
        // It is never closed.
        let Ok(permit) = permit else { break };
        let place = Place(Arc::new(permit));
        let its_place = place.clone();
        let knowing_peer = router.clone().map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer.ip()));
            request.extensions_mut().insert(its_place.clone());
            request
        });
        let service = TowerToHyperService::new(knowing_peer);
        // A client that stops reading would keep its connection, and what is to be sent, for ever.
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(Duration::from_millis(config.write_timeout_ms)));
        let connection = graceful.watch(http.serve_connection(TokioIo::new(Box::pin(stream)), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(cause = %error, "A connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    let drained = async {
        graceful.shutdown().await;
        // What is finished without its connection has its place still.
        connections.acquire_many(config.max_connections).await.map(drop)
    };
    if tokio::time::timeout(Duration::from_millis(config.drain_ms), drained).await.is_err() {
        tracing::warn!("Requests were still running when the drain time ended");
    }
    Ok(())
}
