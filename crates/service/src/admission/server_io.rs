//! The I/O object of an admitted connection: applies its timeouts, counts its control frames, and measures its write stalls.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use equibatch_transport::FdSender;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;
use tokio_util::{
    either::Either,
    sync::{CancellationToken, WaitForCancellationFutureOwned},
};
use tonic::transport::server::Connected;

use super::{ConnectionInfo, idle_timeout::IdleTimeout, linger::Linger, preface_timeout::PrefaceTimeout};
use crate::{
    access::{KnownClients, Permit},
    control_frames::ControlFrames,
    in_flight::InFlight,
    request_budget::Budget,
    traffic::{Refusal, Traffic},
};

/// What all connections have in common.
pub(super) struct ConnectionSettings {
    /// Timeout of the TLS handshake, and then of the HTTP/2 preface.
    pub(super) handshake_timeout: Duration,
    /// Longest time without a request; `None`: unlimited.
    pub(super) idle_limit: Option<Duration>,
    /// Longest time without a request while writes are pending.
    pub(super) stall_limit: Duration,
    /// Cancelled when the server stops and has told health watchers so.
    pub(super) closed: CancellationToken,
    /// Clients with a token or a stream.
    pub(super) known_clients: KnownClients,
    pub(super) traffic: Traffic,
}

/// An admitted connection.
#[derive(Debug)]
pub struct ServerIo<C> {
    io: Either<C, TlsStream<C>>,
    info: ConnectionInfo,
    /// Of [`ConnectionInfo::close_token`].
    close_requested: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Cancelled when the server stops and has told health watchers so.
    server_closed: Pin<Box<WaitForCancellationFutureOwned>>,
    /// `None` once the preface is complete.
    preface: Option<PrefaceTimeout>,
    idle: IdleTimeout,
    control: ControlFrames,
    /// While the connection is being closed.
    linger: Option<Linger>,
    /// Since when writes are pending.
    stalled_since: Option<Instant>,
    traffic: Traffic,
    _permit: Permit,
}

impl<C> ServerIo<C> {
    pub(super) fn new(
        settings: &ConnectionSettings,
        io: Either<C, TlsStream<C>>,
        fd_sender: Option<FdSender>,
        permit: Permit,
    ) -> Self {
        let close_token = CancellationToken::new();
        Self {
            io,
            close_requested: Box::pin(close_token.clone().cancelled_owned()),
            server_closed: Box::pin(settings.closed.clone().cancelled_owned()),
            control: ControlFrames::new(Instant::now()),
            linger: None,
            info: ConnectionInfo {
                client: permit.client().clone(),
                fd_sender,
                close_token,
                write_stall_ns: Arc::default(),
                in_flight: InFlight::new(),
                budget: Budget::of_connection(),
                known_clients: settings.known_clients.clone(),
            },
            idle: IdleTimeout::new(settings.idle_limit, settings.stall_limit),
            stalled_since: None,
            traffic: settings.traffic.clone(),
            preface: Some(PrefaceTimeout::new(settings.handshake_timeout)),
            _permit: permit,
        }
    }

    /// Starts or ends the measurement of a write stall.
    fn record_write_stall(&mut self, is_pending: bool) {
        match (is_pending, self.stalled_since) {
            (true, None) => self.stalled_since = Some(Instant::now()),
            (false, Some(since)) => {
                let time = since.elapsed().as_nanos() as u64;
                self.info.write_stall_ns.fetch_add(time, Ordering::Relaxed);
                self.stalled_since = None;
            }
            _ => {}
        }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> ServerIo<C> {
    /// Called while I/O is pending: ready with the reason to close the connection now; otherwise, registers the wake-ups for all timeouts.
    fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let in_flight = &self.info.in_flight;
        if self.close_requested.as_mut().poll(context).is_ready() {
            return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
        }
        if self.server_closed.as_mut().poll(context).is_ready() && in_flight.is_idle() {
            return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
        }
        if self.idle.is_expired(in_flight, self.stalled_since, context) {
            tracing::debug!(client = %self.info.client, "idle connection closed");
            return Poll::Ready(io::ErrorKind::TimedOut.into());
        }
        if let Some(preface) = &mut self.preface
            && preface.poll_expired(context).is_ready()
        {
            let client = &self.info.client;
            self.traffic
                .refused(Refusal::Silence, client, "no HTTP/2 preface in time");
            return Poll::Ready(io::ErrorKind::TimedOut.into());
        }
        Poll::Pending
    }

    /// Accounts for the result of a write of `pieces`; closes the connection if it is pending for too long.
    fn after_write(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.record_write_stall(polled.is_pending());
        if let Poll::Ready(Ok(mut count)) = polled {
            for piece in pieces {
                let taken = count.min(piece.len());
                self.control.record_sent(&piece[..taken]);
                count -= taken;
            }
        }
        if polled.is_pending() {
            return self.poll_close(context).map(Err);
        }
        polled
    }
}

impl<C> Connected for ServerIo<C> {
    type ConnectInfo = ConnectionInfo;

    fn connect_info(&self) -> ConnectionInfo {
        self.info.clone()
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> AsyncRead for ServerIo<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(linger) = &mut this.linger {
            return linger.poll(&mut this.io, context).map(Err);
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(context, buffer);
        if polled.is_pending() {
            return this.poll_close(context).map(Err);
        }
        let received = &buffer.filled()[before..];
        if let Some(preface) = &mut this.preface
            && preface.record_received(received.len())
        {
            this.preface = None;
        }
        if this.control.record_received(received, Instant::now()) {
            let reason = "too many control frames";
            this.traffic.refused(Refusal::Flood, &this.info.client, reason);
            if !this.control.is_at_frame_boundary() {
                // A frame is half sent, because the client does not read: GOAWAY cannot follow.
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            buffer.set_filled(before);
            let linger = this.linger.insert(Linger::new(reason));
            return linger.poll(&mut this.io, context).map(Err);
        }
        polled
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ServerIo<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.linger.is_some() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let polled = Pin::new(&mut self.io).poll_write(context, bytes);
        self.after_write(context, polled, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.linger.is_some() {
            return Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()));
        }
        let polled = Pin::new(&mut self.io).poll_write_vectored(context, pieces);
        self.after_write(context, polled, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_some() {
            return Poll::Ready(Ok(()));
        }
        let polled = Pin::new(&mut self.io).poll_flush(context);
        if polled.is_pending() {
            return self.poll_close(context).map(Err);
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_shutdown(context);
        if polled.is_pending() {
            return self.poll_close(context).map(Err);
        }
        polled
    }
}
