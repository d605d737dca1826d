//! Why a configuration was refused.

use std::{io, path::PathBuf};

use super::{Source, secret::SECRET_KEYS};

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read `{}`, named by {named_by}: {source}", .path.display())]
    Unreadable { path: PathBuf, named_by: String, source: io::Error },
    #[error("{origin} is not valid TOML: {message}")]
    Syntax { origin: Source, message: String },
    #[error("{origin} sets `{key}`, which does not exist{}", suggest(.suggestion.as_deref()))]
    UnknownKey { origin: Source, key: String, suggestion: Option<String> },
    #[error("{origin} sets `{key}` to {value}, but expected is {expected}")]
    Invalid { origin: Source, key: String, value: String, expected: String },
    #[error("the environment variable {name} holds text that is not UTF-8")]
    NotText { name: &'static str },
    /// Asked for something that this build cannot do.
    #[error("{origin} sets `{key}`, which is not supported by this build yet")]
    Unsupported { origin: Source, key: &'static str, instead: &'static str },
    #[error("{reason} in the {environment} environment")]
    WeakSecret { reason: String, environment: &'static str },
    #[error("cannot make the data directory `{}`: {source}", .path.display())]
    DataDirectory { path: PathBuf, source: io::Error },
    #[error("cannot keep the development secret in `{}`: {source}", .path.display())]
    SecretFile { path: PathBuf, source: io::Error },
}

fn suggest(suggestion: Option<&str>) -> String {
    suggestion.map(|key| format!("; did you mean `{key}`?")).unwrap_or_default()
}

impl ConfigError {
    /// What the operator can do about it, as a sentence.
    pub fn next_step(&self) -> String {
        match self {
            Self::Unreadable { path, named_by, .. } => {
                format!("Create `{}`, make it readable for this user, or change {named_by}.", path.display())
            }
            Self::Syntax { origin, .. } => format!("Correct {origin}; its values look like those in config/default.toml."),
            Self::UnknownKey { origin, .. } => {
                format!("Correct or remove the key in {origin}; `wares config show` lists every key.")
            }
            Self::Invalid { origin, key, .. } if SECRET_KEYS.contains(&key.as_str()) => {
                format!("Change the value in {origin}; it is not shown here because it is a secret.")
            }
            Self::Invalid { origin, .. } => format!("Change the value in {origin}."),
            Self::NotText { name } => format!("Set {name} to plain text."),
            Self::Unsupported { origin, instead, .. } => format!("Remove it from {origin}: {instead}."),
            Self::WeakSecret { .. } => {
                "Set JWT_SECRET, or JWT_SECRET_FILE to the path of a file that holds it, to at least 32 random bytes, \
                 for example from `openssl rand -base64 48`."
                    .to_owned()
            }
            Self::DataDirectory { .. } => {
                "Choose a folder that this user can make with --data-dir, or make it and give it to this user.".to_owned()
            }
            Self::SecretFile { path, .. } => {
                format!("Make `{}` readable and writable for this user, or set JWT_SECRET.", path.display())
            }
        }
    }
}
