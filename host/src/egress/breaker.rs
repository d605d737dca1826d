//! When somebody who does not answer is left alone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Attempts in a row that nobody answered. Two requests with all their attempts come to six.
const FAILURES: u32 = 5;
/// Short, because one attempt is what it costs to look.
const OPEN_MS: i64 = 10_000;

/// Counts attempts in a row that failed; when there are too many it lets one through every ten seconds.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    opened_ms: Option<i64>,
    probing: bool,
}

/// One attempt that may be made. Dropped without a verdict, it says nothing.
pub(super) struct Pass {
    breaker: Arc<Breaker>,
    probes: bool,
}

impl Breaker {
    pub(super) fn admit(self: &Arc<Self>, now_ms: i64) -> Option<Pass> {
        let mut state = self.lock();
        let probes = match state.opened_ms {
            None => false,
            Some(opened) if now_ms.saturating_sub(opened) < OPEN_MS || state.probing => return None,
            Some(_) => true,
        };
        state.probing = probes;
        Some(Pass { breaker: self.clone(), probes })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// Accounts for how the attempt ended. Answers whether the breaker has just opened.
    pub(super) fn give_back(self, failed: bool, now_ms: i64) -> bool {
        let mut state = self.breaker.lock();
        if !failed {
            state.failures = 0;
            state.opened_ms = None;
            return false;
        }
        state.failures = state.failures.saturating_add(1);
        let was_open = state.opened_ms.is_some();
        if self.probes || (!was_open && state.failures >= FAILURES) {
            state.opened_ms = Some(now_ms);
        }
        !was_open && state.opened_ms.is_some()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.probes {
            self.breaker.lock().probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_it_and_a_good_probe_closes_it() {
        let breaker = Arc::new(Breaker::default());
        for _ in 0..4 {
            assert!(!breaker.admit(0).unwrap().give_back(true, 0));
        }
        assert!(!breaker.admit(0).unwrap().give_back(false, 0));
        for attempt in 0..5 {
            assert_eq!(breaker.admit(0).unwrap().give_back(true, 0), attempt == 4);
        }
        assert!(breaker.admit(9_999).is_none());
        let probe = breaker.admit(10_000).unwrap();
        assert!(breaker.admit(10_000).is_none(), "one probe at a time");
        assert!(!probe.give_back(true, 10_000), "it was open");
        assert!(breaker.admit(19_999).is_none());
        drop(breaker.admit(20_000).unwrap());
        breaker.admit(20_000).unwrap().give_back(false, 20_000);
        assert!(breaker.admit(20_000).is_some() && breaker.admit(20_000).is_some());
    }
}
