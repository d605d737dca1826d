//! Secrets in a section: read from text, written as `(hidden)`. An empty text is no secret.

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serializer};

/// What stands in for a secret wherever a configuration is shown.
pub(super) const HIDDEN: &str = "(hidden)";

/// The keys whose values are never shown.
pub(super) const SECRET_KEYS: [&str; 7] = [
    "auth.audit_key",
    "auth.jwt_secret",
    "auth.jwt_secret_previous",
    "mail.smtp_url",
    "payment.gateway_key",
    "store.mongodb_uri",
    "store.redis_uri",
];

pub(super) fn serialize<S: Serializer>(
    secret: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if secret.is_some() { HIDDEN } else { "" })
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretString>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok((!text.is_empty()).then(|| SecretString::from(text)))
}
