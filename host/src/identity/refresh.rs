//! Refresh tokens: what they look like, and how one is recognised.
//!
//! `rft_<session>.<generation>.<256 bits>`: the last part is derived from the session, a salt of its own and the
//! generation with a key that is not in the store. So the store holds hashes only, the successor of a token can be
//! told again to a client that lost the answer, and an old token of ours is known as such from one that somebody
//! made up: only the first means that a token was stolen.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};

use super::session::Session;
use crate::config::AuthConfig;

/// Longer than any of ours.
const MAX_BYTES: usize = 200;

/// Makes and recognises refresh tokens.
pub(super) struct RefreshTokens {
    /// The current key first, then the one before.
    keys: Vec<[u8; 32]>,
}

/// A token as it came, taken apart.
pub(super) struct Presented {
    pub(super) session_id: String,
    generation: u64,
    hash: blake3::Hash,
}

/// What a token is to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The one that is good.
    Good,
    /// Of this session, and replaced since; `last` when by the good one.
    Replaced { last: bool },
    /// Not ours.
    Unknown,
}

impl RefreshTokens {
    pub(super) fn new(config: &AuthConfig) -> Self {
        let secrets = [&config.jwt_secret, &config.jwt_secret_previous];
        let derive = |secret: &SecretString| {
            blake3::derive_key("wares 2026-11-23 refresh token", secret.expose_secret().as_bytes())
        };
        Self { keys: secrets.into_iter().flatten().map(derive).collect() }
    }

    /// The token of a generation; nothing without a key.
    pub(super) fn token(&self, session_id: &str, salt: &str, generation: u64) -> Option<SecretString> {
        self.keys.first().map(|key| token(key, session_id, salt, generation))
    }

    /// The good token of a session once more.
    pub(super) fn good(&self, session: &Session) -> Option<SecretString> {
        let made = self.keys.iter().map(|key| token(key, &session.id, &session.salt, session.generation));
        made.into_iter().find(|token| is_hash_of(token, &session.token_hash))
    }

    pub(super) fn standing(&self, presented: &Presented, session: &Session) -> Standing {
        if blake3::Hash::from_hex(&session.token_hash).is_ok_and(|known| known == presented.hash) {
            return Standing::Good;
        }
        let is_ours = presented.generation < session.generation
            && self.keys.iter().any(|key| {
                hash(&token(key, &session.id, &session.salt, presented.generation)) == presented.hash
            });
        match is_ours {
            true => Standing::Replaced { last: presented.generation + 1 == session.generation },
            false => Standing::Unknown,
        }
    }
}

impl Presented {
    /// Nothing for what cannot be one of ours.
    pub(super) fn parse(text: &SecretString) -> Option<Self> {
        let token = text.expose_secret();
        if token.len() > MAX_BYTES {
            return None;
        }
        let mut parts = token.strip_prefix("rft_")?.split('.');
        let (session, generation, _secret) = (parts.next()?, parts.next()?, parts.next()?);
        let plain = session.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if parts.next().is_some() || session.is_empty() || !plain {
            return None;
        }
        Some(Self {
            session_id: format!("ses_{session}"),
            generation: generation.parse().ok()?,
            hash: hash(text),
        })
    }
}

fn token(key: &[u8; 32], session_id: &str, salt: &str, generation: u64) -> SecretString {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&generation.to_le_bytes());
    // The length keeps session and salt apart.
    hasher.update(&(session_id.len() as u64).to_le_bytes());
    hasher.update(session_id.as_bytes()).update(salt.as_bytes());
    let secret = URL_SAFE_NO_PAD.encode(hasher.finalize().as_bytes());
    let session = session_id.strip_prefix("ses_").unwrap_or(session_id);
    SecretString::from(format!("rft_{session}.{generation}.{secret}"))
}

/// What the store keeps of a secret with 256 random bits. `blake3::Hash` compares in constant time.
pub(super) fn hash(token: &SecretString) -> blake3::Hash {
    blake3::hash(token.expose_secret().as_bytes())
}

pub(super) fn is_hash_of(token: &SecretString, stored: &str) -> bool {
    blake3::Hash::from_hex(stored).is_ok_and(|known| known == hash(token))
}

