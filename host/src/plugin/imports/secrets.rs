//! `wares:secrets`.

use secrecy::SecretString;

use crate::{
    plugin::{
        bindings::wares::secrets::secrets::{Error, Host},
        instance::{CallState, Granted},
    },
    secrets::verify_hmac,
};

/// Why a secret cannot be used.
pub(super) enum Absent {
    NotGranted(String),
    NoValue(String),
}

impl Host for CallState {
    async fn verify_hmac(
        &mut self,
        secret: String,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> wasmtime::Result<Result<bool, Error>> {
        self.budget.spend(secret.len() + message.len() + signature.len())?;
        match self.granted()?.secret(&secret) {
            Ok(secret) => Ok(Ok(verify_hmac(&secret, &message, &signature))),
            Err(Absent::NotGranted(why)) => {
                self.denied = true;
                Ok(Err(Error::Denied(why)))
            }
            Err(Absent::NoValue(why)) => Ok(Err(Error::Unavailable(why))),
        }
    }
}

impl Granted {
    /// A secret that the plugin was granted.
    pub(super) fn secret(&self, name: &str) -> Result<SecretString, Absent> {
        let short = || name.chars().filter(|it| !it.is_control()).take(64).collect::<String>();
        let Some(name) = self.grants.secret(name) else {
            return Err(Absent::NotGranted(format!("the plugin was not granted the secret `{}`", short())));
        };
        let value = self.outside.secrets.value(name);
        value.ok_or_else(|| Absent::NoValue(format!("the secret `{name}` has no value")))
    }
}
