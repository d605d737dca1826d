//! `/auth/sessions`: where an account is logged in.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    http::{
        error::ApiError,
        host::{Call, no_content, private},
    },
    identity::SessionView,
};

/// A login that still counts.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session {
    id: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// The login or the last refresh.
    #[schema(format = DateTime)]
    last_seen_at: String,
    /// When it ends without a refresh.
    #[schema(format = DateTime)]
    expires_at: String,
    /// What the client said of itself at the login.
    user_agent: Option<String>,
    /// Where the login came from.
    address: Option<String>,
    /// Whether it is the one of this request.
    current: bool,
}

impl From<SessionView> for Session {
    fn from(session: SessionView) -> Self {
        let SessionView { id, created_at, last_seen_at, expires_at, user_agent, address, current } = session;
        Self { id, created_at, last_seen_at, expires_at, user_agent, address, current }
    }
}

/// List the caller's sessions
///
/// The newest first, at most 100.
#[utoipa::path(
    get, path = "/auth/sessions", operation_id = "listSessions", tag = "auth",
    responses((status = 200, description = "The sessions.", body = Vec<Session>, example = json!([{
        "id": "ses_01KDVDNA00AYC2V77BZXVV1FK7", "createdAt": "2026-11-23T09:00:00.000Z",
        "lastSeenAt": "2026-11-23T09:14:00.000Z", "expiresAt": "2026-12-07T09:14:00.000Z",
        "userAgent": "Mozilla/5.0", "address": "192.0.2.7", "current": true
    }]))),
    security(("bearerAuth" = [])),
    extensions(("x-codes" = json!(["forbidden"]))),
)]
pub(crate) async fn list(State(app): State<App>, call: Call) -> Result<Response, ApiError> {
    let caller = call.person(&app).await?;
    let sessions: Vec<Session> =
        app.identity().sessions(&caller).await?.into_iter().map(Session::from).collect();
    private(StatusCode::OK, &sessions)
}

/// Log out everywhere
///
/// Ends every session of the caller's account, this one included.
#[utoipa::path(
    delete, path = "/auth/sessions", operation_id = "deleteSessions", tag = "auth",
    responses((status = 204, description = "No session is left.")),
    security(("bearerAuth" = [])),
    extensions(("x-codes" = json!(["forbidden", "conflict"]))),
)]
pub(crate) async fn delete_all(State(app): State<App>, call: Call) -> Result<Response, ApiError> {
    let caller = call.person(&app).await?;
    app.identity().sessions_revoke(&caller, &call.origin("deleteSessions")).await?;
    Ok(no_content())
}

/// End a session
///
/// Its access token stops working at once.
#[utoipa::path(
    delete, path = "/auth/sessions/{id}", operation_id = "deleteSession", tag = "auth",
    params(("id" = String, Path, description = "The id of the session.")),
    responses((status = 204, description = "The session has ended.")),
    security(("bearerAuth" = [])),
    extensions(("x-codes" = json!(["forbidden", "conflict"]))),
)]
pub(crate) async fn delete(State(app): State<App>, call: Call) -> Result<Response, ApiError> {
    let caller = call.person(&app).await?;
    let id = call.id()?;
    if app.identity().session_revoke(Some(&id), &caller, &call.origin("deleteSession")).await? {
        Ok(no_content())
    } else {
        Err(ApiError::not_found())
    }
}
