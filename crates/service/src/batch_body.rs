//! The body of a stream's response: the description, then the batches of the engine's stream, without a copy of their tensors.
//!
//! On the wire this is plain gRPC. Unlike the generated code, it does not assemble each message in one buffer: the fields before the tensor
//! and the tensor itself, which is the last field of a batch for this reason, are separate data frames, and the frames of the tensor are
//! slices of the batch's own buffer.
//!
//! HTTP/2 polls the body for the next frame when flow control allows. So this is where a stalled reader is detected: one that reads
//! nothing, or one that reads from shared memory and releases nothing.

use std::{
    convert::Infallible,
    future::Future as _,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use equibatch_engine::pipeline::BatchStream;
use equibatch_proto::v1::{StreamBatchesResponse, stream_batches_response::Message};
use equibatch_transport::{encode, encode_batch_head};
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::{task::AbortHandle, time::Instant};
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFutureOwned},
    task::task_tracker::TaskTrackerToken,
};
use tonic::Status;
use tracing::Span;

use super::{
    access::{Grant, Permit},
    convert,
    leases::Leases,
    status::{reader_stalled, status, stopping, token_revoked},
    stream_span::{record_batch, stream_span},
};

/// Largest data frame of a tensor, in bytes: the granularity at which progress of the reader is seen. HTTP/2 frames are smaller.
const CHUNK_BYTES: usize = 1 << 20;

/// The HTTP body of a stream's response. When the server shuts down or the client's token is revoked, the stream ends with a status after the
/// current batch.
#[derive(Debug)]
pub(super) struct BatchBody {
    state: Arc<Mutex<SendState>>,
    watchdog: Option<AbortHandle>,
}

/// What ends a stream.
#[derive(Debug)]
pub(super) struct Ends<'a> {
    /// Cancelled when the server shuts down.
    pub(super) stopping: &'a CancellationToken,
    /// The permissions of the client, which may be revoked.
    pub(super) grant: &'a Grant,
    /// If the reader takes nothing for this long, its stream is aborted: the batches prepared ahead are freed, and a status is sent next.
    pub(super) read_timeout: Option<Duration>,
    /// Closes the connection of a reader that does not read that status either.
    pub(super) close_token: Option<CancellationToken>,
}

/// The state of sending, shared with the watchdog.
#[derive(Debug)]
struct SendState {
    next: Next,
    /// The unsent part of the current message's tensor.
    tensor: Bytes,
    /// When the last frame was handed over, until the next one is polled.
    sent_at: Option<Instant>,
    /// The task that polled while the reader held all leases.
    waker: Option<Waker>,
    /// Adds the client to the log lines of the stream.
    span: Span,
    /// Counts the stream as open until the trailers are sent.
    open: Option<(TaskTrackerToken, Permit)>,
}

/// What is sent after the current message.
#[derive(Debug)]
enum Next {
    Message(Box<Messages>),
    /// The reader stalled: the trailers.
    Abort(Status),
    Nothing,
}

/// The messages of a stream.
#[derive(Debug)]
struct Messages {
    stream: BatchStream,
    /// The leases of a shared-memory stream. Dropped after the stream, so that no tensor that the reader may still be reading is written to.
    leases: Option<Leases>,
    is_described: bool,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    revoked: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Span of the batch that the reader waits for.
    batch: Option<Span>,
}

impl BatchBody {
    /// Sends the batches of `stream`; with `leases`, tensors are leased from shared memory. Must be called within a runtime.
    pub(super) fn new(
        stream: BatchStream,
        leases: Option<Leases>,
        ends: Ends<'_>,
        open: (TaskTrackerToken, Permit),
    ) -> Self {
        let until = |token: &CancellationToken| Box::pin(token.clone().cancelled_owned());
        let state = Arc::new(Mutex::new(SendState {
            span: stream_span(open.1.client(), stream.description()),
            next: Next::Message(Box::new(Messages {
                stream,
                leases,
                is_described: false,
                stopping: until(ends.stopping),
                revoked: until(&ends.grant.revoked),
                batch: None,
            })),
            tensor: Bytes::new(),
            sent_at: None,
            waker: None,
            open: Some(open),
        }));
        let watchdog = ends.read_timeout.map(|read_timeout| {
            let watching = watch_for_stall(Arc::downgrade(&state), read_timeout, ends.close_token);
            tokio::spawn(watching).abort_handle()
        });
        Self { state, watchdog }
    }
}

impl Drop for BatchBody {
    fn drop(&mut self) {
        self.watchdog.iter().for_each(AbortHandle::abort);
    }
}

