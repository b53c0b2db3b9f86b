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
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    sync::{Semaphore, mpsc},
    task::JoinHandle,
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
    access::{Guest, Place, Places, Regulars, Tls},
    bodies::Budget,
    flood::{self, ControlFrames},
    presence::{Busy, Presence},
    socket::{Handover, Peer},
    traffic::{Refusal, Traffic},
};

/// Bytes that a client sends unasked before anything else: HTTP/2's preface, and the header of its settings.
const GREETING: usize = 24 + 9;
/// Bytes that are read of a client that was refused, at most, while it reads why.
const FAREWELL: u64 = 64 * 1024;
/// Refused clients that are told why at a time.
const FAREWELLS: usize = 16;
/// How long a client has to read why its connection ends.
const PARTING: Duration = Duration::from_secs(1);
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
    /// Cancelled when the server stops and whoever listens has heard of it.
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    greeting: Option<Greeting>,
    idleness: Idleness,
    control: ControlFrames,
    farewell: Option<Farewell>,
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
    budget: Budget,
    regulars: Regulars,
}

impl Visit {
    /// Notes that the client has a token or a stream: it finds a place when strangers do not.
    pub(super) fn welcome(&self) {
        self.regulars.add(&self.guest);
    }

    /// What its incomplete requests may hold.
    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

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
    /// Without a request.
    limit: Option<Duration>,
    /// Without a request, and taking no bytes.
    blocked_limit: Duration,
    /// When to look again.
    look: Pin<Box<Sleep>>,
}

/// What a new connection still has to say, and by when.
#[derive(Debug)]
struct Greeting {
    missing: usize,
    deadline: Pin<Box<Sleep>>,
}

/// Those of the `incoming` connections that may come in, and the task that lets them in, which ends when the connections are dropped or
/// `incoming` ends, and drops that. A moment after `closing` is cancelled, connections without a complete request are closed, also if their
/// clients read nothing or have begun something. Must be called within a runtime.
pub fn door<C>(
    incoming: impl Stream<Item = io::Result<C>> + Send + 'static,
    config: &ServiceConfig,
    closing: CancellationToken,
) -> (ReceiverStream<io::Result<Guarded<C>>>, JoinHandle<()>)
where
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    C::ConnectInfo: Into<Arrival>,
{
    let (admitted, connections) = mpsc::channel(QUEUE);
    let closed = CancellationToken::new();
    let door = Door {
        tls: config.access.tls.clone(),
        patience: config.greeting_timeout,
        idle_limit: config.idle_timeout,
        blocked_limit: config.keepalive_interval + config.keepalive_timeout,
        closed: closed.clone(),
        regulars: Regulars::default(),
        kept: config.connections / 8,
        connections: config.connections,
        refusing: Semaphore::new(FAREWELLS),
        places: Places::new(config.connections),
        share: config.connections.div_ceil(4),
        traffic: config.traffic.clone(),
        admitted,
    };
    door.traffic.count_connections(door.places.clone());
    tokio::spawn(async move {
        closing.cancelled().await;
        time::sleep(PARTING).await;
        closed.cancel();
    });
    let accepting = tokio::spawn(Arc::new(door).watch(incoming));
    (ReceiverStream::new(connections), accepting)
}

