//! Password hashing with argon2id behind a gate.
//!
//! A hash takes about 22 ms of a core and 19 MiB, on purpose. So only a few run at once, a bounded number waits, and
//! the rest is told to come back: a flood of logins must not take the processor from the shop.

use std::sync::Arc;

use argon2::{Argon2, PasswordHasher, PasswordVerifier, password_hash::phc::PasswordHash};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::{Semaphore, TryAcquireError},
    task,
};

/// Shortest password of an account, in characters.
pub const PASSWORD_MIN_CHARACTERS: usize = 12;

/// Longest password, in bytes. Argon2 reads all of it, so there is an end.
const MAX_BYTES: usize = 1024;

/// Why a password cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRejected {
    #[error("the password is shorter than {PASSWORD_MIN_CHARACTERS} characters")]
    TooShort,
    #[error("the password is longer than {MAX_BYTES} bytes")]
    TooLong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HashError {
    /// The queue is full.
    Busy,
    Failed,
}

pub(super) fn check(password: &SecretString) -> Result<(), PasswordRejected> {
    let password = password.expose_secret();
    if password.chars().count() < PASSWORD_MIN_CHARACTERS {
        Err(PasswordRejected::TooShort)
    } else if password.len() > MAX_BYTES {
        Err(PasswordRejected::TooLong)
    } else {
        Ok(())
    }
}

pub(super) struct Passwords {
    /// Who is hashing or waiting.
    admitted: Arc<Semaphore>,
    /// Who is hashing.
    running: Arc<Semaphore>,
}

impl Passwords {
    pub(super) fn new(concurrency: usize, queue: usize) -> Self {
        Self {
            admitted: Arc::new(Semaphore::new(concurrency + queue)),
            running: Arc::new(Semaphore::new(concurrency)),
        }
    }

    /// A PHC string with a new salt.
    pub(super) async fn hash(&self, password: SecretString) -> Result<String, HashError> {
        self.run(move || new_hash(&password)).await?.ok_or(HashError::Failed)
    }

    /// Whether the password belongs to the hash. Without a hash (an unknown person) the answer is no and takes as
    /// long.
    pub(super) async fn verify(
        &self,
        password: SecretString,
        hash: Option<String>,
    ) -> Result<bool, HashError> {
        self.run(move || match hash {
            _ if password.expose_secret().len() > MAX_BYTES => false,
            Some(hash) => {
                Argon2::default().verify_password(password.expose_secret().as_bytes(), hash.as_str()).is_ok()
            }
            None => {
                new_hash(&password);
                false
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let admitted = match self.admitted.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(TryAcquireError::NoPermits) => return Err(HashError::Busy),
            Err(TryAcquireError::Closed) => return Err(HashError::Failed),
        };
        let running = self.running.clone().acquire_owned().await.map_err(|_| HashError::Failed)?;
        task::spawn_blocking(move || {
            // The permits end with the work, not with a caller who went away.
            let _permits = (admitted, running);
            work()
        })
        .await
        .map_err(|_| HashError::Failed)
    }
}

fn new_hash(password: &SecretString) -> Option<String> {
    let hash: PasswordHash = Argon2::default().hash_password(password.expose_secret().as_bytes()).ok()?;
    Some(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    #[tokio::test]
    async fn a_hash_verifies_its_password_only() {
        let passwords = Passwords::new(2, 2);
        let hash = passwords.hash(secret("correct horse battery")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(passwords.hash(secret("correct horse battery")).await.unwrap(), hash);
        assert!(passwords.verify(secret("correct horse battery"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(secret("correct horse battery "), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(secret("correct horse battery"), None).await.unwrap());
        assert!(
            !passwords.verify(secret("correct horse battery"), Some("not a hash".to_owned())).await.unwrap()
        );
    }

    #[tokio::test]
    async fn a_full_queue_is_busy_and_empties_again() {
        let passwords = Arc::new(Passwords::new(1, 1));
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let running = tokio::spawn({
            let passwords = passwords.clone();
            async move { passwords.run(move || blocked.recv().is_err()).await }
        });
        let waiting = tokio::spawn({
            let passwords = passwords.clone();
            async move { passwords.run(|| ()).await }
        });
        while passwords.admitted.available_permits() > 0 {
            task::yield_now().await;
        }
        assert_eq!(passwords.verify(secret("x"), None).await, Err(HashError::Busy));
        drop(release);
        assert_eq!(running.await.unwrap(), Ok(true));
        assert_eq!(waiting.await.unwrap(), Ok(()));
        assert_eq!(passwords.verify(secret("x"), None).await, Ok(false));
    }

    #[test]
    fn short_and_endless_passwords_are_rejected() {
        assert_eq!(check(&secret("elevenchars")), Err(PasswordRejected::TooShort));
        assert_eq!(check(&secret("twelve chars")), Ok(()));
        assert_eq!(check(&secret("ünïcödë wörd")), Ok(()));
        assert_eq!(check(&secret(&"x".repeat(1025))), Err(PasswordRejected::TooLong));
    }
}
