//! Access tokens: JWTs that only we sign and only we read.
//!
//! One algorithm (HS256) per key, one key per secret. The key is derived from the secret and named by `kid`, so the
//! secret signs nothing itself and the previous one is recognised. Times are those of the injected clock; the ones
//! of the library are switched off because it reads the system's.

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::{clock::Clock, config::AuthConfig};

use super::{AccountKind, AuthError};

/// How far clocks of several hosts may be apart, in seconds.
const LEEWAY_S: i64 = 5;

/// Longest token looked at, in bytes. Ours have about 400.
const MAX_BYTES: usize = 4096;

/// Who a token is for. Neither audience accepts the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    Admin,
    Storefront,
}

impl Audience {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Storefront => "storefront",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Admin, Self::Storefront].into_iter().find(|audience| audience.as_str() == text)
    }

    pub(super) fn account_kind(self) -> AccountKind {
        match self {
            Self::Admin => AccountKind::Admin,
            Self::Storefront => AccountKind::Customer,
        }
    }
}

/// Every claim is required. `aud` is one text: a token for several audiences is not ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) aud: String,
    /// Account id.
    pub(super) sub: String,
    /// Session id.
    pub(super) sid: String,
    pub(super) jti: String,
    /// Unix seconds.
    pub(super) iat: i64,
    /// Unix seconds.
    pub(super) exp: i64,
}

pub(super) struct TokenSigner {
    kid: String,
    key: EncodingKey,
    issuer: String,
    expiry: Duration,
    clock: Clock,
}

pub(super) struct TokenVerifier {
    /// The current key and the one before.
    keys: Vec<(String, DecodingKey)>,
    issuer: String,
    clock: Clock,
}

/// The name of a secret's key, and the key.
fn derive(secret: &SecretString) -> (String, [u8; 32]) {
    let secret = secret.expose_secret().as_bytes();
    let id = blake3::derive_key("wares 2026-11-23 access token key id", secret);
    let kid: String = id[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let mut hasher = blake3::Hasher::new_derive_key("wares 2026-11-23 access token HS256 key");
    hasher.update(kid.as_bytes()).update(secret);
    (kid, *hasher.finalize().as_bytes())
}

impl TokenSigner {
    /// Nothing without a secret.
    pub(super) fn new(config: &AuthConfig, clock: Clock) -> Option<Self> {
        let (kid, key) = derive(config.jwt_secret.as_ref()?);
        let key = EncodingKey::from_secret(&key);
        Some(Self { kid, key, issuer: config.issuer.clone(), expiry: config.jwt_expiry, clock })
    }

    pub(super) fn expiry_s(&self) -> u64 {
        self.expiry.as_secs()
    }

    pub(super) fn sign(&self, audience: Audience, account_id: &str, session_id: &str) -> Option<String> {
        let iat = seconds(&self.clock);
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: audience.as_str().to_owned(),
            sub: account_id.to_owned(),
            sid: session_id.to_owned(),
            jti: token_id()?,
            iat,
            exp: iat.checked_add(i64::try_from(self.expiry.as_secs()).ok()?)?,
        };
        self.sign_claims(&claims)
    }

    fn sign_claims(&self, claims: &Claims) -> Option<String> {
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, claims, &self.key).ok()
    }
}

impl TokenVerifier {
    pub(super) fn new(config: &AuthConfig, clock: Clock) -> Self {
        let secrets = [&config.jwt_secret, &config.jwt_secret_previous];
        let keys = secrets.into_iter().flatten().map(derive);
        let keys = keys.map(|(kid, key)| (kid, DecodingKey::from_secret(&key))).collect();
        Self { keys, issuer: config.issuer.clone(), clock }
    }

    /// The claims of a token that is ours and valid now, and whom it is for.
    pub(super) fn verify_any(&self, token: &str) -> Result<(Audience, Claims), AuthError> {
        self.verify_for(token, &[Audience::Admin, Audience::Storefront])
    }

    /// The claims of a token that is ours, for this audience, and valid now.
    pub(super) fn verify(&self, token: &str, audience: Audience) -> Result<Claims, AuthError> {
        self.verify_for(token, &[audience]).map(|(_, claims)| claims)
    }

    fn verify_for(&self, token: &str, audiences: &[Audience]) -> Result<(Audience, Claims), AuthError> {
        if token.len() > MAX_BYTES {
            return Err(AuthError::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| AuthError::Invalid)?;
        // `crit` asks for extensions, and we know none.
        let kid = header.kid.filter(|_| header.crit.is_none()).ok_or(AuthError::Invalid)?;
        let key = self.keys.iter().find(|(known, _)| *known == kid).map(|(_, key)| key);
        let key = key.ok_or(AuthError::Invalid)?;
        let data = jsonwebtoken::decode::<Claims>(token, key, &self.validation(audiences));
        let claims = data.map_err(|_| AuthError::Invalid)?.claims;
        let audience = Audience::parse(&claims.aud).ok_or(AuthError::Invalid)?;
        let now = seconds(&self.clock);
        let complete = [&claims.sub, &claims.sid, &claims.jti].iter().all(|claim| !claim.is_empty());
        if !complete || claims.iat > now.saturating_add(LEEWAY_S) || claims.exp <= claims.iat {
            return Err(AuthError::Invalid);
        }
        if claims.exp.saturating_add(LEEWAY_S) <= now {
            return Err(AuthError::Expired);
        }
        Ok((audience, claims))
    }

    fn validation(&self, audiences: &[Audience]) -> Validation {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&audiences.iter().map(|audience| audience.as_str()).collect::<Vec<_>>());
        validation.leeway = LEEWAY_S.unsigned_abs();
        // Checked above, by our clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation
    }
}

/// Signs and verifies once, so that a crypto library that cannot is found at start and not at the first login.
pub(super) fn self_test(signer: &TokenSigner, verifier: &TokenVerifier) -> Option<()> {
    let token = signer.sign(Audience::Admin, "self-test", "self-test")?;
    verifier.verify(&token, Audience::Admin).ok().map(|_| ())
}

fn seconds(clock: &Clock) -> i64 {
    clock.now_ms().div_euclid(1000)
}

/// 128 random bits.
fn token_id() -> Option<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests;
