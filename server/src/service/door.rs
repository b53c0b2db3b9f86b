//! Between the listeners and the service: connections are counted, secured, and sent away where they stay silent.
//!
//! Nothing here waits for one connection while another one waits: handshakes run beside one another. A system out of file descriptors
//! makes the door wait, not the server end.

use std::{
    future::Future as _,
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    sync::mpsc,
    time::{self, Sleep},
};
use tokio_rustls::{TlsAcceptor, rustls, server::TlsStream};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tokio_util::{
    either::Either,
    sync::{CancellationToken, WaitForCancellationFutureOwned},
};
use tonic::transport::server::Connected;

use super::{
    ServiceConfig,
    access::{Guest, Place, Places, Tls},
    presence::{Busy, Presence},
    socket::{Handover, Peer},
    traffic::{Refusal, Traffic},
};

/// Bytes that a client sends unasked before anything else: HTTP/2's preface, and the header of its settings.
const GREETING: usize = 24 + 9;
/// Bytes that are read of a client that was refused, at most, while it reads why.
const FAREWELL: u64 = 64 * 1024;
/// How long to wait where the system refuses to accept.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections admitted and not yet taken over by the service.
const QUEUE: usize = 16;

/// A connection that was let in.
#[derive(Debug)]
pub struct Guarded<C> {
    io: Either<C, TlsStream<C>>,
    visit: Visit,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    greeting: Option<Greeting>,
    idleness: Option<Idleness>,
    /// Since when it takes no more bytes.
    blocked: Option<Instant>,
    traffic: Traffic,
    _place: Place,
}

/// Who comes, and what can be given to it.
#[derive(Clone, Debug)]
pub struct Arrival {
    guest: Guest,
    handover: Option<Handover>,
}

impl From<Peer> for Arrival {
    fn from(peer: Peer) -> Self {
        Self {
            handover: match &peer {
                Peer::Unix { handover, .. } => Some(handover.clone()),
                Peer::Tcp(_) | Peer::Unknown => None,
            },
            guest: peer.into(),
        }
    }
}

/// What requests know of the connection that they came by.
#[derive(Clone, Debug)]
pub struct Visit {
    guest: Guest,
    handover: Option<Handover>,
    leash: CancellationToken,
    blocked_ns: Arc<AtomicU64>,
    presence: Presence,
}

impl Visit {
    /// A request has come; it ends with the result.
    pub(super) fn enter(&self) -> Busy {
        self.presence.enter()
    }

    /// Who is at the other end.
    pub(super) fn guest(&self) -> Guest {
        self.guest.clone()
    }

    /// By which the process at the other end can get a file, where it is on this machine.
    pub(super) fn handover(&self) -> Option<&Handover> {
        self.handover.as_ref()
    }

    /// How long the connection could take no more bytes so far, in nanoseconds.
    pub(super) fn blocked_ns(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.blocked_ns)
    }

    /// Cuts the connection when it is cancelled.
    pub(super) fn leash(&self) -> CancellationToken {
        self.leash.clone()
    }
}

/// How long a connection may be there for nothing.
#[derive(Debug)]
struct Idleness {
    limit: Duration,
    /// When to look again.
    look: Pin<Box<Sleep>>,
}

/// What a new connection still has to say, and by when.
#[derive(Debug)]
struct Greeting {
    missing: usize,
    deadline: Pin<Box<Sleep>>,
}

/// Those of the `incoming` connections that may come in. Must be called within a runtime; `incoming` is dropped with the result.
pub fn door<C>(
    incoming: impl Stream<Item = io::Result<C>> + Send + 'static,
    config: &ServiceConfig,
) -> ReceiverStream<io::Result<Guarded<C>>>
where
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    C::ConnectInfo: Into<Arrival>,
{
    let (admitted, connections) = mpsc::channel(QUEUE);
    let door = Door {
        tls: config.access.tls.clone(),
        patience: config.greeting_timeout,
        idle_limit: config.idle_timeout,
        places: Places::new(config.connections),
        share: config.connections.div_ceil(4),
        traffic: config.traffic.clone(),
        admitted,
    };
    door.traffic.count_connections(door.places.clone());
    tokio::spawn(Arc::new(door).watch(incoming));
    ReceiverStream::new(connections)
}

struct Door<C> {
    tls: Option<Tls>,
    patience: Duration,
    idle_limit: Option<Duration>,
    places: Places,
    /// Connections of one address.
    share: usize,
    traffic: Traffic,
    admitted: mpsc::Sender<io::Result<Guarded<C>>>,
}

