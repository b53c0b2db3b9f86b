//! Sockets for the processes of one user on this machine, which have a name and no file.

use std::{io, path::PathBuf};

use equibatch_transport::FdSender;
use tokio::net::{UnixSocket, UnixStream};
use tokio_stream::{Stream, StreamExt as _, wrappers::UnixListenerStream};

use super::{Connection, unix::BACKLOG};

/// An abstract Unix socket. Only one process at a time has the name, until it drops the socket or ends, however that happens; so the name is a
/// lock, too.
#[derive(Debug)]
pub struct PrivateSocket(UnixSocket);

impl PrivateSocket {
    /// Takes `name`; `None` if another process has it. Connections are refused until [`PrivateSocket::accept`].
    ///
    /// # Errors
    ///
    /// If the system refuses a socket, or has no abstract ones.
    pub fn bind(name: &str) -> io::Result<Option<Self>> {
        let socket = UnixSocket::new_stream()?;
        match socket.bind(PathBuf::from(format!("\0{name}"))) {
            Ok(()) => Ok(Some(Self(socket))),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Accepts connections from processes of this user when the returned stream is polled; others are closed. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// If the system refuses to listen.
    pub fn accept(self) -> io::Result<impl Stream<Item = io::Result<Connection>> + Send + 'static> {
        let accepted = UnixListenerStream::new(self.0.listen(BACKLOG)?);
        Ok(accepted.filter_map(|accepted| match accepted {
            Ok(stream) => is_of_this_user(&stream).then(|| Ok(Connection::Unix(stream, FdSender::default()))),
            Err(error) => Some(Err(error)),
        }))
    }
}

/// An abstract socket has no permissions.
fn is_of_this_user(stream: &UnixStream) -> bool {
    let user = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_has_one_socket_which_refuses_until_it_accepts() {
        let name = format!("equibatch-test-{}", std::process::id());
        let path = PathBuf::from(format!("\0{name}"));
        let first = PrivateSocket::bind(&name)
            .expect("a socket")
            .expect("a free name");
        assert!(PrivateSocket::bind(&name).expect("a socket").is_none(), "taken");
        let refused = UnixStream::connect(&path).await.expect_err("it does not listen");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let mut accepted = first.accept().expect("it listens");
        let _client = UnixStream::connect(&path).await.expect("a listener");
        assert!(matches!(accepted.next().await, Some(Ok(Connection::Unix(..)))));
        drop(accepted);
        assert!(
            PrivateSocket::bind(&name).expect("a socket").is_some(),
            "free again"
        );
    }
}
