//! Logging in, going on with a session, and ending it.

use std::time::Duration;

use secrecy::SecretString;
use store_model::{CollectionSchema, CommitRefused, Filter, Operation, Refusal, Write};

use crate::{
    clock::timestamp_at,
    store::{CommitError, PurgeError, ReadError, purge},
};

use super::{
    Audience, AuthError, Identity, Login, LoginError, Origin, Principal, SessionView,
    account::{self, Account, AccountKind, PASSWORD_HASH, fold_email},
    account_change::ended,
    guess::{self, Guesses},
    one_time,
    password::{self, HashError},
    refresh::{Presented, Standing, hash, random},
    session::{self, NewSession, Session, set},
    state,
};

/// How often a commit is tried anew when another one came between.
const ATTEMPTS: usize = 8;
/// How long the token before is good once more: its answer may have been lost, or two windows refresh at once.
const GRACE_MS: i64 = 5_000;

impl Identity {
    /// Begins a session for who knows the password. An unknown person costs as much as a known one, in the store and
    /// on the processor.
    ///
    /// # Errors
    /// Why not.
    pub async fn login(
        &self,
        audience: Audience,
        email: &str,
        password: SecretString,
        origin: &Origin,
    ) -> Result<Login, LoginError> {
        let inner = &*self.inner;
        let keys = Guesses::keys("login", audience.as_str(), &fold_email(email), origin.address);
        let _turn = inner.guesses.turn(&keys).await;
        let counts = inner.guesses.counts(&keys).await.map_err(LoginError::Unavailable)?;
        if let Some(wait) = counts.wait() {
            return Err(LoginError::TooMany(wait));
        }
        let account = inner.accounts.by_email(email).await.map_err(LoginError::Unavailable)?;
        let account = account.filter(|account| account.kind() == audience.account_kind());
        let known = account.as_ref().map(|account| account.password_hash().to_owned());
        let outdated = known.as_deref().is_some_and(password::is_outdated);
        let kept = outdated.then(|| password.clone());
        let matches = inner.passwords.verify(password, known).await.map_err(LoginError::from)?;
        let renewed = match kept.filter(|_| matches) {
            Some(password) => Some(inner.passwords.hash(password).await.map_err(LoginError::from)?),
            None => None,
        };
        for _ in 0..ATTEMPTS {
            let counts = inner.guesses.counts(&keys).await.map_err(LoginError::Unavailable)?;
            let (writes, outcome) = match &account {
                Some(account) if matches && account.is_active() => {
                    let (session_id, mut writes, token) =
                        self.session_begin(account, renewed.as_deref(), audience, origin)?;
                    writes.extend(counts.success(&keys));
                    (writes, Ok((account, session_id, token)))
                }
                Some(_) if matches => (counts.success(&keys), Err(LoginError::Disabled)),
                _ => (counts.failure(&keys), Err(LoginError::InvalidCredentials)),
            };
            let actor = account.as_ref().map(|account| (account.kind(), account.id()));
            let told = match &outcome {
                Ok(_) => "ok",
                Err(LoginError::Disabled) => "account_disabled",
                Err(_) => "invalid_credentials",
            };
            let mut all = writes;
            // Customers come and go; what staff do, and what fails, is kept.
            if audience == Audience::Admin || outcome.is_err() {
                all.push(origin.audit(&inner.store, actor, told, &all));
            }
            match inner.store.commit(all).await {
                Ok(documents) => {
                    let (account, session_id, refresh_token) = outcome?;
                    let user = documents.first().and_then(Option::as_ref).and_then(account::read);
                    let user = user.ok_or(LoginError::Internal)?.into_user();
                    let access_token = inner.signer.sign(audience, account.id(), &session_id);
                    return Ok(Login {
                        access_token: access_token.ok_or(LoginError::Internal)?,
                        expires_in_s: inner.signer.expiry_s(),
                        refresh_token,
                        refresh_expires_in_s: inner.session_idle.as_secs(),
                        audience,
                        user,
                    });
                }
                // The account was changed or deleted while its password was compared: what was compared no longer
                // counts.
                Err(CommitError::Refused(CommitRefused {
                    write: 0,
                    reason: Refusal::Guard | Refusal::NotFound,
                })) if outcome.is_ok() => {
                    return Err(LoginError::InvalidCredentials);
                }
                Err(CommitError::Refused(CommitRefused {
                    reason: Refusal::AlreadyExists | Refusal::NotFound,
                    ..
                })) => {}
                Err(error) => return Err(LoginError::Store(error)),
            }
        }
        Err(LoginError::Internal)
    }

