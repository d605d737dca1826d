//! Locks on documents, within this host.
//!
//! A conflict costs MongoDB the whole transaction, and a document that many commits want would conflict all
//! the time. So commits that touch the same document queue here, in the order in which they came. Correctness
//! does not rest on it: other hosts do not see these locks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use store_model::Write;
use tokio::sync::OwnedMutexGuard;

type Key = (String, String);
type Lock = Arc<tokio::sync::Mutex<()>>;

#[derive(Debug, Default)]
pub(super) struct Locks {
    locks: Mutex<HashMap<Key, Lock>>,
}

/// Locks that are held, or waited for.
#[derive(Debug)]
pub(super) struct Held<'a> {
    locks: &'a Locks,
    keys: Vec<Key>,
    guards: Vec<OwnedMutexGuard<()>>,
}

impl Locks {
    /// Locks every document of a commit. All commits take their locks in the order of the keys, so that no
    /// two wait for each other.
    pub(super) async fn lock(&self, writes: &[Write]) -> Held<'_> {
        let mut keys: Vec<Key> =
            writes.iter().map(|write| (write.collection.clone(), write.id.clone())).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut held = Held { locks: self, guards: Vec::with_capacity(keys.len()), keys: Vec::new() };
        for key in keys {
            let lock = self.locks().entry(key.clone()).or_default().clone();
            // First, so that a caller who stops waiting leaves nothing behind.
            held.keys.push(key);
            held.guards.push(lock.lock_owned().await);
        }
        held
    }

    fn locks(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Lock>> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.guards.clear();
        let mut locks = self.locks.locks();
        for key in &self.keys {
            // Whoever waits or is about to has a copy of its own.
            if locks.get(key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
                locks.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;
    use store_model::Operation;

    use super::*;

    fn writes(ids: &[&str]) -> Vec<Write> {
        ids.iter().map(|id| Write::new("things", *id, Operation::Check)).collect()
    }

    #[tokio::test]
    async fn commits_of_the_same_document_queue_and_leave_nothing_behind() {
        let locks = Locks::default();
        let first = locks.lock(&writes(&["b", "a", "b"])).await;
        let (both, other) = (writes(&["a", "c"]), writes(&["d"]));
        let mut waiting = Box::pin(locks.lock(&both));
        assert!(poll!(&mut waiting).is_pending());
        drop(locks.lock(&other).await);
        drop(first);
        let second = waiting.await;
        let mut abandoned = Box::pin(locks.lock(&both));
        assert!(poll!(&mut abandoned).is_pending());
        drop(abandoned);
        drop(second);
        assert!(locks.locks().is_empty());
    }
}
