//! Why identity says no. Variants are what a caller can act on.

use std::time::Duration;

use crate::store::{CommitError, DeclareError, ReadError};

use super::{password::PasswordRejected, role::RolesOpenError};

/// Why identity could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("no signing secret is configured")]
    NoSecret,
    #[error("access tokens cannot be signed and verified with the configured secret")]
    SelfTest,
    #[error("the collections of accounts cannot be declared")]
    Store(#[source] DeclareError),
    #[error("the roles cannot be set up")]
    Roles(#[source] RolesOpenError),
}

/// Why a login was refused.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Unknown person, wrong password or wrong kind of account: not told apart.
    #[error("the email address or the password is wrong")]
    InvalidCredentials,
    /// Told only to who knows the password.
    #[error("the account is disabled")]
    Disabled,
    /// Too many failures: how long to wait.
    #[error("too many attempts have failed")]
    TooMany(Duration),
    #[error("too many passwords are being checked")]
    Busy,
    #[error("the accounts cannot be read")]
    Unavailable(#[source] ReadError),
    #[error("the attempt cannot be recorded")]
    Store(#[source] CommitError),
    #[error("the login failed inside")]
    Internal,
}

/// Why a token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Not validly signed by us: what is wrong with it is nobody's business.
    #[error("the token is invalid")]
    Invalid,
    /// Ours, and past its end.
    #[error("the token has expired")]
    Expired,
    /// Ours, but the session was ended, or the account is gone, disabled or of another kind.
    #[error("the token was revoked")]
    Revoked,
    #[error("the accounts cannot be read")]
    Unavailable(#[source] ReadError),
    #[error("the session cannot be written")]
    Store(#[source] CommitError),
    #[error("the token cannot be made")]
    Internal,
}

/// Why an account was not created, changed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("there is no such account")]
    NotFound,
    #[error("`{0}` is not an email address")]
    InvalidEmail(String),
    #[error("an account with the email address `{0}` exists already")]
    EmailTaken(String),
    #[error("a name has at most {0} characters, and none that control a terminal")]
    InvalidName(usize),
    #[error("a telephone number has at most {0} bytes")]
    InvalidPhone(usize),
    #[error("an account has at most {0} groups, which are words of letters, digits, `-` and `_`")]
    InvalidGroups(usize),
    /// A member's name.
    #[error("the member `{0}` is not for this caller to set")]
    NotSettable(&'static str),
    #[error("an account stays of the kind that it was made")]
    KindStays,
    #[error("there is no role `{role}`; the roles are {known}")]
    UnknownRole { role: String, known: String },
    #[error("a customer account cannot have roles")]
    CustomerWithRoles,
    #[error("the role `{0}` allows what is not held by who gives it")]
    RoleNotHeld(String),
    #[error("the account may do what is not held by who changes it")]
    Outranks,
    #[error("the last superadmin stays one")]
    LastSuperadmin,
    #[error("no password was given")]
    NoPassword,
    #[error("{0}")]
    Password(PasswordRejected),
    #[error("the hash is neither argon2id nor bcrypt")]
    UnknownHash,
    #[error("too many passwords are being hashed")]
    Busy,
    #[error("the accounts cannot be read")]
    Read(#[source] ReadError),
    #[error("the account cannot be stored")]
    Store(#[source] CommitError),
    #[error("the account cannot be created")]
    Internal,
}

impl AccountError {
    /// The code that tells a client, of `codes.rs`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::EmailTaken(_) => "already_exists",
            Self::InvalidEmail(_)
            | Self::InvalidName(_)
            | Self::InvalidPhone(_)
            | Self::InvalidGroups(_)
            | Self::NotSettable(_)
            | Self::KindStays
            | Self::UnknownRole { .. }
            | Self::CustomerWithRoles
            | Self::NoPassword
            | Self::Password(_)
            | Self::UnknownHash => "validation_failed",
            Self::RoleNotHeld(_) | Self::Outranks => "forbidden",
            Self::LastSuperadmin => "conflict",
            Self::Busy => "rate_limited",
            Self::Read(_) | Self::Store(_) => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// The member that is to blame, if one is.
    pub fn member(&self) -> Option<&'static str> {
        match self {
            Self::InvalidEmail(_) | Self::EmailTaken(_) => Some("email"),
            Self::InvalidName(_) => Some("name"),
            Self::InvalidPhone(_) => Some("phone"),
            Self::InvalidGroups(_) => Some("groups"),
            Self::NotSettable(member) => Some(member),
            Self::KindStays => Some("kind"),
            Self::UnknownRole { .. } | Self::CustomerWithRoles | Self::RoleNotHeld(_) => Some("roles"),
            Self::NoPassword | Self::Password(_) => Some("password"),
            Self::UnknownHash => Some("passwordHash"),
            _ => None,
        }
    }
}
