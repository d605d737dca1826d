use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt};

use secrecy::ExposeSecret as _;

use super::{load::load, *};
use crate::store::StoreConfig;

fn load_with(variables: &[(&str, &str)], overrides: &Overrides) -> Result<Loaded, ConfigError> {
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    load(overrides, &|name| Ok(variables.get(name).map(|text| (*text).to_owned())))
}

fn load_file(text: &str) -> Result<Loaded, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.toml");
    fs::write(&path, text).unwrap();
    load_with(&[], &Overrides { config: Some(path), ..Overrides::default() })
}

#[track_caller]
fn error_of(loaded: Result<Loaded, ConfigError>) -> String {
    let error = loaded.unwrap_err();
    assert!(error.next_step().ends_with('.'));
    error.to_string()
}

const STRONG: &str = "8Jq2nVb7ZkWm4xTcRfYs1LdPgHaUeOi3";

#[test]
fn the_default_file_spells_out_the_defaults() {
    let file: toml::Table = include_str!("../../../config/default.toml").parse().unwrap();
    let code = toml::Table::try_from(Config::default()).unwrap();
    assert_eq!(file, code, "config/default.toml and the Default implementations differ");
}

#[test]
fn nothing_set_gives_the_defaults() {
    let loaded = load_with(&[], &Overrides::default()).unwrap();
    let mut expected = Config::default();
    expected.server.base_url = "http://127.0.0.1:8080".to_owned();
    // What development.toml sets.
    expected.plugins.dir = "target/plugins".into();
    expected.server.cors_origins = ["http://localhost:*", "http://127.0.0.1:*"].map(str::to_owned).to_vec();
    assert_eq!(format!("{:?}", loaded.config), format!("{expected:?}"));
}

#[test]
fn a_flag_wins_over_the_environment_over_a_file_over_a_default() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.toml");
    fs::write(&path, "[server]\napi_version = \"v2\"\nlisten = \"127.0.0.1:1\"\nmax_connections = 5\n")
        .unwrap();
    let overrides = Overrides {
        config: Some(path.clone()),
        listen: Some("127.0.0.1:2".to_owned()),
        ..Overrides::default()
    };
    let loaded = load_with(&[("API_VERSION", "v3")], &overrides).unwrap();
    assert_eq!(loaded.config.server.listen.port(), 2);
    assert_eq!(loaded.config.server.api_version, "v3");
    assert_eq!(loaded.config.server.max_connections, 5);
    assert_eq!(loaded.config.server.base_url, "http://127.0.0.1:2");
    let source =
        |key: &str| loaded.settings.iter().find(|setting| setting.key == key).unwrap().source.clone();
    assert_eq!(source("server.listen"), "the flag --listen");
    assert_eq!(source("server.api_version"), "the environment variable API_VERSION");
    assert_eq!(source("server.max_connections"), path.display().to_string());
    assert_eq!(source("server.drain_ms"), "config/default.toml (built in)");
}

#[test]
fn a_variable_can_name_a_file_and_the_variable_itself_wins() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("expiry");
    fs::write(&path, "20m\n").unwrap();
    let path = path.to_str().unwrap();
    let loaded = load_with(&[("JWT_EXPIRY_FILE", path)], &Overrides::default()).unwrap();
    assert_eq!(loaded.config.auth.jwt_expiry.as_secs(), 1_200);
    let loaded =
        load_with(&[("JWT_EXPIRY_FILE", path), ("JWT_EXPIRY", "60")], &Overrides::default()).unwrap();
    assert_eq!(loaded.config.auth.jwt_expiry.as_secs(), 60);
    let error = error_of(load_with(&[("JWT_SECRET_FILE", "/nowhere/secret")], &Overrides::default()));
    assert!(error.contains("/nowhere/secret") && error.contains("JWT_SECRET_FILE"), "{error}");
}

