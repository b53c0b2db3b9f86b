//! Server addresses as typed, and the sockets that they resolve to.

use std::net::{IpAddr, SocketAddr};

use super::Error;

/// A parsed server address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A host and a port, reached over TCP.
    Tcp {
        /// A host name or an IP address; IPv6 in brackets.
        host: String,
        port: u16,
        /// Whether to use TLS.
        tls: bool,
    },
    /// Path of a Unix socket on this machine; an abstract one has a name after a NUL character.
    Unix(String),
}

impl Address {
    /// Parses `HOST:PORT`, optionally with `http://` or `https://`, `unix:PATH`, or `unix-abstract:NAME`.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let refused = |reason: &str| Error::Address {
            address: text.to_owned(),
            reason: reason.to_owned(),
        };
        if let Some(path) = text.strip_prefix("unix:") {
            if path.trim_start_matches('/').is_empty() {
                return Err(refused(
                    "expected unix:PATH, with the path of the server's socket",
                ));
            }
            return Ok(Self::Unix(path.to_owned()));
        }
        if let Some(name) = text.strip_prefix("unix-abstract:") {
            if name.is_empty() {
                return Err(refused("expected unix-abstract:NAME"));
            }
            return Ok(Self::Unix(format!("\0{name}")));
        }
        let (scheme, bare) = text.split_once("://").unwrap_or(("http", text));
        let bare = bare.trim_end_matches('/');
        match bare
            .rsplit_once(':')
            .map(|(host, port)| (host, port.parse::<u16>()))
        {
            Some((host, Ok(port))) if !host.is_empty() && ["http", "https"].contains(&scheme) => {
                Ok(Self::Tcp {
                    host: host.to_owned(),
                    port,
                    tls: scheme == "https",
                })
            }
            _ => Err(refused(
                "expected HOST:PORT, for example localhost:50051, https://HOST:PORT, or unix:PATH",
            )),
        }
    }

    /// Returns whether the connection is encrypted or stays within this machine.
    pub(super) fn is_private(&self) -> bool {
        match self {
            Self::Unix(_) | Self::Tcp { tls: true, .. } => true,
            Self::Tcp { host, .. } => {
                let host = host.trim_matches(['[', ']']);
                host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
        }
    }

    /// Host and port, if the host is a name that needs a lookup: neither an IP address nor `localhost`.
    pub(super) fn name(&self) -> Option<(&str, u16)> {
        match self {
            Self::Tcp { host, port, .. }
                if host != "localhost" && host.trim_matches(['[', ']']).parse::<IpAddr>().is_err() =>
            {
                Some((host, *port))
            }
            _ => None,
        }
    }
}

/// The distinct addresses of the same IP version as the first, in order.
pub(super) fn distinct(found: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut kept: Vec<SocketAddr> = vec![];
    for address in found {
        let is_same_version = kept
            .first()
            .is_none_or(|first| first.is_ipv4() == address.is_ipv4());
        if is_same_version && !kept.contains(address) {
            kept.push(*address);
        }
    }
    kept
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port, tls } => {
                let scheme = if *tls { "https://" } else { "" };
                write!(f, "{scheme}{host}:{port}")
            }
            Self::Unix(path) => match path.strip_prefix('\0') {
                Some(name) => write!(f, "unix-abstract:{name}"),
                None => write!(f, "unix:{path}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip_through_text() {
        for text in [
            "localhost:50051",
            "10.0.0.1:1",
            "[::1]:50051",
            "https://example.org:443",
            "unix:/run/e.sock",
            "unix:e.sock",
            "unix-abstract:e",
        ] {
            assert_eq!(Address::parse(text).expect("an address").to_string(), text);
        }
        let bare = Address::parse("http://host:7/").expect("an address");
        assert_eq!(bare.to_string(), "host:7");
        for text in [
            "localhost",
            "localhost:",
            ":50051",
            "host:port",
            "host:99999",
            "ftp://host:1",
            "",
            "unix:",
            "unix:/",
            "unix-abstract:",
        ] {
            Address::parse(text).expect_err(text);
        }
    }

    #[test]
    fn encrypted_and_local_addresses_are_private() {
        let is_private = |text: &str| Address::parse(text).expect("an address").is_private();
        for text in [
            "localhost:1",
            "127.9.9.9:1",
            "[::1]:1",
            "unix:/x",
            "https://example.org:1",
        ] {
            assert!(is_private(text), "{text}");
        }
        for text in [
            "example.org:1",
            "10.0.0.1:1",
            "localhost.example.org:1",
            "[::2]:1",
        ] {
            assert!(!is_private(text), "{text}");
        }
    }

    #[test]
    fn only_host_names_need_a_lookup() {
        let name = |text: &str| {
            let address = Address::parse(text).expect("an address");
            address.name().map(|(host, port)| (host.to_owned(), port))
        };
        for text in ["localhost:1", "10.0.0.1:1", "https://[::1]:1", "unix:/x"] {
            assert_eq!(name(text), None, "{text}");
        }
        for text in ["example.org:7", "https://example.org:7"] {
            assert_eq!(name(text), Some(("example.org".to_owned(), 7)), "{text}");
        }
    }

    #[test]
    fn distinct_keeps_one_ip_version_without_duplicates() {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts
                .iter()
                .map(|text| text.parse().expect("an address"))
                .collect()
        };
        let found = addresses(&["10.0.0.1:5", "[fd00::1]:5", "10.0.0.2:5", "10.0.0.1:5"]);
        assert_eq!(distinct(&found), addresses(&["10.0.0.1:5", "10.0.0.2:5"]));
        assert_eq!(distinct(&[]), []);
    }
}
