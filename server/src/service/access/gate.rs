//! Looks at every request before anybody else does.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use tonic::{Request, Status, metadata::MetadataMap, service::Interceptor};

use super::{
    super::{door::Visit, socket::Peer},
    table::{Grant, Tokens},
};
use crate::service::traffic::{Refusal, Traffic};

/// Lets requests pass that come with a token, where tokens are asked for, and notes whose they are.
#[derive(Clone, Debug)]
pub(in crate::service) struct Gate {
    tokens: Option<Tokens>,
    traffic: Traffic,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(in crate::service) struct Caller {
    /// Whose share of the places it takes.
    pub(in crate::service) guest: Guest,
    /// What it may do.
    pub(in crate::service) grant: Arc<Grant>,
}

/// One for whom places are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Guest {
    /// The owner of a token, wherever it comes from.
    Named(String),
    /// Whoever comes from an address.
    At(IpAddr),
    /// A user of this machine, by number, who comes by a Unix socket.
    User(u32),
    /// Whoever is on this machine, and the system does not say who.
    Local,
}

impl Guest {
    /// Says whether what it sends and gets stays within this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self, Self::User(_) | Self::Local)
    }

    /// Names it apart from all others.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{self:?}")
    }
}

impl From<Peer> for Guest {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer::Tcp(address) => Self::At(network(address.ip())),
            Peer::Unix { user, .. } => user.map_or(Self::Local, Self::User),
            // A TCP connection that is gone already.
            Peer::Unknown => Self::At(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        }
    }
}

/// What one client has of addresses: of IPv6 a network of 64 bits, any address of which it can take.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)))
        }
        other => other,
    }
}

impl fmt::Display for Guest {
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

impl Gate {
    /// Asks for one of `tokens`, where there are some.
    pub(in crate::service) fn new(tokens: Option<Tokens>, traffic: Traffic) -> Self {
        Self { tokens, traffic }
    }
}

impl Interceptor for Gate {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let visit = request.extensions().get::<Visit>();
        let guest = visit.map_or(Guest::Local, Visit::guest);
        let caller = match &self.tokens {
            None => Caller {
                guest,
                grant: Arc::default(),
            },
            Some(tokens) => {
                let grant = bearer(request.metadata()).and_then(|token| {
                    let known = tokens.find(token);
                    known.ok_or_else(|| Status::unauthenticated("this token is not known here"))
                });
                let grant = grant.inspect_err(|status| {
                    self.traffic.refused(Refusal::Token, &guest, status.message());
                })?;
                visit.into_iter().for_each(Visit::welcome);
                Caller {
                    guest: Guest::Named(grant.terms.name.clone()),
                    grant,
                }
            }
        };
        request.extensions_mut().insert(caller);
        Ok(request)
    }
}

/// The token of `authorization: Bearer TOKEN`.
fn bearer(metadata: &MetadataMap) -> Result<&[u8], Status> {
    let value = metadata
        .get("authorization")
        .ok_or_else(|| Status::unauthenticated("a token is needed here: send authorization: Bearer TOKEN"))?;
    let token = value.as_bytes().split_at_checked(7);
    token
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "))
        .map(|(_, token)| token.trim_ascii())
        .ok_or_else(|| Status::unauthenticated("the authorization must be: Bearer TOKEN"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let client = |address: &str| Guest::from(Peer::Tcp(address.parse().expect("an address")));
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
