//! What is left of a request's body when the answer is known.
//!
//! A refusal often comes before the body was read: no token, too large, an unknown path. A connection that is closed
//! with bytes unread is reset by the system, and the client may lose the answer that was sent before. So the rest is
//! read and thrown away, within bounds, while the answer is on its way.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, HttpBody as _};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Frame;

/// How much is thrown away; a client that sends more is cut off.
const DISCARDED_BYTES: usize = 16 * 1024 * 1024;

/// A request's body that is read to its end by somebody.
pub(super) struct Remainder {
    body: Body,
    timeout: Duration,
}

impl Remainder {
    /// `timeout` is the longest time for a body.
    pub(super) fn wrap(body: Body, timeout: Duration) -> Body {
        if body.is_end_stream() { body } else { Body::new(Self { body, timeout }) }
    }
}

impl hyper::body::Body for Remainder {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(ctx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Remainder {
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            return;
        }
        let body = std::mem::take(&mut self.body);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(tokio::time::timeout(self.timeout, discard(body)));
    }
}

async fn discard(mut body: Body) {
    let mut discarded = 0;
    while let Some(Ok(frame)) = body.frame().await {
        discarded += frame.data_ref().map_or(0, Bytes::len);
        if discarded > DISCARDED_BYTES {
            break;
        }
    }
}
