//! Reading the layers and making a configuration of them.

use std::{env, fs, io, path::PathBuf};

use serde::Serialize;
use toml::Value;

use super::{
    Config, ConfigError, Environment, Source,
    layers::{Layers, shown},
    secret::{HIDDEN, SECRET_KEYS},
    signing,
};
#[cfg(debug_assertions)]
use crate::failpoint::{self, FailPoint};

const DEFAULT: &str = include_str!("../../../config/default.toml");
const DEVELOPMENT: &str = include_str!("../../../config/development.toml");
const STAGING: &str = include_str!("../../../config/staging.toml");
const PRODUCTION: &str = include_str!("../../../config/production.toml");

/// The names that operators set. Each may also be given as a file, with `_FILE` at the end of the name.
pub(super) const VARIABLES: [(&str, &str); 12] = [
    ("API_BASE_URL", "server.base_url"),
    ("API_VERSION", "server.api_version"),
    ("MONGODB_URI", "store.mongodb_uri"),
    ("REDIS_URI", "store.redis_uri"),
    ("STORAGE_BUCKET", "store.bucket"),
    ("JWT_SECRET", "auth.jwt_secret"),
    ("JWT_SECRET_PREVIOUS", "auth.jwt_secret_previous"),
    ("AUDIT_KEY", "auth.audit_key"),
    ("JWT_EXPIRY", "auth.jwt_expiry"),
    ("SMTP_URL", "mail.smtp_url"),
    ("PAYMENT_GATEWAY_KEY", "payment.gateway_key"),
    ("RUST_LOG", "telemetry.filter"),
];

/// What the command line sets.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Replaces `config/<environment>.toml`.
    pub config: Option<PathBuf>,
    pub listen: Option<String>,
    pub data_dir: Option<PathBuf>,
    pub plugins_dir: Option<PathBuf>,
}

/// A checked configuration and how it came about.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// Every key, in alphabetical order.
    pub settings: Vec<Setting>,
    /// Where to die, for tests.
    #[cfg(debug_assertions)]
    pub(crate) fail_at: Option<FailPoint>,
}

/// One key for `wares config show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    pub key: String,
    /// As TOML; `"(hidden)"` for a secret that is set.
    pub value: String,
    pub source: String,
}

impl Config {
    /// Loads and checks the configuration of this process. Nothing is written.
    pub fn load(overrides: &Overrides) -> Result<Loaded, ConfigError> {
        load(overrides, &variable_of_process)
    }
}

/// A variable of this process.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub(super) fn variable_of_process(name: &str) -> Result<Option<String>, ()> {
    match env::var(name) {
        Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(()),
    }
}

/// A variable's text; `Err` when it is not text.
pub(super) type Variables<'a> = &'a dyn Fn(&str) -> Result<Option<String>, ()>;

pub(super) fn load(overrides: &Overrides, variables: Variables<'_>) -> Result<Loaded, ConfigError> {
    let environment = environment(variables)?;
    let mut layers = Layers::of_defaults(DEFAULT.parse().expect("config/default.toml is tested"));
    add_file(&mut layers, overrides, environment)?;
    for (name, key) in VARIABLES {
        if let Some((text, origin)) = variable(name, variables)? {
            layers.set(key, Value::String(text), origin)?;
        }
    }
    add_flags(&mut layers, overrides)?;

    let mut config: Config = deserialize(&layers)?;
    config.environment = environment;
    config.check().map_err(|wrong| invalid(&layers, wrong.key, wrong.expected.to_owned()))?;
    refuse_unsupported(&layers, &config)?;
    signing::check(&config.auth, environment)?;
    config.server.complete();
    let settings = settings(&layers, &config);
    Ok(Loaded {
        config,
        settings,
        #[cfg(debug_assertions)]
        fail_at: fail_at(variables)?,
    })
}

#[cfg(debug_assertions)]
fn fail_at(variables: Variables<'_>) -> Result<Option<FailPoint>, ConfigError> {
    let name = failpoint::VARIABLE;
    let Some(text) = variables(name).map_err(|()| ConfigError::NotText { name })? else { return Ok(None) };
    let point = FailPoint::parse(&text).ok_or_else(|| ConfigError::Invalid {
        origin: Source::Environment(name),
        key: "fail_at".to_owned(),
        value: format!("{text:?}"),
        expected: failpoint::EXPECTED.to_owned(),
    })?;
    Ok(Some(point))
}

fn environment(variables: Variables<'_>) -> Result<Environment, ConfigError> {
    let Some((text, origin)) = variable("WARES_ENV", variables)? else {
        return Ok(Environment::default());
    };
    Environment::parse(&text).ok_or_else(|| ConfigError::Invalid {
        origin,
        key: "environment".to_owned(),
        value: format!("{text:?}"),
        expected: "development, staging or production".to_owned(),
    })
}

/// The value of a variable, or of the file that its `_FILE` twin names.
fn variable(name: &'static str, variables: Variables<'_>) -> Result<Option<(String, Source)>, ConfigError> {
    let not_text = |()| ConfigError::NotText { name };
    if let Some(text) = variables(name).map_err(not_text)? {
        return Ok(Some((text, Source::Environment(name))));
    }
    let twin = format!("{name}_FILE");
    let Some(path) = variables(&twin).map_err(not_text)? else { return Ok(None) };
    let path = PathBuf::from(path);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let text = without_line_break(&text).to_owned();
            Ok(Some((text, Source::ValueFile { variable: twin, path })))
        }
        Err(source) => {
            Err(ConfigError::Unreadable { path, named_by: format!("the variable {twin}"), source })
        }
    }
}

