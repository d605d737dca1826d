//! Passwords: changing one, setting a forgotten one anew, and proving that an address is read.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use store_model::{CommitRefused, Filter, Operation, Refusal, Write};

use crate::{
    chain::chain,
    mail::Mail,
    store::{CommitError, ReadError},
};

use super::{
    AccountKind, Audience, Identity, LoginError, Origin, Principal,
    account::{self, Account, fold_email},
    account_change::ended,
    guess::Guesses,
    one_time::{self, Purpose},
    password,
    session::{self, set},
};

/// Messages that are being made at once; more are dropped, as if the mail was lost.
pub(super) const MESSAGES: usize = 16;
const ATTEMPTS: usize = 4;

/// Why a password was not changed, or an address not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    #[error("{0}")]
    Password(password::PasswordRejected),
    /// Not ours, used already, or overtaken by a newer password.
    #[error("the token is invalid")]
    Invalid,
    #[error("the token has expired")]
    Expired,
    #[error("the attempt was refused")]
    Login(#[source] LoginError),
    #[error("the accounts cannot be read")]
    Read(#[source] ReadError),
    #[error("the account cannot be stored")]
    Commit(#[source] CommitError),
}

impl Identity {
    /// Gives the caller a new password and ends every other session.
    ///
    /// # Errors
    /// Why not.
    pub async fn password_change(
        &self,
        of: &Principal,
        current: SecretString,
        new: SecretString,
        origin: &Origin,
    ) -> Result<(), RecoveryError> {
        let inner = &*self.inner;
        password::check(&new).map_err(RecoveryError::Password)?;
        let account = inner.accounts.by_id(&of.id).await.map_err(RecoveryError::Read)?;
        let account = account.ok_or(RecoveryError::Invalid)?;
        let keys = Guesses::keys("login", audience(&account).as_str(), &account.user().email, origin.address);
        let _turn = inner.guesses.turn(&keys).await;
        let counts = inner.guesses.counts(&keys).await.map_err(RecoveryError::Read)?;
        if let Some(wait) = counts.wait() {
            return Err(RecoveryError::Login(LoginError::TooMany(wait)));
        }
        let known = Some(account.password_hash().to_owned());
        let matches = inner.passwords.verify(current, known).await;
        let actor = Some((account.kind(), account.id()));
        if !matches.map_err(|error| RecoveryError::Login(error.into()))? {
            for _ in 0..ATTEMPTS {
                let counts = inner.guesses.counts(&keys).await.map_err(RecoveryError::Read)?;
                let mut writes = counts.failure(&keys);
                writes.push(origin.audit(&inner.store, actor, "invalid_credentials", &writes));
                match inner.store.commit(writes).await {
                    Ok(_) => return Err(RecoveryError::Login(LoginError::InvalidCredentials)),
                    Err(error) if came_between(&error) => {}
                    Err(error) => return Err(RecoveryError::Commit(error)),
                }
            }
            return Err(RecoveryError::Login(LoginError::Internal));
        }
        let mut writes = vec![self.password_write(&account, new, false).await?];
        if let Some(session) = &of.session_id {
            // This session goes on with the account's next epoch.
            let stays = vec![set("epoch", account.epoch() + 1)];
            writes.push(Write::new(session::COLLECTION, session, Operation::Update(stays)));
        }
        writes.push(origin.audit(&inner.store, actor, "ok", &writes));
        inner.store.commit(writes).await.map(drop).map_err(RecoveryError::Commit)
    }

    /// Sends a token for a new password to the account with this address, if there is one. Returns at once and works
    /// in the background, so that nobody learns from it whether there is.
    pub fn password_forgot(&self, email: &str, origin: &Origin) {
        let Ok(permit) = Arc::clone(&self.inner.messages).try_acquire_owned() else {
            tracing::warn!("Too many people have forgotten their password at once; one was not answered");
            return;
        };
        let (identity, email, origin) = (self.clone(), fold_email(email), origin.clone());
        tokio::spawn(async move {
            let _permit = permit;
            if let Err(error) = identity.forgot(&email, &origin).await {
                tracing::warn!(cause = %chain(&error), "A forgotten password was not answered");
            }
        });
    }

    async fn forgot(&self, email: &str, origin: &Origin) -> Result<(), RecoveryError> {
        let inner = &*self.inner;
        let keys = Guesses::keys("mail", "forgot", email, origin.address);
        let _turn = inner.guesses.turn(&keys).await;
        let account = inner.accounts.by_email(email).await.map_err(RecoveryError::Read)?;
        let account = account.filter(Account::is_active);
        for _ in 0..ATTEMPTS {
            let counts = inner.guesses.counts(&keys).await.map_err(RecoveryError::Read)?;
            if counts.wait().is_some() {
                tracing::debug!("Somebody asks for a new password again and again");
                return Ok(());
            }
            // Every message counts like a failure, so that nobody's mailbox is filled.
            let mut writes = counts.failure(&keys);
            let made =
                account.as_ref().and_then(|account| one_time::new(&inner.store, Purpose::Password, account));
            let token = made.map(|(token, write)| {
                writes.push(write);
                token
            });
            // Of nobody who is being deleted.
            writes.extend(account.as_ref().map(held));
            let actor = account.as_ref().map(|account| (account.kind(), account.id()));
            if actor.is_some() {
                writes.push(origin.audit(&inner.store, actor, "ok", &writes));
            }
            match inner.store.commit(writes).await {
                Ok(_) => {
                    if let (Some(account), Some(token)) = (&account, token) {
                        self.send_token(account, Purpose::Password, &token).await;
                    }
                    return Ok(());
                }
                Err(error) if came_between(&error) => {}
                Err(error) => return Err(RecoveryError::Commit(error)),
            }
        }
        Ok(())
    }

    /// Sets a forgotten password anew with the token that was sent, and ends every session.
    ///
    /// # Errors
    /// Why not.
    pub async fn password_reset(
        &self,
        token: &SecretString,
        new: SecretString,
        origin: &Origin,
    ) -> Result<(), RecoveryError> {
        let inner = &*self.inner;
        let (stored, account) = self.one_time(token, Purpose::Password).await?;
        password::check(&new).map_err(RecoveryError::Password)?;
        // Who got the mail reads it.
        let write = self.password_write(&account, new, true).await?;
        let keys = Guesses::keys("login", audience(&account).as_str(), &account.user().email, origin.address);
        for _ in 0..ATTEMPTS {
            let counts = inner.guesses.counts(&keys).await.map_err(RecoveryError::Read)?;
            let mut writes = vec![write.clone(), stored.use_up()];
            writes.extend(counts.success(&keys));
            let actor = Some((account.kind(), account.id()));
            writes.push(origin.audit(&inner.store, actor, "ok", &writes));
            match inner.store.commit(writes).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Refused(CommitRefused { write: 0 | 1, .. })) => {
                    return Err(RecoveryError::Invalid);
                }
                Err(error) if came_between(&error) => {}
                Err(error) => return Err(RecoveryError::Commit(error)),
            }
        }
        Err(RecoveryError::Login(LoginError::Internal))
    }

    /// Sends a token to the caller's address, to prove that somebody reads it. Returns at once.
    pub fn address_prove(&self, of: &Principal, origin: &Origin) {
        let Ok(permit) = Arc::clone(&self.inner.messages).try_acquire_owned() else { return };
        let (identity, id, origin) = (self.clone(), of.id.clone(), origin.clone());
        tokio::spawn(async move {
            let _permit = permit;
            if let Err(error) = identity.prove(&id, &origin).await {
                tracing::warn!(cause = %chain(&error), "An address was not asked to be confirmed");
            }
        });
    }

    async fn prove(&self, id: &str, origin: &Origin) -> Result<(), RecoveryError> {
        let inner = &*self.inner;
        let account = inner.accounts.by_id(id).await.map_err(RecoveryError::Read)?;
        let Some(account) = account.filter(|account| account.is_active() && !account.user().email_verified)
        else {
            return Ok(());
        };
        let keys = Guesses::keys("mail", "address", &account.user().email, origin.address);
        let _turn = inner.guesses.turn(&keys).await;
        for _ in 0..ATTEMPTS {
            let counts = inner.guesses.counts(&keys).await.map_err(RecoveryError::Read)?;
            if counts.wait().is_some() {
                return Ok(());
            }
            let made = one_time::new(&inner.store, Purpose::Address, &account);
            let Some((token, write)) = made else { return Ok(()) };
            let mut writes = counts.failure(&keys);
            writes.extend([write, held(&account)]);
            match inner.store.commit(writes).await {
                Ok(_) => {
                    self.send_token(&account, Purpose::Address, &token).await;
                    return Ok(());
                }
                Err(error) if came_between(&error) => {}
                Err(error) => return Err(RecoveryError::Commit(error)),
            }
        }
        Ok(())
    }

    /// Takes an address as read with the token that was sent to it.
    ///
    /// # Errors
    /// Why not.
    pub async fn address_confirm(&self, token: &SecretString, origin: &Origin) -> Result<(), RecoveryError> {
        let inner = &*self.inner;
        let (stored, account) = self.one_time(token, Purpose::Address).await?;
        let verified = vec![set("emailVerified", true)];
        let mut confirm = Write::new(account::COLLECTION, account.id(), Operation::Update(verified));
        confirm.guard = Some(Filter::eq("email", stored.email.as_str()));
        let mut writes = vec![confirm, stored.use_up()];
        writes.push(origin.audit(&inner.store, Some((account.kind(), account.id())), "ok", &writes));
        match inner.store.commit(writes).await {
            Ok(_) => Ok(()),
            Err(CommitError::Refused(CommitRefused { write: 0 | 1, .. })) => Err(RecoveryError::Invalid),
            Err(error) => Err(RecoveryError::Commit(error)),
        }
    }

    /// The token and its account, while it is good.
    async fn one_time(
        &self,
        token: &SecretString,
        purpose: Purpose,
    ) -> Result<(one_time::OneTime, Account), RecoveryError> {
        let inner = &*self.inner;
        let stored = one_time::find(&inner.store, token, purpose).await.map_err(RecoveryError::Read)?;
        let stored = stored.ok_or(RecoveryError::Invalid)?;
        if stored.expires_at <= inner.store.clock().timestamp() {
            return Err(RecoveryError::Expired);
        }
        let account = inner.accounts.by_id(&stored.account_id).await.map_err(RecoveryError::Read)?;
        let overtaken = |account: &Account| purpose == Purpose::Password && account.epoch() != stored.epoch;
        let account = account.filter(|account| {
            account.is_active() && account.user().email == stored.email && !overtaken(account)
        });
        Ok((stored, account.ok_or(RecoveryError::Invalid)?))
    }

    /// The write that gives an account a new password and ends its sessions, unless something else just did.
    async fn password_write(
        &self,
        account: &Account,
        new: SecretString,
        verified: bool,
    ) -> Result<Write, RecoveryError> {
        let hash = self.inner.passwords.hash(new).await;
        let hash = hash.map_err(|error| RecoveryError::Login(error.into()))?;
        let mut operations = vec![set(account::PASSWORD_HASH, hash), ended()];
        if verified {
            operations.push(set("emailVerified", true));
        }
        let mut write = Write::new(account::COLLECTION, account.id(), Operation::Update(operations));
        write.guard = Some(account.unchanged());
        Ok(write)
    }

    async fn send_token(&self, account: &Account, purpose: Purpose, token: &SecretString) {
        let inner = &*self.inner;
        let token = token.expose_secret();
        let (subject, about, page) = match purpose {
            Purpose::Password => (
                "Set a new password",
                "Somebody asked for a new password for your account. If it was you, go on within an hour:",
                inner.mailer.reset_url(),
            ),
            Purpose::Address => (
                "Confirm your e-mail address",
                "Please confirm that this is your e-mail address within three days:",
                inner.mailer.verify_url(),
            ),
        };
        let way = if page.is_empty() { token.to_owned() } else { page.replace("{token}", token) };
        let text = format!("{about}\n\n{way}\n\nIf it was not you, nothing needs to be done.\n");
        let mail = Mail { id: inner.store.id_new("msg"), to: account.user().email.clone(), subject, text };
        if let Err(error) = inner.mailer.send(mail).await {
            tracing::error!(user.id = account.id(), cause = %chain(&error), "A mail was not sent");
        }
    }
}

fn audience(account: &Account) -> Audience {
    match account.kind() {
        AccountKind::Admin => Audience::Admin,
        AccountKind::Customer => Audience::Storefront,
    }
}

/// Keeps the account from being deleted in the same moment.
fn held(account: &Account) -> Write {
    Write::new(account::COLLECTION, account.id(), Operation::Check)
}

/// Whether the counts were changed by another attempt.
fn came_between(error: &CommitError) -> bool {
    matches!(
        error,
        CommitError::Refused(CommitRefused { reason: Refusal::AlreadyExists | Refusal::NotFound, .. })
    )
}
