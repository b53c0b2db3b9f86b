//! Lingering close: a connection is closed so that its client can read why.
//!
//! If a socket is closed with received bytes unread, the system resets the connection, and what was sent last is lost. So the write half is
//! shut down first, and received bytes are discarded for a while.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    time::{self, Sleep},
};

use crate::control_frames;

/// Bytes that are read of a lingering client and discarded, at most.
const LINGER_BYTES: u64 = 64 * 1024;
/// How long a connection lingers.
pub(super) const LINGER_TIME: Duration = Duration::from_secs(1);

/// Closes a connection whose handshake failed, or that was refused. A TLS 1.3 client sends its first request along with its certificate, so
/// bytes are often unread at that point; see the module's documentation.
pub(super) async fn linger<C: AsyncRead + AsyncWrite + Unpin>(mut stream: C) {
    if stream.shutdown().await.is_ok() {
        let mut rest = stream.take(LINGER_BYTES);
        let _already_closed = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
    }
}

/// The lingering close of a connection that HTTP/2 is served on: sends `GOAWAY`, and then discards what the client sends.
#[derive(Debug)]
pub(super) struct Linger {
    deadline: Pin<Box<Sleep>>,
    /// What is still to be sent of the frame.
    unsent: Vec<u8>,
    is_shut: bool,
    /// Bytes that may still be discarded.
    remaining: u64,
}

impl Linger {
    /// Gives `reason` to the client.
    pub(super) fn new(reason: &str) -> Self {
        Self {
            deadline: Box::pin(time::sleep(LINGER_TIME)),
            unsent: control_frames::goaway(reason),
            is_shut: false,
            remaining: LINGER_BYTES,
        }
    }

    /// Ready with the error to end the connection with.
    pub(super) fn poll<C: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        io: &mut C,
        context: &mut Context<'_>,
    ) -> Poll<io::Error> {
        let done = || Poll::Ready(io::ErrorKind::ConnectionAborted.into());
        if self.deadline.as_mut().poll(context).is_ready() {
            return done();
        }
        while !self.unsent.is_empty() {
            match ready!(Pin::new(&mut *io).poll_write(context, &self.unsent)) {
                Ok(count @ 1..) => drop(self.unsent.drain(..count)),
                _ => return done(),
            }
        }
        if !self.is_shut {
            let shut = ready!(Pin::new(&mut *io).poll_shutdown(context));
            self.is_shut = true;
            if shut.is_err() {
                return done();
            }
        }
        let mut space = [0; 4 << 10];
        // When the limit is reached, nothing more is read, and flow control stops the client.
        while self.remaining > 0 {
            let mut discarded = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut *io).poll_read(context, &mut discarded)) {
                Ok(()) if !discarded.filled().is_empty() => {
                    self.remaining = self.remaining.saturating_sub(discarded.filled().len() as u64);
                }
                _ => return done(),
            }
        }
        Poll::Pending
    }
}
