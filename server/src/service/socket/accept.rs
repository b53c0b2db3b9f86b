//! Accepts connections on all sockets.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    net::{TcpListener, UnixListener},
    sync::mpsc,
    task::JoinSet,
};
use tokio_stream::Stream;

use super::{Connection, FdSender, Socket, Sockets, unix::SocketFile};

/// Accepted connections that wait to be admitted; further ones stay in the kernel's backlog.
const WAITING: usize = 16;
/// Pause after the system refused a connection for lack of resources.
const PAUSE: Duration = Duration::from_millis(100);

/// The accepted connections; ends if the task of a listener ends. Dropping it closes the sockets and removes their files.
#[derive(Debug)]
pub struct Incoming {
    connections: mpsc::Receiver<Connection>,
    loops: JoinSet<()>,
    _files: Vec<SocketFile>,
}

impl Sockets {
    /// Starts accepting. Must be called within a runtime.
    #[must_use]
    pub fn accept(self) -> Incoming {
        let (sender, connections) = mpsc::channel(WAITING);
        let (mut loops, mut files) = (JoinSet::new(), vec![]);
        for socket in self.0 {
            let listener = match socket {
                Socket::Tcp(listener) => Listener::Tcp(listener),
                Socket::Unix(listener, file) => {
                    files.push(file);
                    Listener::Unix(listener)
                }
            };
            loops.spawn(listener.accept_all(sender.clone()));
        }
        Incoming {
            connections,
            loops,
            _files: files,
        }
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Accepts until the receiver is dropped. Errors do not end the loop: they concern one connection, or a lack of resources that ends
    /// when other connections close.
    async fn accept_all(self, connections: mpsc::Sender<Connection>) {
        loop {
            match self.accept().await {
                Ok(connection) => {
                    if connections.send(connection).await.is_err() {
                        return;
                    }
                }
                Err(error) if is_of_the_connection(&error) => {
                    tracing::debug!(error = %error, "connection lost before it was accepted");
                }
                Err(error) => {
                    tracing::warn!(error = %error, "cannot accept connections now");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn accept(&self) -> io::Result<Connection> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Small frames, such as headers and acknowledgements, are sent at once.
                stream.set_nodelay(true)?;
                Ok(Connection::Tcp(stream))
            }
            Self::Unix(listener) => Ok(Connection::Unix(listener.accept().await?.0, FdSender::default())),
        }
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // The tasks never return: one that ended has panicked, and its address would no longer be served.
        if !self.loops.is_empty() && self.loops.poll_join_next(context).is_ready() {
            return Poll::Ready(None);
        }
        self.connections.poll_recv(context).map(|next| next.map(Ok))
    }
}
