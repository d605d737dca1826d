//! Who is calling: accounts, passwords, access tokens, roles and permissions.
//!
//! Invariants: a password and its hash never leave this module; a login takes one hash whether or not the person
//! exists; a token is accepted only when we signed it for the audience that is asked, by the injected clock; roles
//! are read at every call, so that taking one away works at once.
//!
//! Deliberately absent: HTTP and WebAssembly. Sessions and refresh tokens are not here yet; access tokens already
//! carry the session id they will need.

mod account;
mod password;
mod permission;
mod role;
#[cfg(test)]
mod tests;
mod token;

use std::{fmt, sync::Arc};

use secrecy::SecretString;
use serde::Serialize;

use crate::{
    config::AuthConfig,
    store::{CommitError, DeclareError, ReadError, Store},
};

use self::{
    account::Accounts,
    password::Passwords,
    token::{TokenSigner, TokenVerifier},
};

pub use self::{
    account::{AccountKind, AccountStatus, NewAccount, User},
    password::{PASSWORD_MIN_CHARACTERS, PasswordRejected},
    permission::allows,
    role::{BUILT_IN_ROLES, Role},
    token::Audience,
};

/// Accounts and tokens. Clones share them.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    accounts: Accounts,
    passwords: Passwords,
    signer: TokenSigner,
    verifier: TokenVerifier,
}

/// A successful login.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Login {
    pub access_token: String,
    pub expires_in_s: u64,
    pub user: User,
}

/// The caller behind a valid token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Account id.
    pub id: String,
    pub kind: AccountKind,
    pub email: String,
    pub name: String,
    pub session_id: String,
    pub roles: Vec<String>,
    /// Everything the roles allow, without repetition. May hold `*` and `resource:*`.
    pub permissions: Vec<String>,
}

impl Principal {
    pub fn allows(&self, permission: &str) -> bool {
        allows(&self.permissions, permission)
    }
}

/// Why identity could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("no signing secret is configured")]
    NoSecret,
    #[error("access tokens cannot be signed and verified with the configured secret")]
    SelfTest,
    #[error("the collection of accounts cannot be declared")]
    Store(#[source] DeclareError),
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
    #[error("too many passwords are being checked")]
    Busy,
    #[error("the accounts cannot be read")]
    Unavailable(#[source] ReadError),
    #[error("the login failed inside")]
    Internal,
}

/// Why a token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Not validly signed by us for this audience: what is wrong with it is nobody's business.
    #[error("the token is invalid")]
    Invalid,
    /// Ours, and past its end.
    #[error("the token has expired")]
    Expired,
    /// Ours, but the account is gone, disabled or of another kind.
    #[error("the token was revoked")]
    Revoked,
    #[error("the accounts cannot be read")]
    Unavailable(#[source] ReadError),
}

/// Why an account was not created.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("`{0}` is not an email address")]
    InvalidEmail(String),
    #[error("an account with the email address `{0}` exists already")]
    EmailTaken(String),
    #[error("the name is longer than {0} characters")]
    NameTooLong(usize),
    #[error("there is no role `{role}`; the roles are {known}")]
    UnknownRole { role: String, known: String },
    #[error("a customer account cannot have roles")]
    CustomerWithRoles,
    #[error("{0}")]
    Password(PasswordRejected),
    #[error("too many passwords are being checked")]
    Busy,
    #[error("the account cannot be stored")]
    Store(#[source] CommitError),
    #[error("the account cannot be created")]
    Internal,
}

impl Identity {
    /// Declares the collection of accounts and makes the keys.
    pub async fn open(store: Store, config: &AuthConfig) -> Result<Self, IdentityError> {
        let signer = TokenSigner::new(config, store.clock().clone()).ok_or(IdentityError::NoSecret)?;
        let verifier = TokenVerifier::new(config, store.clock().clone());
        token::self_test(&signer, &verifier).ok_or(IdentityError::SelfTest)?;
        let accounts = Accounts::open(store).await.map_err(IdentityError::Store)?;
        let passwords = Passwords::new(config.hash_concurrency, config.hash_queue);
        Ok(Self { inner: Arc::new(Inner { accounts, passwords, signer, verifier }) })
    }

    /// Creates an account. Passwords are checked for their length only: 12 characters or more.
    pub async fn account_create(
        &self,
        new: NewAccount,
        password: SecretString,
    ) -> Result<User, AccountError> {
        let new = new.checked()?;
        password::check(&password).map_err(AccountError::Password)?;
        let hash = self.inner.passwords.hash(password).await.map_err(|error| match error {
            password::HashError::Busy => AccountError::Busy,
            password::HashError::Failed => AccountError::Internal,
        })?;
        self.inner.accounts.create(new, hash).await
    }

    /// Logs a member of staff in.
    pub async fn login_admin(&self, email: &str, password: SecretString) -> Result<Login, LoginError> {
        self.login(Audience::Admin, email, password).await
    }

    async fn login(
        &self,
        audience: Audience,
        email: &str,
        password: SecretString,
    ) -> Result<Login, LoginError> {
        let Inner { accounts, passwords, signer, .. } = &*self.inner;
        let account = accounts.by_email(email).await.map_err(LoginError::Unavailable)?;
        let account = account.filter(|account| account.kind() == audience.account_kind());
        let hash = account.as_ref().map(|account| account.password_hash().to_owned());
        let matches = passwords.verify(password, hash).await.map_err(|error| match error {
            password::HashError::Busy => LoginError::Busy,
            password::HashError::Failed => LoginError::Internal,
        })?;
        let Some(account) = account.filter(|_| matches) else {
            return Err(LoginError::InvalidCredentials);
        };
        if !account.is_active() {
            return Err(LoginError::Disabled);
        }
        let session_id = accounts.session_id_new();
        let access_token = signer.sign(audience, account.id(), &session_id).ok_or(LoginError::Internal)?;
        Ok(Login { access_token, expires_in_s: signer.expiry_s(), user: account.into_user() })
    }

    /// The caller behind the text after `Bearer `.
    pub async fn authenticate(&self, bearer: &str, audience: Audience) -> Result<Principal, AuthError> {
        let claims = self.inner.verifier.verify(bearer, audience)?;
        let account = self.inner.accounts.by_id(&claims.sub).await.map_err(AuthError::Unavailable)?;
        let account = account
            .filter(|account| account.is_active() && account.kind() == audience.account_kind())
            .ok_or(AuthError::Revoked)?;
        let User { id, kind, email, name, roles, .. } = account.into_user();
        let permissions = role::permissions_of(&roles);
        Ok(Principal { id, kind, email, name, session_id: claims.sid, roles, permissions })
    }

    /// Whether anybody can administer this shop yet.
    pub async fn has_admin(&self) -> Result<bool, ReadError> {
        self.inner.accounts.has_admin().await
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Identity").finish_non_exhaustive()
    }
}
