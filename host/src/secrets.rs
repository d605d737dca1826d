//! Secrets that plugins use and never see.
//!
//! A value is looked up when a plugin that was granted it loads, and stays as it is until the host stops, like the rest
//! of the configuration. One that had no value is looked up again with the next load.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::config::{Config, PAYMENT_GATEWAY_KEY, PaymentConfig, SecretError, SecretName, SecretsConfig};

/// The values that were looked up. Clones share them.
#[derive(Clone, Default)]
pub struct Secrets {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    payment: PaymentConfig,
    config: SecretsConfig,
    known: RwLock<BTreeMap<SecretName, SecretString>>,
}

impl Secrets {
    pub fn new(config: &Config) -> Self {
        let inner = Inner {
            payment: config.payment.clone(),
            config: config.secrets.clone(),
            known: RwLock::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Looks a secret up unless it is known, and answers whether it has a value.
    ///
    /// # Errors
    /// A value that is there and cannot be read.
    pub fn look_up(&self, name: &SecretName) -> Result<bool, SecretError> {
        if self.value(name).is_some() {
            return Ok(true);
        }
        let found = if name.as_str() == PAYMENT_GATEWAY_KEY {
            self.inner.payment.gateway_key.clone()
        } else {
            self.inner.config.find(name)?
        };
        let Some(value) = found else { return Ok(false) };
        let mut known = self.inner.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(name.clone(), value);
        Ok(true)
    }

    /// The value of a secret that was looked up and has one.
    pub fn value(&self, name: &SecretName) -> Option<SecretString> {
        self.inner.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

/// Whether `signature` is the HMAC-SHA-256 of `message` with the secret's text as the key, compared in constant time.
pub fn verify_hmac(secret: &SecretString, message: &[u8], signature: &[u8]) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(message);
    mac.verify_slice(signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_hmac_sha_256() {
        // RFC 4231, test case 2.
        let secret = SecretString::from("Jefe");
        let message = b"what do ya want for nothing?";
        let good = [
            0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7,
            0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43,
        ];
        assert!(verify_hmac(&secret, message, &good));
        assert!(!verify_hmac(&secret, message, &good[..31]));
        assert!(!verify_hmac(&secret, message, b""));
        assert!(!verify_hmac(&secret, b"else", &good));
        assert!(!verify_hmac(&SecretString::from(""), message, &good));
    }

    #[test]
    fn a_secret_is_there_once_it_was_looked_up() {
        let mut config = Config::default();
        config.payment.gateway_key = Some(SecretString::from("sk_1"));
        let secrets = Secrets::new(&config);
        let name = SecretName::parse(PAYMENT_GATEWAY_KEY).unwrap();
        assert!(secrets.value(&name).is_none());
        assert!(secrets.look_up(&name).unwrap());
        assert_eq!(secrets.value(&name).unwrap().expose_secret(), "sk_1");
        assert!(!Secrets::default().look_up(&name).unwrap());
    }
}
