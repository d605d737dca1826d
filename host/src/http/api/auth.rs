//! `/auth`: logging in, going on, logging out, and who one is.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::Response,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::schemas::Account;
use crate::{
    app::App,
    http::{
        cookie,
        error::ApiError,
        host::{Call, no_content, private},
    },
    identity::{Audience, Login, PrincipalKind},
};

/// Who logs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    #[schema(max_length = 1000)]
    email: String,
    #[schema(value_type = String, format = Password, write_only)]
    password: SecretString,
}

/// A refresh token. Where tokens travel in cookies, it is left out.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RefreshRequest {
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    refresh_token: Option<SecretString>,
    /// `storefront` or `admin`: whose cookie it is.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^(storefront|admin)$")]
    audience: Option<Audience>,
}

impl RefreshRequest {
    /// The token of the body or the cookie.
    fn token(self, app: &App, call: &Call) -> Result<SecretString, ApiError> {
        let audience = self.audience.unwrap_or(Audience::Storefront);
        let token = match self.refresh_token {
            Some(token) => Some(token),
            None => call.cookie(app, audience)?,
        };
        token.ok_or_else(|| {
            // Nothing is wrong with the request of a browser without a cookie: nobody is logged in.
            if app.config().auth.refresh_cookie {
                return ApiError::new("unauthenticated", "There is no refresh token.");
            }
            ApiError::new("validation_failed", "The request does not fit the schema.").field(
                "/refreshToken",
                "validation_failed",
                "The member is required.",
            )
        })
    }
}

/// The tokens of a session, and whose it is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tokens {
    /// A JWT, sent as `Authorization: Bearer …`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds until the access token ends.
    expires_in: u64,
    /// Good for one refresh. Left out where it travels in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    user: Account,
}

/// The caller.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Me {
    /// Nobody behind a key of a service account.
    user: Option<Account>,
    /// The session of the access token.
    session_id: Option<String>,
    roles: Vec<String>,
    /// Everything that the caller may do: `resource:action`, `resource:*` or `*`.
    permissions: Vec<String>,
}

/// Log a customer in
///
/// Answers alike, and in the same time, for a wrong password and for an address that nobody has. After some failures
/// the next attempt has to wait.
#[utoipa::path(
    post, path = "/auth/customer/login", operation_id = "loginCustomer", tag = "auth",
    request_body(content = Credentials, example = json!({"email": "eve@example.com", "password": "correct horse battery"})),
    responses((status = 200, description = "The tokens and whose they are.", body = Tokens, example = json!(tokens_example()))),
    security(()),
    extensions(("x-codes" = json!(["invalid_credentials", "account_disabled", "rate_limited", "conflict"]))),
)]
pub(crate) async fn login_customer(State(app): State<App>, call: Call) -> Result<Response, ApiError> {
    login(&app, call, Audience::Storefront, "loginCustomer").await
}

/// Log a member of the staff in
///
/// Answers alike, and in the same time, for a wrong password and for an address that nobody has. After some failures
/// the next attempt has to wait.
#[utoipa::path(
    post, path = "/auth/admin/login", operation_id = "loginAdmin", tag = "auth",
    request_body(content = Credentials, example = json!({"email": "ada@example.com", "password": "correct horse battery"})),
    responses((status = 200, description = "The tokens and whose they are.", body = Tokens, example = json!(tokens_example()))),
    security(()),
    extensions(("x-codes" = json!(["invalid_credentials", "account_disabled", "rate_limited", "conflict"]))),
)]
pub(crate) async fn login_admin(State(app): State<App>, call: Call) -> Result<Response, ApiError> {
    login(&app, call, Audience::Admin, "loginAdmin").await
}

async fn login(
    app: &App,
    mut call: Call,
    audience: Audience,
    operation_id: &'static str,
) -> Result<Response, ApiError> {
    call.check_public(app)?;
    let Credentials { email, password } = call.body(app).await?;
    let login = app.identity().login(audience, &email, password, &call.origin(operation_id)).await?;
    tokens(app, login)
}

