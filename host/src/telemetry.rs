//! The log and the metrics of this process.
//!
//! The log goes to standard error, so that standard output belongs to what a command answers. Both are global to
//! the process: the first call sets them up and later ones do nothing, because tests start many hosts in one.

use std::{
    io::{self, IsTerminal},
    sync::OnceLock,
};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

use crate::config::{Config, Environment, LogFormat, TelemetryConfig};

/// Upper bounds of histogram buckets for durations, in seconds. A plugin call starts at tens of microseconds.
const DURATION_BUCKETS: [f64; 16] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0,
];

static METRICS: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Sets up the log and the metrics as configured.
pub fn init(config: &Config) {
    init_log(&config.telemetry, config.environment);
    init_metrics();
}

fn init_log(config: &TelemetryConfig, environment: Environment) {
    // The filter was checked when the configuration was loaded.
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = io::stderr().is_terminal();
    let registry = tracing_subscriber::registry().with(filter);
    let set = if writes_json(config.format, environment, terminal) {
        let lines = fmt::layer().json().flatten_event(true).with_current_span(false).with_writer(io::stderr);
        registry.with(lines).try_init()
    } else {
        let lines = fmt::layer().with_target(false).with_writer(io::stderr);
        // On a terminal the library decides, because it also honours NO_COLOR.
        let lines = if terminal { lines } else { lines.with_ansi(false) };
        registry.with(lines).try_init()
    };
    if set.is_err() {
        tracing::debug!("The log was set up before");
    }
}

fn writes_json(format: LogFormat, environment: Environment, terminal: bool) -> bool {
    match format {
        LogFormat::Json => true,
        LogFormat::Pretty => false,
        LogFormat::Auto => environment == Environment::Production || !terminal,
    }
}

/// Collects metrics from now on.
pub fn init_metrics() {
    METRICS.get_or_init(|| {
        PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BUCKETS)
            .and_then(PrometheusBuilder::install_recorder)
            .inspect_err(|error| tracing::warn!(%error, "Metrics are not collected"))
            .ok()
    });
}

/// All metrics in the Prometheus text format; empty when none are collected.
pub fn metrics_text() -> String {
    let Some(Some(handle)) = METRICS.get() else { return String::new() };
    // Folds what was recorded since the last time; without it the buffers of an unread host would grow.
    handle.run_upkeep();
    handle.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_in_development_gets_pretty_lines() {
        assert!(!writes_json(LogFormat::Auto, Environment::Development, true));
        assert!(writes_json(LogFormat::Auto, Environment::Development, false));
        assert!(writes_json(LogFormat::Auto, Environment::Production, true));
        assert!(writes_json(LogFormat::Json, Environment::Development, true));
        assert!(!writes_json(LogFormat::Pretty, Environment::Production, false));
    }

    #[test]
    fn durations_become_buckets() {
        init_metrics();
        init_metrics();
        metrics::histogram!("telemetry_test_duration_seconds").record(0.002);
        metrics::counter!("telemetry_test_total").increment(2);
        let text = metrics_text();
        assert!(text.contains("telemetry_test_total 2"), "{text}");
        assert!(text.contains("telemetry_test_duration_seconds_bucket{le=\"0.0025\"} 1"), "{text}");
    }
}
