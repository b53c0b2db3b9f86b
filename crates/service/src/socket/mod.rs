//! Listening sockets: any number of TCP ports and Unix sockets.
//!
//! # Layout
//!
//! - [`Address`]: where to listen, as configured.
//! - [`Sockets`]: the bound listeners.
//! - [`Connection`]: an accepted connection of either kind.
//! - [`PrivateSocket`]: a socket without a file, for processes of the same user.
//! - `accept`: accepts connections; `unix`: socket files.

mod accept;
mod connection;
mod private;
mod unix;

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tokio::net::{TcpListener, UnixListener};

pub(super) use self::connection::Peer;
use self::unix::SocketFile;
pub use self::{accept::Incoming, connection::Connection, private::PrivateSocket};

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP port.
    Tcp {
        /// A host name or IP address.
        host: String,
        /// 0: chosen by the system.
        port: u16,
    },
    /// A Unix socket, for clients on this machine.
    Unix {
        /// Path of the socket file.
        path: PathBuf,
        /// Permission bits of the socket file: write permission is needed to connect.
        mode: u32,
    },
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct Error {
    /// The address.
    address: Address,
    source: io::Error,
}

/// Bound listeners. Socket files are removed when it is dropped.
#[derive(Debug)]
pub struct Sockets(Vec<Socket>);

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

impl Sockets {
    /// Binds all of `addresses`, or none.
    ///
    /// # Errors
    ///
    /// The first address that cannot be bound.
    pub async fn bind(addresses: &[Address]) -> Result<Self, Error> {
        let mut sockets = Vec::with_capacity(addresses.len());
        for address in addresses {
            let bound = match address {
                Address::Tcp { host, port } => {
                    TcpListener::bind((host.as_str(), *port)).await.map(Socket::Tcp)
                }
                Address::Unix { path, mode } => unix::bind(path.clone(), *mode)
                    .await
                    .map(|(listener, file)| Socket::Unix(listener, file)),
            };
            sockets.push(bound.map_err(|source| Error {
                address: address.clone(),
                source,
            })?);
        }
        Ok(Self(sockets))
    }

    /// The addresses that clients can connect to, with the port that the system chose.
    ///
    /// # Errors
    ///
    /// If the system does not return an address.
    pub fn addresses(&self) -> io::Result<Vec<String>> {
        let address = |socket: &Socket| match socket {
            Socket::Tcp(listener) => Ok(listener.local_addr()?.to_string()),
            Socket::Unix(_, file) => Ok(format!("unix:{}", Path::display(file.path()))),
        };
        self.0.iter().map(address).collect()
    }

    /// The addresses of the TCP listeners.
    ///
    /// # Errors
    ///
    /// If the system does not return an address.
    pub fn ports(&self) -> io::Result<Vec<SocketAddr>> {
        let ports = self.0.iter().filter_map(|socket| match socket {
            Socket::Tcp(listener) => Some(listener.local_addr()),
            Socket::Unix(..) => None,
        });
        ports.collect()
    }
}
