//! Where requests may go, as the operator writes it.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use serde::{Deserialize, Serialize};

const HOST_CHARS: usize = 253;

/// A scheme, a host and a port. Written as `api.example.com` or `api.example.com:8443`, which is https and addresses of
/// the internet; or as `https://…` or `http://…`, which names the origin itself and so may also be within the
/// operator's network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin {
    scheme: Scheme,
    /// In lower case; an IPv6 address in brackets.
    host: String,
    port: u16,
    /// Whether it is written with its scheme.
    is_named: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Scheme {
    Https,
    Http,
}

/// Why a text is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no host: write `api.example.com`, `api.example.com:8443`, or an origin such as `http://127.0.0.1:8089`"
)]
pub struct OriginError(String);

impl Scheme {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "https" => Some(Self::Https),
            "http" => Some(Self::Http),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

impl Origin {
    /// Reads what an operator wrote, or a plugin asks for.
    ///
    /// # Errors
    /// [`OriginError`].
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let error = || OriginError(text.chars().filter(|it| !it.is_control()).take(80).collect());
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(Scheme::parse(scheme).ok_or_else(error)?), rest),
            None => (None, text),
        };
        let known = scheme.unwrap_or(Scheme::Https);
        let (host, port) = split_port(rest).ok_or_else(error)?;
        let host = host_of(host).ok_or_else(error)?;
        Ok(Self { scheme: known, host, port: port.unwrap_or(known.port()), is_named: scheme.is_some() })
    }

    /// The granted origin that a URL with these parts lies in.
    pub(super) fn find<'o>(
        granted: &'o BTreeSet<Self>,
        scheme: &str,
        host: &str,
        port: Option<u16>,
    ) -> Option<&'o Self> {
        let scheme = Scheme::parse(scheme)?;
        let port = port.unwrap_or(scheme.port());
        let same = |it: &&Self| it.scheme == scheme && it.port == port && it.host.eq_ignore_ascii_case(host);
        granted.iter().filter(same).max_by_key(|it| it.is_named)
    }

    /// Whether this grant is about a host that a plugin asks for.
    pub fn covers(&self, asked: &Self) -> bool {
        (self.scheme, &self.host, self.port) == (asked.scheme, &asked.host, asked.port)
    }

    /// Whether a plugin can ask for it: the way inside the operator's network is the operator's to name.
    pub fn can_be_asked_for(&self) -> bool {
        !self.is_named && self.address().is_none()
    }

    /// Whether the operator named the origin itself.
    pub(super) fn is_named(&self) -> bool {
        self.is_named
    }

    pub(super) fn scheme(&self) -> &'static str {
        self.scheme.as_str()
    }

    /// The address, where the host is one.
    fn address(&self) -> Option<IpAddr> {
        self.host.trim_matches(['[', ']']).parse().ok()
    }

    /// Host and port, without the port that the scheme has anyway.
    pub(super) fn authority(&self) -> String {
        if self.port == self.scheme.port() {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_named {
            write!(formatter, "{}://", self.scheme.as_str())?;
        }
        write!(formatter, "{}", self.authority())
    }
}

impl TryFrom<String> for Origin {
    type Error = OriginError;

    fn try_from(text: String) -> Result<Self, OriginError> {
        Self::parse(&text)
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.to_string()
    }
}

/// Splits what may be a port from a host. A port is written without zeros before it, so that there is one way.
pub(super) fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let after_address = authority.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = authority[after_address..].find(':') else { return Some((authority, None)) };
    let (host, port) = (&authority[..after_address + colon], &authority[after_address + colon + 1..]);
    let digits = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    Some((host, Some(port.parse().ok().filter(|_| digits)?)))
}

/// A host in the form that is compared: an address as it is written canonically, or a name. What looks like a number
/// and is no address is neither, because resolvers read it in ways of their own.
fn host_of(text: &str) -> Option<String> {
    if let Some(address) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().ok().map(|address| format!("[{address}]"));
    }
    let last = text.rsplit('.').next().unwrap_or_default();
    if last.starts_with(|it: char| it.is_ascii_digit()) {
        return text.parse::<Ipv4Addr>().ok().map(|address| address.to_string());
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (text.len() <= HOST_CHARS && text.split('.').all(is_label)).then(|| text.to_ascii_lowercase())
}
