//! Attacks on tokens, one per test.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::clock::ManualClock;

use super::*;

const NOW_S: i64 = 1_795_424_400;

fn config(secret: &str) -> AuthConfig {
    AuthConfig { jwt_secret: Some(SecretString::from(secret.repeat(4))), ..AuthConfig::default() }
}

struct Fixture {
    signer: TokenSigner,
    verifier: TokenVerifier,
    time: ManualClock,
}

impl Fixture {
    fn new() -> Self {
        let (clock, time) = Clock::manual(NOW_S * 1000);
        let config = config("first secret");
        let signer = TokenSigner::new(&config, clock.clone()).unwrap();
        Self { signer, verifier: TokenVerifier::new(&config, clock), time }
    }

    fn token(&self) -> String {
        self.signer.sign(Audience::Admin, "usr_1", "ses_1").unwrap()
    }

    fn claims(&self) -> Claims {
        self.verifier.verify(&self.token(), Audience::Admin).unwrap()
    }

    /// Signs anything with our key.
    fn sign(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.signer.key).unwrap()
    }

    fn header(&self) -> Header {
        Header { kid: Some(self.signer.kid.clone()), ..Header::new(Algorithm::HS256) }
    }

    #[track_caller]
    fn assert_invalid(&self, token: &str) {
        let result = self.verifier.verify(token, Audience::Admin);
        assert!(matches!(result, Err(AuthError::Invalid)), "{result:?}");
    }
}

fn part(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

#[test]
fn our_token_is_accepted_with_all_its_claims() {
    let fixture = Fixture::new();
    let claims = fixture.claims();
    assert_eq!((claims.sub.as_str(), claims.sid.as_str()), ("usr_1", "ses_1"));
    assert_eq!((claims.iat, claims.exp), (NOW_S, NOW_S + 900));
    assert_eq!((claims.iss.as_str(), claims.aud.as_str()), ("wares", "admin"));
    assert_ne!(claims.jti, fixture.claims().jti);
}

#[test]
fn an_unsigned_token_is_invalid() {
    let fixture = Fixture::new();
    let claims = serde_json::to_value(fixture.claims()).unwrap();
    for algorithm in ["none", "None", "NONE", ""] {
        let header = json!({"alg": algorithm, "typ": "JWT", "kid": fixture.signer.kid});
        fixture.assert_invalid(&format!("{}.{}.", part(&header), part(&claims)));
        fixture.assert_invalid(&format!("{}.{}", part(&header), part(&claims)));
    }
    let ours = fixture.token();
    let stripped = ours.rsplit_once('.').unwrap().0;
    fixture.assert_invalid(stripped);
    fixture.assert_invalid(&format!("{stripped}."));
}

#[test]
fn another_algorithm_is_invalid_even_with_our_key() {
    let fixture = Fixture::new();
    let claims = serde_json::to_value(fixture.claims()).unwrap();
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let header = Header { kid: Some(fixture.signer.kid.clone()), ..Header::new(algorithm) };
        fixture.assert_invalid(&fixture.sign(&header, &claims));
    }
}

#[test]
fn another_key_is_invalid_whatever_kid_it_names() {
    let fixture = Fixture::new();
    let claims = serde_json::to_value(fixture.claims()).unwrap();
    let (clock, _) = Clock::manual(NOW_S * 1000);
    let other = TokenSigner::new(&config("other secret"), clock).unwrap();
    fixture.assert_invalid(&other.sign(Audience::Admin, "usr_1", "ses_1").unwrap());
    fixture.assert_invalid(&jsonwebtoken::encode(&fixture.header(), &claims, &other.key).unwrap());
    // The secret itself is not the key.
    let raw = EncodingKey::from_secret("first secret".repeat(4).as_bytes());
    fixture.assert_invalid(&jsonwebtoken::encode(&fixture.header(), &claims, &raw).unwrap());
    for kid in [None, Some(String::new()), Some("../../dev/null".to_owned())] {
        fixture.assert_invalid(&fixture.sign(&Header { kid, ..Header::new(Algorithm::HS256) }, &claims));
    }
}

#[test]
fn a_token_for_another_audience_or_issuer_is_invalid() {
    let fixture = Fixture::new();
    let storefront = fixture.signer.sign(Audience::Storefront, "usr_1", "ses_1").unwrap();
    fixture.assert_invalid(&storefront);
    assert!(fixture.verifier.verify(&storefront, Audience::Storefront).is_ok());
    assert!(fixture.verifier.verify(&fixture.token(), Audience::Storefront).is_err());
    for (claim, value) in [
        ("iss", json!("other")),
        ("iss", json!(["wares", "x"])),
        ("aud", json!(["admin"])),
        ("aud", json!("admin ")),
    ] {
        let mut claims = serde_json::to_value(fixture.claims()).unwrap();
        claims[claim] = value;
        fixture.assert_invalid(&fixture.sign(&fixture.header(), &claims));
    }
}

