//! A request to one of the host's own operations.

use std::{
    convert::Infallible,
    sync::{Mutex, PoisonError},
};

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, Method, header},
};
use bytes::Bytes;
use secrecy::SecretString;
use serde::de::DeserializeOwned;

use super::body;
use crate::{
    app::App,
    http::{
        access,
        body::{Payload, check_content_type, read},
        cookie,
        error::ApiError,
        front, json, parameters, precondition,
        visit::Visit,
    },
    identity::{Audience, Origin, Principal, PrincipalKind},
    store::Transaction,
};

/// A request with nothing checked yet.
pub(crate) struct Call {
    pub(super) method: Method,
    /// Below the API base, without the query, still percent-encoded.
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
    visit: Visit,
    /// Behind a lock that is never waited for: a body cannot be shared between threads, and a call is.
    body: Mutex<Option<Body>>,
    /// The body once it was read.
    pub(super) bytes: Bytes,
}

impl FromRequest<App> for Call {
    type Rejection = Infallible;

    async fn from_request(request: Request, app: &App) -> Result<Self, Infallible> {
        let (parts, body) = request.into_parts();
        // Nested below the API base, a route sees the path without it.
        let path = parts.uri.path();
        Ok(Self {
            path: path.strip_prefix(app.api_base()).unwrap_or(path).to_owned(),
            query: parts.uri.query().filter(|query| !query.is_empty()).map(str::to_owned),
            visit: Visit::of(&parts),
            method: parts.method,
            headers: parts.headers,
            body: Mutex::new(Some(body)),
            bytes: Bytes::new(),
        })
    }
}

impl Call {
    /// Refuses what no operation takes: answers that are not JSON, parameters that are not there.
    ///
    /// # Errors
    /// `not_acceptable`, `unknown_parameter`.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        front::check_accept(&self.headers)?;
        let Some(query) = self.query.as_deref() else { return Ok(()) };
        match parameters::decode_query(query)?.first() {
            Some((name, _)) => {
                Err(ApiError::parameter("unknown_parameter", name, "There is no such parameter."))
            }
            None => Ok(()),
        }
    }

    /// The caller, of whichever audience.
    ///
    /// # Errors
    /// Those of [`Call::check`]; what is wrong with the token.
    pub(crate) async fn signed(&self, app: &App) -> Result<Principal, ApiError> {
        self.check()?;
        self.principal(app).await
    }

    /// The caller, who has an account and a session.
    ///
    /// # Errors
    /// Those of [`Call::signed`]; `forbidden` for a service account.
    pub(crate) async fn person(&self, app: &App) -> Result<Principal, ApiError> {
        let principal = self.signed(app).await?;
        match principal.kind {
            PrincipalKind::Admin | PrincipalKind::Customer => Ok(principal),
            PrincipalKind::Service => {
                Err(ApiError::new("forbidden", "This is for people: a service account has no session."))
            }
        }
    }

    /// The caller, who has this permission.
    ///
    /// # Errors
    /// Those of [`Call::signed`]; `forbidden`.
    pub(crate) async fn permitted(&self, app: &App, permission: &str) -> Result<Principal, ApiError> {
        let principal = self.principal(app).await?;
        if principal.allows(permission) { Ok(principal) } else { Err(access::forbidden()) }
    }

    /// Checks a request that needs no token. It counts for the quota of its address.
    ///
    /// # Errors
    /// Those of [`Call::check`]; `rate_limited`.
    pub(crate) fn check_public(&self, app: &App) -> Result<(), ApiError> {
        access::count(app, &self.asks(), None, &self.visit)?;
        self.check()
    }

    async fn principal(&self, app: &App) -> Result<Principal, ApiError> {
        let principal = access::principal(app, &self.asks(), &self.visit).await?;
        principal.ok_or_else(access::unauthenticated)
    }

    fn asks(&self) -> access::Asks<'_> {
        access::Asks { method: &self.method, path: &self.path, headers: &self.headers }
    }

    /// The body, checked strictly: an unknown member is refused, one that the type declares read-only is left out.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) async fn body<T: DeserializeOwned + utoipa::ToSchema>(
        &mut self,
        app: &App,
    ) -> Result<T, ApiError> {
        check_content_type(&self.headers, "application/json")?;
        let body = self.body.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let streaming = Payload::Streaming(body.unwrap_or_default());
        self.bytes = read(app, streaming).await?;
        body::typed(json::parse(&self.bytes)?)
    }

    /// The refresh token in the request's cookie, where cookies are used.
    ///
    /// # Errors
    /// `forbidden` for a cookie that comes from elsewhere.
    pub(crate) fn cookie(&self, app: &App, audience: Audience) -> Result<Option<SecretString>, ApiError> {
        cookie::token(app, &self.headers, audience)
    }

    /// Whether the request carries a body.
    pub(crate) fn has_body(&self) -> bool {
        self.headers.contains_key(header::TRANSFER_ENCODING)
            || self.headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
    }

    /// The last segment of the path.
    ///
    /// # Errors
    /// `not_found` for what no id is; `invalid_parameter`.
    pub(crate) fn id(&self) -> Result<String, ApiError> {
        let segment = self.path.rsplit('/').next().unwrap_or_default();
        let decoded = parameters::path(vec![("id".to_owned(), segment.to_owned())])?;
        Ok(decoded.into_iter().next().map(|(_, id)| id).unwrap_or_default())
    }

    /// The segment before the last, which is this one.
    ///
    /// # Errors
    /// Those of [`Call::id`].
    pub(crate) fn id_before(&self, last: &str) -> Result<String, ApiError> {
        let before =
            self.path.strip_suffix(last).map_or(self.path.as_str(), |path| path.trim_end_matches('/'));
        let segment = before.rsplit('/').next().unwrap_or_default();
        let decoded = parameters::path(vec![("id".to_owned(), segment.to_owned())])?;
        Ok(decoded.into_iter().next().map(|(_, id)| id).unwrap_or_default())
    }

    /// The version that `If-Match` asks for, of a change that only staff makes.
    ///
    /// # Errors
    /// `invalid_parameter`, `precondition_required`.
    pub(crate) fn if_match(&self, app: &App) -> Result<Option<u64>, ApiError> {
        precondition::demand(app, &self.method, &self.headers, true)?;
        precondition::if_match(&self.headers)
    }

    pub(crate) fn origin(&self, operation_id: &'static str) -> Origin {
        let text = |value: &axum::http::HeaderValue| value.to_str().ok().map(str::to_owned);
        Origin {
            operation_id,
            request_id: self.visit.request_id.to_string(),
            address: self.visit.address,
            user_agent: self.headers.get(header::USER_AGENT).and_then(text),
        }
    }

    /// The commits of this request, audited.
    pub(crate) fn transaction(
        &self,
        principal: &Principal,
        operation_id: &str,
        key: Option<crate::store::idempotency::IdempotencyKey>,
    ) -> Transaction {
        let actor = access::actor(&access::caller_of(principal), &self.visit);
        Transaction::new(key, actor, operation_id, &*self.visit.request_id)
    }
}