impl<C> Door<C>
where
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    C::ConnectInfo: Into<Arrival>,
{
    async fn watch(self: Arc<Self>, incoming: impl Stream<Item = io::Result<C>> + Send) {
        let mut incoming = pin!(incoming);
        loop {
            let accepted = tokio::select! {
                accepted = incoming.next() => accepted,
                () = self.admitted.closed() => return,
            };
            match accepted {
                None => return,
                Some(Ok(stream)) => {
                    let Arrival { guest, handover } = stream.connect_info().into();
                    match self.places.take(guest.clone(), self.share) {
                        // As many tasks as there are places.
                        Ok(place) => {
                            self.traffic.connected();
                            drop(tokio::spawn(Arc::clone(&self).admit(stream, handover, place)));
                        }
                        Err(full) => self
                            .traffic
                            .refused(Refusal::Connections, &guest, &full.to_string()),
                    }
                }
                Some(Err(error)) => {
                    tracing::warn!(error = %error, "cannot accept a connection");
                    time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn admit(self: Arc<Self>, stream: C, handover: Option<Handover>, place: Place) {
        let guest = place.guest().clone();
        match time::timeout(self.patience, self.secure(stream, &guest)).await {
            Ok(Ok(io)) => {
                let leash = CancellationToken::new();
                let guarded = Guarded {
                    io,
                    cut: Box::pin(leash.clone().cancelled_owned()),
                    visit: Visit {
                        guest,
                        handover,
                        leash,
                        blocked_ns: Arc::default(),
                        presence: Presence::new(),
                    },
                    idleness: self.idle_limit.map(|limit| Idleness {
                        limit,
                        look: Box::pin(time::sleep(limit)),
                    }),
                    blocked: None,
                    traffic: self.traffic.clone(),
                    greeting: Some(Greeting {
                        missing: GREETING,
                        deadline: Box::pin(time::sleep(self.patience)),
                    }),
                    _place: place,
                };
                // Where nobody listens any more, the server is stopping.
                let _stopping = self.admitted.send(Ok(guarded)).await;
            }
            Ok(Err(error)) => self
                .traffic
                .refused(Refusal::Handshake, &guest, &handshake(&error)),
            Err(_elapsed) => self
                .traffic
                .refused(Refusal::Silence, &guest, "no handshake in time"),
        }
    }

    /// What stays within this machine needs no encryption.
    async fn secure(&self, stream: C, guest: &Guest) -> io::Result<Either<C, TlsStream<C>>> {
        match &self.tls {
            Some(tls) if *guest != Guest::Local => {
                match tls.with(TlsAcceptor::clone).accept(stream).into_fallible().await {
                    Ok(stream) => Ok(Either::Right(stream)),
                    Err((error, stream)) => {
                        say_farewell(stream).await;
                        Err(error)
                    }
                }
            }
            _ => Ok(Either::Left(stream)),
        }
    }
}

/// What was wrong with a handshake. Most often a client that does not speak TLS.
fn handshake(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|error| error.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidMessage(_)) => "the client does not speak TLS".to_owned(),
        _ => error.to_string(),
    }
}

/// Closes a connection whose handshake failed so that its client can read why.
///
/// A client of TLS 1.3 sends its first request along with its certificate. Where a socket is closed with bytes unread, the system resets the
/// connection, and the alert that said what was wrong is lost on the way.
async fn say_farewell<C: AsyncRead + AsyncWrite + Unpin>(mut stream: C) {
    if stream.shutdown().await.is_ok() {
        let mut rest = stream.take(FAREWELL);
        let _already_gone = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
    }
}

impl<C> Guarded<C> {
    /// Counts the time during which the connection takes no bytes.
    fn note(&mut self, is_blocked: bool) {
        match (is_blocked, self.blocked) {
            (true, None) => self.blocked = Some(Instant::now()),
            (false, Some(since)) => {
                let time = since.elapsed().as_nanos() as u64;
                self.visit.blocked_ns.fetch_add(time, Ordering::Relaxed);
                self.blocked = None;
            }
            _ => {}
        }
    }
}

impl Idleness {
    /// Says whether it has lasted too long; where not, looks again when it may.
    fn is_over(&mut self, presence: &Presence, context: &mut Context<'_>) -> bool {
        while self.look.as_mut().poll(context).is_ready() {
            let left = self.limit.saturating_sub(presence.idle());
            if left.is_zero() {
                return true;
            }
            self.look.as_mut().reset(time::Instant::now() + left);
        }
        false
    }
}

impl<C> Connected for Guarded<C> {
    type ConnectInfo = Visit;

    fn connect_info(&self) -> Visit {
        self.visit.clone()
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(context, buffer);
        if polled.is_pending() && this.cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if let Some(idleness) = &mut this.idleness
            && polled.is_pending()
            && idleness.is_over(&this.visit.presence, context)
        {
            tracing::debug!(client = %this.visit.guest, "connection without requests closed");
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if let Some(greeting) = &mut this.greeting {
            greeting.missing = greeting.missing.saturating_sub(buffer.filled().len() - before);
            if greeting.missing == 0 {
                this.greeting = None;
            } else if polled.is_pending() && greeting.deadline.as_mut().poll(context).is_ready() {
                let guest = &this.visit.guest;
                this.traffic.refused(Refusal::Silence, guest, "no HTTP/2 in time");
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        polled
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(context, bytes);
        self.note(polled.is_pending());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(context, pieces);
        self.note(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
