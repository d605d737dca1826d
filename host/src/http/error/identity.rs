//! What identity refuses, as a client is told.

use std::time::Duration;

use axum::http::header;

use super::ApiError;
use crate::{
    identity::{AccountError, ApiKeyError, AuthError, LoginError, RecoveryError, RoleError},
    text::sentence,
};

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let challenged =
            |error: Self| error.header(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"");
        match error {
            AuthError::Invalid => challenged(Self::new("token_invalid", "The token is not valid.")),
            AuthError::Expired => challenged(Self::new("token_expired", "The token has expired.")),
            AuthError::Revoked => challenged(Self::new("token_revoked", "The token was revoked.")),
            AuthError::Unavailable(error) => error.into(),
            AuthError::Store(error) => error.into(),
            AuthError::Internal => internal(),
        }
    }
}

impl From<LoginError> for ApiError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::InvalidCredentials => {
                Self::new("invalid_credentials", "The e-mail address or the password is wrong.")
            }
            LoginError::Disabled => Self::new("account_disabled", "The account is disabled."),
            LoginError::TooMany(wait) => too_many(wait),
            LoginError::Busy => Self::new("rate_limited", "Too many logins at once.").retry_after(1),
            LoginError::Unavailable(error) => error.into(),
            LoginError::Store(error) => error.into(),
            LoginError::Internal => internal(),
        }
    }
}

impl From<RecoveryError> for ApiError {
    fn from(error: RecoveryError) -> Self {
        match error {
            RecoveryError::Password(rejected) => Self::new("validation_failed", "The request is not valid.")
                .field("/newPassword", "validation_failed", sentence(&rejected.to_string())),
            RecoveryError::Invalid => Self::new("token_invalid", "The token is not valid."),
            RecoveryError::Expired => Self::new("token_expired", "The token has expired."),
            RecoveryError::Login(error) => error.into(),
            RecoveryError::Read(error) => error.into(),
            RecoveryError::Commit(error) => error.into(),
        }
    }
}

impl From<RoleError> for ApiError {
    fn from(error: RoleError) -> Self {
        match error {
            RoleError::NotFound => Self::not_found(),
            RoleError::Version { expected, current } => version_conflict(expected, current),
            RoleError::Fixed => Self::new("conflict", "A built-in role stays."),
            RoleError::InUse => Self::new("reference_in_use", "Somebody has the role."),
            RoleError::UnknownPermission(position) => unknown_permission(position),
            RoleError::NotHeld(position) => not_held(position),
            RoleError::Read(error) => error.into(),
            RoleError::Commit(error) => error.into(),
        }
    }
}

impl From<ApiKeyError> for ApiError {
    fn from(error: ApiKeyError) -> Self {
        match error {
            ApiKeyError::NotFound => Self::not_found(),
            ApiKeyError::UnknownPermission(position) => unknown_permission(position),
            ApiKeyError::NotHeld(position) => not_held(position),
            ApiKeyError::Expired => Self::new("validation_failed", "The request is not valid.").field(
                "/expiresAt",
                "validation_failed",
                "The time is not in the future.",
            ),
            ApiKeyError::Commit(error) => error.into(),
            ApiKeyError::Internal => internal(),
        }
    }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        let message = sentence(&error.to_string());
        let (code, member) = (error.code(), error.member());
        match error {
            AccountError::Read(error) => error.into(),
            AccountError::Store(error) => error.into(),
            AccountError::Busy => Self::new(code, message).retry_after(1),
            _ => match member {
                Some(member) => Self::new(code, message.clone()).field(&format!("/{member}"), code, message),
                None => Self::new(code, message),
            },
        }
    }
}

/// The caller has to wait.
fn too_many(wait: Duration) -> ApiError {
    let seconds = wait.as_millis().div_ceil(1_000).max(1);
    ApiError::new("rate_limited", "Too many attempts have failed: wait before the next one.")
        .retry_after(u32::try_from(seconds).unwrap_or(u32::MAX))
}

fn internal() -> ApiError {
    ApiError::new("internal", "The request could not be answered.")
}

fn version_conflict(expected: u64, current: u64) -> ApiError {
    ApiError::new("version_conflict", "The resource has changed since it was read.")
        .extra("expected", expected)
        .extra("current", current)
}

fn unknown_permission(position: usize) -> ApiError {
    ApiError::new("validation_failed", "The request is not valid.").field(
        &format!("/permissions/{position}"),
        "validation_failed",
        "There is no such permission.",
    )
}

fn not_held(position: usize) -> ApiError {
    ApiError::new("forbidden", "Nobody can give a permission that they do not hold.").field(
        &format!("/permissions/{position}"),
        "forbidden",
        "The caller does not hold this permission.",
    )
}
