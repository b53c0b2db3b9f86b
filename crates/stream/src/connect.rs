//! Connects to one of several addresses of a server.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet, time};

/// Timeout of a connection attempt.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Delay before the next address of a name is tried concurrently (RFC 8305 section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to the first of `sockets` that answers; each is tried [`ATTEMPT_DELAY`] after the one before it, or at once if that one fails.
pub(super) async fn first_to_connect(sockets: Arc<[SocketAddr]>) -> io::Result<TokioIo<TcpStream>> {
    let mut attempts = JoinSet::new();
    let mut waiting = sockets.iter().copied();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        let next = waiting.next();
        if let Some(socket) = next {
            attempts.spawn(TcpStream::connect(socket));
        }
        let delay = if next.is_some() {
            ATTEMPT_DELAY
        } else {
            CONNECT_TIMEOUT
        };
        match time::timeout(delay, attempts.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => {
                stream.set_nodelay(true)?;
                return Ok(TokioIo::new(stream));
            }
            Ok(Some(Ok(Err(error)))) => failure = error,
            Ok(None) => return Err(failure),
            Ok(Some(Err(_))) | Err(_) => {}
        }
    }
}
