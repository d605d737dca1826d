//! The signing secret: what is refused, and the one that development makes for itself.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

use super::{AuthConfig, Config, ConfigError, Environment};

/// HS256 is as strong as its key up to this length.
const MIN_BYTES: usize = 32;

/// Parts of secrets that stand in tutorials and sample files; long ones get past the length check.
const SAMPLES: [&str; 8] = [
    "changeme",
    "change-me",
    "change_me",
    "your-secret",
    "your_secret",
    "yoursecret",
    "jwt_secret",
    "supersecret",
];

/// The file in the data directory that keeps the generated secret.
const FILE: &str = "jwt-secret";

pub(super) fn check(auth: &AuthConfig, environment: Environment) -> Result<(), ConfigError> {
    let weak = |reason: &str| {
        Err(ConfigError::WeakSecret { reason: reason.to_owned(), environment: environment.as_str() })
    };
    match &auth.jwt_secret {
        None if environment == Environment::Development => return Ok(()),
        None => return weak("JWT_SECRET must be set"),
        Some(secret) => {
            if let Some(problem) = weakness(secret.expose_secret()) {
                return weak(&format!("JWT_SECRET {problem}"));
            }
        }
    }
    for (name, secret) in [("JWT_SECRET_PREVIOUS", &auth.jwt_secret_previous), ("AUDIT_KEY", &auth.audit_key)]
    {
        if let Some(problem) = secret.as_ref().and_then(|secret| weakness(secret.expose_secret())) {
            return weak(&format!("{name} {problem}"));
        }
    }
    Ok(())
}

fn weakness(secret: &str) -> Option<&'static str> {
    let lower = secret.to_ascii_lowercase();
    let mut letters: Vec<u8> = secret.bytes().collect();
    letters.sort_unstable();
    letters.dedup();
    if secret.len() < MIN_BYTES {
        Some("is shorter than 32 bytes, which is refused")
    } else if SAMPLES.iter().any(|sample| lower.contains(sample)) {
        Some("is a well-known sample, which is refused")
    } else if letters.len() < 8 {
        Some("repeats a few characters, which is refused")
    } else {
        None
    }
}

impl Config {
    /// Makes the data directory, for its owner only. In development, gives a configuration without a secret the one
    /// kept there, which is made the first time. Returns what the operator should be told.
    pub fn prepare(&mut self) -> Result<Option<String>, ConfigError> {
        let data_dir = &self.store.data_dir;
        create_data_dir(data_dir)
            .map_err(|source| ConfigError::DataDirectory { path: data_dir.clone(), source })?;
        if self.auth.jwt_secret.is_some() || self.environment != Environment::Development {
            return Ok(None);
        }
        let path = self.store.data_dir.join(FILE);
        let secret =
            read_or_create(&path).map_err(|source| ConfigError::SecretFile { path: path.clone(), source })?;
        self.auth.jwt_secret = Some(secret);
        Ok(Some(format!(
            "JWT_SECRET is not set: tokens are signed with a generated secret kept in `{}`. Set JWT_SECRET before \
             anybody depends on this shop.",
            path.display()
        )))
    }
}

/// Creates the data directory, for its owner only: it holds secrets and personal data.
fn create_data_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn read_or_create(path: &Path) -> io::Result<SecretString> {
    // Two starts at once: the one that cannot create the file reads what the other wrote.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            let mut bytes = [0_u8; 48];
            getrandom::fill(&mut bytes).map_err(io::Error::other)?;
            let text = URL_SAFE_NO_PAD.encode(bytes);
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            Ok(SecretString::from(text))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let text = fs::read_to_string(path)?;
            if weakness(text.trim_end()).is_some() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the file is damaged; delete it to have a new secret made, which ends all sessions",
                ));
            }
            Ok(SecretString::from(text.trim_end().to_owned()))
        }
        Err(error) => Err(error),
    }
}
