//! Files that go to the process at the other end of a connection.

use std::{
    fmt,
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    task::{Context, Poll, ready},
};

use rustix::{
    cmsg_space,
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};
use tokio::{io::Interest, net::UnixStream};

/// A file that goes with the next bytes of a connection: one in the life of a connection, so that there is no doubt what it is.
#[derive(Clone, Default)]
pub struct FdSender(Arc<Mutex<FdState>>);

#[derive(Default)]
enum FdState {
    #[default]
    Unused,
    Waiting(OwnedFd),
    Sent,
}

/// The connection has carried a file already.
#[derive(Debug)]
pub struct AlreadySent;

impl fmt::Debug for FdSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handover").finish_non_exhaustive()
    }
}

impl FdSender {
    /// Sends `file` along.
    ///
    /// # Errors
    ///
    /// Where one was sent before.
    pub(in crate::service) fn send(&self, file: OwnedFd) -> Result<(), AlreadySent> {
        let mut state = self.lock();
        if !matches!(*state, FdState::Unused) {
            return Err(AlreadySent);
        }
        *state = FdState::Waiting(file);
        Ok(())
    }

    /// Writes `pieces` to `stream` together with the file, where there is one that waits.
    pub(super) fn poll_write(
        &self,
        stream: &UnixStream,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Option<Poll<io::Result<usize>>> {
        let mut state = self.lock();
        let FdState::Waiting(file) = &*state else {
            return None;
        };
        // A file cannot go without a byte.
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