/// Go on with a session
///
/// Answers a new access token and the next refresh token; the one that was sent is used up. It is good once more for
/// five seconds, because an answer may be lost. Whoever sends it later ends the session, for somebody has stolen it.
#[utoipa::path(
    post, path = "/auth/refresh", operation_id = "refreshSession", tag = "auth",
    request_body(content = RefreshRequest, example = json!({"refreshToken": "rft_01KDVDNA00AYC2V77BZXVV1FK7.3.a1b2…"})),
    responses((status = 200, description = "The next tokens.", body = Tokens, example = json!(tokens_example()))),
    security(()),
    extensions(("x-codes" = json!(["unauthenticated", "token_invalid", "token_expired", "token_revoked", "forbidden", "conflict", "rate_limited"]))),
)]
pub(crate) async fn refresh(State(app): State<App>, mut call: Call) -> Result<Response, ApiError> {
    call.check_public(&app)?;
    let token = call.body::<RefreshRequest>(&app).await?.token(&app, &call)?;
    tokens(&app, app.identity().refresh(&token, &call.origin("refreshSession")).await?)
}

/// Log out
///
/// Ends the session of the refresh token in the body or, without a body, of the access token.
#[utoipa::path(
    post, path = "/auth/logout", operation_id = "logout", tag = "auth",
    request_body(content = RefreshRequest, example = json!({"refreshToken": "rft_01KDVDNA00AYC2V77BZXVV1FK7.3.a1b2…"})),
    responses((status = 204, description = "The session has ended.")),
    security((), ("bearerAuth" = [])),
    extensions(("x-body-optional" = json!(true)), ("x-codes" = json!(["unauthenticated", "token_invalid", "token_expired", "token_revoked", "forbidden", "conflict"]))),
)]
pub(crate) async fn logout(State(app): State<App>, mut call: Call) -> Result<Response, ApiError> {
    let origin = call.origin("logout");
    if call.has_body() {
        call.check_public(&app)?;
        let request = call.body::<RefreshRequest>(&app).await?;
        let audience = request.audience.unwrap_or(Audience::Storefront);
        app.identity().logout(&request.token(&app, &call)?, &origin).await?;
        Ok(forgotten(&app, audience))
    } else {
        let caller = call.person(&app).await?;
        app.identity().session_revoke(None, &caller, &origin).await?;
        let audience = match caller.kind {
            PrincipalKind::Customer => Audience::Storefront,
            PrincipalKind::Admin | PrincipalKind::Service => Audience::Admin,
        };
        Ok(forgotten(&app, audience))
    }
}

/// Who the caller is
///
/// With everything that the caller may do, for showing only what can be used.
#[utoipa::path(
    get, path = "/auth/me", operation_id = "getMe", tag = "auth",
    responses((status = 200, description = "The caller.", body = Me, example = json!({
        "user": account_example(), "sessionId": "ses_01KDVDNA00AYC2V77BZXVV1FK7",
        "roles": ["catalog-manager"], "permissions": ["categories:*", "products:*"]
    }))),
    security(("bearerAuth" = [])),
)]
pub(crate) async fn me(State(app): State<App>, call: Call) -> Result<Response, ApiError> {
    let caller = call.signed(&app).await?;
    let me = Me {
        user: caller.user.map(Account::from),
        session_id: caller.session_id,
        roles: caller.roles,
        permissions: caller.permissions,
    };
    private(StatusCode::OK, &me)
}

fn tokens(app: &App, login: Login) -> Result<Response, ApiError> {
    let by_cookie = app.config().auth.refresh_cookie;
    let cookie = by_cookie.then(|| cookie::keeping(app, &login)).flatten();
    let tokens = Tokens {
        access_token: login.access_token,
        token_type: "Bearer",
        expires_in: login.expires_in_s,
        refresh_token: (!by_cookie).then(|| login.refresh_token.expose_secret().to_owned()),
        user: login.user.into(),
    };
    let mut response = private(StatusCode::OK, &tokens)?;
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// 204, and no cookie any more.
fn forgotten(app: &App, audience: Audience) -> Response {
    let mut response = no_content();
    let cookie = app.config().auth.refresh_cookie.then(|| cookie::forgetting(app, audience)).flatten();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

pub(super) fn account_example() -> serde_json::Value {
    json!({
        "id": "usr_01KDVDNA00AYC2V77BZXVV1FJY", "kind": "admin", "email": "ada@example.com", "name": "Ada",
        "status": "active", "roles": ["catalog-manager"], "groups": [],
        "emailVerified": true, "phone": null, "acceptsMarketing": false, "createdAt": "2026-11-23T09:00:00.000Z"
    })
}

fn tokens_example() -> serde_json::Value {
    json!({
        "accessToken": "eyJhbGciOiJIUzI1NiIs…", "tokenType": "Bearer", "expiresIn": 900,
        "refreshToken": "rft_01KDVDNA00AYC2V77BZXVV1FK7.1.a1b2…", "user": account_example()
    })
}
