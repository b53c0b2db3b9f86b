//! A Unix socket connection that can receive a file descriptor (`SCM_RIGHTS`).

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use hyper_util::rt::TokioIo;
use rustix::{
    cmsg_space,
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::UnixStream,
};
use tonic::transport::{Channel, Endpoint, Error, Uri};

/// Holds the first file descriptor received on a connection.
#[derive(Clone, Debug, Default)]
pub struct FdReceiver(Arc<Mutex<Option<OwnedFd>>>);

impl FdReceiver {
    /// Takes the file descriptor, if it has been received.
    pub(super) fn take(&self) -> Option<OwnedFd> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, file: OwnedFd) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
    }
}

/// Connects to the Unix socket at `path`; if that begins with a NUL character, to an abstract socket, which has a name and no file. An abstract
/// socket has no permissions, so its server must be a process of this user.
///
/// # Errors
///
/// If the socket cannot be connected, or is an abstract one of another user.
pub async fn connect(endpoint: &Endpoint, path: PathBuf) -> Result<(Channel, FdReceiver), Error> {
    let fd_receiver = FdReceiver::default();
    let connector = {
        let fd_receiver = fd_receiver.clone();
        tower::service_fn(move |_: Uri| {
            let (path, fd_receiver) = (path.clone(), fd_receiver.clone());
            async move {
                let stream = UnixStream::connect(&path).await?;
                check_user(&path, &stream)?;
                io::Result::Ok(TokioIo::new(Socket {
                    stream,
                    fd_receiver: Some(fd_receiver),
                }))
            }
        })
    };
    let channel = endpoint.connect_with_connector(connector).await?;
    Ok((channel, fd_receiver))
}

fn check_user(path: &Path, stream: &UnixStream) -> io::Result<()> {
    let is_abstract = path.as_os_str().as_bytes().starts_with(b"\0");
    if is_abstract && stream.peer_cred()?.uid() != rustix::process::geteuid().as_raw() {
        let reason = "the abstract socket belongs to another user";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    }
    Ok(())
}

/// A connection that puts the first file descriptor into an [`FdReceiver`].
#[derive(Debug)]
struct Socket {
    stream: UnixStream,
    /// `None` once a file descriptor was received: the kernel closes any further ones.
    fd_receiver: Option<FdReceiver>,
}

impl Socket {
    /// Reads bytes, and a file descriptor if one comes with them.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let pieces = &mut [IoSliceMut::new(buffer)];
        let received = recvmsg(&self.stream, pieces, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let file = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut files) => files.next(),
            _ => None,
        });
        Ok((received.bytes, file))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(fd_receiver) = &this.fd_receiver else {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        };
        loop {
            ready!(this.stream.poll_read_ready(context))?;
            let unfilled = buffer.initialize_unfilled();
            // A read ends after ancillary data even if more bytes are available. tokio's own read would take the short count for an empty
            // socket, and wait for the next event; here only `EWOULDBLOCK` clears readiness.
            match this.stream.try_io(Interest::READABLE, || this.receive(unfilled)) {
                Ok((count, file)) => {
                    buffer.advance(count);
                    if let Some(file) = file {
                        fd_receiver.put(file);
                        this.fd_receiver = None;
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
