//! `config/plugins.toml`: what the operator grants, configures and limits, plugin by plugin.
//!
//! The descriptor asks, this file grants. Both are compared when a plugin loads, and the host functions check again
//! at every call. A plugin always has its own collections and the log; everything else needs a line here.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    configs::encoded,
    descriptor::{Capability, Descriptor, Hook},
};
use crate::{
    config::{LimitsConfig, SecretName},
    egress::Origin,
    identity::collections,
};

/// The file. A missing one is the same as an empty one.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginsFile {
    pub plugins: BTreeMap<String, PluginEntry>,
}

/// One plugin's section.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginEntry {
    /// Whether the plugin is loaded.
    pub enabled: bool,
    /// Whether it is loaded in development alone: for what would be dangerous in a shop.
    pub development_only: bool,
    /// Collections of other plugins, or the host's accounts, that it may use, with `read` or `read` and `write`.
    pub store: BTreeMap<String, BTreeSet<Right>>,
    /// Whether it may make and change accounts, within what their callers may.
    pub identity: bool,
    /// Hooks it may call.
    pub calls: BTreeSet<Hook>,
    /// Hosts outside that it may send requests to, once it asks for any: which ones follows from how it is configured.
    pub http: BTreeSet<Origin>,
    /// Secrets it may use.
    pub secrets: BTreeSet<SecretName>,
    /// The hooks it answers: in which order, and what becomes of the caller when it fails.
    pub hooks: BTreeMap<Hook, HookEntry>,
    /// Limits that differ from the defaults.
    pub limits: LimitsOverride,
    /// Its configuration, checked against its own schema.
    pub config: toml::Table,
}

impl Default for PluginEntry {
    fn default() -> Self {
        Self {
            enabled: true,
            development_only: false,
            store: BTreeMap::new(),
            identity: false,
            calls: BTreeSet::new(),
            http: BTreeSet::new(),
            secrets: BTreeSet::new(),
            hooks: BTreeMap::new(),
            limits: LimitsOverride::default(),
            config: toml::Table::new(),
        }
    }
}

/// How a plugin answers a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HookEntry {
    /// Lower ones are asked first; of equal ones the plugin's id decides.
    pub priority: i32,
    pub on_failure: OnFailure,
}

impl Default for HookEntry {
    fn default() -> Self {
        Self { priority: 100, on_failure: OnFailure::default() }
    }
}

/// What becomes of who asks when a plugin of a hook fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The whole fails.
    #[default]
    Block,
    /// It goes on without this plugin, and says so.
    Skip,
    /// The component and configuration that were active before are asked; when they fail too, the whole fails.
    LastGood,
}

impl PluginEntry {
    /// The configuration, as JSON.
    pub(super) fn config_object(&self) -> Map<String, Value> {
        match serde_json::to_value(&self.config) {
            Ok(Value::Object(config)) => config,
            _ => Map::new(),
        }
    }

    /// Names the configuration by what it is.
    pub fn config_digest(&self) -> String {
        encoded(&self.config_object()).1
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    Read,
    Write,
}

/// Limits of one plugin; what is absent has the default of `[plugins.limits]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsOverride {
    pub timeout_ms: Option<u64>,
    pub cpu_ms: Option<u64>,
    pub memory_bytes: Option<usize>,
    pub concurrency: Option<u32>,
    pub host_calls: Option<u32>,
    pub host_call_bytes: Option<usize>,
    pub response_bytes: Option<usize>,
    pub log_lines: Option<u32>,
    pub log_bytes: Option<usize>,
    pub fuel: Option<u64>,
    pub fuel_per_line: Option<u64>,
    pub handles: Option<u32>,
    pub table_elements: Option<u32>,
}

impl LimitsOverride {
    /// The limits in force.
    pub fn over(&self, defaults: &LimitsConfig) -> LimitsConfig {
        LimitsConfig {
            timeout_ms: self.timeout_ms.unwrap_or(defaults.timeout_ms),
            cpu_ms: self.cpu_ms.unwrap_or(defaults.cpu_ms),
            memory_bytes: self.memory_bytes.unwrap_or(defaults.memory_bytes),
            concurrency: self.concurrency.unwrap_or(defaults.concurrency),
            host_calls: self.host_calls.unwrap_or(defaults.host_calls),
            host_call_bytes: self.host_call_bytes.unwrap_or(defaults.host_call_bytes),
            response_bytes: self.response_bytes.unwrap_or(defaults.response_bytes),
            log_lines: self.log_lines.unwrap_or(defaults.log_lines),
            log_bytes: self.log_bytes.unwrap_or(defaults.log_bytes),
            fuel: self.fuel.unwrap_or(defaults.fuel),
            fuel_per_line: self.fuel_per_line.unwrap_or(defaults.fuel_per_line),
            handles: self.handles.unwrap_or(defaults.handles),
            table_elements: self.table_elements.unwrap_or(defaults.table_elements),
        }
    }
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GrantsError {
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} is not valid: {message}")]
    Invalid { path: PathBuf, message: String },
}

impl PluginsFile {
    /// Reads the file; a missing one grants nothing beyond the defaults.
    pub fn read(path: &Path) -> Result<Self, GrantsError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(GrantsError::Read { path: path.to_owned(), source }),
        };
        toml::from_str(&text)
            .map_err(|error| GrantsError::Invalid { path: path.to_owned(), message: error.to_string() })
    }

    /// The section of a plugin, or the default one.
    pub fn entry(&self, id: &str) -> PluginEntry {
        self.plugins.get(id).cloned().unwrap_or_default()
    }
}