/// Editors and `echo` end a file with a line break that is not part of the value.
pub(super) fn without_line_break(text: &str) -> &str {
    text.trim_end_matches(['\n', '\r'])
}

fn add_file(layers: &mut Layers, overrides: &Overrides, environment: Environment) -> Result<(), ConfigError> {
    let (built_in, text) = match environment {
        Environment::Development => ("config/development.toml", DEVELOPMENT),
        Environment::Staging => ("config/staging.toml", STAGING),
        Environment::Production => ("config/production.toml", PRODUCTION),
    };
    let (path, named_by) = match &overrides.config {
        Some(path) => (path.clone(), "--config"),
        None => (PathBuf::from(built_in), "WARES_ENV"),
    };
    match fs::read_to_string(&path) {
        Ok(text) => layers.add_toml(&text, &Source::File(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && overrides.config.is_none() => {
            layers.add_toml(text, &Source::BuiltIn(built_in))
        }
        Err(source) => Err(ConfigError::Unreadable { path, named_by: named_by.to_owned(), source }),
    }
}

fn add_flags(layers: &mut Layers, overrides: &Overrides) -> Result<(), ConfigError> {
    let path = |path: &PathBuf| path.display().to_string();
    let flags = [
        ("--listen", "server.listen", overrides.listen.clone()),
        ("--data-dir", "store.data_dir", overrides.data_dir.as_ref().map(path)),
        ("--plugins-dir", "plugins.dir", overrides.plugins_dir.as_ref().map(path)),
    ];
    for (flag, key, value) in flags {
        if let Some(value) = value {
            layers.set(key, Value::String(value), Source::Flag(flag))?;
        }
    }
    Ok(())
}

fn deserialize(layers: &Layers) -> Result<Config, ConfigError> {
    serde_path_to_error::deserialize(Value::Table(layers.table())).map_err(|error| {
        let key = error.path().to_string();
        // The rest of the message repeats the key.
        let message = error.inner().to_string();
        let expected = expectation(&key, message.lines().next().unwrap_or_default());
        invalid(layers, &key, expected)
    })
}

/// What should have been there. Serde's own words are good for numbers and poor for what is parsed from text.
fn expectation(key: &str, message: &str) -> String {
    match key {
        "server.listen" => "an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080".to_owned(),
        "auth.jwt_expiry" | "auth.session_idle" | "auth.session_max" => {
            "a number of seconds or a time such as 15m".to_owned()
        }
        _ if key.starts_with("server.trusted_proxies") || key.starts_with("rate_limits.exempt") => {
            "networks such as 10.0.0.0/8 or 2001:db8::/32, with their prefix length".to_owned()
        }
        "telemetry.format" => "auto, pretty or json".to_owned(),
        _ if message.contains("invalid value") => {
            "a number that is not negative and not too large".to_owned()
        }
        _ => match message.rsplit_once("expected ") {
            Some((_, "a string")) => "a text in quotes".to_owned(),
            Some((_, "a boolean")) => "true or false".to_owned(),
            Some((_, expected)) if expected.starts_with(['u', 'i']) => "a whole number".to_owned(),
            Some((_, expected)) => expected.to_owned(),
            None => message.to_owned(),
        },
    }
}

/// An error about a key that is set somewhere.
fn invalid(layers: &Layers, key: &str, expected: String) -> ConfigError {
    let (value, origin) = match layers.get(key) {
        Some((_, origin)) if SECRET_KEYS.contains(&key) => (HIDDEN.to_owned(), origin.clone()),
        Some((value, origin)) => (shown(value), origin.clone()),
        None => ("another kind of value".to_owned(), Source::Default),
    };
    ConfigError::Invalid { origin, key: key.to_owned(), value, expected }
}

fn refuse_unsupported(layers: &Layers, config: &Config) -> Result<(), ConfigError> {
    let redis = "cache and bus are in process without it";
    let bucket = "media goes to the data directory without it";
    for (key, set, instead) in [
        ("store.redis_uri", config.store.redis_uri.is_some(), redis),
        ("store.bucket", !config.store.bucket.is_empty(), bucket),
    ] {
        if let (true, Some((_, origin))) = (set, layers.get(key)) {
            return Err(ConfigError::Unsupported { origin: origin.clone(), key, instead });
        }
    }
    Ok(())
}

fn settings(layers: &Layers, config: &Config) -> Vec<Setting> {
    let mut settings: Vec<Setting> = layers
        .iter()
        .map(|(key, (value, origin))| Setting {
            key: key.clone(),
            value: match (SECRET_KEYS.contains(&key.as_str()), value) {
                (true, Value::String(text)) if !text.is_empty() => shown(&Value::String(HIDDEN.to_owned())),
                _ if key == "server.base_url" => shown(&Value::String(config.server.base_url.clone())),
                _ => shown(value),
            },
            source: origin.to_string(),
        })
        .collect();
    settings.insert(
        0,
        Setting {
            key: "environment".to_owned(),
            value: shown(&Value::String(config.environment.as_str().to_owned())),
            source: "WARES_ENV".to_owned(),
        },
    );
    settings
}
