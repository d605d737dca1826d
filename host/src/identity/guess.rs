//! Slowing down who guesses passwords: per account, and per address.
//!
//! After a few failures the next attempt has to wait, a second at first and twice as long each time, up to a quarter
//! of an hour. An attempt that has to wait is refused before a password is hashed. Counts are documents named by a
//! hash, so they are the same on every host, outlive a restart, and exist alike for people who do not.
//!
//! Nobody can lock an owner out: an address from which somebody has logged in to the account has a count of its own for
//! it, and a password that is set anew by mail clears the account's.

use std::{net::IpAddr, time::Duration};

use serde_json::{Map, json};
use store_model::{Access, CollectionSchema, Field, FieldOperation, Filter, Operation, Scalar, Write};
use tokio::sync::{Mutex, MutexGuard};

use crate::store::{PurgeError, ReadError, Store};

use super::session::set;

pub(super) const COLLECTION: &str = "_guesses";

/// Failures before the first wait, of an account or a known address of it.
const FREE: u64 = 5;
/// Behind one address there may be a whole office.
const FREE_OF_ADDRESS: u64 = 20;
const FIRST_WAIT_MS: i64 = 1_000;
const LONGEST_WAIT_MS: i64 = 15 * 60 * 1_000;
/// How long a count is remembered after its last failure.
const REMEMBERED_MS: i64 = 24 * 60 * 60 * 1_000;
/// How long an address is known after a login from it.
const KNOWN_MS: i64 = 90 * 24 * 60 * 60 * 1_000;
/// Attempts on one account run one after the other on a host, so that many at once are not all free. Accounts share
/// turns by chance.
const TURNS: usize = 1_024;

/// The counts in the store.
pub(super) struct Guesses {
    store: Store,
    turns: Vec<Mutex<()>>,
}

/// Whose counts an attempt is about.
pub(super) struct Keys {
    account: String,
    address: Option<String>,
    /// The account from this address.
    known: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    there: bool,
    failures: u64,
    last_ms: i64,
    known_until_ms: i64,
}

/// What the counts were when an attempt began.
pub(super) struct Counts {
    account: Count,
    address: Count,
    known: Count,
    now_ms: i64,
}

impl Guesses {
    pub(super) fn new(store: Store) -> Self {
        Self { store, turns: (0..TURNS).map(|_| Mutex::new(())).collect() }
    }

    /// `group` has counts of its own, also for addresses; `what` tells apart what is guessed in it, such as the
    /// storefront's and the staff's password of one person.
    pub(super) fn keys(group: &str, what: &str, email: &str, address: Option<IpAddr>) -> Keys {
        let address = address.map(network);
        Keys {
            account: key(&["account", group, what, email]),
            known: address.as_ref().map(|address| key(&["known", group, what, email, address])),
            address: address.as_ref().map(|address| key(&["address", group, address])),
        }
    }

    /// Waits until it is this account's turn.
    pub(super) async fn turn(&self, keys: &Keys) -> MutexGuard<'_, ()> {
        let hash = blake3::hash(keys.account.as_bytes());
        let number =
            hash.as_bytes().iter().take(8).fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
        self.turns[number % self.turns.len()].lock().await
    }

    pub(super) async fn counts(&self, keys: &Keys) -> Result<Counts, ReadError> {
        // As many lookups for a command, which has no address.
        let place = |id: &Option<String>| (COLLECTION, id.as_ref().unwrap_or(&keys.account).clone());
        let places = [(COLLECTION, keys.account.clone()), place(&keys.address), place(&keys.known)];
        let found = self.store.document_get_each(&places).await?;
        let now_ms = self.store.clock().now_ms();
        let count = |position: usize| {
            let Some(document) = found.get(position).and_then(Option::as_ref) else {
                return Count::default();
            };
            let body: serde_json::Value = serde_json::from_str(&document.json).unwrap_or_default();
            let number = |name: &str| body[name].as_i64().unwrap_or_default();
            let last_ms = number("lastMs");
            let forgotten = last_ms.saturating_add(REMEMBERED_MS) <= now_ms;
            Count {
                there: true,
                failures: if forgotten { 0 } else { u64::try_from(number("failures")).unwrap_or_default() },
                last_ms,
                known_until_ms: number("knownUntilMs"),
            }
        };
        let absent = Count::default();
        Ok(Counts {
            account: count(0),
            address: if keys.address.is_some() { count(1) } else { absent },
            known: if keys.known.is_some() { count(2) } else { absent },
            now_ms,
        })
    }

    /// Deletes counts that no longer matter.
    pub(super) async fn purge(&self) -> Result<usize, PurgeError> {
        let over = Filter::Lt("expiresMs".to_owned(), Scalar::Integer(self.store.clock().now_ms()));
        crate::store::purge(&self.store, COLLECTION, over).await
    }
}

