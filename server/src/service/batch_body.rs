//! The body of a stream's response, sent without copying its tensors.
//!
//! On the wire this is plain gRPC. Unlike the generated code, it does not assemble each message in one buffer: the fields before the tensor
//! and the tensor itself, which is the last field of a batch for this reason, are separate data frames, and the frames of the tensor are
//! slices of the batch's own buffer.
//!
//! HTTP/2 polls the body for the next frame when flow control allows. So this is where a stalled reader is detected: one that reads
//! nothing, or one that reads from shared memory and releases nothing.

use std::{
    convert::Infallible,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{BufMut as _, Bytes, BytesMut};
use equibatch_proto::v1::{Batch, StreamBatchesResponse, stream_batches_response::Message as Kind};
use http::HeaderMap;
use http_body::{Body, Frame};
use prost::{Message as _, encode_length_delimiter, length_delimiter_len};
use tokio::{task::AbortHandle, time::Instant};
use tokio_stream::Stream as _;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::{response_stream::ResponseStream, status::reader_stalled};

/// Key of `StreamBatchesResponse.batch`: field 2, length-delimited.
const BATCH_KEY: u8 = (2 << 3) | 2;
/// Key of `Batch.tensor`: field 15, length-delimited.
const TENSOR_KEY: u8 = (15 << 3) | 2;
/// Length of the gRPC message prefix: the compression flag and the message length.
const PREFIX: usize = 5;

/// Largest data frame of a tensor, in bytes: the granularity at which progress of the reader is seen. HTTP/2 frames are smaller.
const CHUNK_BYTES: usize = 1 << 20;

/// The HTTP body of a stream's response.
#[derive(Debug)]
pub(super) struct BatchBody {
    state: Arc<Mutex<SendState>>,
    watchdog: Option<AbortHandle>,
}

/// The state of sending, shared with the watchdog.
#[derive(Debug)]
struct SendState {
    /// `None` once the trailers are sent.
    responses: Option<ResponseStream>,
    /// The unsent part of the current message's tensor.
    tensor: Bytes,
    /// When the last frame was handed over, until the next one is polled.
    sent_at: Option<Instant>,
    /// The task that polled while the reader held all leases.
    waker: Option<Waker>,
    /// Set when the reader has stalled for too long: sent next, as the trailers.
    abort_status: Option<Status>,
}

impl BatchBody {
    /// Sends `responses`. Must be called within a runtime.
    ///
    /// If the reader takes nothing for `read_timeout`, its stream is aborted: the batches prepared ahead are freed, and a status is sent
    /// next. If the reader does not read that either, `close_token` closes its connection.
    pub(super) fn new(
        responses: ResponseStream,
        read_timeout: Option<Duration>,
        close_token: Option<CancellationToken>,
    ) -> Self {
        let state = Arc::new(Mutex::new(SendState {
            responses: Some(responses),
            tensor: Bytes::new(),
            sent_at: None,
            waker: None,
            abort_status: None,
        }));
        let watchdog = read_timeout.map(|read_timeout| {
            tokio::spawn(watch_for_stall(Arc::downgrade(&state), read_timeout, close_token)).abort_handle()
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
        let polled = state.poll_frame(context);
        if polled.is_pending() {
            // While the reader holds all leases it is waited for, although its connection accepts more.
            state.sent_at = since.filter(|_| state.waits_for_reader());
            state.waker = state.sent_at.map(|_| context.waker().clone());
            return Poll::Pending;
        }
        let frame = ready!(polled);
        state.sent_at = frame.is_some().then(Instant::now);
        Poll::Ready(frame.map(Ok))
    }
}

impl SendState {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        if let Some(status) = self.abort_status.take() {
            self.responses = None;
            return Poll::Ready(Some(trailers(&status)));
        }
        if !self.tensor.is_empty() {
            let length = self.tensor.len().min(CHUNK_BYTES);
            return Poll::Ready(Some(Frame::data(self.tensor.split_to(length))));
        }
        let Some(responses) = &mut self.responses else {
            return Poll::Ready(None);
        };
        let end = match ready!(Pin::new(responses).poll_next(context)) {
            Some(Ok(response)) => {
                let (head, tensor) = split_message(response);
                self.tensor = tensor.unwrap_or_default();
                return Poll::Ready(Some(Frame::data(head)));
            }
            Some(Err(status)) => status,
            None => Status::new(Code::Ok, ""),
        };
        self.responses = None;
        Poll::Ready(Some(trailers(&end)))
    }

    fn waits_for_reader(&self) -> bool {
        self.responses.as_ref().is_some_and(ResponseStream::is_exhausted)
    }

    /// Frees the batches prepared ahead. A partly sent message stays incomplete; the status gives the reason.
    fn abort(&mut self, read_timeout: Duration) {
        self.abort_status = Some(reader_stalled(read_timeout));
        self.tensor = Bytes::new();
        if let Some(responses) = &mut self.responses {
            responses.stop();
        }
        self.waker.take().into_iter().for_each(Waker::wake);
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
        } else if state.abort_status.is_none() {
            tracing::warn!(
                patience_s = read_timeout.as_secs(),
                "reader stalled: stream ended"
            );
            state.abort(read_timeout);
            until = now + read_timeout;
        } else {
            tracing::warn!("reader does not read the stream's status either: connection closed");
            close_token.iter().for_each(CancellationToken::cancel);
            return;
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

/// The encoded message with its prefix, up to the tensor's bytes; and the tensor, if there is one.
fn split_message(mut response: StreamBatchesResponse) -> (Bytes, Option<Bytes>) {
    if let Some(Kind::Batch(batch)) = &mut response.message
        && !batch.tensor.is_empty()
    {
        let tensor = mem::take(&mut batch.tensor);
        return (batch_head(batch, tensor.len()), Some(tensor));
    }
    let length = response.encoded_len();
    let mut head = prefixed(length, length);
    response.encode(&mut head).expect("the buffer grows");
    (head.freeze(), None)
}

/// The encoded message of `batch` up to the bytes of a tensor of length `tensor`.
fn batch_head(batch: &Batch, tensor: usize) -> Bytes {
    let rest = batch.encoded_len();
    let inner = rest + 1 + length_delimiter_len(tensor) + tensor;
    let length = 1 + length_delimiter_len(inner) + inner;
    let mut head = prefixed(length, length - tensor);
    head.put_u8(BATCH_KEY);
    encode_length_delimiter(inner, &mut head).expect("the buffer grows");
    batch.encode(&mut head).expect("the buffer grows");
    head.put_u8(TENSOR_KEY);
    encode_length_delimiter(tensor, &mut head).expect("the buffer grows");
    head.freeze()
}

/// A buffer of `capacity` bytes that begins with the prefix of an uncompressed message of `length` bytes.
fn prefixed(length: usize, capacity: usize) -> BytesMut {
    let mut buffer = BytesMut::with_capacity(PREFIX + capacity);
    buffer.put_u8(0);
    buffer.put_u32(u32::try_from(length).expect("the limit on a batch's bytes leaves room for 32 bits"));
    buffer
}

#[cfg(test)]
mod tests {
    use equibatch_proto::v1::{PositionToken, Replacement, StreamDescription};

    use super::*;

    fn assert_as_generated(message: Kind) {
        let response = StreamBatchesResponse {
            message: Some(message),
        };
        let encoded = response.encode_to_vec();
        let (head, tensor) = split_message(response);
        let whole = [&head[..], tensor.as_deref().unwrap_or_default()].concat();
        assert_eq!(whole[0], 0, "not compressed");
        assert_eq!(whole[1..5], (encoded.len() as u32).to_be_bytes());
        assert_eq!(whole[5..], encoded);
    }

    #[test]
    fn the_encoding_equals_that_of_the_generated_code() {
        assert_as_generated(Kind::Description(StreamDescription {
            epochs: 3,
            ..StreamDescription::default()
        }));
        for tensor in [0, 1, 127, 128, 70_000] {
            assert_as_generated(Kind::Batch(Batch {
                epoch: 300,
                step: 7,
                next: Some(PositionToken {
                    seed: u64::MAX,
                    ..PositionToken::default()
                }),
                labels: (0..200).collect(),
                sample_ids: (1000..1200).collect(),
                replacements: vec![Replacement {
                    slot: 1,
                    broken_sample_id: 2,
                }],
                mixed_labels: (3..203).collect(),
                mixed_weights: vec![0.25; 200],
                tensor: vec![9; tensor].into(),
                ..Batch::default()
            }));
        }
        assert_as_generated(Kind::Batch(Batch::default()));
    }
}