#[test]
fn a_missing_or_empty_or_mistyped_claim_is_invalid() {
    let fixture = Fixture::new();
    for claim in ["iss", "aud", "sub", "sid", "jti", "iat", "exp"] {
        for value in [None, Some(json!(null)), Some(json!("")), Some(json!({})), Some(json!(1.5))] {
            let mut claims = serde_json::to_value(fixture.claims()).unwrap();
            let members = claims.as_object_mut().unwrap();
            match value {
                Some(value) => members.insert(claim.to_owned(), value),
                None => members.remove(claim),
            };
            fixture.assert_invalid(&fixture.sign(&fixture.header(), &claims));
        }
    }
}

#[test]
fn a_token_expires_by_the_injected_clock_with_a_little_leeway() {
    let fixture = Fixture::new();
    let token = fixture.token();
    let verify = || fixture.verifier.verify(&token, Audience::Admin);
    fixture.time.advance(Duration::from_secs(904));
    assert!(verify().is_ok());
    fixture.time.advance(Duration::from_secs(1));
    assert!(matches!(verify(), Err(AuthError::Expired)));
    // Whose token it is counts first: an expired one of another audience stays invalid.
    assert!(matches!(fixture.verifier.verify(&token, Audience::Storefront), Err(AuthError::Invalid)));
}

#[test]
fn a_token_from_the_future_or_without_duration_is_invalid() {
    let fixture = Fixture::new();
    let sign =
        |iat: i64, exp: i64| fixture.signer.sign_claims(&Claims { iat, exp, ..fixture.claims() }).unwrap();
    assert!(fixture.verifier.verify(&sign(NOW_S + 5, NOW_S + 900), Audience::Admin).is_ok());
    fixture.assert_invalid(&sign(NOW_S + 6, NOW_S + 900));
    fixture.assert_invalid(&sign(NOW_S, NOW_S));
    fixture.assert_invalid(&sign(i64::MAX, i64::MIN));
    assert!(matches!(
        fixture.verifier.verify(&sign(-10, -5), Audience::Admin),
        Err(AuthError::Invalid | AuthError::Expired)
    ));
}

#[test]
fn a_tampered_token_is_invalid() {
    let fixture = Fixture::new();
    let token = fixture.token();
    let parts: Vec<&str> = token.split('.').collect();
    let mut claims = serde_json::to_value(fixture.claims()).unwrap();
    claims["sub"] = json!("usr_2");
    fixture.assert_invalid(&format!("{}.{}.{}", parts[0], part(&claims), parts[2]));
    for position in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(fixture.verifier.verify(&changed, Audience::Admin).is_err(), "byte {position}");
    }
}

#[test]
fn what_is_no_token_is_invalid() {
    let fixture = Fixture::new();
    let crit = Header { crit: Some(vec!["exp".to_owned()]), ..fixture.header() };
    fixture.assert_invalid(&fixture.sign(&crit, &serde_json::to_value(fixture.claims()).unwrap()));
    for text in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "Bearer x",
        "ünïcödë",
        &"a".repeat(5000),
        &format!("{}.x", fixture.token()),
    ] {
        fixture.assert_invalid(text);
    }
}

#[test]
fn the_previous_secret_verifies_and_no_longer_signs() {
    let (clock, _) = Clock::manual(NOW_S * 1000);
    let old = TokenSigner::new(&config("first secret"), clock.clone()).unwrap();
    let rotated =
        AuthConfig { jwt_secret_previous: config("first secret").jwt_secret, ..config("second secret") };
    let verifier = TokenVerifier::new(&rotated, clock.clone());
    let new = TokenSigner::new(&rotated, clock.clone()).unwrap();
    for signer in [&old, &new] {
        let token = signer.sign(Audience::Admin, "usr_1", "ses_1").unwrap();
        assert!(verifier.verify(&token, Audience::Admin).is_ok());
    }
    assert_ne!(old.kid, new.kid);
    let later = TokenVerifier::new(&config("second secret"), clock);
    assert!(later.verify(&old.sign(Audience::Admin, "usr_1", "ses_1").unwrap(), Audience::Admin).is_err());
}
