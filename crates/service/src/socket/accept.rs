//! Accepts connections on all sockets.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use equibatch_transport::FdSender;
use tokio_stream::Stream;

use super::{Connection, Socket, Sockets};

/// The accepted connections; never ends. Dropping it closes the sockets and removes their files.
#[derive(Debug)]
pub struct Incoming {
    sockets: Vec<Socket>,
    /// The socket that is polled first: the one after that of the last connection, so that none keeps the others waiting.
    first: usize,
}

impl Sockets {
    /// Accepts connections when the returned stream is polled.
    #[must_use]
    pub fn accept(self) -> Incoming {
        let (sockets, first) = (self.0, 0);
        Incoming { sockets, first }
    }
}

impl Socket {
    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Connection>> {
        Poll::Ready(Ok(match self {
            Self::Tcp(listener) => {
                let (stream, _) = ready!(listener.poll_accept(context))?;
                // Small frames, such as headers and acknowledgements, are sent at once.
                stream.set_nodelay(true)?;
                Connection::Tcp(stream)
            }
            Self::Unix(listener, _) => {
                let (stream, _) = ready!(listener.poll_accept(context))?;
                Connection::Unix(stream, FdSender::default())
            }
        }))
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let sockets = self.sockets.len();
        for index in (self.first..self.first + sockets).map(|index| index % sockets) {
            if let Poll::Ready(accepted) = self.sockets[index].poll_accept(context) {
                self.first = index + 1;
                return Poll::Ready(Some(accepted));
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;
    use tokio_stream::StreamExt as _;

    use super::*;
    use crate::socket::Address;

    #[tokio::test]
    async fn a_socket_with_many_connections_does_not_keep_others_waiting() {
        let any = Address::Tcp {
            host: "127.0.0.1".to_owned(),
            port: 0,
        };
        let sockets = Sockets::bind(&[any.clone(), any]).await.expect("free ports");
        let ports = sockets.ports().expect("bound");
        let mut clients = vec![];
        for address in [ports[0], ports[0], ports[0], ports[1]] {
            clients.push(TcpStream::connect(address).await.expect("a listener"));
        }
        let mut incoming = sockets.accept();
        let mut accepted = vec![];
        for _ in &clients {
            let connection = incoming.next().await.expect("it never ends").expect("accepted");
            let Connection::Tcp(stream) = connection else {
                panic!("not a TCP socket")
            };
            accepted.push(stream.local_addr().expect("connected"));
        }
        let place = accepted.iter().position(|address| *address == ports[1]);
        assert!(place.is_some_and(|place| place < 2), "{accepted:?}");
        assert_eq!(accepted.iter().filter(|address| **address == ports[0]).count(), 3);
    }
}
