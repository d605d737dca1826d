//! What became of a plugin's calls since it was loaded, for operators.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::outcome::CallError;

/// Counts calls.
#[derive(Debug, Default)]
pub struct Counters {
    calls: AtomicU64,
    failures: AtomicU64,
    last_error: Mutex<Option<LastError>>,
}

/// How a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// Unix milliseconds.
    pub at_ms: i64,
    pub operation: String,
    pub outcome: &'static str,
    pub cause: String,
}

impl Counters {
    pub(super) fn count(&self, operation: &str, error: Option<&CallError>, now_ms: i64) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let Some(error) = error.filter(|error| error.failure.blames_plugin()) else { return };
        self.failures.fetch_add(1, Ordering::Relaxed);
        let last = LastError {
            at_ms: now_ms,
            operation: operation.to_owned(),
            outcome: error.failure.as_str(),
            cause: error.cause.chars().take(1_000).collect(),
        };
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Calls that failed by the plugin's fault.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// The last failure.
    pub fn last_error(&self) -> Option<LastError> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
