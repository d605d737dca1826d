//! `[auth]`: signing access tokens and hashing passwords.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{Wrong, ensure, secret};

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthConfig {
    /// Signs access tokens: at least 32 random bytes. Outside development it must be set; in development an
    /// absent one is generated and kept in the data directory.
    #[serde(with = "secret")]
    pub jwt_secret: Option<SecretString>,
    /// The secret before the last change. Its tokens are accepted until they end.
    #[serde(with = "secret")]
    pub jwt_secret_previous: Option<SecretString>,
    /// Seals the audit log: at least 32 random bytes. Without it the seals' key is derived from `jwt_secret`, and what
    /// was sealed before its last change but one can be proven only by what was sealed after it.
    #[serde(with = "secret")]
    pub audit_key: Option<SecretString>,
    /// How long an access token is valid: a number of seconds, or `90s`, `15m`, `1h`, `1d`.
    #[serde(with = "expiry")]
    pub jwt_expiry: Duration,
    /// How long a session lives without a refresh, as `jwt_expiry`.
    #[serde(with = "expiry")]
    pub session_idle: Duration,
    /// How long a session lives at all, as `jwt_expiry`.
    #[serde(with = "expiry")]
    pub session_max: Duration,
    /// Whether refresh tokens travel in a cookie that no script reads, and not in bodies. For browsers of the origins in
    /// `server.cors_origins` and of this host.
    pub refresh_cookie: bool,
    /// The `iss` claim: tokens of another issuer are refused.
    pub issuer: String,
    /// Most passwords hashed at once. One hash takes about 22 ms of a core and 19 MiB.
    pub hash_concurrency: usize,
    /// Most logins that wait for a hash; further ones are asked to come back.
    pub hash_queue: usize,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            jwt_secret: None,
            jwt_secret_previous: None,
            audit_key: None,
            jwt_expiry: Duration::from_secs(15 * 60),
            session_idle: Duration::from_secs(14 * 86_400),
            session_max: Duration::from_secs(90 * 86_400),
            refresh_cookie: false,
            issuer: "wares".to_owned(),
            hash_concurrency: 2,
            hash_queue: 32,
        }
    }
}

impl AuthConfig {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        ensure(
            (Duration::from_secs(10)..=Duration::from_secs(7 * 86_400)).contains(&self.jwt_expiry),
            "auth.jwt_expiry",
            "from 10 seconds to 7 days, such as 15m",
        )?;
        ensure(
            self.session_idle >= self.jwt_expiry && self.session_idle <= self.session_max,
            "auth.session_idle",
            "a time from jwt_expiry to session_max, such as 14d",
        )?;
        ensure(
            self.session_max <= Duration::from_secs(3_650 * 86_400),
            "auth.session_max",
            "a time up to 3650 days, such as 90d",
        )?;
        ensure(!self.issuer.is_empty(), "auth.issuer", "a name that is not empty")?;
        ensure((1..=64).contains(&self.hash_concurrency), "auth.hash_concurrency", "a number from 1 to 64")?;
        ensure(self.hash_queue <= 10_000, "auth.hash_queue", "a number up to 10000")
    }
}

/// `15m` or a number of seconds. `JWT_EXPIRY` arrives as text either way.
mod expiry {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a number of seconds or a time such as 15m")]
    enum Written {
        Seconds(u64),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(expiry: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds = expiry.as_secs();
        let text = match seconds {
            0 => "0s".to_owned(),
            _ if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
            _ if seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
            _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
            _ => format!("{seconds}s"),
        };
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Seconds(seconds) => Ok(Duration::from_secs(seconds)),
            Written::Text(text) => parse(&text)
                .ok_or_else(|| D::Error::custom("expected a number of seconds or a time such as 15m")),
        }
    }

    pub(super) fn parse(text: &str) -> Option<Duration> {
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let factor = match &text[digits.len()..] {
            "" | "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return None,
        };
        Some(Duration::from_secs(digits.parse::<u64>().ok()?.checked_mul(factor)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_seconds_or_a_number_with_a_unit() {
        let seconds = |text| expiry::parse(text).map(|expiry| expiry.as_secs());
        assert_eq!(seconds("15m"), Some(900));
        assert_eq!(seconds("900"), Some(900));
        assert_eq!(seconds("90s"), Some(90));
        assert_eq!(seconds("2h"), Some(7_200));
        assert_eq!(seconds("1d"), Some(86_400));
        for wrong in
            ["", "m", "15 m", "-1m", "1w", "1.5h", "15mm", "99999999999999999999", "9223372036854775807d"]
        {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
