//! `[server]`: the listener and what one connection may take.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Wrong, ensure};

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Where clients reach this host, without the API path; goes into links and the API document. Empty in a
    /// file means `http://` and the listening address; a loaded configuration always has it filled in.
    pub base_url: String,
    /// The version in the API path: `v1` serves `/api/v1`.
    pub api_version: String,
    /// Most connections at once; further ones wait in the accept queue of the system.
    pub max_connections: u32,
    /// Longest time from an accepted connection, or the last response, to complete request headers, in
    /// milliseconds.
    pub header_timeout_ms: u64,
    /// Longest time for a request body, in milliseconds.
    pub body_timeout_ms: u64,
    /// Longest time that a client may take none of an answer, in milliseconds.
    pub write_timeout_ms: u64,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Origins whose scripts may call from a browser: `https://shop.example`, `http://localhost:*` for any port, `*`
    /// for every origin.
    pub cors_origins: Vec<String>,
    /// Whether staff and service accounts must say with `If-Match` which version they replace, change or delete.
    pub require_if_match: bool,
    /// Networks of the proxies in front of this host: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7/32`. Only what they say
    /// of the client's address in `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether `/openapi.json` and `/docs` are served.
    pub docs: bool,
    /// Longest time that requests in flight get when the host stops, in milliseconds.
    pub drain_ms: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            base_url: String::new(),
            api_version: "v1".to_owned(),
            max_connections: 10_000,
            header_timeout_ms: 5_000,
            body_timeout_ms: 30_000,
            write_timeout_ms: 30_000,
            max_body_bytes: 1024 * 1024,
            cors_origins: Vec::new(),
            require_if_match: false,
            trusted_proxies: Vec::new(),
            docs: true,
            drain_ms: 25_000,
        }
    }
}

impl ServerConfig {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        let scheme = ["http://", "https://"].iter().find_map(|scheme| self.base_url.strip_prefix(scheme));
        ensure(
            self.base_url.is_empty()
                || scheme.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace)),
            "server.base_url",
            "a URL that starts with http:// or https://, such as https://api.example.com",
        )?;
        let digits = self.api_version.strip_prefix('v').unwrap_or_default();
        ensure(
            (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()),
            "server.api_version",
            "`v` and a number, such as v1",
        )?;
        ensure(self.max_connections > 0, "server.max_connections", "a number from 1")?;
        ensure(self.header_timeout_ms > 0, "server.header_timeout_ms", "milliseconds, from 1")?;
        ensure(self.body_timeout_ms > 0, "server.body_timeout_ms", "milliseconds, from 1")?;
        ensure(self.write_timeout_ms > 0, "server.write_timeout_ms", "milliseconds, from 1")?;
        ensure(
            self.cors_origins.iter().all(|origin| is_origin(origin)),
            "server.cors_origins",
            "origins without a path, such as https://shop.example, http://localhost:* or *",
        )?;
        ensure(self.max_body_bytes >= 1024, "server.max_body_bytes", "bytes, from 1024")
    }

    /// Fills in the base URL and drops a slash at its end.
    pub(super) fn complete(&mut self) {
        if self.base_url.is_empty() {
            self.base_url = self.local_url();
        }
        self.base_url.truncate(self.base_url.trim_end_matches('/').len());
    }

    /// Where a program on this machine reaches the host.
    pub fn local_url(&self) -> String {
        let address = match self.listen.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            address => address,
        };
        format!("http://{}", SocketAddr::new(address, self.listen.port()))
    }

    /// Where clients reach this host, when that was said and is not only derived from the listening address.
    pub fn public_url(&self) -> Option<&str> {
        let said = !self.base_url.is_empty() && self.base_url != self.local_url();
        said.then_some(self.base_url.as_str())
    }

    /// The path that every API route starts with.
    pub fn api_path(&self) -> String {
        format!("/api/{}", self.api_version)
    }
}

fn is_origin(text: &str) -> bool {
    let host = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    text == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']))
}
