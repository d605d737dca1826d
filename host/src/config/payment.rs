//! `[payment]`: the key of the payment gateway.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::secret;

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PaymentConfig {
    /// The key that the host puts into requests of payment plugins. It never enters a plugin.
    #[serde(with = "secret")]
    pub gateway_key: Option<SecretString>,
}