/// The id in `<prefix><26 characters>_<secret>`, if a text looks so.
pub(super) fn secret_id(text: &SecretString, prefix: &str) -> Option<String> {
    let text = text.expose_secret();
    let (id, rest) = text.split_at_checked(prefix.len() + 26)?;
    let plain = id.strip_prefix(prefix)?.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let secret = rest.strip_prefix('_')?;
    (plain && !secret.is_empty() && text.len() <= MAX_BYTES).then(|| id.to_owned())
}

/// Random bits in text.
pub(super) fn random<const BYTES: usize>() -> Option<String> {
    let mut bytes = [0_u8; BYTES];
    getrandom::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(secret: &str, previous: Option<&str>) -> RefreshTokens {
        RefreshTokens::new(&AuthConfig {
            jwt_secret: Some(secret.into()),
            jwt_secret_previous: previous.map(Into::into),
            ..AuthConfig::default()
        })
    }

    fn session(generation: u64, token: &SecretString) -> Session {
        serde_json::from_value(serde_json::json!({
            "id": "ses_01A", "version": 1, "createdAt": "", "accountId": "usr_1", "audience": "admin", "epoch": 0,
            "salt": "salt", "generation": generation, "tokenHash": hash(token).to_hex().as_str(),
            "rotatedAtMs": 0, "repeated": false, "lastSeenAt": "", "expiresAt": "", "endsAt": "",
        }))
        .unwrap()
    }

    #[test]
    fn tokens_of_a_session_are_recognised_and_made_up_ones_are_not() {
        let ours = tokens("first", None);
        let of = |generation| ours.token("ses_01A", "salt", generation).unwrap();
        let session = session(3, &of(3));
        let standing = |token: &SecretString| ours.standing(&Presented::parse(token).unwrap(), &session);
        assert_eq!(standing(&of(3)), Standing::Good);
        assert_eq!(standing(&of(2)), Standing::Replaced { last: true });
        assert_eq!(standing(&of(1)), Standing::Replaced { last: false });
        assert_eq!(standing(&of(4)), Standing::Unknown, "one that was not given out yet");
        assert_eq!(standing(&tokens("other", None).token("ses_01A", "salt", 2).unwrap()), Standing::Unknown);
        assert_eq!(standing(&"rft_01A.2.x".into()), Standing::Unknown);
        assert_eq!(ours.good(&session).unwrap().expose_secret(), of(3).expose_secret());
    }

    #[test]
    fn tokens_of_the_previous_secret_are_recognised() {
        let old = tokens("first", None);
        let session = session(2, &old.token("ses_01A", "salt", 2).unwrap());
        let rotated = tokens("second", Some("first"));
        for (generation, expected) in [(2, Standing::Good), (1, Standing::Replaced { last: true })] {
            let token = old.token("ses_01A", "salt", generation).unwrap();
            assert_eq!(rotated.standing(&Presented::parse(&token).unwrap(), &session), expected);
        }
        assert!(rotated.good(&session).is_some());
    }

    #[test]
    fn the_id_of_a_secret_is_its_first_part() {
        let id = format!("key_{}", "0".repeat(26));
        assert_eq!(secret_id(&format!("{id}_a_b").into(), "key_"), Some(id.clone()));
        assert_eq!(secret_id(&format!("{id}_a_b").into(), "otk_"), None);
        let accented = format!("key_{}_a", "é".repeat(13));
        for text in ["key_", &id, &format!("{id}_"), &format!("{id}-abc"), &accented] {
            assert_eq!(secret_id(&text.into(), "key_"), None, "{text}");
        }
        assert_eq!(secret_id(&format!("{id}_{}", "x".repeat(300)).into(), "key_"), None);
    }

    #[test]
    fn what_is_no_token_is_not_looked_at() {
        for text in
            ["", "rft_", "rft_a.b", "rft_a.b.c.d", "rft_a.-1.c", "rft_a/b.1.c", "rft_.1.c", "ses_a.1.c"]
        {
            assert!(Presented::parse(&text.into()).is_none(), "{text}");
        }
        assert!(Presented::parse(&format!("rft_a.1.{}", "x".repeat(300)).into()).is_none());
    }
}
