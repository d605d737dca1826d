//! How much one caller may ask for: each class of requests has its quota for an account, or for an address without one.
//!
//! Counted in this process: with several hosts behind a balancer a caller gets the quota of each.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use axum::http::{HeaderMap, HeaderName, Method};
use governor::{
    Quota, RateLimiter, clock::Clock as _, middleware::StateInformationMiddleware, nanos::Nanos,
    state::keyed::HashMapStateStore,
};
use ipnet::IpNet;

use super::{error::ApiError, respond::set};
use crate::{
    clock::Clock,
    config::RateLimitsConfig,
    identity::{Principal, PrincipalKind},
};

/// How many requests go by between two looks for callers that can be forgotten.
const SWEEP_EVERY: u32 = 10_000;

/// The quotas of this host.
pub(crate) struct Limits {
    auth: Option<Quotas>,
    write: Option<Quotas>,
    read: Option<Quotas>,
    exempt: Vec<IpNet>,
}

struct Quotas {
    name: &'static str,
    per_minute: NonZeroU32,
    limiter: RateLimiter<Key, HashMapStateStore<Key>, LimitClock, StateInformationMiddleware>,
    clock: LimitClock,
    seen: AtomicU32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Account(String),
    Address(IpAddr),
}

/// The host's clock, as the limiter wants it.
#[derive(Debug, Clone)]
struct LimitClock(Clock);

impl governor::clock::Clock for LimitClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.elapsed())
    }
}

/// What a request is told of its quota.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    name: &'static str,
    per_minute: u32,
    remaining: u32,
    reset_s: u64,
}

/// Filled when the caller is known.
pub(super) type TellLater = Arc<OnceLock<Told>>;

impl Limits {
    pub(crate) fn new(config: &RateLimitsConfig, clock: &Clock) -> Self {
        let quotas = |name, per_minute| {
            let per_minute = NonZeroU32::new(per_minute)?;
            let clock = LimitClock(clock.clone());
            let quota = Quota::per_minute(per_minute);
            let limiter = RateLimiter::new(quota, HashMapStateStore::default(), clock.clone());
            Some(Quotas { name, per_minute, limiter, clock, seen: AtomicU32::new(0) })
        };
        Self {
            auth: quotas("auth", config.auth_per_minute),
            write: quotas("write", config.write_per_minute),
            read: quotas("read", config.read_per_minute),
            exempt: config.exempt.clone(),
        }
    }

    /// Counts a request below the API base.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(super) fn count(
        &self,
        method: &Method,
        path: &str,
        caller: Option<&Principal>,
        address: Option<IpAddr>,
        tell: Option<&TellLater>,
    ) -> Result<(), ApiError> {
        let reads = method == Method::GET || method == Method::HEAD;
        // Who registers or takes another address learns whether that is known; accounts to do it with are free.
        let is_staff = caller.is_some_and(|caller| caller.kind != PrincipalKind::Customer);
        let names_address = !reads && method != Method::DELETE && !is_staff && is_user(path);
        // Numbers and addresses of orders can be guessed at.
        let guesses = reads && !is_staff && path.starts_with("/orders/by-number/");
        let quotas = match reads {
            true if guesses => &self.auth,
            true => &self.read,
            false if path.starts_with("/auth/") || names_address => &self.auth,
            false => &self.write,
        };
        let Some(quotas) = quotas else { return Ok(()) };
        let account = caller.filter(|_| !names_address).map(|caller| caller.id.as_str());
        let key = match (account, address) {
            (Some(account), _) => Key::Account(account.to_owned()),
            (None, Some(address)) if self.exempt.iter().any(|network| network.contains(&address)) => {
                return Ok(());
            }
            (None, Some(address)) => Key::Address(network(address)),
            // The host's own call.
            (None, None) => return Ok(()),
        };
        quotas.count(&key, tell)
    }
}

/// `/users` and `/users/{id}`, and not what is below.
fn is_user(path: &str) -> bool {
    path.strip_prefix("/users").is_some_and(|rest| rest.is_empty() || rest.rfind('/') == Some(0))
}

impl Quotas {
    fn count(&self, key: &Key, tell: Option<&TellLater>) -> Result<(), ApiError> {
        if self.seen.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        let per_minute = self.per_minute.get();
        match self.limiter.check_key(key) {
            Ok(snapshot) => {
                let remaining = snapshot.remaining_burst_capacity();
                let used = u64::from(per_minute.saturating_sub(remaining));
                let reset_s = (used * 60).div_ceil(u64::from(per_minute));
                if let Some(tell) = tell {
                    let _told_before = tell.set(Told { name: self.name, per_minute, remaining, reset_s });
                }
                Ok(())
            }
            Err(refused) => {
                let wait = refused.wait_time_from(self.clock.now());
                let seconds = u32::try_from(wait.as_millis().div_ceil(1_000).max(1)).unwrap_or(u32::MAX);
                if let Some(tell) = tell {
                    let told =
                        Told { name: self.name, per_minute, remaining: 0, reset_s: u64::from(seconds) };
                    let _told_before = tell.set(told);
                }
                Err(ApiError::new("rate_limited", "Too many requests: wait before the next one.")
                    .retry_after(seconds))
            }
        }
    }
}

impl Told {
    /// `RateLimit` and `RateLimit-Policy`, as the IETF's draft writes them.
    pub(super) fn add_to(self, headers: &mut HeaderMap) {
        let Self { name, per_minute, remaining, reset_s } = self;
        let limit = format!("\"{name}\";r={remaining};t={reset_s}");
        set(headers, HeaderName::from_static("ratelimit"), &limit);
        let policy = format!("\"{name}\";q={per_minute};w=60");
        set(headers, HeaderName::from_static("ratelimit-policy"), &policy);
    }
}

/// Of IPv6 the network that one customer gets.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address => address,
    }
}