#[test]
fn an_unknown_key_is_refused_with_a_suggestion() {
    let error = error_of(load_file("[server]\nlissten = \"127.0.0.1:1\"\n"));
    assert!(error.contains("shop.toml sets `server.lissten`"), "{error}");
    assert!(error.ends_with("did you mean `server.listen`?"), "{error}");
    let error = error_of(load_file("max_body_bytes = 1\n"));
    assert!(error.ends_with("did you mean `server.max_body_bytes`?"), "{error}");
    let error = error_of(load_file("[quux]\nzzz = 1\n"));
    assert!(error.ends_with("which does not exist"), "{error}");
}

#[test]
fn a_wrong_value_names_file_key_value_and_expectation() {
    for (text, parts) in [
        (
            "[server]\nmax_connections = \"many\"\n",
            ["`server.max_connections`", "\"many\"", "a whole number"],
        ),
        ("[server]\nmax_connections = -1\n", ["`server.max_connections`", "-1", "not negative"]),
        ("[server]\nlisten = \"localhost\"\n", ["`server.listen`", "\"localhost\"", "127.0.0.1:8080"]),
        ("[server]\nbase_url = \"shop.example\"\n", ["`server.base_url`", "\"shop.example\"", "https://"]),
        ("[auth]\njwt_expiry = \"soon\"\n", ["`auth.jwt_expiry`", "\"soon\"", "15m"]),
        ("[plugins]\nwatch = \"yes\"\n", ["`plugins.watch`", "\"yes\"", "true or false"]),
        ("[telemetry]\nformat = \"xml\"\n", ["`telemetry.format`", "\"xml\"", "json"]),
        ("server = 3\n", ["`server`", "3", "[server]"]),
    ] {
        let error = error_of(load_file(text));
        assert!(error.contains("shop.toml"), "{error}");
        for part in parts {
            assert!(error.contains(part), "{error}");
        }
    }
    assert!(error_of(load_file("[server\n")).contains("not valid TOML"));
    assert!(error_of(load_with(&[("WARES_ENV", "prod")], &Overrides::default())).contains("production"));
}

#[test]
fn a_missing_configuration_file_is_an_error() {
    let overrides = Overrides { config: Some("/nowhere/shop.toml".into()), ..Overrides::default() };
    assert!(error_of(load_with(&[], &overrides)).contains("/nowhere/shop.toml"));
}

