//! Secrets that a plugin uses and never sees. It asks for [`Capability::secret`](crate::Capability::secret).

use crate::{Context, host::Host};

/// Why a secret cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretError {
    /// The plugin was not granted it.
    Denied(String),
    /// It has no value.
    Unavailable(String),
}

impl Context<'_> {
    /// Whether `signature`, as bytes, is the HMAC-SHA-256 of `message` with the named secret's text as the key. The host
    /// compares in constant time.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn verify_hmac(&self, secret: &str, message: &[u8], signature: &[u8]) -> Result<bool, SecretError> {
        verify(self.host, secret, message, signature)
    }
}

/// Straight to the host and not through the trait: a component that has no secrets must not import them.
#[cfg(target_family = "wasm")]
fn verify(_host: &dyn Host, secret: &str, message: &[u8], signature: &[u8]) -> Result<bool, SecretError> {
    crate::convert::verify_hmac(secret, message, signature)
}

#[cfg(not(target_family = "wasm"))]
fn verify(host: &dyn Host, secret: &str, message: &[u8], signature: &[u8]) -> Result<bool, SecretError> {
    host.verify_hmac(secret, message, signature)
}