impl Counts {
    /// How long the attempt has to wait, if it has to.
    pub(super) fn wait(&self) -> Option<Duration> {
        let own = if self.is_known() { self.known } else { self.account };
        let longest = own.wait_ms(FREE, self.now_ms).max(self.address.wait_ms(FREE_OF_ADDRESS, self.now_ms));
        (longest > 0).then(|| Duration::from_millis(longest.unsigned_abs()))
    }

    /// The writes that count a failure.
    pub(super) fn failure(&self, keys: &Keys) -> Vec<Write> {
        let mut writes = Vec::new();
        match &keys.known {
            Some(known) if self.is_known() => writes.push(self.known.failed(known, self.now_ms)),
            _ => writes.push(self.account.failed(&keys.account, self.now_ms)),
        }
        writes.extend(keys.address.as_ref().map(|address| self.address.failed(address, self.now_ms)));
        writes
    }

    /// The writes that remember a success: the account's count is cleared, its address is known. The address's own
    /// count stays, or guessers would clear it with an account of theirs.
    pub(super) fn success(&self, keys: &Keys) -> Vec<Write> {
        let mut writes = Vec::new();
        if self.account.there {
            writes.push(Write::new(COLLECTION, &keys.account, Operation::Delete));
        }
        if let Some(known) = &keys.known {
            let until = self.now_ms.saturating_add(KNOWN_MS);
            // Once a day is enough, and most logins then write nothing here.
            let fresh = self.known.known_until_ms > until - 24 * 60 * 60 * 1_000;
            if !fresh || self.known.failures > 0 {
                writes.push(self.known.put(known, 0, self.known.last_ms, until, until));
            }
        }
        writes
    }

    fn is_known(&self) -> bool {
        self.known.known_until_ms > self.now_ms
    }
}

impl Count {
    fn wait_ms(&self, free: u64, now_ms: i64) -> i64 {
        if self.failures < free {
            return 0;
        }
        let doublings = u32::try_from(self.failures - free).unwrap_or(u32::MAX).min(20);
        let wait = FIRST_WAIT_MS.saturating_mul(1_i64 << doublings).min(LONGEST_WAIT_MS);
        // A clock that was set back must not make anybody wait for longer.
        (self.last_ms.saturating_add(wait).saturating_sub(now_ms)).clamp(0, wait)
    }

    fn failed(&self, id: &str, now_ms: i64) -> Write {
        let expires = now_ms.saturating_add(REMEMBERED_MS).max(self.known_until_ms);
        self.put(id, self.failures + 1, now_ms, self.known_until_ms, expires)
    }

    fn put(&self, id: &str, failures: u64, last_ms: i64, known_until_ms: i64, expires_ms: i64) -> Write {
        let members = [
            ("failures", json!(failures)),
            ("lastMs", json!(last_ms)),
            ("knownUntilMs", json!(known_until_ms)),
            ("expiresMs", json!(expires_ms)),
        ];
        let operation = if self.there {
            Operation::Update(
                members
                    .into_iter()
                    .map(|(path, value)| match path {
                        // Counted where it is stored: attempts on other hosts and accounts count too.
                        "failures" if failures == self.failures + 1 && failures > 1 => {
                            FieldOperation::Increment { path: path.to_owned(), by: 1 }
                        }
                        _ => set(path, value),
                    })
                    .collect(),
            )
        } else {
            let body: Map<_, _> = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            Operation::Insert(body)
        };
        Write::new(COLLECTION, id, operation)
    }
}

/// What counts as one address: of IPv6 the network that one customer gets.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

fn key(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        // The length keeps the parts apart.
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    format!("gss_{}", &hasher.finalize().to_hex()[..40])
}

pub(super) fn schema() -> CollectionSchema {
    CollectionSchema {
        fields: vec![Field::integer("expiresMs", Access::Index)],
        ..CollectionSchema::host("guesses", "gss")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_and_has_an_end() {
        let wait = |failures| Count { failures, ..Count::default() }.wait_ms(FREE, 0);
        assert_eq!([0, 4, 5, 6, 7].map(wait), [0, 0, 1_000, 2_000, 4_000]);
        assert_eq!([15, 1_000_000].map(wait), [LONGEST_WAIT_MS; 2]);
        let count = Count { failures: 6, last_ms: 10_000, ..Count::default() };
        assert_eq!(
            [10_000, 11_500, 12_000, 90_000, 0].map(|now| count.wait_ms(FREE, now)),
            [2_000, 500, 0, 0, 2_000]
        );
    }

    #[test]
    fn an_address_is_a_network_of_one_customer() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }
}
