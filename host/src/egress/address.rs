//! Which addresses are of the internet.
//!
//! The standard library has no stable answer. The ranges are those of the IANA registries of special-purpose addresses;
//! what is not known to be public is not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether anybody on the internet could be meant by it.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Whether a name that the operator granted as an origin may mean it: the operator's own network, but not the services
/// that a cloud shows every machine at a link-local address.
pub(super) fn may_be_named(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(it) => {
            !(it.is_link_local() || it.is_unspecified() || it.is_multicast() || it.is_broadcast())
        }
        IpAddr::V6(it) => !(it.is_unicast_link_local() || it.is_unspecified() || it.is_multicast()),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // What a gateway between the protocols makes of an IPv4 address.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
        }
        // Protocol assignments with tunnels among them, documentation, and 6to4, which wraps IPv4 addresses.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}
