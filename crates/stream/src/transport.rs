//! How batches are transported from a server.

use std::fmt;

/// How batches are transported from a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// From shared memory of the server.
    SharedMemory,
    /// Over a Unix socket.
    Socket,
    /// Over TCP, optionally with TLS.
    Network,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SharedMemory => "shared memory",
            Self::Socket => "socket",
            Self::Network => "network",
        })
    }
}

/// The distinct transports, as text.
pub(super) fn list(transports: impl IntoIterator<Item = Transport>) -> String {
    let mut transports: Vec<Transport> = transports.into_iter().collect();
    transports.sort_unstable();
    transports.dedup();
    let words: Vec<String> = transports.iter().map(ToString::to_string).collect();
    words.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_are_listed_once() {
        assert_eq!(
            list([Transport::Network, Transport::SharedMemory, Transport::Network]),
            "shared memory and network"
        );
        assert_eq!(list([Transport::Socket]), "socket");
    }
}
