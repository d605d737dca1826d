//! What is known of a request before it is looked at: its id, and the address it came from.

use std::{net::IpAddr, sync::Arc};

use axum::http::{HeaderMap, request::Parts};
use ipnet::IpNet;
use tokio::sync::OwnedSemaphorePermit;

use super::limits::TellLater;

/// The other end of the connection, in the extensions of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// A connection's place among those that may be open, in the extensions of a request: whoever goes on with the request
/// when the connection is gone keeps it, and is waited for when the host stops.
#[derive(Debug, Clone)]
pub(super) struct Place(
    #[expect(dead_code, reason = "held and not looked at")] pub(super) Arc<OwnedSemaphorePermit>,
);

/// In the extensions of a request.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub(super) request_id: Arc<str>,
    /// The client's, as far as it is known.
    pub(super) address: Option<IpAddr>,
    /// What the response tells of the caller's quota.
    pub(super) quota: TellLater,
}

impl Visit {
    /// What is known of the request with this head.
    pub(super) fn of(parts: &Parts) -> Self {
        parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self::of_host(Arc::from("-")))
    }

    /// A request that comes from nowhere: the host's own.
    pub(crate) fn of_host(request_id: Arc<str>) -> Self {
        Self { request_id, address: None, quota: TellLater::default() }
    }
}

/// The client's address: the connection's, unless that is a proxy's. Each proxy adds the address it was called from
/// at the end of `X-Forwarded-For`, so the last one that is not a proxy's is the client's. What stands before it was
/// sent by the client, who may write anything.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let is_proxy = |address: &IpAddr| proxies.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    if !is_proxy(&client) {
        return client;
    }
    let values: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .collect();
    for value in values.into_iter().rev() {
        // What is no address ends what can be believed: the last known one counts.
        let Ok(address) = value.trim().parse::<IpAddr>() else { return client };
        client = address.to_canonical();
        if !is_proxy(&client) {
            return client;
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_proxies_are_believed() {
        let proxies: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].map(|it| it.parse().unwrap()).to_vec();
        let client = |peer: &str, values: &[&str]| {
            let headers = values
                .iter()
                .map(|value| ("x-forwarded-for".parse().unwrap(), value.parse().unwrap()))
                .collect::<HeaderMap>();
            client_address(peer.parse().unwrap(), &headers, &proxies).to_string()
        };
        for (peer, values, expected) in [
            ("192.0.2.1", &["203.0.113.9"][..], "192.0.2.1"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1, 203.0.113.9, 10.2.3.4"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1", "203.0.113.9", "fd00::1"], "203.0.113.9"),
            ("10.0.0.1", &["10.9.9.9, 10.2.3.4"], "10.9.9.9"),
            ("10.0.0.1", &["203.0.113.9, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9, "], "10.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
        ] {
            assert_eq!(client(peer, values), expected, "{peer} {values:?}");
        }
    }
}
