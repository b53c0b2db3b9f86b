//! A DNS resolver that returns allowed addresses only (SSRF protection).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::options::PrivateAddresses;
use ureq::{
    Error,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::NextTimeout,
    },
};

/// All addresses of a host are non-public.
#[derive(Debug, thiserror::Error)]
#[error("it resolves to {0}, which is not a public address (allow it with --allow-private)")]
pub(super) struct PrivateAddressError(IpAddr);

/// Resolves hosts to allowed addresses. It is used for every connection, including redirects, and its result is what is connected to, so
/// that DNS rebinding cannot bypass the check.
#[derive(Debug)]
pub(super) struct SsrfGuardResolver {
    inner: DefaultResolver,
    private: PrivateAddresses,
}

impl SsrfGuardResolver {
    pub(super) fn new(private: PrivateAddresses) -> Self {
        Self {
            inner: DefaultResolver::default(),
            private,
        }
    }

    fn may_connect_to(&self, address: IpAddr) -> bool {
        match &self.private {
            PrivateAddresses::Allowed => true,
            PrivateAddresses::Only(named) if named.contains(&address) => true,
            PrivateAddresses::Only(_) | PrivateAddresses::Refused => is_public(address),
        }
    }
}

impl Resolver for SsrfGuardResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let all = self.inner.resolve(uri, config, timeout)?;
        let mut allowed = self.empty();
        for address in all.iter().filter(|address| self.may_connect_to(address.ip())) {
            allowed.push(*address);
        }
        match all.first() {
            Some(refused) if allowed.is_empty() => {
                Err(Error::Other(Box::new(PrivateAddressError(refused.ip()))))
            }
            _ => Ok(allowed),
        }
    }
}

/// Whether an address is globally reachable unicast.
///
/// # Source
///
/// IANA's registries of special-purpose IPv4 and IPv6 addresses (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        // This network, loopback, private use, carrier-grade NAT.
        (0 | 10 | 127, ..) | (100, 64..=127, _) | (172, 16..=31, _) | (192, 168, _) => true,
        // Link-local, including cloud metadata services.
        (169, 254, _) => true,
        // Protocol assignments, documentation, relays, benchmarks.
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => true,
        // Multicast, reserved, broadcast.
        (224.., ..) => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // Embedded IPv4 addresses: mapped, translated (NAT64), 6to4.
        [0, 0, 0, 0, 0, 0xFFFF, high, low] | [0x64, 0xFF9B, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        // Protocol assignments with Teredo, and documentation.
        [0x2001, 0..=0x1FF, ..] | [0x2001, 0xDB8, ..] | [0x3FFF, 0..=0xFFF, ..] => false,
        // Global unicast, 2000::/3.
        [first, ..] => (0x2000..=0x3FFF).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_purpose_addresses_are_not_public() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.0.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:c0a8:1::1",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn global_addresses_are_public() {
        for address in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
