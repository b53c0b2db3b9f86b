use std::{io, time::Duration};

use equibatch_transport::FdSender;
use tokio::{io::AsyncWriteExt as _, net::UnixStream, time};
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::admit;
use crate::{ServiceConfig, socket::Connection};

/// The error that ends a connection without requests whose client does not read what is written to it.
async fn end(config: &ServiceConfig, is_stopping: bool) -> io::ErrorKind {
    let (_unread, peer) = UnixStream::pair().expect("a pair");
    let connection = Ok(Connection::Unix(peer, FdSender::default()));
    let incoming = tokio_stream::once(connection).chain(tokio_stream::pending());
    let closing = CancellationToken::new();
    let (mut admitted, _accepting) = admit(incoming, config, closing.clone());
    let mut connection = admitted.next().await.expect("a connection").expect("admitted");
    if is_stopping {
        closing.cancel();
    }
    let writing = async {
        loop {
            if let Err(error) = connection.write_all(&[0; 4096]).await {
                return error.kind();
            }
        }
    };
    let ended = time::timeout(Duration::from_secs(60), writing).await;
    ended.expect("the connection ends")
}

#[tokio::test]
async fn a_connection_that_does_not_read_is_closed_while_writes_are_pending() {
    let no_timeouts = ServiceConfig {
        handshake_timeout: Duration::from_secs(100_000),
        idle_timeout: None,
        ..ServiceConfig::default()
    };
    let idle = ServiceConfig {
        idle_timeout: Some(Duration::from_millis(50)),
        ..no_timeouts.clone()
    };
    let stalled = ServiceConfig {
        keepalive_interval: Duration::from_millis(50),
        keepalive_timeout: Duration::ZERO,
        ..no_timeouts.clone()
    };
    assert_eq!(end(&idle, false).await, io::ErrorKind::TimedOut);
    assert_eq!(end(&stalled, false).await, io::ErrorKind::TimedOut);
    assert_eq!(end(&no_timeouts, true).await, io::ErrorKind::ConnectionAborted);
}
