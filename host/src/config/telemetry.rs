//! `[telemetry]`: the log.

use serde::{Deserialize, Serialize};

use super::{Wrong, ensure};

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// Which lines are written, as in `RUST_LOG`: `info`, `info,host=debug`, `warn,host::plugin=trace`.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    #[default]
    Auto,
    Pretty,
    Json,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::default() }
    }
}

impl TelemetryConfig {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        ensure(
            tracing_subscriber::EnvFilter::try_new(&self.filter).is_ok(),
            "telemetry.filter",
            "levels as in RUST_LOG, such as `info` or `info,host=debug`",
        )
    }
}