struct Door<C> {
    tls: Option<Tls>,
    patience: Duration,
    idle_limit: Option<Duration>,
    blocked_limit: Duration,
    closed: CancellationToken,
    places: Places,
    regulars: Regulars,
    /// Connections in all, and those of them that are kept for regulars.
    connections: usize,
    kept: usize,
    /// Connections that are told at a time why they are refused.
    refusing: Semaphore,
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
                    let kept = if self.regulars.has(&guest) { 0 } else { self.kept };
                    let limit = self.connections - kept;
                    match self.places.take_below(limit, guest.clone(), self.share) {
                        // As many tasks as there are places.
                        Ok(place) => {
                            self.traffic.connected();
                            drop(tokio::spawn(Arc::clone(&self).admit(stream, handover, place)));
                        }
                        Err(full) => {
                            let reason = format!("connections: {full}");
                            self.traffic.refused(Refusal::Connections, &guest, &reason);
                            // Without TLS there is a way to say so.
                            if self.tls.is_none() || guest == Guest::Local {
                                drop(tokio::spawn(Arc::clone(&self).refuse(stream, reason)));
                            }
                        }
                    }
                }
                Some(Err(error)) => {
                    tracing::warn!(error = %error, "cannot accept a connection");
                    time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Tells a client why it is refused, if not too many are told at the moment.
    async fn refuse(self: Arc<Self>, mut stream: C, reason: String) {
        let Ok(_place) = self.refusing.try_acquire() else {
            return;
        };
        let words = [flood::settings(), flood::goaway(&reason)].concat();
        let told = async {
            if stream.write_all(&words).await.is_ok() {
                say_farewell(stream).await;
            }
        };
        let _told_or_gone = time::timeout(PARTING, told).await;
    }

    async fn admit(self: Arc<Self>, stream: C, handover: Option<Handover>, place: Place) {
        let guest = place.guest().clone();
        match time::timeout(self.patience, self.secure(stream, &guest)).await {
            Ok(Ok(io)) => {
                let leash = CancellationToken::new();
                let guarded = Guarded {
                    io,
                    cut: Box::pin(leash.clone().cancelled_owned()),
                    closed: Box::pin(self.closed.clone().cancelled_owned()),
                    control: ControlFrames::new(Instant::now()),
                    farewell: None,
                    visit: Visit {
                        guest,
                        handover,
                        leash,
                        blocked_ns: Arc::default(),
                        presence: Presence::new(),
                        budget: Budget::of_connection(),
                        regulars: self.regulars.clone(),
                    },
                    idleness: Idleness::new(self.idle_limit, self.blocked_limit),
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
            Some(tls) if !guest.is_local() => {
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

impl<C: AsyncRead + AsyncWrite + Unpin> Guarded<C> {
    /// Why the connection, which waits for its client, is to be closed now. Looks again when that may be.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let presence = &self.visit.presence;
        if self.cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
        }
        if self.closed.as_mut().poll(context).is_ready() && presence.is_idle() {
            return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
        }
        if self.idleness.is_over(presence, self.blocked, context) {
            tracing::debug!(client = %self.visit.guest, "connection without requests closed");
            return Poll::Ready(io::ErrorKind::TimedOut.into());
        }
        if let Some(greeting) = &mut self.greeting
            && greeting.deadline.as_mut().poll(context).is_ready()
        {
            let guest = &self.visit.guest;
            self.traffic.refused(Refusal::Silence, guest, "no HTTP/2 in time");
            return Poll::Ready(io::ErrorKind::TimedOut.into());
        }
        Poll::Pending
    }

    /// What became of a write of the first of `pieces`, and whether the connection goes on.
    fn written(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.note(polled.is_pending());
        if let Poll::Ready(Ok(mut count)) = polled {
            for piece in pieces {
                let taken = count.min(piece.len());
                self.control.sent(&piece[..taken]);
                count -= taken;
            }
        }
        if polled.is_pending() {
            return self.poll_end(context).map(Err);
        }
        polled
    }
}

impl Idleness {
    fn new(limit: Option<Duration>, blocked_limit: Duration) -> Self {
        let first = limit.map_or(blocked_limit, |limit| limit.min(blocked_limit));
        Self {
            limit,
            blocked_limit,
            look: Box::pin(time::sleep(first)),
        }
    }

    /// Says whether it has lasted too long; where not, looks again when it may.
    fn is_over(&mut self, presence: &Presence, blocked: Option<Instant>, context: &mut Context<'_>) -> bool {
        while self.look.as_mut().poll(context).is_ready() {
            let idle = presence.idle();
            let left = self
                .limit
                .map_or(self.blocked_limit, |limit| limit.saturating_sub(idle));
            let blocked = blocked.map_or(Duration::ZERO, |since| since.elapsed());
            let left_blocked = self.blocked_limit.saturating_sub(blocked.min(idle));
            if left.is_zero() || left_blocked.is_zero() {
                return true;
            }
            self.look
                .as_mut()
                .reset(time::Instant::now() + left.min(left_blocked));
        }
        false
    }
}

/// The end of a connection that sent too much: its client is told, and what it sends is passed over for a moment, so that it can read that.
#[derive(Debug)]
struct Farewell {
    until: Pin<Box<Sleep>>,
    /// Of [`flood::goaway`], what is not sent yet.
    words: Vec<u8>,
    is_shut: bool,
    /// Bytes that are passed over yet.
    left: u64,
}

impl Farewell {
    fn poll<C: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        io: &mut C,
        context: &mut Context<'_>,
    ) -> Poll<io::Error> {
        let over = || Poll::Ready(io::ErrorKind::ConnectionAborted.into());
        if self.until.as_mut().poll(context).is_ready() {
            return over();
        }
        while !self.words.is_empty() {
            match ready!(Pin::new(&mut *io).poll_write(context, &self.words)) {
                Ok(count @ 1..) => drop(self.words.drain(..count)),
                _ => return over(),
            }
        }
        if !self.is_shut {
            let shut = ready!(Pin::new(&mut *io).poll_shutdown(context));
            self.is_shut = true;
            if shut.is_err() {
                return over();
            }
        }
        let mut space = [0; 4 << 10];
        // What comes then stays where it is, and its sender waits.
        while self.left > 0 {
            let mut rest = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut *io).poll_read(context, &mut rest)) {
                Ok(()) if !rest.filled().is_empty() => {
                    self.left = self.left.saturating_sub(rest.filled().len() as u64);
                }
                _ => return over(),
            }
        }
        Poll::Pending
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
        if let Some(farewell) = &mut this.farewell {
            return farewell.poll(&mut this.io, context).map(Err);
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(context, buffer);
        if polled.is_pending() {
            return this.poll_end(context).map(Err);
        }
        let received = &buffer.filled()[before..];
        if let Some(greeting) = &mut this.greeting {
            greeting.missing = greeting.missing.saturating_sub(received.len());
            if greeting.missing == 0 {
                this.greeting = None;
            }
        }
        if this.control.are_too_many(received, Instant::now()) {
            let reason = "too many control frames";
            this.traffic.refused(Refusal::Flood, &this.visit.guest, reason);
            if !this.control.is_between_frames() {
                // The client does not read either.
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            buffer.set_filled(before);
            let farewell = this.farewell.insert(Farewell {
                until: Box::pin(time::sleep(PARTING)),
                words: flood::goaway(reason),
                is_shut: false,
                left: FAREWELL,
            });
            return farewell.poll(&mut this.io, context).map(Err);
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
        if self.farewell.is_some() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let polled = Pin::new(&mut self.io).poll_write(context, bytes);
        self.written(context, polled, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.farewell.is_some() {
            return Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()));
        }
        let polled = Pin::new(&mut self.io).poll_write_vectored(context, pieces);
        self.written(context, polled, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.farewell.is_some() {
            return Poll::Ready(Ok(()));
        }
        let polled = Pin::new(&mut self.io).poll_flush(context);
        if polled.is_pending() {
            return self.poll_end(context).map(Err);
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_shutdown(context);
        if polled.is_pending() {
            return self.poll_end(context).map(Err);
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;
    use crate::service::socket::Connection;

    /// How a connection ends that is written to and not read from, while there is no request on it.
    async fn end(config: &ServiceConfig, is_stopping: bool) -> io::ErrorKind {
        let (_unread, there) = UnixStream::pair().expect("a pair");
        let connection = Ok(Connection::Unix(there, Handover::default()));
        let incoming = tokio_stream::once(connection).chain(tokio_stream::pending());
        let closing = CancellationToken::new();
        let (mut admitted, _accepting) = door(incoming, config, closing.clone());
        let mut guarded = admitted.next().await.expect("a connection").expect("let in");
        if is_stopping {
            closing.cancel();
        }
        let writing = async {
            loop {
                if let Err(error) = guarded.write_all(&[0; 4096]).await {
                    return error.kind();
                }
            }
        };
        let ended = time::timeout(Duration::from_secs(60), writing).await;
        ended.expect("the connection ends")
    }

    #[tokio::test]
    async fn a_connection_that_takes_nothing_is_closed_while_it_is_written_to() {
        let patient = ServiceConfig {
            greeting_timeout: Duration::from_secs(100_000),
            idle_timeout: None,
            ..ServiceConfig::default()
        };
        let idle = ServiceConfig {
            idle_timeout: Some(Duration::from_millis(50)),
            ..patient.clone()
        };
        let lifeless = ServiceConfig {
            keepalive_interval: Duration::from_millis(50),
            keepalive_timeout: Duration::ZERO,
            ..patient.clone()
        };
        assert_eq!(end(&idle, false).await, io::ErrorKind::TimedOut);
        assert_eq!(end(&lifeless, false).await, io::ErrorKind::TimedOut);
        assert_eq!(end(&patient, true).await, io::ErrorKind::ConnectionAborted);
    }
}
