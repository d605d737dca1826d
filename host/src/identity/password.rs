//! Password hashing with argon2id behind a gate. Hashes that another shop made with bcrypt are understood too, until
//! their owners log in.
//!
//! A hash takes about 22 ms of a core and 19 MiB, on purpose. So only a few run at once, a bounded number waits, and
//! the rest is told to come back: a flood of logins must not take the processor from the shop.

use std::sync::Arc;

use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier, password_hash::phc::PasswordHash};
use bcrypt::HashParts;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::{Semaphore, TryAcquireError},
    task,
};

/// Shortest password of an account, in characters.
pub const PASSWORD_MIN_CHARACTERS: usize = 12;

/// Longest password, in bytes. Argon2 reads all of it, so there is an end.
const MAX_BYTES: usize = 1024;

/// The most that checking an imported hash may cost: 2^14 rounds of bcrypt are about a second.
const BCRYPT_COST_MAX: u32 = 14;
const ARGON2_MEMORY_MAX_KIB: u32 = 128 * 1024;
const ARGON2_PASSES_MAX: u32 = 10;
const ARGON2_LANES_MAX: u32 = 4;

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

/// Whether a hash from elsewhere can be checked, and does not cost too much.
pub(super) fn is_known_hash(hash: &str) -> bool {
    if is_bcrypt(hash) {
        return hash.parse::<HashParts>().is_ok_and(|parts| parts.get_cost() <= BCRYPT_COST_MAX);
    }
    let Ok(parsed) = PasswordHash::new(hash) else { return false };
    parsed.algorithm.as_str() == "argon2id"
        && parsed.hash.is_some()
        && Params::try_from(&parsed).is_ok_and(|params| {
            params.m_cost() <= ARGON2_MEMORY_MAX_KIB
                && params.t_cost() <= ARGON2_PASSES_MAX
                && params.p_cost() <= ARGON2_LANES_MAX
        })
}

/// Whether a hash is to be replaced when its password is known: it was not made with today's costs.
pub(super) fn is_outdated(hash: &str) -> bool {
    let costs = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
    let params = PasswordHash::new(hash).ok().and_then(|parsed| Params::try_from(&parsed).ok());
    params.is_none_or(|params| costs(&params) != costs(&Params::DEFAULT))
}

fn is_bcrypt(hash: &str) -> bool {
    hash.starts_with("$2")
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
            Some(hash) if is_bcrypt(&hash) => {
                bcrypt::verify(password.expose_secret(), &hash).unwrap_or_default()
            }
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
        metrics::counter!("password_hashes_total").increment(1);
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

    #[tokio::test]
    async fn hashes_of_other_shops_verify() {
        let passwords = Passwords::new(1, 1);
        // Of `correct horse battery`, with 2^4 rounds.
        let hash = bcrypt::hash("correct horse battery", 4).unwrap();
        assert!(is_known_hash(&hash) && is_outdated(&hash));
        assert!(passwords.verify(secret("correct horse battery"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(secret("correct horse"), Some(hash.clone())).await.unwrap());
        let own = passwords.hash(secret("correct horse battery")).await.unwrap();
        assert!(is_known_hash(&own) && !is_outdated(&own));
        assert!(is_outdated(&own.replacen("t=2", "t=3", 1)));
        for wrong in [
            String::new(),
            "plain text".to_owned(),
            "5f4dcc3b5aa765d61d8327deb882cf99".to_owned(),
            hash.replacen("$04$", "$31$", 1),
            hash[..50].to_owned(),
            own.replacen("m=19456", "m=4194304", 1),
            own.replacen("t=2", "t=4000000", 1),
            own.replacen("argon2id", "argon2i", 1),
            own.rsplit_once('$').unwrap().0.to_owned(),
        ] {
            assert!(!is_known_hash(&wrong), "{wrong}");
        }
    }

    #[test]
    fn short_and_endless_passwords_are_rejected() {
        assert_eq!(check(&secret("elevenchars")), Err(PasswordRejected::TooShort));
        assert_eq!(check(&secret("twelve chars")), Ok(()));
        assert_eq!(check(&secret("ünïcödë wörd")), Ok(()));
        assert_eq!(check(&secret(&"x".repeat(1025))), Err(PasswordRejected::TooLong));
    }
}
