//! What one call may use: memory, tables, CPU time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use wasmtime::{CallHook, ResourceLimiter};

use crate::config::LimitsConfig;

/// Caps memory over all linear memories of a call together; wasmtime's own limits are for each memory.
#[derive(Debug)]
pub(super) struct MemoryLimiter {
    cap_bytes: usize,
    table_elements: usize,
    used_bytes: usize,
    /// Set when a growth was refused. A guest that cannot grow usually aborts, and the trap alone does not tell why.
    pub(super) denied: bool,
}

impl MemoryLimiter {
    pub(super) fn new(limits: &LimitsConfig) -> Self {
        Self {
            cap_bytes: limits.memory_bytes,
            table_elements: limits.table_elements as usize,
            used_bytes: 0,
            denied: false,
        }
    }

    /// The most memory the call has used.
    pub(super) fn used_bytes(&self) -> usize {
        self.used_bytes
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let after = self.used_bytes.saturating_add(desired.saturating_sub(current));
        if after > self.cap_bytes {
            self.denied = true;
            return Ok(false);
        }
        self.used_bytes = after;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.table_elements {
            self.denied = true;
            return Ok(false);
        }
        Ok(true)
    }
}

/// Measures the time a guest really runs: not what it waits in host functions or for a turn.
#[derive(Debug)]
pub(super) struct CpuMeter {
    started: Instant,
    used: Duration,
    /// When the guest was last (re)entered, in nanoseconds since `started`; shared with the future that yields,
    /// because nothing else runs between the end of a yield and the guest.
    entered_ns: Arc<AtomicU64>,
}

impl CpuMeter {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), used: Duration::ZERO, entered_ns: Arc::new(AtomicU64::new(0)) }
    }

    pub(super) fn on_hook(&mut self, hook: CallHook) {
        if hook.exiting_host() {
            self.entered_ns.store(self.elapsed_ns(), Ordering::Relaxed);
        } else {
            self.pause();
        }
    }

    /// Adds the time since the guest was entered.
    pub(super) fn pause(&mut self) {
        let now = self.elapsed_ns();
        let entered = self.entered_ns.swap(now, Ordering::Relaxed);
        self.used += Duration::from_nanos(now.saturating_sub(entered));
    }

    pub(super) fn used(&self) -> Duration {
        self.used
    }

    /// A future that gives the worker to others and restarts the measurement when the guest goes on.
    pub(super) fn yielding(&self) -> impl Future<Output = ()> + Send + 'static {
        let (started, entered_ns) = (self.started, self.entered_ns.clone());
        async move {
            tokio::task::yield_now().await;
            entered_ns.store(nanoseconds(started.elapsed()), Ordering::Relaxed);
        }
    }

    fn elapsed_ns(&self) -> u64 {
        nanoseconds(self.started.elapsed())
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_memories_share_one_cap() {
        let mut limiter = MemoryLimiter::new(&LimitsConfig { memory_bytes: 100, ..LimitsConfig::default() });
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.denied);
        assert!(!limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.denied);
        assert_eq!(limiter.used_bytes(), 60);
    }
}
