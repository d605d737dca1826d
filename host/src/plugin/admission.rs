//! Who may enter: permits, and queues by key.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::outcome::{CallError, Failure};

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

#[cfg(test)]
mod tests {
    use super::*;

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