#[test]
fn backends_that_are_not_there_yet_are_refused() {
    let error = error_of(load_with(&[("REDIS_URI", "redis://user:hunter2@host")], &Overrides::default()));
    assert!(error.contains("REDIS_URI") && error.contains("not supported by this build yet"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    let error = error_of(load_with(&[("STORAGE_BUCKET", "s3://shop")], &Overrides::default()));
    assert!(error.contains("STORAGE_BUCKET") && error.contains("`store.bucket`"), "{error}");
}

#[test]
fn the_address_of_a_replica_set_chooses_the_store() {
    let load = |uri: &str| load_with(&[("MONGODB_URI", uri)], &Overrides::default());
    let store = |loaded: Loaded| loaded.config.store.store_config();
    assert!(matches!(store(load("mongodb://user:hunter2@host").unwrap()), StoreConfig::Mongo(_)));
    assert!(matches!(store(load("").unwrap()), StoreConfig::Embedded(_)));
    let error = error_of(load("postgres://user:hunter2@host"));
    assert!(error.contains("MONGODB_URI") && error.contains("mongodb://"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn outside_development_a_weak_secret_is_refused() {
    for environment in ["staging", "production"] {
        let load = |secret: &str| {
            load_with(&[("WARES_ENV", environment), ("JWT_SECRET", secret)], &Overrides::default())
        };
        assert!(load_with(&[("WARES_ENV", environment)], &Overrides::default()).is_err());
        assert!(load(STRONG).is_ok());
        for weak in ["s3cr3t!", "your-secret-key-that-is-long-enough-to-pass", &"ab".repeat(20)] {
            let error = error_of(load(weak));
            assert!(error.contains(environment) && !error.contains(weak), "{error}");
        }
    }
}

#[test]
fn secrets_are_never_shown() {
    let loaded =
        load_with(&[("JWT_SECRET", STRONG), ("JWT_SECRET_PREVIOUS", STRONG)], &Overrides::default()).unwrap();
    let shown = format!("{loaded:?} {}", toml::to_string(&loaded.config).unwrap());
    assert!(!shown.contains(STRONG));
    let error = error_of(load_file("[auth]\njwt_secret = 1234567\n"));
    assert!(!error.contains("1234567"), "{error}");
}

#[test]
fn development_keeps_the_secret_that_it_generates() {
    let folder = tempfile::tempdir().unwrap();
    let overrides = Overrides { data_dir: Some(folder.path().join("data")), ..Overrides::default() };
    let secret = || {
        use secrecy::ExposeSecret;
        let mut config = load_with(&[], &overrides).unwrap().config;
        assert!(config.prepare().unwrap().unwrap().contains("JWT_SECRET"));
        config.auth.jwt_secret.unwrap().expose_secret().to_owned()
    };
    let first = secret();
    assert!(first.len() >= 32);
    assert_eq!(secret(), first);
    let file = fs::metadata(folder.path().join("data/jwt-secret")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

#[test]
fn outside_development_mail_goes_encrypted() {
    let load = |environment: &str, url: &str| {
        let variables = [("WARES_ENV", environment), ("JWT_SECRET", STRONG), ("SMTP_URL", url)];
        load_with(&variables, &Overrides::default())
    };
    for url in ["smtps://user:hunter2@mail.example", "smtp://user:hunter2@mail.example?tls=required"] {
        assert!(load("production", url).is_ok());
    }
    assert!(load("development", "smtp://mail.example").is_ok());
    for url in ["smtp://user:hunter2@mail.example", "mail.example"] {
        let error = error_of(load("production", url));
        assert!(error.contains("SMTP_URL") && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_cookie_is_not_for_every_origin() {
    let every = "[server]\ncors_origins = [\"*\"]\n[auth]\nrefresh_cookie = true\n";
    assert!(error_of(load_file(every)).contains("`auth.refresh_cookie`"));
    let one = "[server]\ncors_origins = [\"https://shop.example\"]\n[auth]\nrefresh_cookie = true\n";
    assert!(load_file(one).is_ok());
    let network = "[server]\ntrusted_proxies = [\"10.0.0.0/33\"]\n";
    assert!(error_of(load_file(network)).contains("10.0.0.0/8"));
}

#[test]
fn a_secret_of_a_plugin_is_a_variable_or_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("webhook");
    fs::write(&path, "whsec_1\n").unwrap();
    let path = path.to_str().unwrap();
    let find = |variables: &[(&str, &str)]| {
        let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
        let found = secrets::find("HOOK", &|name| Ok(variables.get(name).map(|text| (*text).to_owned())));
        found.map(|found| found.map(|secret| secret.expose_secret().to_owned()))
    };
    assert_eq!(find(&[]).unwrap(), None);
    assert_eq!(find(&[("HOOK", "a"), ("HOOK_FILE", path)]).unwrap().as_deref(), Some("a"));
    assert_eq!(find(&[("HOOK_FILE", path)]).unwrap().as_deref(), Some("whsec_1"));
    let error = find(&[("HOOK_FILE", "/nowhere/hook")]).unwrap_err().to_string();
    assert!(error.contains("/nowhere/hook") && error.contains("HOOK_FILE"), "{error}");
}

#[test]
fn no_plugin_is_given_a_secret_of_the_hosts() {
    for name in ["PAYMENT_GATEWAY_KEY", "STRIPE_WEBHOOK_SECRET", "K2"] {
        assert_eq!(SecretName::parse(name).unwrap().as_str(), name);
    }
    for name in ["JWT_SECRET", "JWT_SECRET_PREVIOUS", "AUDIT_KEY", "MONGODB_URI", "SMTP_URL"] {
        assert_eq!(SecretName::parse(name), Err(SecretNameError::Own(name.to_owned())));
    }
    for name in ["", "key", "_KEY", "1KEY", "A-B", "A\nB", "JWT_SECRET_FILE", &"A".repeat(65)] {
        assert!(matches!(SecretName::parse(name), Err(SecretNameError::Malformed(_))), "{name:?}");
    }
}
