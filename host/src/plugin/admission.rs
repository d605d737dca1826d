//! Who may enter: permits, queues by key, and the breaker.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::outcome::{CallError, Failure};
use crate::config::BreakerConfig;

/// A bound on how many calls run at once, with a bounded wait.
#[derive(Clone)]
pub(super) struct Gate {
    semaphore: Arc<Semaphore>,
    queue_timeout: Duration,
    name: &'static str,
}

impl Gate {
    pub(super) fn new(permits: usize, queue_timeout: Duration, name: &'static str) -> Self {
        Self { semaphore: Arc::new(Semaphore::new(permits)), queue_timeout, name }
    }

    /// Waits for so many permits at once, at most the queue's time.
    pub(super) async fn enter(&self, permits: u32) -> Result<OwnedSemaphorePermit, CallError> {
        if let Ok(permit) = self.semaphore.clone().try_acquire_many_owned(permits) {
            return Ok(permit);
        }
        let waiting =
            tokio::time::timeout(self.queue_timeout, self.semaphore.clone().acquire_many_owned(permits));
        match waiting.await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(CallError::new(Failure::Overload, format!("no capacity was free in {}", self.name))),
        }
    }
}

/// Queues by key: calls with the same key run one after the other.
#[derive(Default)]
pub(super) struct KeyedQueue {
    keys: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl KeyedQueue {
    /// Waits for the key's turn; the turn ends when the guard is dropped.
    pub(crate) async fn enter(self: &Arc<Self>, key: String) -> KeyTurn {
        let lock = self.lock_map().entry(key.clone()).or_default().clone();
        // Made before waiting, so that whoever gives up waiting forgets the key as well.
        let mut turn = KeyTurn { queue: self.clone(), key, guard: None };
        turn.guard = Some(lock.lock_owned().await);
        turn
    }

    fn lock_map(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<()>>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.lock_map().len()
    }
}

/// A turn in a [`KeyedQueue`].
pub(crate) struct KeyTurn {
    queue: Arc<KeyedQueue>,
    key: String,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Drop for KeyTurn {
    fn drop(&mut self) {
        let mut keys = self.queue.lock_map();
        self.guard.take();
        // The map and one local owner at most: nobody waits, so the key can go.
        if keys.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            keys.remove(&self.key);
        }
    }
}

/// Stops calling a plugin that keeps failing, and tries again after a while with one call.
pub(super) struct Breaker {
    config: BreakerConfig,
    state: Mutex<BreakerState>,
}

#[derive(Default)]
struct BreakerState {
    /// The last outcomes, `true` for a failure.
    window: VecDeque<bool>,
    /// When the breaker opened, on the host's clock in milliseconds.
    opened_ms: Option<i64>,
    probing: bool,
}

impl Breaker {
    pub(super) fn new(config: BreakerConfig) -> Self {
        Self { config, state: Mutex::default() }
    }

    /// Whether a call may go ahead. The pass must be given back with how the call ended.
    pub(super) fn admit(self: &Arc<Self>, now_ms: i64) -> Result<Pass, CallError> {
        let mut state = self.lock();
        let probe = match state.opened_ms {
            None => false,
            Some(opened_ms) => {
                let open_ms = i64::try_from(self.config.open_ms).unwrap_or(i64::MAX);
                let left_ms = open_ms.saturating_sub(now_ms.saturating_sub(opened_ms));
                if state.probing || left_ms > 0 {
                    let cause = "the plugin keeps failing and is not called for a while";
                    let left_ms = u64::try_from(left_ms).unwrap_or_default();
                    return Err(CallError::new(Failure::BreakerOpen, cause).retry_after(left_ms));
                }
                state.probing = true;
                true
            }
        };
        Ok(Pass { breaker: self.clone(), probe })
    }

    /// Whether the plugin is not being called at the moment.
    pub(super) fn is_open(&self) -> bool {
        self.lock().opened_ms.is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BreakerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One admitted call. Dropped without a verdict, it says nothing about the plugin.
pub(super) struct Pass {
    breaker: Arc<Breaker>,
    probe: bool,
}

impl Pass {
    /// Accounts for how the call ended. Answers whether the breaker has just opened.
    pub(super) fn give_back(self, failed: bool, now_ms: i64) -> bool {
        let mut state = self.breaker.lock();
        if self.probe {
            state.window.clear();
            state.opened_ms = failed.then_some(now_ms);
            return failed;
        }
        if state.opened_ms.is_some() {
            // A call that began before the breaker opened.
            return false;
        }
        let config = &self.breaker.config;
        state.window.push_back(failed);
        while state.window.len() > config.window as usize {
            state.window.pop_front();
        }
        let calls = state.window.len();
        let failures = state.window.iter().filter(|&&failed| failed).count();
        let opens =
            calls >= config.min_calls as usize && failures * 100 >= calls * config.failure_percent as usize;
        if opens {
            state.opened_ms = Some(now_ms);
        }
        opens
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.probe {
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
            assert_eq!(breaker.admit(0).unwrap().give_back(call % 2 == 1, 0), call == 9);
        }
        assert_eq!(breaker.admit(29_999).err().unwrap().failure, Failure::BreakerOpen);
        let probe = breaker.admit(30_000).unwrap();
        assert!(breaker.admit(30_000).is_err(), "one probe at a time");
        assert!(!probe.give_back(false, 30_000));
        assert!(breaker.admit(30_000).is_ok());
    }

    #[test]
    fn a_bad_probe_opens_it_again() {
        let breaker = breaker();
        fail_all(&breaker);
        assert!(breaker.admit(30_000).unwrap().give_back(true, 30_000));
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

    #[tokio::test]
    async fn a_key_is_forgotten_when_nobody_waits() {
        let queue = Arc::new(KeyedQueue::default());
        let first = queue.enter("a".to_owned()).await;
        let second = tokio::spawn({
            let queue = queue.clone();
            async move { drop(queue.enter("a".to_owned()).await) }
        });
        drop(first);
        second.await.unwrap();
        assert_eq!(queue.len(), 0);
    }

    #[tokio::test]
    async fn a_key_is_forgotten_when_the_last_to_wait_gives_up() {
        let queue = Arc::new(KeyedQueue::default());
        let first = queue.enter("a".to_owned()).await;
        let mut second = Box::pin(queue.enter("a".to_owned()));
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        drop(second);
        assert_eq!(queue.len(), 0);
    }
}
