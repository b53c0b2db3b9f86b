//! What requests know of the connection that they came by.

use std::sync::{Arc, atomic::AtomicU64};

use equibatch_transport::FdSender;
use tokio_util::sync::CancellationToken;

use crate::{
    access::{ClientId, KnownClients},
    in_flight::{InFlight, InFlightGuard},
    request_budget::Budget,
    socket::Peer,
};

/// The peer of an accepted connection.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    pub(super) client: ClientId,
    pub(super) fd_sender: Option<FdSender>,
}

impl From<Peer> for PeerInfo {
    fn from(peer: Peer) -> Self {
        Self {
            fd_sender: match &peer {
                Peer::Unix { fd_sender, .. } => Some(fd_sender.clone()),
                Peer::Tcp(_) | Peer::Unknown => None,
            },
            client: peer.into(),
        }
    }
}

/// Per-connection state, an extension of every request.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    pub(super) client: ClientId,
    pub(super) fd_sender: Option<FdSender>,
    pub(super) close_token: CancellationToken,
    pub(super) write_stall_ns: Arc<AtomicU64>,
    pub(super) in_flight: InFlight,
    pub(super) budget: Budget,
    pub(super) known_clients: KnownClients,
}

impl ConnectionInfo {
    /// Records that the client has a valid token or a stream: it may use the connections reserved for known clients.
    pub(crate) fn mark_known(&self) {
        self.known_clients.add(&self.client);
    }

    /// Memory budget of the connection's incomplete requests.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Counts a request as in flight until the guard is dropped.
    pub(crate) fn begin_request(&self) -> InFlightGuard {
        self.in_flight.begin()
    }

    /// The client that the limits count against.
    pub(crate) fn client(&self) -> ClientId {
        self.client.clone()
    }

    /// Sends a file descriptor to the peer; `None` unless the connection is a Unix socket.
    pub(crate) fn fd_sender(&self) -> Option<&FdSender> {
        self.fd_sender.as_ref()
    }

    /// Total time for which writes to the connection were pending, in nanoseconds.
    pub(crate) fn write_stall_ns(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.write_stall_ns)
    }

    /// Closes the connection when it is cancelled.
    pub(crate) fn close_token(&self) -> CancellationToken {
        self.close_token.clone()
    }
}
