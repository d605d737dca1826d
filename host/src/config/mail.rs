//! `[mail]`: how messages to people are sent.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::{Environment, Wrong, ensure, secret};

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailConfig {
    /// The server that takes mail: `smtps://user:password@mail.example.com`. Empty: in development mail is written to
    /// the folder `mail` of the data directory, elsewhere none is sent.
    #[serde(with = "secret")]
    pub smtp_url: Option<SecretString>,
    /// Who mail is from.
    pub from: String,
    /// The storefront's page for a new password, with `{token}` where the token goes. Empty: the mail has the token
    /// alone.
    pub reset_url: String,
    /// The storefront's page that confirms an address, written as `reset_url`.
    pub verify_url: String,
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            smtp_url: None,
            from: "Wares <shop@localhost>".to_owned(),
            reset_url: String::new(),
            verify_url: String::new(),
        }
    }
}

impl MailConfig {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        let address = self.smtp_url.as_ref().map(|url| url.expose_secret());
        ensure(
            address.is_none_or(|url| url.starts_with("smtps://") || url.starts_with("smtp://")),
            "mail.smtp_url",
            "an address such as smtps://user:password@mail.example.com",
        )?;
        ensure(self.from.contains('@'), "mail.from", "an address such as Shop <shop@example.com>")?;
        let is_page = |url: &str| {
            url.is_empty()
                || (["http://", "https://"].iter().any(|scheme| url.starts_with(scheme))
                    && url.contains("{token}"))
        };
        ensure(is_page(&self.reset_url), "mail.reset_url", "a URL with {token} in it")?;
        ensure(is_page(&self.verify_url), "mail.verify_url", "a URL with {token} in it")
    }

    /// Outside development the way to the server must be encrypted: mail carries tokens.
    pub(super) fn check_in(&self, environment: Environment) -> Result<(), Wrong> {
        let url = self.smtp_url.as_ref().map(|url| url.expose_secret());
        let plain = url.is_some_and(|url| url.starts_with("smtp://") && !url.contains("tls=required"));
        ensure(
            !plain || environment == Environment::Development,
            "mail.smtp_url",
            "an encrypted way: smtps://…, or smtp://…?tls=required",
        )
    }
}
