//! Configuration: what can be set, where a value came from, and what is refused.
//!
//! A value is taken from the first place that has it: a flag, the environment, a file named by `*_FILE`, the
//! TOML of the environment (`config/<environment>.toml`, or `--config FILE`), `config/default.toml`. The TOML
//! files are built into the binary, so it runs from any folder; a file in the working folder wins over the
//! built-in one of the same name (except the defaults, which are what the code says).
//!
//! Invariants: the environment is read here and nowhere else, once. A wrong value stops the start and names its
//! file, key, value and what was expected. A secret has a type that cannot be printed. Nothing reloads: a running
//! host keeps the configuration that it started with. The one exception are the secrets of plugins, which are looked up
//! when the first plugin that was granted them loads.

mod auth;
mod error;
mod layers;
mod load;
mod mail;
mod media;
mod payment;
mod plugins;
mod pricing;
mod rate_limits;
mod secret;
mod secrets;
mod server;
mod signing;
mod store;
mod telemetry;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use auth::AuthConfig;
pub use error::ConfigError;
pub use layers::Source;
pub use load::{Loaded, Overrides, Setting};
pub use mail::MailConfig;
pub use media::MediaConfig;
pub use payment::PaymentConfig;
pub use plugins::{BreakerConfig, LimitsConfig, PluginsConfig};
pub use pricing::PricingConfig;
pub use rate_limits::RateLimitsConfig;
pub use secrets::{PAYMENT_GATEWAY_KEY, SecretError, SecretName, SecretNameError, SecretsConfig};
pub use server::ServerConfig;
pub use store::StoreSection;
pub use telemetry::{LogFormat, TelemetryConfig};

/// Everything that can be set.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where this host runs. Set by `WARES_ENV`, not by a file: it chooses the file.
    #[serde(skip)]
    pub environment: Environment,
    pub server: ServerConfig,
    pub store: StoreSection,
    pub plugins: PluginsConfig,
    pub auth: AuthConfig,
    pub mail: MailConfig,
    pub rate_limits: RateLimitsConfig,
    pub media: MediaConfig,
    pub payment: PaymentConfig,
    pub pricing: PricingConfig,
    pub telemetry: TelemetryConfig,
    /// Secrets of plugins. Set by nothing but code, and otherwise looked up in the environment.
    #[serde(skip)]
    pub secrets: SecretsConfig,
}

/// Where a host runs. Everything but development refuses what is only good enough for trying things out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Environment {
    #[default]
    Development,
    Staging,
    Production,
}

impl Environment {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Development, Self::Staging, Self::Production]
            .into_iter()
            .find(|environment| environment.as_str() == text)
    }
}

/// A value of the right type that makes no sense: which key and what was expected.
#[derive(Debug, PartialEq, Eq)]
struct Wrong {
    key: &'static str,
    expected: &'static str,
}

impl Config {
    fn check(&self) -> Result<(), Wrong> {
        self.server.check()?;
        self.store.check()?;
        self.plugins.check()?;
        self.auth.check()?;
        self.mail.check()?;
        self.rate_limits.check()?;
        ensure(
            !self.auth.refresh_cookie || self.server.cors_origins.iter().all(|origin| origin != "*"),
            "auth.refresh_cookie",
            "false while server.cors_origins has *: every site could use the cookie",
        )?;
        self.mail.check_in(self.environment)?;
        self.media.check()?;
        self.telemetry.check()
    }
}

/// Fails with the key and the expectation unless the condition holds.
fn ensure(condition: bool, key: &'static str, expected: &'static str) -> Result<(), Wrong> {
    if condition { Ok(()) } else { Err(Wrong { key, expected }) }
}