    /// The writes that begin a session, the account's first, and its refresh token. `renewed` is a better hash of the
    /// password than the account has.
    fn session_begin(
        &self,
        account: &Account,
        renewed: Option<&str>,
        audience: Audience,
        origin: &Origin,
    ) -> Result<(String, Vec<Write>, SecretString), LoginError> {
        let inner = &*self.inner;
        let now_ms = inner.store.clock().now_ms();
        let now = timestamp_at(now_ms);
        let id = inner.store.id_new("ses");
        let salt = random::<16>().ok_or(LoginError::Internal)?;
        let token = inner.refresh.token(&id, &salt, 1).ok_or(LoginError::Internal)?;
        let ends_ms = after(now_ms, inner.session_max);
        let expires_ms = after(now_ms, inner.session_idle).min(ends_ms);
        let new = NewSession {
            id: &id,
            account,
            audience,
            salt: &salt,
            token_hash: &hash(&token).to_hex(),
            now: &now,
            now_ms,
            expires_at: &timestamp_at(expires_ms),
            ends_at: &timestamp_at(ends_ms),
            user_agent: origin.user_agent.as_deref(),
            address: origin.address_text(),
        };
        let mut operations = vec![set("lastLoginAt", now.clone())];
        operations.extend(renewed.map(|hash| set(PASSWORD_HASH, hash)));
        let mut seen = Write::new(account::COLLECTION, account.id(), Operation::Update(operations));
        seen.guard = Some(account.unchanged());
        let writes = vec![seen, new.write()];
        Ok((id, writes, token))
    }

    /// A new access token and the next refresh token of the session. Whoever shows a token that was replaced before
    /// ends the session: one of the two who have it has stolen it.
    ///
    /// # Errors
    /// Why not.
    pub async fn refresh(&self, token: &SecretString, origin: &Origin) -> Result<Login, AuthError> {
        let inner = &*self.inner;
        let presented = Presented::parse(token).ok_or(AuthError::Invalid)?;
        for _ in 0..ATTEMPTS {
            let session = session::by_id(&inner.store, &presented.session_id).await;
            let session = session.map_err(AuthError::Unavailable)?.ok_or(AuthError::Invalid)?;
            let standing = inner.refresh.standing(&presented, &session);
            if standing == Standing::Unknown {
                return Err(AuthError::Invalid);
            }
            let account = inner.accounts.by_id(&session.account_id).await.map_err(AuthError::Unavailable)?;
            let account = account.filter(|account| account.is_active() && session.is_of(account));
            let account = account.ok_or(AuthError::Revoked)?;
            let now_ms = inner.store.clock().now_ms();
            if session.expires_at <= timestamp_at(now_ms) {
                return Err(AuthError::Expired);
            }
            let again = session.rotated_at_ms.saturating_add(GRACE_MS) > now_ms;
            let (writes, answer) = match standing {
                Standing::Good => {
                    let (write, next) = self.rotation(&session, now_ms)?;
                    (vec![write], Ok(next))
                }
                Standing::Replaced { last: true } if again && session.repeated => {
                    return Err(AuthError::Revoked);
                }
                Standing::Replaced { last: true } if again => {
                    let next = inner.refresh.good(&session).ok_or(AuthError::Revoked)?;
                    (vec![session.change(vec![set("repeated", true)])], Ok(next))
                }
                Standing::Replaced { .. } | Standing::Unknown => {
                    let mut revocation = session.revocation(&timestamp_at(now_ms));
                    revocation.expected_version = Some(session.version);
                    let actor = Some((account.kind(), account.id()));
                    let mut writes = vec![revocation];
                    writes.push(origin.audit(&inner.store, actor, "token_reused", &writes));
                    tracing::warn!(
                        session.id = session.id,
                        user.id = account.id(),
                        "A refresh token was used again; its session is revoked"
                    );
                    (writes, Err(AuthError::Revoked))
                }
            };
            match inner.store.commit(writes).await {
                Ok(_) => {
                    let refresh_token = answer?;
                    let access = inner.signer.sign(session.audience, account.id(), &session.id);
                    return Ok(Login {
                        access_token: access.ok_or(AuthError::Internal)?,
                        expires_in_s: inner.signer.expiry_s(),
                        refresh_token,
                        refresh_expires_in_s: inner.session_idle.as_secs(),
                        audience: session.audience,
                        user: account.into_user(),
                    });
                }
                Err(CommitError::Refused(CommitRefused {
                    reason: Refusal::Version { .. } | Refusal::NotFound,
                    ..
                })) => {}
                Err(error) => return Err(AuthError::Store(error)),
            }
        }
        Err(AuthError::Internal)
    }

