//! Accepts connections within the limits, and handles each in a task of its own.
//!
//! One slow handshake does not delay other connections. If the process is out of file descriptors, accepting pauses; the server goes on.

use std::{io, pin::pin, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    sync::{Semaphore, mpsc},
    task::JoinHandle,
    time,
};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use super::{
    PeerInfo, ServerIo,
    handshake::{handshake, handshake_error},
    linger::{LINGER_TIME, linger},
};
use crate::service::{
    ServiceConfig,
    access::{ClientId, ClientLimiter, KnownClients, Permit, Tls},
    control_frames,
    socket::FdSender,
    traffic::{Refusal, Traffic},
};

/// Refused connections that linger at a time.
const MAX_LINGERING: usize = 16;
/// Pause after the system refused to accept a connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// Connections admitted and not yet taken by the HTTP/2 server.
const QUEUE: usize = 16;

/// Returns the admitted connections of `incoming`, and the task that admits them. The task ends, and drops `incoming`, when the returned
/// stream is dropped or `incoming` ends. [`LINGER_TIME`] after `closing` is cancelled, connections without a complete request are closed,
/// even if their clients read nothing or have begun a request. Must be called within a runtime.
pub fn admit<C>(
    incoming: impl Stream<Item = io::Result<C>> + Send + 'static,
    config: &ServiceConfig,
    closing: CancellationToken,
) -> (ReceiverStream<io::Result<ServerIo<C>>>, JoinHandle<()>)
where
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    C::ConnectInfo: Into<PeerInfo>,
{
    let (admitted, connections) = mpsc::channel(QUEUE);
    let closed = CancellationToken::new();
    let acceptor = Acceptor {
        tls: config.access.tls.clone(),
        handshake_timeout: config.handshake_timeout,
        idle_limit: config.idle_timeout,
        stall_limit: config.keepalive_interval + config.keepalive_timeout,
        closed: closed.clone(),
        known_clients: KnownClients::default(),
        reserved: config.connections / 8,
        connections: config.connections,
        lingering: Semaphore::new(MAX_LINGERING),
        limiter: ClientLimiter::new(config.connections),
        per_client: config.connections.div_ceil(4),
        traffic: config.traffic.clone(),
        admitted,
    };
    acceptor.traffic.count_connections(acceptor.limiter.clone());
    tokio::spawn(async move {
        closing.cancelled().await;
        time::sleep(LINGER_TIME).await;
        closed.cancel();
    });
    let accepting = tokio::spawn(Arc::new(acceptor).run(incoming));
    (ReceiverStream::new(connections), accepting)
}

pub(super) struct Acceptor<C> {
    pub(super) tls: Option<Tls>,
    /// Of the TLS handshake, and then of the HTTP/2 preface.
    pub(super) handshake_timeout: Duration,
    pub(super) idle_limit: Option<Duration>,
    pub(super) stall_limit: Duration,
    pub(super) closed: CancellationToken,
    limiter: ClientLimiter,
    pub(super) known_clients: KnownClients,
    /// Connections in all, and those of them that are reserved for known clients.
    connections: usize,
    reserved: usize,
    /// Bounds the refused connections that linger.
    lingering: Semaphore,
    /// Connections of one client.
    per_client: usize,
    pub(super) traffic: Traffic,
    admitted: mpsc::Sender<io::Result<ServerIo<C>>>,
}

impl<C> Acceptor<C>
where
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    C::ConnectInfo: Into<PeerInfo>,
{
    async fn run(self: Arc<Self>, incoming: impl Stream<Item = io::Result<C>> + Send) {
        let mut incoming = pin!(incoming);
        loop {
            let accepted = tokio::select! {
                accepted = incoming.next() => accepted,
                () = self.admitted.closed() => return,
            };
            match accepted {
                None => return,
                Some(Ok(stream)) => {
                    let PeerInfo { client, fd_sender } = stream.connect_info().into();
                    let reserved = if self.known_clients.contains(&client) {
                        0
                    } else {
                        self.reserved
                    };
                    let limit = self.connections - reserved;
                    match self.limiter.acquire_below(limit, client.clone(), self.per_client) {
                        // The permits bound the number of these tasks.
                        Ok(permit) => {
                            self.traffic.connected();
                            drop(tokio::spawn(Arc::clone(&self).handle(stream, fd_sender, permit)));
                        }
                        Err(exceeded) => {
                            let reason = format!("connections: {exceeded}");
                            self.traffic.refused(Refusal::Connections, &client, &reason);
                            // With TLS, the reason could only be sent after a handshake.
                            if self.tls.is_none() || client == ClientId::Local {
                                drop(tokio::spawn(Arc::clone(&self).refuse(stream, reason)));
                            }
                        }
                    }
                }
                Some(Err(error)) => {
                    tracing::warn!(error = %error, "cannot accept a connection");
                    time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    /// Sends a client the reason why it is refused, unless [`MAX_LINGERING`] others linger.
    async fn refuse(self: Arc<Self>, mut stream: C, reason: String) {
        let Ok(_permit) = self.lingering.try_acquire() else {
            return;
        };
        let frames = [control_frames::settings(), control_frames::goaway(&reason)].concat();
        let told = async {
            if stream.write_all(&frames).await.is_ok() {
                linger(stream).await;
            }
        };
        let _sent_or_timed_out = time::timeout(LINGER_TIME, told).await;
    }

    async fn handle(self: Arc<Self>, stream: C, fd_sender: Option<FdSender>, permit: Permit) {
        let client = permit.client().clone();
        let handshake = handshake(self.tls.as_ref(), stream, &client);
        match time::timeout(self.handshake_timeout, handshake).await {
            Ok(Ok(io)) => {
                let connection = ServerIo::new(&self, io, fd_sender, permit);
                // Sending fails only while the server stops.
                let _stopping = self.admitted.send(Ok(connection)).await;
            }
            Ok(Err(error)) => {
                self.traffic
                    .refused(Refusal::Handshake, &client, &handshake_error(&error));
            }
            Err(_elapsed) => {
                self.traffic
                    .refused(Refusal::Silence, &client, "no TLS handshake in time");
            }
        }
    }
}
