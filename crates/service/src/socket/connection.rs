//! An accepted connection.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use equibatch_transport::FdSender;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tonic::transport::server::Connected;

/// An accepted connection.
#[derive(Debug)]
pub enum Connection {
    /// From a TCP socket.
    Tcp(TcpStream),
    /// From a Unix socket, which can also carry a file descriptor.
    Unix(UnixStream, FdSender),
}

/// The peer of a connection, as far as the system knows it.
#[derive(Clone, Debug)]
pub enum Peer {
    /// An address.
    Tcp(SocketAddr),
    /// A local process.
    Unix {
        /// Its process id, if known.
        process: Option<i32>,
        /// Its user id, if known.
        user: Option<u32>,
        /// Sends it a file descriptor.
        fd_sender: FdSender,
    },
    /// Unknown: the connection has already been closed.
    Unknown,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix {
                process: Some(process),
                ..
            } => write!(f, "process {process}"),
            Self::Unix { process: None, .. } | Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        match self {
            Self::Tcp(stream) => stream.peer_addr().map_or(Peer::Unknown, Peer::Tcp),
            Self::Unix(stream, fd_sender) => {
                let peer = stream.peer_cred().ok();
                Peer::Unix {
                    process: peer.and_then(|peer| peer.pid()),
                    user: peer.map(|peer| peer.uid()),
                    fd_sender: fd_sender.clone(),
                }
            }
        }
    }
}

/// Calls the same method of either variant.
macro_rules! either {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match $self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            Self::Unix(stream, _) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl Connection {
    /// Writes `pieces` together with a file descriptor, if one is to be sent.
    fn write_with_fd(
        &self,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Option<Poll<io::Result<usize>>> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(stream, fd_sender) => fd_sender.poll_write(stream, context, pieces),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self.poll_read(context, buffer))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(polled) = self.write_with_fd(context, &[io::IoSlice::new(bytes)]) {
            return polled;
        }
        either!(self.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(polled) = self.write_with_fd(context, pieces) {
            return polled;
        }
        either!(self.poll_write_vectored(context, pieces))
    }

    /// Both variants support vectored writes: without this, a header and a tensor would be copied into one buffer first.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.poll_shutdown(context))
    }
}
