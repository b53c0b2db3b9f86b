//! Sends a file descriptor to the peer of a Unix socket (`SCM_RIGHTS`).

use std::{
    fmt,
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use rustix::{
    cmsg_space,
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};
use tokio::{io::Interest, net::UnixStream};

/// Sends a file descriptor with the next bytes of a connection; once per connection, so that its meaning is unambiguous.
#[derive(Clone, Default)]
pub struct FdSender(Arc<Mutex<FdState>>);

#[derive(Default)]
enum FdState {
    #[default]
    Unused,
    Waiting(OwnedFd),
    Sent,
}

/// The connection has already carried a file descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlreadySent;

impl fmt::Debug for FdSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FdSender").finish_non_exhaustive()
    }
}

impl FdSender {
    /// Sends `file` with the next write.
    ///
    /// # Errors
    ///
    /// If one was sent before.
    pub fn send(&self, file: OwnedFd) -> Result<(), AlreadySent> {
        let mut state = self.lock();
        if !matches!(*state, FdState::Unused) {
            return Err(AlreadySent);
        }
        *state = FdState::Waiting(file);
        Ok(())
    }

    /// Writes `pieces` together with the file descriptor; `None` if none is to be sent.
    pub fn poll_write(
        &self,
        stream: &UnixStream,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Option<Poll<io::Result<usize>>> {
        let mut state = self.lock();
        let FdState::Waiting(file) = &*state else {
            return None;
        };
        // Ancillary data needs at least one byte of payload.
        if pieces.iter().all(|piece| piece.is_empty()) {
            return None;
        }
        let polled = poll_send(stream, context, pieces, file);
        if matches!(polled, Poll::Ready(Ok(_))) {
            *state = FdState::Sent;
        }
        Some(polled)
    }

    fn lock(&self) -> MutexGuard<'_, FdState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn poll_send(
    stream: &UnixStream,
    context: &mut Context<'_>,
    pieces: &[IoSlice<'_>],
    file: &OwnedFd,
) -> Poll<io::Result<usize>> {
    let send = || {
        let files = [file.as_fd()];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&files));
        Ok(sendmsg(stream, pieces, &mut control, SendFlags::NOSIGNAL)?)
    };
    loop {
        ready!(stream.poll_write_ready(context))?;
        match stream.try_io(Interest::WRITABLE, send) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            sent => return Poll::Ready(sent),
        }
    }
}
