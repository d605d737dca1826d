//! When somebody who keeps failing is left alone for a while: an operation of a plugin, or an origin outside.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::config::BreakerConfig;

/// Looks at how the last calls ended. Lets none through when too many failed, and one from time to time to see.
#[derive(Debug)]
pub(crate) struct Breaker {
    config: BreakerConfig,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last outcomes, `true` for a failure.
    window: VecDeque<bool>,
    /// When the breaker opened, on the host's clock in milliseconds.
    opened_ms: Option<i64>,
    probing: bool,
}

/// The breakers of a plugin, one for each operation: who makes one fail on purpose, with what it cannot bear, keeps
/// nobody from the others.
#[derive(Debug)]
pub(crate) struct Breakers {
    config: BreakerConfig,
    by_operation: Mutex<HashMap<String, Arc<Breaker>>>,
}

impl Breakers {
    pub(crate) fn new(config: BreakerConfig) -> Self {
        Self { config, by_operation: Mutex::default() }
    }

    /// That of an operation. There are as many as a plugin has routes and hooks.
    pub(crate) fn of(&self, operation: &str) -> Arc<Breaker> {
        let mut breakers = self.lock();
        if let Some(known) = breakers.get(operation) {
            return known.clone();
        }
        let breaker = Arc::new(Breaker::new(self.config.clone()));
        breakers.insert(operation.to_owned(), breaker.clone());
        breaker
    }

    pub(crate) fn is_any_open(&self) -> bool {
        self.lock().values().any(|breaker| breaker.is_open())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Breaker>>> {
        self.by_operation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the end of a call made of the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    Opened,
    /// It had opened before, and the call that was let through to see failed as well.
    Reopened,
    Closed,
}

/// The breaker is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open {
    /// How long it lets nobody through, in milliseconds. Zero while one call is out to see.
    pub(crate) left_ms: u64,
}

/// One admitted call. Dropped without a verdict, it says nothing.
#[derive(Debug)]
pub(crate) struct Pass {
    breaker: Arc<Breaker>,
    probes: bool,
}

impl Breaker {
    pub(crate) fn new(config: BreakerConfig) -> Self {
        Self { config, state: Mutex::default() }
    }

    /// Whether a call may go ahead. The pass must be given back with how the call ended.
    ///
    /// # Errors
    /// [`Open`] when it may not.
    pub(crate) fn admit(self: &Arc<Self>, now_ms: i64) -> Result<Pass, Open> {
        let mut state = self.lock();
        let probes = state.opened_ms.is_some();
        if let Some(opened_ms) = state.opened_ms {
            let open_ms = i64::try_from(self.config.open_ms).unwrap_or(i64::MAX);
            let left_ms = open_ms.saturating_sub(now_ms.saturating_sub(opened_ms));
            if state.probing || left_ms > 0 {
                return Err(Open { left_ms: u64::try_from(left_ms).unwrap_or_default() });
            }
            state.probing = true;
        }
        Ok(Pass { breaker: self.clone(), probes })
    }

    /// Whether nobody is let through at the moment, but for one to see.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().opened_ms.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// Accounts for how the call ended.
    pub(crate) fn give_back(self, failed: bool, now_ms: i64) -> Change {
        let mut state = self.breaker.lock();
        if self.probes {
            state.window.clear();
            state.opened_ms = failed.then_some(now_ms);
            return if failed { Change::Reopened } else { Change::Closed };
        }
        if state.opened_ms.is_some() {
            // A call that began before the breaker opened.
            return Change::None;
        }
        let config = &self.breaker.config;
        state.window.push_back(failed);
        while state.window.len() > config.window as usize {
            state.window.pop_front();
        }
        let calls = state.window.len();
        let failures = state.window.iter().filter(|&&failed| failed).count();
        if calls < config.min_calls as usize || failures * 100 < calls * config.failure_percent as usize {
            return Change::None;
        }
        state.opened_ms = Some(now_ms);
        Change::Opened
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

    fn breaker() -> Arc<Breaker> {
        Arc::new(Breaker::new(BreakerConfig {
            window: 10,
            min_calls: 10,
            failure_percent: 50,
            open_ms: 30_000,
        }))
    }

    fn fail_all(breaker: &Arc<Breaker>) {
        for _ in 0..10 {
            breaker.admit(0).unwrap().give_back(true, 0);
        }
    }

    #[test]
    fn five_failures_of_ten_open_the_breaker_and_a_good_probe_closes_it() {
        let breaker = breaker();
        for call in 0..10 {
            let change = breaker.admit(0).unwrap().give_back(call % 2 == 1, 0);
            assert_eq!(change, if call == 9 { Change::Opened } else { Change::None });
        }
        assert!(breaker.is_open());
        assert_eq!(breaker.admit(29_999).unwrap_err(), Open { left_ms: 1 });
        let probe = breaker.admit(30_000).unwrap();
        assert_eq!(breaker.admit(30_000).unwrap_err(), Open { left_ms: 0 }, "one probe at a time");
        assert_eq!(probe.give_back(false, 30_000), Change::Closed);
        assert!(!breaker.is_open());
        assert!(breaker.admit(30_000).is_ok());
    }

    #[test]
    fn a_bad_probe_opens_it_again() {
        let breaker = breaker();
        fail_all(&breaker);
        assert_eq!(breaker.admit(30_000).unwrap().give_back(true, 30_000), Change::Reopened);
        assert!(breaker.admit(59_999).is_err());
        assert!(breaker.admit(60_000).is_ok());
    }

    #[test]
    fn an_abandoned_probe_leaves_room_for_the_next() {
        let breaker = breaker();
        fail_all(&breaker);
        drop(breaker.admit(30_000).unwrap());
        assert!(breaker.admit(30_000).is_ok());
    }

    #[test]
    fn a_call_from_before_it_opened_changes_nothing() {
        let breaker = breaker();
        let late = [(); 2].map(|()| breaker.admit(0).unwrap());
        fail_all(&breaker);
        for (pass, failed) in late.into_iter().zip([false, true]) {
            assert_eq!(pass.give_back(failed, 10), Change::None);
        }
        assert!(breaker.admit(29_999).is_err());
        assert!(breaker.admit(30_000).is_ok());
    }
}
