//! Locks on documents, within this host.
//!
//! A conflict costs MongoDB the whole transaction, and a document that many commits want would conflict all
//! the time. So commits that touch the same document queue here, in the order in which they came. Correctness
//! does not rest on it: other hosts do not see these locks.
//!
//! A commit queues for all its documents at once and goes when it is the first for every one of them. Taking them one
//! after the other would let those who come later overtake it at the documents that it does not hold yet, while all who
//! want those that it holds wait with it.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use store_model::Write;
use tokio::sync::oneshot;

type Key = (String, String);
type Ticket = u64;

#[derive(Debug, Default)]
pub(super) struct Locks {
    queues: Mutex<Queues>,
}

#[derive(Debug, Default)]
struct Queues {
    last: Ticket,
    /// Who holds a document, and then who waits for it.
    by_key: HashMap<Key, VecDeque<Ticket>>,
    waiting: HashMap<Ticket, Waiting>,
}

/// Somebody who is not yet the first everywhere.
#[derive(Debug)]
struct Waiting {
    /// Queues in which somebody else is the first.
    behind: usize,
    go: oneshot::Sender<()>,
}

/// Documents that are held, or waited for.
#[derive(Debug)]
pub(super) struct Held<'a> {
    locks: &'a Locks,
    ticket: Ticket,
    keys: BTreeSet<Key>,
}

impl Locks {
    /// Locks every document of a commit.
    pub(super) async fn lock(&self, writes: &[Write]) -> Held<'_> {
        let keys = writes.iter().map(|write| (write.collection.clone(), write.id.clone())).collect();
        let (held, turn) = self.queue(keys);
        if let Some(turn) = turn {
            // The sender is dropped only after it has sent.
            let _ = turn.await;
        }
        held
    }

    /// Queues for all of them at once. Without a turn to wait for they are held. Dropping what is waited for leaves the
    /// queues.
    fn queue(&self, keys: BTreeSet<Key>) -> (Held<'_>, Option<oneshot::Receiver<()>>) {
        let mut queues = self.queues();
        queues.last += 1;
        let ticket = queues.last;
        let mut behind = 0;
        for key in &keys {
            let queue = queues.by_key.entry(key.clone()).or_default();
            behind += usize::from(!queue.is_empty());
            queue.push_back(ticket);
        }
        let turn = (behind > 0).then(|| {
            let (go, turn) = oneshot::channel();
            queues.waiting.insert(ticket, Waiting { behind, go });
            turn
        });
        (Held { locks: self, ticket, keys }, turn)
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queues {
    /// Takes a ticket out of the queue of a document, and tells whoever has become the first everywhere by that.
    fn leave(&mut self, key: &Key, ticket: Ticket) {
        let Some(queue) = self.by_key.get_mut(key) else { return };
        let was_first = queue.front() == Some(&ticket);
        if was_first {
            queue.pop_front();
        } else {
            queue.retain(|other| *other != ticket);
        }
        let Some(first) = queue.front().copied() else {
            self.by_key.remove(key);
            return;
        };
        if !was_first {
            return;
        }
        let Some(waiting) = self.waiting.get_mut(&first) else { return };
        waiting.behind -= 1;
        if waiting.behind == 0
            && let Some(waiting) = self.waiting.remove(&first)
        {
            // Whoever has stopped waiting leaves the queues by itself.
            let _ = waiting.go.send(());
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut queues = self.locks.queues();
        queues.waiting.remove(&self.ticket);
        for key in &self.keys {
            queues.leave(key, self.ticket);
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

    fn is_empty(locks: &Locks) -> bool {
        let queues = locks.queues();
        queues.by_key.is_empty() && queues.waiting.is_empty()
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
        assert!(is_empty(&locks));
    }

    #[tokio::test]
    async fn nobody_is_overtaken_by_those_who_want_less() {
        let locks = Locks::default();
        let (a, b, both) = (writes(&["a"]), writes(&["b"]), writes(&["a", "b"]));
        let holder = locks.lock(&a).await;
        let mut wide = Box::pin(locks.lock(&both));
        assert!(poll!(&mut wide).is_pending());
        // It is free, but the one before is to have it.
        let mut narrow = Box::pin(locks.lock(&b));
        assert!(poll!(&mut narrow).is_pending());
        drop(holder);
        assert!(poll!(&mut narrow).is_pending());
        let held = wide.await;
        assert!(poll!(&mut narrow).is_pending());
        drop(held);
        drop(narrow.await);
        assert!(is_empty(&locks));
    }

    #[tokio::test]
    async fn who_stops_waiting_makes_way_whether_told_or_not() {
        let locks = Locks::default();
        let (a, both, b) = (writes(&["a"]), writes(&["a", "b"]), writes(&["b"]));
        let holder = locks.lock(&a).await;
        let mut untold = Box::pin(locks.lock(&both));
        let mut last = Box::pin(locks.lock(&b));
        assert!(poll!(&mut untold).is_pending() && poll!(&mut last).is_pending());
        drop(untold);
        let last = last.await;
        let mut told = Box::pin(locks.lock(&a));
        let mut next = Box::pin(locks.lock(&both));
        assert!(poll!(&mut told).is_pending() && poll!(&mut next).is_pending());
        drop(holder);
        drop(told);
        assert!(poll!(&mut next).is_pending(), "`b` is held");
        drop(last);
        drop(next.await);
        assert!(is_empty(&locks));
    }
}
