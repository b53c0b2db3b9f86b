//! How batches come from a server.

use std::fmt;

/// How batches come from a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Read where the server made them.
    SharedMemory,
    /// Through a Unix socket.
    Socket,
    /// Through TCP, perhaps with TLS.
    Network,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SharedMemory => "shared memory",
            Self::Socket => "socket",
            Self::Network => "network",
        })
    }
}

/// Each of `ways` once, in words.
pub(super) fn list(ways: impl IntoIterator<Item = Way>) -> String {
    let mut ways: Vec<Way> = ways.into_iter().collect();
    ways.sort_unstable();
    ways.dedup();
    let words: Vec<String> = ways.iter().map(ToString::to_string).collect();
    words.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_is_named_once() {
        assert_eq!(
            list([Way::Network, Way::SharedMemory, Way::Network]),
            "shared memory and network"
        );
        assert_eq!(list([Way::Socket]), "socket");
    }
}
