//! Secrets of plugins: not a section, but variables with names of their own, or files that `NAME_FILE` names.
//!
//! They are looked up when a plugin is loaded that was granted them, because only then it is known which they are.

use std::{collections::BTreeMap, fmt, fs, path::PathBuf};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::load::{VARIABLES, Variables, without_line_break};

/// Where the payment gateway's key comes from is [`PaymentConfig`](super::PaymentConfig)'s business.
pub const PAYMENT_GATEWAY_KEY: &str = "PAYMENT_GATEWAY_KEY";

const NAME_CHARS: usize = 64;

/// The name of a secret that a plugin may use: that of a variable, and of none that is the host's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretName(String);

/// Why a text is no name of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretNameError {
    #[error(
        "`{0}` is no name of a secret: it has capitals, digits and underscores, and does not end in `_FILE`"
    )]
    Malformed(String),
    #[error("`{0}` is the host's own secret, which no plugin uses")]
    Own(String),
}

/// Secrets that do not come from the environment.
#[derive(Debug, Clone, Default)]
pub struct SecretsConfig {
    pub given: BTreeMap<String, SecretString>,
}

/// Why a secret cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the variable {name} is not text")]
    NotText { name: String },
    #[error("cannot read {path}, which the variable {variable} names")]
    Unreadable {
        variable: String,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl SecretName {
    pub fn parse(name: &str) -> Result<Self, SecretNameError> {
        let fine = (1..=NAME_CHARS).contains(&name.len())
            && name.bytes().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'_')
            && name.starts_with(|first: char| first.is_ascii_uppercase())
            && !name.ends_with("_FILE");
        if !fine {
            let shown = name.chars().filter(|it| !it.is_control()).take(NAME_CHARS).collect();
            return Err(SecretNameError::Malformed(shown));
        }
        if name != PAYMENT_GATEWAY_KEY && VARIABLES.iter().any(|(own, _)| *own == name) {
            return Err(SecretNameError::Own(name.to_owned()));
        }
        Ok(Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for SecretName {
    type Error = SecretNameError;

    fn try_from(name: String) -> Result<Self, SecretNameError> {
        Self::parse(&name)
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> Self {
        name.0
    }
}

impl SecretsConfig {
    /// The value of a secret; `None` when it has none.
    ///
    /// # Errors
    /// A value that is there and cannot be read.
    pub fn find(&self, name: &SecretName) -> Result<Option<SecretString>, SecretError> {
        match self.given.get(name.as_str()) {
            Some(value) => Ok(Some(value.clone())),
            None => find(name.as_str(), &super::load::variable_of_process),
        }
    }
}

pub(super) fn find(name: &str, variables: Variables<'_>) -> Result<Option<SecretString>, SecretError> {
    let read = |name: &str| variables(name).map_err(|()| SecretError::NotText { name: name.to_owned() });
    if let Some(text) = read(name)? {
        return Ok(Some(text.into()));
    }
    let variable = format!("{name}_FILE");
    let Some(path) = read(&variable)?.map(PathBuf::from) else { return Ok(None) };
    match fs::read_to_string(&path) {
        Ok(text) => {
            Ok(Some(without_line_break(&text).to_owned()).filter(|it| !it.is_empty()).map(Into::into))
        }
        Err(source) => Err(SecretError::Unreadable { variable, path, source }),
    }
}