    /// The write that makes the next token the good one, and that token.
    fn rotation(&self, session: &Session, now_ms: i64) -> Result<(Write, SecretString), AuthError> {
        let inner = &*self.inner;
        let generation = session.generation + 1;
        let next = inner.refresh.token(&session.id, &session.salt, generation).ok_or(AuthError::Internal)?;
        let expires = timestamp_at(after(now_ms, inner.session_idle)).min(session.ends_at.clone());
        let write = session.change(vec![
            set("generation", generation),
            set("tokenHash", hash(&next).to_hex().as_str()),
            set("rotatedAtMs", now_ms),
            set("repeated", false),
            set("lastSeenAt", timestamp_at(now_ms)),
            set("expiresAt", expires),
        ]);
        Ok((write, next))
    }

    /// Ends the session of a refresh token. A token that is not good ends nothing.
    ///
    /// # Errors
    /// Why not.
    pub async fn logout(&self, token: &SecretString, origin: &Origin) -> Result<(), AuthError> {
        let inner = &*self.inner;
        let presented = Presented::parse(token).ok_or(AuthError::Invalid)?;
        let session = session::by_id(&inner.store, &presented.session_id).await;
        let session = session.map_err(AuthError::Unavailable)?.ok_or(AuthError::Invalid)?;
        if inner.refresh.standing(&presented, &session) == Standing::Unknown {
            return Err(AuthError::Invalid);
        }
        let kind = session.audience.account_kind();
        self.session_end(&session, kind, origin).await
    }

