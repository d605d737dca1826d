//! `Idempotency-Key` on requests. The records themselves belong to the store.

use std::{
    collections::HashSet,
    panic::resume_unwind,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{extract::Request, http::HeaderMap, middleware::Next, response::Response};

use super::{error::ApiError, visit::Place};
use crate::{
    app::App,
    plugin::{Caller, CallerKind, RouteEntry, descriptor::takes_idempotency_key},
    store::{
        Answer,
        idempotency::{IdempotencyKey, Seen},
    },
};

const HEADER: &str = "idempotency-key";
const KEY_CHARS: usize = 255;
/// 128 bits in the densest usual alphabet, base64: guessing another anonymous caller's key must be hopeless.
const ANONYMOUS_KEY_CHARS: usize = 22;

/// Finishes a request with a key though its client hangs up: whoever does will ask again, and is to find an order that is
/// made and not one that was left halfway.
pub(super) async fn finish(request: Request, next: Next) -> Response {
    if !takes_idempotency_key(request.method().as_str()) || !request.headers().contains_key(HEADER) {
        return next.run(request).await;
    }
    let place = request.extensions().get::<Place>().cloned();
    let finished = tokio::spawn(async move {
        let response = next.run(request).await;
        drop(place);
        response
    });
    finished.await.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

/// Refuses a request without the key that its route demands. The host's own calls are not repeated by a client.
///
/// # Errors
/// `idempotency_key_required`.
pub(super) fn check_given(entry: &RouteEntry, headers: &HeaderMap, caller: &Caller) -> Result<(), ApiError> {
    let demanded = entry.route.idempotency_key_required && caller.kind != CallerKind::System;
    if demanded && !headers.contains_key(HEADER) {
        let message = "Send an `Idempotency-Key`, so that a repeat of the request does nothing twice.";
        return Err(ApiError::parameter("idempotency_key_required", "Idempotency-Key", message));
    }
    Ok(())
}

/// The key of a request, where it has one.
///
/// # Errors
/// `invalid_parameter` for a key that cannot be one.
pub(super) fn key(
    app: &App,
    entry: &RouteEntry,
    headers: &HeaderMap,
    full_path: &str,
    body: &[u8],
    caller: &Caller,
) -> Result<Option<IdempotencyKey>, ApiError> {
    if !entry.route.takes_idempotency_key() {
        return Ok(None);
    }
    let key = given(app, headers, &format!("{} {full_path}", entry.route.method), body, caller)?;
    // Who reads the store must not find out by trying which password a stored fingerprint is of.
    let hidden = |key: IdempotencyKey| key.with_body(&app.identity().fingerprint(body));
    Ok(if entry.route.takes_password { key.map(hidden) } else { key })
}

/// The same where the method takes a key. `request` is the method and the full path.
///
/// # Errors
/// `invalid_parameter` for a key that cannot be one.
pub(super) fn given(
    app: &App,
    headers: &HeaderMap,
    request: &str,
    body: &[u8],
    caller: &Caller,
) -> Result<Option<IdempotencyKey>, ApiError> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let invalid = |message: &str| ApiError::parameter("invalid_parameter", "Idempotency-Key", message);
    let text = value.to_str().unwrap_or_default();
    if text.is_empty() || text.len() > KEY_CHARS || !text.bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
        return Err(invalid("A key has 1 to 255 visible ASCII characters."));
    }
    if caller.kind == CallerKind::Anonymous && caller.guest.is_none() && text.len() < ANONYMOUS_KEY_CHARS {
        return Err(invalid("Without an account a key has at least 128 bits, such as a random UUID."));
    }
    let who = caller.subject.as_deref().or(caller.guest.as_deref()).unwrap_or_default();
    let scope = format!("{}:{who} {request}", caller.kind.as_str());
    Ok(Some(IdempotencyKey::new(&scope, text, body, app.store().clock().now_ms())))
}

/// What is known of a key, when the request may go on.
pub(super) enum Known {
    New(IdempotencyKey),
    Answered(Answer),
}

/// Looks a key up.
///
/// # Errors
/// `idempotency_key_reused`, `idempotency_in_progress`.
pub(super) async fn look_up(app: &App, key: IdempotencyKey) -> Result<Known, ApiError> {
    match key.look_up(app.store()).await? {
        Seen::New(key) => Ok(Known::New(key)),
        Seen::Answered(answer) => Ok(Known::Answered(answer)),
        Seen::Reused => Err(ApiError::new(
            "idempotency_key_reused",
            "The key was used for a request with another body: use a new one.",
        )),
        Seen::Running => Err(in_progress()),
    }
}

fn in_progress() -> ApiError {
    ApiError::new("idempotency_in_progress", "The first request with this key is still running.")
        .retry_after(1)
}

/// The keys whose requests this host is answering right now: a repeat is told before it does any work.
#[derive(Debug, Clone, Default)]
pub(crate) struct InFlightKeys {
    keys: Arc<Mutex<HashSet<String>>>,
}

/// One key being answered.
pub(super) struct InFlight {
    keys: InFlightKeys,
    id: String,
}

impl InFlightKeys {
    pub(super) fn enter(&self, key: &IdempotencyKey) -> Result<InFlight, ApiError> {
        let id = key.record_id().to_owned();
        let entered = self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        if entered { Ok(InFlight { keys: self.clone(), id }) } else { Err(in_progress()) }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.keys.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
