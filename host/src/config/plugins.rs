//! `[plugins]`: where components are, what one call may take, and when a failing plugin is left alone.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Wrong, ensure};

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginsConfig {
    /// Folder of the components (`*.wasm`).
    pub dir: PathBuf,
    /// File that says what each plugin may use.
    pub grants: PathBuf,
    /// Whether a changed component or grants file is loaded while the host runs.
    pub watch: bool,
    /// How often the folder is compared with what is loaded, for file systems that report no changes, in
    /// milliseconds.
    pub poll_ms: u64,
    /// How long a file must be left alone before it is loaded, in milliseconds.
    pub debounce_ms: u64,
    /// Most calls that run at once, over all plugins. Memory is set aside for each.
    pub instances: u32,
    /// Longest wait for a free instance before 503, in milliseconds.
    pub queue_timeout_ms: u64,
    /// Time of a request that calls payment providers, in milliseconds.
    pub provider_timeout_ms: u64,
    /// Largest component, in bytes.
    pub max_component_bytes: usize,
    /// Longest time to compile a component, in milliseconds.
    pub compile_timeout_ms: u64,
    pub limits: LimitsConfig,
    pub breaker: BreakerConfig,
}

/// What one call of a plugin may take.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Wall-clock time, waiting for the host included, in milliseconds.
    pub timeout_ms: u64,
    /// Time on a processor, in milliseconds.
    pub cpu_ms: u64,
    /// Linear memory, summed over the call, in bytes.
    pub memory_bytes: usize,
    /// Calls of one plugin at once.
    pub concurrency: u32,
    /// Calls into the host.
    pub host_calls: u32,
    /// Bytes copied between the host and the plugin in one host call.
    pub host_call_bytes: usize,
    /// Body of the answer, in bytes.
    pub response_bytes: usize,
    /// Lines written to the log.
    pub log_lines: u32,
    /// Text written to the log, in bytes.
    pub log_bytes: usize,
    /// Instructions of a pricing rule for one cart, in wasmtime's fuel. It decides alone, and not the time.
    pub fuel: u64,
    /// The same for each line of the cart, besides.
    pub fuel_per_line: u64,
    /// Host objects held at once.
    pub handles: u32,
    /// Entries in tables.
    pub table_elements: u32,
}

/// When a plugin that keeps failing is answered with 503 without being called.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// How many of the last calls are looked at.
    pub window: u32,
    /// How many calls there must have been before it can open.
    pub min_calls: u32,
    /// Share of failures that opens it, in percent.
    pub failure_percent: u32,
    /// How long it stays open before one call is tried, in milliseconds.
    pub open_ms: u64,
}

impl Default for PluginsConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("plugins"),
            grants: PathBuf::from("config/plugins.toml"),
            watch: true,
            poll_ms: 2_000,
            debounce_ms: 250,
            instances: 500,
            queue_timeout_ms: 250,
            provider_timeout_ms: 30_000,
            max_component_bytes: 16 * 1024 * 1024,
            compile_timeout_ms: 60_000,
            limits: LimitsConfig::default(),
            breaker: BreakerConfig::default(),
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            timeout_ms: 5_000,
            cpu_ms: 1_000,
            memory_bytes: 64 * 1024 * 1024,
            concurrency: 64,
            host_calls: 4_000,
            host_call_bytes: 4 * 1024 * 1024,
            response_bytes: 4 * 1024 * 1024,
            log_lines: 200,
            log_bytes: 64 * 1024,
            fuel: 50_000_000,
            fuel_per_line: 1_000_000,
            handles: 1_000,
            table_elements: 20_000,
        }
    }
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { window: 20, min_calls: 10, failure_percent: 50, open_ms: 30_000 }
    }
}

impl PluginsConfig {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        let limits = &self.limits;
        ensure(self.poll_ms >= 100, "plugins.poll_ms", "milliseconds, from 100")?;
        ensure((1..=10_000).contains(&self.instances), "plugins.instances", "a number from 1 to 10000")?;
        ensure(self.provider_timeout_ms >= 1_000, "plugins.provider_timeout_ms", "milliseconds, from 1000")?;
        ensure(self.max_component_bytes > 0, "plugins.max_component_bytes", "bytes, from 1")?;
        ensure(self.compile_timeout_ms > 0, "plugins.compile_timeout_ms", "milliseconds, from 1")?;
        limits.check()?;
        self.breaker.check()
    }

    /// The most memory that the plugins file may give a plugin: the pool reserves address space for it.
    pub fn most_memory_bytes(&self) -> usize {
        self.limits.memory_bytes.max(256 * 1024 * 1024)
    }
}

impl LimitsConfig {
    /// The most entries that tables may have: the pool makes room for them.
    pub const MOST_TABLE_ELEMENTS: u32 = 50_000;

    fn check(&self) -> Result<(), Wrong> {
        ensure(self.timeout_ms > 0, "plugins.limits.timeout_ms", "milliseconds, from 1")?;
        ensure(self.cpu_ms > 0, "plugins.limits.cpu_ms", "milliseconds, from 1")?;
        // A Rust component starts with 17 pages of stack and data; less than this loads nothing.
        ensure(
            (2 * 1024 * 1024..=4 * 1024 * 1024 * 1024).contains(&self.memory_bytes),
            "plugins.limits.memory_bytes",
            "bytes, from 2097152 (2 MiB) to 4294967296 (4 GiB)",
        )?;
        ensure(self.concurrency > 0, "plugins.limits.concurrency", "a number from 1")?;
        ensure(self.fuel > 0, "plugins.limits.fuel", "a number from 1")?;
        ensure(
            (1..=Self::MOST_TABLE_ELEMENTS).contains(&self.table_elements),
            "plugins.limits.table_elements",
            "a number from 1 to 50000",
        )
    }

    /// Checks the limits of one plugin, as the plugins file has them.
    ///
    /// # Errors
    /// A sentence that names the key and what was expected.
    pub fn check_for_plugin(&self, most_memory_bytes: usize) -> Result<(), String> {
        self.check().map_err(|wrong| {
            let key = wrong.key.rsplit('.').next().unwrap_or_default();
            format!("its limit `{key}` in the plugins file is not {}", wrong.expected)
        })?;
        if self.memory_bytes > most_memory_bytes {
            return Err(format!(
                "its limit `memory_bytes` in the plugins file is more than {most_memory_bytes}: raise \
                 `plugins.limits.memory_bytes` to give one plugin more"
            ));
        }
        Ok(())
    }
}

impl BreakerConfig {
    fn check(&self) -> Result<(), Wrong> {
        ensure((1..=1_000).contains(&self.window), "plugins.breaker.window", "a number from 1 to 1000")?;
        ensure(
            (1..=self.window).contains(&self.min_calls),
            "plugins.breaker.min_calls",
            "a number from 1 to plugins.breaker.window",
        )?;
        ensure(
            (1..=100).contains(&self.failure_percent),
            "plugins.breaker.failure_percent",
            "a percentage from 1 to 100",
        )
    }
}