    /// The living sessions of the caller's account, the newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sessions(&self, of: &Principal) -> Result<Vec<SessionView>, ReadError> {
        let inner = &*self.inner;
        let Some(account) = inner.accounts.by_id(&of.id).await? else { return Ok(Vec::new()) };
        let sessions = session::living(&inner.store, &account).await?;
        Ok(sessions.into_iter().map(|session| session.view(of.session_id.as_deref())).collect())
    }

    /// Ends one session of the caller's account; without an id the caller's own. Answers whether there was one.
    ///
    /// # Errors
    /// Why not.
    pub async fn session_revoke(
        &self,
        id: Option<&str>,
        of: &Principal,
        origin: &Origin,
    ) -> Result<bool, AuthError> {
        let inner = &*self.inner;
        let Some(id) = id.or(of.session_id.as_deref()) else { return Ok(false) };
        let places = [(session::COLLECTION, id.to_owned()), (account::COLLECTION, of.id.clone())];
        let found = inner.store.document_get_each(&places).await.map_err(AuthError::Unavailable)?;
        let session = found[0].as_ref().and_then(session::read);
        let account = found[1].as_ref().and_then(account::read);
        let (Some(session), Some(account)) = (session, account) else { return Ok(false) };
        if !session.is_of(&account) || session.expires_at <= inner.store.clock().timestamp() {
            return Ok(false);
        }
        self.session_end(&session, account.kind(), origin).await.map(|()| true)
    }

    /// Ends every session of the caller's account.
    ///
    /// # Errors
    /// Why not.
    pub async fn sessions_revoke(&self, of: &Principal, origin: &Origin) -> Result<(), AuthError> {
        let inner = &*self.inner;
        let kind = of.user.as_ref().map_or(AccountKind::Admin, |user| user.kind);
        let mut writes = vec![Write::new(account::COLLECTION, &of.id, Operation::Update(vec![ended()]))];
        writes.push(origin.audit(&inner.store, Some((kind, &of.id)), "ok", &writes));
        inner.store.commit(writes).await.map(drop).map_err(AuthError::Store)
    }

    async fn session_end(
        &self,
        session: &Session,
        kind: AccountKind,
        origin: &Origin,
    ) -> Result<(), AuthError> {
        let inner = &*self.inner;
        let mut writes = vec![session.revocation(&inner.store.clock().timestamp())];
        writes.push(origin.audit(&inner.store, Some((kind, &session.account_id)), "ok", &writes));
        match inner.store.commit(writes).await {
            Ok(_)
            // Swept meanwhile.
            | Err(CommitError::Refused(CommitRefused { write: 0, reason: Refusal::NotFound })) => Ok(()),
            Err(error) => Err(AuthError::Store(error)),
        }
    }

    /// The caller behind the text after `Bearer `: an access token of either audience, or a service account's key.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub async fn authenticate(&self, bearer: &str) -> Result<Principal, AuthError> {
        let inner = &*self.inner;
        if super::api_key::is_key(bearer) {
            return self.authenticate_key(&SecretString::from(bearer)).await;
        }
        let (audience, claims) = inner.verifier.verify_any(bearer)?;
        // One call for everything that can take the right away since the token was signed.
        let places = [(session::COLLECTION, claims.sid), (account::COLLECTION, claims.sub), state::place()];
        let found = inner.store.document_get_each(&places).await.map_err(AuthError::Unavailable)?;
        let session = found[0].as_ref().and_then(session::read).ok_or(AuthError::Revoked)?;
        let account = found[1].as_ref().and_then(account::read).ok_or(AuthError::Revoked)?;
        let lives = session.is_of(&account)
            && session.audience == audience
            && account.is_active()
            && session.expires_at > inner.store.clock().timestamp();
        if !lives {
            return Err(AuthError::Revoked);
        }
        let user = account.into_user();
        let stamp = state::stamp(found[2].as_ref());
        let permissions = inner.roles.permissions_of(&user.roles, stamp).await;
        Ok(Principal {
            id: user.id.clone(),
            kind: audience.account_kind().into(),
            session_id: Some(session.id),
            roles: user.roles.clone(),
            permissions: permissions.map_err(AuthError::Unavailable)?,
            user: Some(user),
        })
    }

    /// Deletes sessions, one-use tokens and counts whose time is over, and answers how many.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sweep(&self) -> Result<usize, PurgeError> {
        let inner = &*self.inner;
        let now = inner.store.clock().timestamp();
        let over = Filter::Lt("expiresAt".to_owned(), now.into());
        let sessions = purge(&inner.store, session::COLLECTION, over.clone()).await?;
        let tokens = purge(&inner.store, one_time::COLLECTION, over).await?;
        Ok(sessions + tokens + inner.guesses.purge().await?)
    }
}

fn after(now_ms: i64, while_: Duration) -> i64 {
    now_ms.saturating_add(i64::try_from(while_.as_millis()).unwrap_or(i64::MAX))
}

impl From<HashError> for LoginError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::Busy,
            HashError::Failed => Self::Internal,
        }
    }
}

/// The collections that guesses and sessions need, beside the accounts.
pub(super) fn collections() -> Vec<CollectionSchema> {
    vec![session::schema(), guess::schema(), one_time::schema(), state::schema()]
}
