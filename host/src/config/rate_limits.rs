//! `[rate_limits]`: how much one caller may ask for.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Wrong, ensure};

/// Requests of each class that one account, or one address without an account, may make in a minute. 0 is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimitsConfig {
    /// Logins, refreshes and everything else below `/auth` that changes something.
    pub auth_per_minute: u32,
    /// Other requests that change something.
    pub write_per_minute: u32,
    /// Requests that read.
    pub read_per_minute: u32,
    /// Networks without limits for requests without an account, such as that of a storefront that renders on a server.
    pub exempt: Vec<IpNet>,
}

impl Default for RateLimitsConfig {
    fn default() -> Self {
        Self { auth_per_minute: 120, write_per_minute: 0, read_per_minute: 0, exempt: Vec::new() }
    }
}

impl RateLimitsConfig {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        let most = [self.auth_per_minute, self.write_per_minute, self.read_per_minute].into_iter().max();
        ensure(
            most.unwrap_or_default() <= 100_000_000,
            "rate_limits",
            "numbers of requests in a minute, up to 100000000",
        )
    }
}
