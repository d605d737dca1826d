//! `/auth/password` and `/auth/email`: what is done by who knows a password, or reads the account's mail.

use axum::{extract::State, response::Response};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    http::{
        error::ApiError,
        host::{Call, accepted, no_content},
    },
};

/// The old password and the new one.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PasswordChange {
    #[schema(value_type = String, format = Password, write_only)]
    current_password: SecretString,
    /// At least 12 characters.
    #[schema(value_type = String, format = Password, write_only, min_length = 12, max_length = 1024)]
    new_password: SecretString,
}

/// Longer than any address. Nothing is told of those that are not too long.
const EMAIL_MAX_CHARACTERS: usize = 1000;

/// Who has forgotten a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForgottenPassword {
    #[schema(max_length = 1000)] // EMAIL_MAX_CHARACTERS
    email: String,
}

/// A new password, and the token that was sent for it.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PasswordReset {
    #[schema(value_type = String, write_only)]
    token: SecretString,
    /// At least 12 characters.
    #[schema(value_type = String, format = Password, write_only, min_length = 12, max_length = 1024)]
    new_password: SecretString,
}

/// The token that was sent to an address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddressProof {
    #[schema(value_type = String, write_only)]
    token: SecretString,
}

/// Change the password
///
/// Ends every other session of the account.
#[utoipa::path(
    post, path = "/auth/password", operation_id = "changePassword", tag = "auth",
    request_body(content = PasswordChange, example = json!({
        "currentPassword": "correct horse battery", "newPassword": "a longer one than before"
    })),
    responses((status = 204, description = "The password is changed.")),
    security(("bearerAuth" = [])),
    extensions(("x-codes" = json!(["forbidden", "invalid_credentials", "conflict"]))),
)]
pub(crate) async fn change(State(app): State<App>, mut call: Call) -> Result<Response, ApiError> {
    let caller = call.person(&app).await?;
    let PasswordChange { current_password, new_password } = call.body(&app).await?;
    let origin = call.origin("changePassword");
    app.identity().password_change(&caller, current_password, new_password, &origin).await?;
    Ok(no_content())
}

/// Ask for a new password
///
/// Always answers 202, and sends a token to the address if there is an account with it.
#[utoipa::path(
    post, path = "/auth/password/forgot", operation_id = "forgetPassword", tag = "auth",
    request_body(content = ForgottenPassword, example = json!({"email": "eve@example.com"})),
    responses((status = 202, description = "If there is such an account, a mail is on its way.")),
    security(()),
)]
pub(crate) async fn forgot(State(app): State<App>, mut call: Call) -> Result<Response, ApiError> {
    call.check_public(&app)?;
    let ForgottenPassword { email } = call.body(&app).await?;
    if email.chars().count() > EMAIL_MAX_CHARACTERS {
        let message = format!("At most {EMAIL_MAX_CHARACTERS} characters.");
        return Err(ApiError::new("validation_failed", "The request does not fit the schema.").field(
            "/email",
            "validation_failed",
            message,
        ));
    }
    app.identity().password_forgot(&email, &call.origin("forgetPassword"));
    Ok(accepted())
}

/// Set a forgotten password anew
///
/// With the token that was sent, which is good for an hour and works once. Ends every session of the account.
#[utoipa::path(
    post, path = "/auth/password/reset", operation_id = "resetPassword", tag = "auth",
    request_body(content = PasswordReset, example = json!({
        "token": "otk_01KDVDNA00AYC2V77BZXVV1FK7_a1b2…", "newPassword": "a longer one than before"
    })),
    responses((status = 204, description = "The password is set.")),
    security(()),
    extensions(("x-codes" = json!(["token_invalid", "token_expired", "conflict"]))),
)]
pub(crate) async fn reset(State(app): State<App>, mut call: Call) -> Result<Response, ApiError> {
    call.check_public(&app)?;
    let PasswordReset { token, new_password } = call.body(&app).await?;
    app.identity().password_reset(&token, new_password, &call.origin("resetPassword")).await?;
    Ok(no_content())
}

/// Ask for a mail that proves the address
///
/// Sends a token to the caller's address, unless it is confirmed already.
#[utoipa::path(
    post, path = "/auth/email/verification", operation_id = "requestEmailVerification", tag = "auth",
    responses((status = 202, description = "A mail is on its way, unless the address is confirmed already.")),
    security(("bearerAuth" = [])),
    extensions(("x-codes" = json!(["forbidden"]))),
)]
pub(crate) async fn request_proof(State(app): State<App>, call: Call) -> Result<Response, ApiError> {
    let caller = call.person(&app).await?;
    app.identity().address_prove(&caller, &call.origin("requestEmailVerification"));
    Ok(accepted())
}

/// Confirm an e-mail address
///
/// With the token that was sent to it, which is good for three days and works once.
#[utoipa::path(
    post, path = "/auth/email/verify", operation_id = "verifyEmail", tag = "auth",
    request_body(content = AddressProof, example = json!({"token": "otk_01KDVDNA00AYC2V77BZXVV1FK7_a1b2…"})),
    responses((status = 204, description = "The address is confirmed.")),
    security(()),
    extensions(("x-codes" = json!(["token_invalid", "token_expired", "conflict"]))),
)]
pub(crate) async fn prove(State(app): State<App>, mut call: Call) -> Result<Response, ApiError> {
    call.check_public(&app)?;
    let AddressProof { token } = call.body(&app).await?;
    app.identity().address_confirm(&token, &call.origin("verifyEmail")).await?;
    Ok(no_content())
}
