//! Where clients connect: TCP ports and Unix sockets, any number of them side by side.
//!
//! # Layout
//!
//! - [`Address`]: where to listen, as configured.
//! - [`Sockets`]: bound to all of them, nothing accepted yet.
//! - [`Connection`]: one accepted connection of either kind.
//! - [`FdSender`]: a file that goes along with the bytes of a connection.
//! - `accept`: the loops that accept; `unix`: socket files and their lives.

mod accept;
mod connection;
mod fd_sender;
mod unix;

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tokio::net::{TcpListener, UnixListener};

pub(super) use self::connection::Peer;
use self::unix::SocketFile;
pub use self::{
    accept::Incoming,
    connection::Connection,
    fd_sender::{AlreadySent, FdSender},
};

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A port.
    Tcp {
        /// A name or a number.
        host: String,
        /// 0: the system chooses.
        port: u16,
    },
    /// A file, for clients on this machine.
    Unix {
        /// Where it is made.
        path: PathBuf,
        /// Permission bits: who may connect is who may write.
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
    /// Which.
    address: Address,
    source: io::Error,
}

/// Bound, and ready to be accepted from. Socket files are removed when it is dropped.
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
    /// The first address that the system refuses.
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

    /// Where clients can connect, in the form in which they write it: with the port that the system chose.
    ///
    /// # Errors
    ///
    /// Where the system does not know.
    pub fn addresses(&self) -> io::Result<Vec<String>> {
        let address = |socket: &Socket| match socket {
            Socket::Tcp(listener) => Ok(listener.local_addr()?.to_string()),
            Socket::Unix(_, file) => Ok(format!("unix:{}", Path::display(file.path()))),
        };
        self.0.iter().map(address).collect()
    }

    /// The addresses of the ports.
    ///
    /// # Errors
    ///
    /// Where the system does not say.
    pub fn ports(&self) -> io::Result<Vec<SocketAddr>> {
        let ports = self.0.iter().filter_map(|socket| match socket {
            Socket::Tcp(listener) => Some(listener.local_addr()),
            Socket::Unix(..) => None,
        });
        ports.collect()
    }
}
