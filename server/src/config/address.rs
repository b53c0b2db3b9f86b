//! Addresses to listen on.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use super::error::{Error, invalid};
use crate::service::socket::Address;

pub(super) fn addresses(texts: &[String], mode: &str) -> Result<Vec<Address>, Error> {
    let mode = u32::from_str_radix(mode, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| {
            invalid(
                "--socket-mode",
                &mode,
                "expected octal permission bits, such as 600 or 660",
            )
        })?;
    texts.iter().map(|text| address(text, mode)).collect()
}

/// Parses `unix:PATH` or `[HOST]:PORT`. A missing host is the loopback address, so that exposing the server takes an explicit host.
fn address(text: &str, mode: u32) -> Result<Address, Error> {
    let fail = |reason| invalid("--listen", &text, reason);
    if let Some(path) = text.strip_prefix("unix:") {
        // `unix:///path` is the gRPC name syntax.
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            return Err(fail("expected unix:PATH"));
        }
        let path = PathBuf::from(path);
        return Ok(Address::Unix { path, mode });
    }
    let (host, port) = host_and_port("--listen", text)?;
    Ok(Address::Tcp { host, port })
}

/// Parses `[HOST]:PORT`; a missing host is the loopback address.
pub(super) fn host_and_port(option: &'static str, text: &str) -> Result<(String, u16), Error> {
    let fail = |reason| invalid(option, &text, reason);
    let (host, port) = text.rsplit_once(':').ok_or_else(|| fail("expected HOST:PORT"))?;
    let port = port
        .parse()
        .map_err(|_| fail("expected a port from 0 to 65535"))?;
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let host = if host.is_empty() {
        IpAddr::V4(Ipv4Addr::LOCALHOST).to_string()
    } else {
        host.to_owned()
    };
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_host_is_loopback() {
        for (text, host, port) in [
            (":50051", "127.0.0.1", 50051),
            ("[::1]:1", "::1", 1),
            ("0.0.0.0:0", "0.0.0.0", 0),
            ("localhost:7", "localhost", 7),
        ] {
            let host = host.to_owned();
            assert_eq!(
                address(text, 0o600).unwrap(),
                Address::Tcp { host, port },
                "{text}"
            );
        }
        for text in [
            "50051",
            "localhost:",
            "localhost:70000",
            "localhost:http",
            "unix:",
        ] {
            assert!(address(text, 0o600).is_err(), "{text}");
        }
    }
}