/// What one plugin may touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    read: BTreeSet<String>,
    write: BTreeSet<String>,
    identity: bool,
    calls: BTreeSet<Hook>,
    http: BTreeSet<Origin>,
    secrets: BTreeSet<SecretName>,
}

/// Something a plugin asks for and was not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("asks for {wanted}, which is not granted; {remedy}")]
pub struct NotGranted {
    wanted: String,
    remedy: String,
}

impl Grants {
    /// The grants of a plugin: its own collections, and what it asks for if the operator grants it.
    ///
    /// # Errors
    /// The first capability that is asked for and not granted, with the line that would grant it.
    pub fn resolve(descriptor: &Descriptor, entry: &PluginEntry) -> Result<Self, NotGranted> {
        let mut grants = Self::default();
        for collection in &descriptor.collections {
            grants.read.insert(collection.name.clone());
            grants.write.insert(collection.name.clone());
        }
        for capability in &descriptor.capabilities {
            grants.grant(&descriptor.id, capability, entry)?;
        }
        Ok(grants)
    }

    fn grant(
        &mut self,
        plugin: &str,
        capability: &Capability,
        entry: &PluginEntry,
    ) -> Result<(), NotGranted> {
        let (collection, rights, optional) = match capability {
            Capability::Store { collection, rights, optional } => (collection, rights, optional),
            Capability::Identity if entry.identity => {
                self.identity = true;
                self.read.insert(collections::ACCOUNTS.to_owned());
                return Ok(());
            }
            Capability::Hook(hook) if entry.calls.contains(hook) => {
                self.calls.insert(*hook);
                return Ok(());
            }
            Capability::Hook(hook) => {
                return Err(NotGranted {
                    wanted: format!("the right to call the hook `{}`", hook.as_str()),
                    remedy: format!(
                        "to grant it, put `calls = [\"{}\"]` under `[plugins.{plugin}]` in the plugins file",
                        hook.as_str()
                    ),
                });
            }
            Capability::Http { origin, optional } => {
                self.http.clone_from(&entry.http);
                if *optional || entry.http.iter().any(|granted| granted.covers(origin)) {
                    return Ok(());
                }
                return Err(NotGranted {
                    wanted: format!("requests to `{origin}`"),
                    remedy: format!(
                        "to grant it, put `http = [\"{origin}\"]` under `[plugins.{plugin}]` in the plugins file"
                    ),
                });
            }
            Capability::Secret { name, optional } => {
                if entry.secrets.contains(name) {
                    self.secrets.insert(name.clone());
                }
                if *optional || entry.secrets.contains(name) {
                    return Ok(());
                }
                return Err(NotGranted {
                    wanted: format!("the secret `{name}`"),
                    remedy: format!(
                        "to grant it, put `secrets = [\"{name}\"]` under `[plugins.{plugin}]` in the plugins file"
                    ),
                });
            }
            Capability::Identity => {
                return Err(NotGranted {
                    wanted: "`identity`, the right to make and change accounts".to_owned(),
                    remedy: format!(
                        "to grant it, put `identity = true` under `[plugins.{plugin}]` in the plugins file"
                    ),
                });
            }
        };
        let granted = entry.store.get(collection);
        let whole = granted.is_some_and(|granted| rights.iter().all(|right| granted.contains(right)));
        if *optional && !whole {
            return Ok(());
        }
        for right in rights {
            if !granted.is_some_and(|granted| granted.contains(right)) {
                let rights: Vec<String> = rights
                    .iter()
                    .map(|right| format!("\"{}\"", format!("{right:?}").to_lowercase()))
                    .collect();
                return Err(NotGranted {
                    wanted: format!(
                        "the `{}` right to collection `{collection}`",
                        format!("{right:?}").to_lowercase()
                    ),
                    remedy: format!(
                        "to grant it, put `{collection} = [{}]` under `[plugins.{plugin}.store]` in the plugins file",
                        rights.join(", ")
                    ),
                });
            }
            match right {
                Right::Read => self.read.insert(collection.clone()),
                Right::Write => self.write.insert(collection.clone()),
            };
        }
        Ok(())
    }

    pub fn may_read(&self, collection: &str) -> bool {
        self.read.contains(collection)
    }

    /// Whether it may ask the plugins of a hook.
    pub fn may_call(&self, hook: Hook) -> bool {
        self.calls.contains(&hook)
    }

    /// Whether its calls may need more than one instance.
    pub fn may_call_any(&self) -> bool {
        !self.calls.is_empty()
    }

    /// Whether it may make and change accounts.
    pub fn may_identity(&self) -> bool {
        self.identity
    }

    pub fn may_write(&self, collection: &str) -> bool {
        self.write.contains(collection)
    }

    /// Where it may send requests.
    pub fn origins(&self) -> &BTreeSet<Origin> {
        &self.http
    }

    /// The secret of this name, if it may use it.
    pub fn secret(&self, name: &str) -> Option<&SecretName> {
        self.secrets.iter().find(|granted| granted.as_str() == name)
    }

    /// The secrets that it may use.
    pub fn secrets(&self) -> &BTreeSet<SecretName> {
        &self.secrets
    }
}