impl Body for BatchBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut state = lock(&self.state);
        let since = state.sent_at.take();
        let Poll::Ready(frame) = state.next_frame(context) else {
            // While the reader holds all leases it is waited for, although its connection accepts more.
            state.sent_at = since.filter(|_| state.waits_for_reader());
            state.waker = state.sent_at.map(|_| context.waker().clone());
            return Poll::Pending;
        };
        state.sent_at = frame.is_some().then(Instant::now);
        Poll::Ready(frame.map(Ok))
    }
}

impl SendState {
    fn next_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        if !self.tensor.is_empty() {
            let length = self.tensor.len().min(CHUNK_BYTES);
            return Poll::Ready(Some(Frame::data(self.tensor.split_to(length))));
        }
        let named = self.span.enter();
        let status = match &mut self.next {
            Next::Message(messages) => match ready!(messages.next(context)) {
                Ok((head, tensor)) => {
                    self.tensor = tensor;
                    return Poll::Ready(Some(Frame::data(head)));
                }
                Err(status) => status,
            },
            Next::Abort(status) => status.clone(),
            Next::Nothing => return Poll::Ready(None),
        };
        self.next = Next::Nothing;
        drop(named);
        // The span ends first: once no stream is open, a server that stops sends its last spans and exits.
        self.span = Span::none();
        self.open = None;
        Poll::Ready(Some(trailers(&status)))
    }

    fn waits_for_reader(&self) -> bool {
        let Next::Message(messages) = &self.next else {
            return false;
        };
        messages.leases.as_ref().is_some_and(Leases::is_exhausted)
    }

    /// Frees the batches prepared ahead. A partly sent message stays incomplete; the status gives the reason.
    fn abort(&mut self, read_timeout: Duration) {
        let _named = self.span.enter();
        self.next = Next::Abort(reader_stalled(read_timeout));
        self.tensor = Bytes::new();
        self.waker.take().into_iter().for_each(Waker::wake);
    }
}

impl Drop for SendState {
    fn drop(&mut self) {
        let _named = self.span.enter();
        self.next = Next::Nothing;
    }
}

impl Messages {
    /// The next message up to its tensor, and the tensor; the status of the stream at its end.
    fn next(&mut self, context: &mut Context<'_>) -> Poll<Result<(Bytes, Bytes), Status>> {
        let description = self.stream.description();
        if !self.is_described {
            self.is_described = true;
            let memory = self.leases.as_ref().map(Leases::memory);
            let described = Message::Description(convert::description(description, memory));
            let message = Some(described);
            return Poll::Ready(Ok((encode(&StreamBatchesResponse { message }), Bytes::new())));
        }
        if self.stopping.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(stopping()));
        }
        if self.revoked.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(token_revoked()));
        }
        if let Some(leases) = &mut self.leases {
            leases.poll_releases(context)?;
            if leases.is_exhausted() {
                return Poll::Pending;
            }
        }
        let polled = self.stream.poll_next(context);
        record_batch(&mut self.batch, &polled);
        Poll::Ready(match ready!(polled) {
            Some(Ok(mut batch)) => {
                let (mut tensor, offset) = (mem::take(&mut batch.tensor), batch.offset);
                let mut fields = convert::batch_fields(batch, self.stream.description());
                if let Some(leases) = &mut self.leases {
                    fields.in_memory = Some(leases.lend(mem::take(&mut tensor), offset));
                }
                Ok((encode_batch_head(&fields, tensor.len()), tensor))
            }
            Some(Err(error)) => {
                let status = status(&error);
                // The message includes the error's sources.
                tracing::warn!(error = status.message(), "stream failed");
                Err(status)
            }
            None => Err(Status::ok("")),
        })
    }
}

fn lock(state: &Mutex<SendState>) -> MutexGuard<'_, SendState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Aborts the stream after the reader has taken nothing for `read_timeout`, and closes its connection after another `read_timeout`.
async fn watch_for_stall(
    state: Weak<Mutex<SendState>>,
    read_timeout: Duration,
    close_token: Option<CancellationToken>,
) {
    let mut until = Instant::now() + read_timeout;
    loop {
        tokio::time::sleep_until(until).await;
        let Some(state) = state.upgrade() else { return };
        let mut state = lock(&state);
        let now = Instant::now();
        let idle = state.sent_at.map_or(Duration::ZERO, |sent_at| now - sent_at);
        if idle < read_timeout {
            until = now + read_timeout - idle;
        } else if matches!(state.next, Next::Abort(_)) {
            tracing::warn!("reader does not read the stream's status either: connection closed");
            close_token.iter().for_each(CancellationToken::cancel);
            return;
        } else {
            tracing::warn!(
                patience_s = read_timeout.as_secs(),
                "reader stalled: stream ended"
            );
            state.abort(read_timeout);
            until = now + read_timeout;
        }
    }
}

fn trailers(status: &Status) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    status
        .add_header(&mut trailers)
        .expect("a status of this server has no metadata and an encodable message");
    Frame::trailers(trailers)
}
