//! `/auth`: logging in.

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use crate::{
    app::App,
    http::{
        body::{Payload, read},
        error::ApiError,
        json,
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    email: String,
    password: SecretString,
}

/// `POST /auth/admin/login`: a staff member's e-mail and password for an access token.
pub(crate) async fn login_admin(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let credentials = credentials(&app, request).await?;
    let login = app.identity().login_admin(&credentials.email, credentials.password).await?;
    let body = json!({
        "accessToken": login.access_token,
        "tokenType": "Bearer",
        "expiresIn": login.expires_in_s,
        "user": login.user,
    });
    let mut response = Body::from(body.to_string()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn credentials(app: &App, request: Request) -> Result<Credentials, ApiError> {
    let (parts, body) = request.into_parts();
    let json_body = parts
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(';').next().unwrap_or_default().trim() == "application/json");
    if !json_body {
        return Err(ApiError::new("unsupported_media_type", "Send the body as `application/json`."));
    }
    let bytes = read(app, Payload::Streaming(body)).await?;
    let value = json::parse(&bytes)?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let pointer = format!("/{}", error.path().to_string().replace('.', "/")).replace("/?", "");
        let message = error.inner().to_string();
        let code = if message.starts_with("unknown field") { "unknown_field" } else { "validation_failed" };
        ApiError::new(code, "The request does not fit the schema.").field(&pointer, code, message)
    })
}
