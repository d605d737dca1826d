//! Whether what clients saw of a stock can have happened one after the other.
//!
//! The search is Wing and Gong's, with Lowe's memory of what was tried: an operation can come next if nobody had returned
//! before it was invoked, and which operations have happened says how many pieces there are. Nothing finds that out
//! faster than exponentially in the number of operations that overlap, so histories are cut into windows of at most
//! [`MOST`] operations between moments at which nothing runs.
//!
//! It is written out here because it is small: a library for it would bring a model checker and a web server.

use std::collections::HashSet;

/// Most operations of one history.
pub const MOST: usize = 60;

/// What somebody did, and was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Took a piece.
    Taken,
    /// Wanted a piece, and was told that there is none.
    Refused,
    /// Gave a piece back.
    Released,
    /// Was told how many there are.
    Read(i64),
}

/// One operation, with the moments at which it was begun and ended. No two moments are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    pub act: Act,
    pub invoked: u64,
    pub returned: u64,
}

/// Whether there is an order of the operations that fits both their moments and a stock of so many pieces.
///
/// # Panics
/// On more than [`MOST`] operations.
pub fn is_linearizable(pieces: i64, history: &[Operation]) -> bool {
    assert!(history.len() <= MOST, "{} operations are too many", history.len());
    let all = (1_u64 << history.len()) - 1;
    let mut tried = HashSet::new();
    let mut open = vec![(0_u64, pieces)];
    while let Some((done, pieces)) = open.pop() {
        if done == all {
            return true;
        }
        if !tried.insert(done) {
            continue;
        }
        let left = || history.iter().enumerate().filter(|(index, _)| done & (1 << index) == 0);
        let first_end = left().map(|(_, it)| it.returned).min().unwrap_or_default();
        for (index, it) in left().filter(|(_, it)| it.invoked < first_end) {
            if let Some(pieces) = after(pieces, it.act) {
                open.push((done | 1 << index, pieces));
            }
        }
    }
    false
}

/// How many pieces there are after an operation, if it can happen to so many.
fn after(pieces: i64, act: Act) -> Option<i64> {
    match act {
        Act::Taken => (pieces > 0).then(|| pieces - 1),
        Act::Refused => (pieces <= 0).then_some(pieces),
        Act::Released => Some(pieces + 1),
        Act::Read(seen) => (seen == pieces).then_some(pieces),
    }
}
