//! Accepts connections in one loop, within the limits, and handles each in a task of its own, so that a slow handshake does not delay others.
//! The admitted ones go to the HTTP/2 server through one channel. If the process is out of file descriptors, accepting pauses.

use std::{io, pin::pin, sync::Arc, time::Duration};

use equibatch_transport::FdSender;
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
    server_io::ConnectionSettings,
};
use crate::{
    access::{ClientId, ClientLimiter, KnownClients, Permit, Tls},
    control_frames,
    service_config::ServiceConfig,
    traffic::Refusal,
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
        settings: ConnectionSettings {
            handshake_timeout: config.handshake_timeout,
            idle_limit: config.idle_timeout,
            stall_limit: config.keepalive_interval + config.keepalive_timeout,
            closed: closed.clone(),
            known_clients: KnownClients::default(),
            traffic: config.traffic.clone(),
        },
        reserved: config.connections / 8,
        connections: config.connections,
        lingering: Semaphore::new(MAX_LINGERING),
        limiter: ClientLimiter::new(config.connections),
        per_client: config.connections.div_ceil(4),
        admitted,
    };
    config.traffic.count_connections(acceptor.limiter.clone());
    tokio::spawn(async move {
        closing.cancelled().await;
        time::sleep(LINGER_TIME).await;
        closed.cancel();
    });
    let accepting = tokio::spawn(Arc::new(acceptor).run(incoming));
    (ReceiverStream::new(connections), accepting)
}

struct Acceptor<C> {
    tls: Option<Tls>,
    settings: ConnectionSettings,
    limiter: ClientLimiter,
    /// Connections in all, and those of them that are reserved for known clients.
    connections: usize,
    reserved: usize,
    /// Bounds the refused connections that linger.
    lingering: Semaphore,
    /// Connections of one client.
    per_client: usize,
    admitted: mpsc::Sender<io::Result<ServerIo<C>>>,
}

impl<C> Acceptor<C>
where
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    C::ConnectInfo: Into<PeerInfo>,
{
    /// Accepts until `incoming` ends or the receiver of the admitted connections is dropped.
    async fn run(self: Arc<Self>, incoming: impl Stream<Item = io::Result<C>> + Send) {
        let mut incoming = pin!(incoming);
        loop {
            let accepted = tokio::select! {
                accepted = incoming.next() => accepted,
                () = self.admitted.closed() => return,
            };
            match accepted {
                None => return,
                Some(Ok(stream)) => self.admit(stream),
                Some(Err(error)) if is_of_the_connection(&error) => {
                    tracing::debug!(error = %error, "connection lost before it was accepted");
                }
                // A lack of resources, which ends when other connections close.
                Some(Err(error)) => {
                    tracing::warn!(error = %error, "cannot accept connections now");
                    time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    /// Handles a connection in a task, if the limits permit it; the permits bound the number of these tasks.
    fn admit(self: &Arc<Self>, stream: C) {
        let PeerInfo { client, fd_sender } = stream.connect_info().into();
        let is_known = self.settings.known_clients.contains(&client);
        let reserved = if is_known { 0 } else { self.reserved };
        let limit = self.connections - reserved;
        match self.limiter.acquire_below(limit, client.clone(), self.per_client) {
            Ok(permit) => {
                self.settings.traffic.connected();
                drop(tokio::spawn(Arc::clone(self).handle(stream, fd_sender, permit)));
            }
            Err(exceeded) => {
                let reason = format!("connections: {exceeded}");
                let traffic = &self.settings.traffic;
                traffic.refused(Refusal::Connections, &client, &reason);
                // With TLS, the reason could only be sent after a handshake.
                if self.tls.is_none() || client == ClientId::Local {
                    drop(tokio::spawn(Arc::clone(self).refuse(stream, reason)));
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

    /// Hands the connection to the HTTP/2 server after its handshake.
    async fn handle(self: Arc<Self>, stream: C, fd_sender: Option<FdSender>, permit: Permit) {
        let client = permit.client().clone();
        let (settings, traffic) = (&self.settings, &self.settings.traffic);
        let handshake = handshake(self.tls.as_ref(), stream, &client);
        match time::timeout(settings.handshake_timeout, handshake).await {
            Ok(Ok(io)) => {
                let connection = ServerIo::new(settings, io, fd_sender, permit);
                // Sending fails only while the server stops.
                let _stopping = self.admitted.send(Ok(connection)).await;
            }
            Ok(Err(error)) => {
                traffic.refused(Refusal::Handshake, &client, &handshake_error(&error));
            }
            Err(_elapsed) => {
                traffic.refused(Refusal::Silence, &client, "no TLS handshake in time");
            }
        }
    }
}

/// Whether an error concerns one connection only.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}
