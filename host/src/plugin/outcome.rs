//! How a call ended, told apart.

use std::fmt;

/// Why a call into a plugin did not produce what it should. Each is told in the answer, the log and the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The guest trapped: a panic, an unreachable instruction, a stack overflow.
    Trap,
    /// The wall-clock deadline passed.
    Timeout,
    /// The CPU budget is spent.
    Cpu,
    /// It asked for more memory than its cap.
    Memory,
    /// It answered something that is too large or not what the contract allows.
    Output,
    /// It called the host more often, or with more bytes, than its budget allows.
    HostCalls,
    /// It logged or printed more than its budget allows.
    Log,
    /// It used what it was not granted.
    Denied,
    /// It said itself that it cannot answer.
    Refused,
    /// No capacity was free within the queue's time.
    Overload,
    /// The plugin keeps failing and is not called for a while.
    BreakerOpen,
}

impl Failure {
    /// The word for answers, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Timeout => "timeout",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Output => "output",
            Self::HostCalls => "host_calls",
            Self::Log => "log",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Overload => "overload",
            Self::BreakerOpen => "breaker_open",
        }
    }

    /// Whether the plugin is to blame, so that its breaker counts it.
    pub fn blames_plugin(self) -> bool {
        !matches!(self, Self::Overload | Self::BreakerOpen)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failed call: what kind, and the cause for the log. The client never sees the cause.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{failure}: {cause}")]
pub struct CallError {
    pub failure: Failure,
    pub cause: String,
    /// When a repeat has a chance, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl CallError {
    pub(super) fn new(failure: Failure, cause: impl Into<String>) -> Self {
        Self { failure, cause: cause.into(), retry_after_ms: None }
    }

    pub(super) fn retry_after(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }
}

/// Ends a guest from within a host function.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{cause}")]
pub(super) struct Stop {
    pub(super) failure: Failure,
    pub(super) cause: String,
}

impl Stop {
    pub(super) fn new(failure: Failure, cause: impl Into<String>) -> Self {
        Self { failure, cause: cause.into() }
    }
}
