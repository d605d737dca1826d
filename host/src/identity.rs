//! Who is calling: accounts, passwords, sessions, roles, service accounts' keys.
//!
//! Invariants: a password and its hash never leave this module, and of tokens and keys only hashes are stored; a login
//! takes one hash whether or not the person exists; a token is accepted only when we signed it, by the injected clock,
//! and while its session lives; account, session and roles are looked at for every call, so that taking something
//! away works at once; nobody gives a permission that they do not hold.
//!
//! Deliberately absent: HTTP and WebAssembly, and profiles, which belong to a plugin.

mod account;
mod account_change;
mod api_key;
mod error;
mod guess;
mod login;
mod one_time;
mod origin;
mod password;
mod permission;
mod recovery;
mod refresh;
mod role;
mod role_change;
mod session;
mod state;
#[cfg(test)]
mod tests;
mod token;

use std::{fmt, sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use store_model::CollectionSchema;
use tokio::sync::Semaphore;

use crate::{
    config::AuthConfig,
    mail::Mailer,
    store::{ReadError, Store},
};

use self::{
    account::Accounts,
    guess::Guesses,
    password::Passwords,
    refresh::RefreshTokens,
    role::Roles,
    token::{TokenSigner, TokenVerifier},
};

pub use self::{
    account::{AccountKind, AccountStatus, NewAccount, User},
    account_change::{AccountMembers, AccountPrepared, Editor, USERS_WRITE},
    api_key::{ApiKey, ApiKeyError, NewApiKey},
    error::{AccountError, AuthError, IdentityError, LoginError},
    origin::Origin,
    password::{PASSWORD_MIN_CHARACTERS, PasswordRejected},
    permission::{KnownPermission, allows, host_permissions},
    recovery::RecoveryError,
    role::{Role, RoleContent, RolesOpenError},
    role_change::RoleError,
    session::SessionView,
    token::Audience,
};

/// The collections of identity that lists are made of, for who answers them.
pub mod collections {
    /// Without the members whose names start with `_`, which are nobody's to see.
    pub const ACCOUNTS: &str = super::account::COLLECTION;
    pub const ROLES: &str = super::role::COLLECTION;
    pub const API_KEYS: &str = super::api_key::COLLECTION;
}

/// Accounts and everything that shows who somebody is. Clones share it.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    accounts: Accounts,
    passwords: Passwords,
    roles: Roles,
    guesses: Guesses,
    signer: TokenSigner,
    verifier: TokenVerifier,
    refresh: RefreshTokens,
    /// For fingerprints of what must not be found out by trying.
    fingerprints: [u8; blake3::KEY_LEN],
    mailer: Mailer,
    /// Messages that are being made.
    messages: Arc<Semaphore>,
    /// How long a session lives without a refresh, and at all.
    session_idle: Duration,
    session_max: Duration,
}

/// A successful login or refresh. Not `Debug`: it holds tokens.
pub struct Login {
    pub access_token: String,
    pub expires_in_s: u64,
    pub refresh_token: SecretString,
    pub refresh_expires_in_s: u64,
    pub audience: Audience,
    pub user: User,
}

/// The caller behind a valid token or key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The account's id, or the key's.
    pub id: String,
    pub kind: PrincipalKind,
    /// Nobody behind a key.
    pub user: Option<User>,
    pub session_id: Option<String>,
    pub roles: Vec<String>,
    /// Everything that is allowed, without repetition. May hold `*` and `resource:*`.
    pub permissions: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrincipalKind {
    Customer,
    Admin,
    /// A service account.
    Service,
}

impl From<AccountKind> for PrincipalKind {
    fn from(kind: AccountKind) -> Self {
        match kind {
            AccountKind::Customer => Self::Customer,
            AccountKind::Admin => Self::Admin,
        }
    }
}

impl Principal {
    /// Staff and service accounts may do what their permissions say; customers reach their own objects, whatever their
    /// permissions.
    pub fn allows(&self, permission: &str) -> bool {
        self.kind != PrincipalKind::Customer && allows(&self.permissions, permission)
    }
}

impl Identity {
    /// Declares the collections, makes the built-in roles that are missing, and the keys.
    ///
    /// # Errors
    /// What keeps it from working.
    pub async fn open(store: Store, config: &AuthConfig, mailer: Mailer) -> Result<Self, IdentityError> {
        let signer = TokenSigner::new(config, store.clock().clone()).ok_or(IdentityError::NoSecret)?;
        let verifier = TokenVerifier::new(config, store.clock().clone());
        token::self_test(&signer, &verifier).ok_or(IdentityError::SelfTest)?;
        store.collections_declare_host(Self::schemas()).await.map_err(IdentityError::Store)?;
        state::ensure(&store).await.map_err(|error| IdentityError::Roles(error.into()))?;
        let roles = Roles::open(store.clone()).await.map_err(IdentityError::Roles)?;
        Ok(Self {
            inner: Arc::new(Inner {
                accounts: Accounts::new(store.clone()),
                passwords: Passwords::new(config.hash_concurrency, config.hash_queue),
                roles,
                guesses: Guesses::new(store.clone()),
                signer,
                verifier,
                refresh: RefreshTokens::new(config),
                fingerprints: fingerprint_key(config),
                mailer,
                messages: Arc::new(Semaphore::new(recovery::MESSAGES)),
                session_idle: config.session_idle,
                session_max: config.session_max,
                store,
            }),
        })
    }

    /// A fingerprint that means nothing to who does not know this host's secret.
    pub fn fingerprint(&self, bytes: &[u8]) -> blake3::Hash {
        blake3::keyed_hash(&self.inner.fingerprints, bytes)
    }

    fn schemas() -> Vec<CollectionSchema> {
        let mut schemas = vec![account::schema(), role::schema(), api_key::schema()];
        schemas.extend(login::collections());
        schemas
    }

    /// Whether anybody can administer this shop yet.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn has_admin(&self) -> Result<bool, ReadError> {
        self.inner.accounts.has_admin().await
    }
}

fn fingerprint_key(config: &AuthConfig) -> [u8; blake3::KEY_LEN] {
    let secret = config.jwt_secret.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
    blake3::derive_key("wares 2026-11-23 fingerprints", secret.as_bytes())
}

/// What may be asked of accounts, for who lists them.
pub(crate) fn accounts_schema() -> CollectionSchema {
    account::schema()
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Identity").finish_non_exhaustive()
    }
}
