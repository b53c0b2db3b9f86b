//! The identity of a client, which limits count against.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use crate::socket::Peer;

/// Who limits count against.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ClientId {
    /// The owner of a token, from any address.
    Named(String),
    /// An IP address; of IPv6, a /64 network.
    At(IpAddr),
    /// A local user by uid, connected over a Unix socket.
    User(u32),
    /// A local process whose uid is unknown.
    Local,
}

impl ClientId {
    /// Returns whether the connection stays within this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self, Self::User(_) | Self::Local)
    }

    /// A unique key of the client.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{self:?}")
    }
}

impl From<Peer> for ClientId {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer::Tcp(address) => Self::At(network(address.ip())),
            Peer::Unix { user, .. } => user.map_or(Self::Local, Self::User),
            // The TCP connection has already been closed.
            Peer::Unknown => Self::At(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        }
    }
}

/// The address as limits count it: of IPv6 the /64 network, since one client can usually use all of its addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)))
        }
        other => other,
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::At(IpAddr::V6(network)) if !network.is_loopback() => write!(f, "{network}/64"),
            Self::At(address) => address.fmt(f),
            Self::User(user) => write!(f, "user {user} of this machine"),
            Self::Local => f.write_str("this machine"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let client = |address: &str| ClientId::from(Peer::Tcp(address.parse().expect("an address")));
        assert_eq!(client("[2001:db8:1:2:3::4]:1"), client("[2001:db8:1:2:9::9]:2"));
        assert_ne!(client("[2001:db8:1:2::]:1"), client("[2001:db8:1:3::]:1"));
        assert_ne!(client("10.0.0.1:1"), client("10.0.0.2:1"));
        assert_eq!(client("[::ffff:10.0.0.1]:1"), client("10.0.0.1:1"));
        for (address, name) in [
            ("[2001:db8:1:2:3::4]:1", "2001:db8:1:2::/64"),
            ("[::1]:1", "::1"),
            ("10.0.0.1:1", "10.0.0.1"),
        ] {
            assert_eq!(client(address).to_string(), name);
        }
    }
}
