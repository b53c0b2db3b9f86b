//! The stream of responses to one request.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
};

use equibatch_proto::v1::{StreamBatchesResponse, stream_batches_response::Message};
use tokio_stream::Stream;
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFutureOwned},
    task::task_tracker::TaskTrackerToken,
};
use tonic::Status;
use tracing::{Span, field::Empty};

use super::{
    access::{Grant, Permit},
    convert,
    leases::Leases,
    status::{status, stopping, token_revoked},
};
use crate::telemetry::attribute;
use equibatch_engine::pipeline::{self, Batch, BatchStream, Description};

/// The description, then the batches. When the server shuts down or the client's token is revoked, the stream ends with a status after the
/// current batch.
#[derive(Debug)]
pub struct ResponseStream {
    /// `None` after the end.
    stream: Option<BatchStream>,
    /// The leases of a shared-memory stream. Dropped after the stream, so that no tensor that the reader may still be reading is written
    /// to.
    leases: Option<Leases>,
    is_described: bool,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    revoked: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Adds the client to the log lines of the stream.
    span: Span,
    /// Span of the batch that the reader waits for.
    batch: Option<Span>,
    _open: (TaskTrackerToken, Permit),
}

impl ResponseStream {
    /// Streams until `stopping` or the grant's revocation; with `leases`, tensors are leased from shared memory.
    pub(super) fn new(
        stream: BatchStream,
        leases: Option<Leases>,
        stopping: &CancellationToken,
        grant: &Grant,
        open: (TaskTrackerToken, Permit),
    ) -> Self {
        let span = tracing::info_span!("stream", client = %open.1.client());
        describe(&span, stream.description());
        let until = |token: &CancellationToken| Box::pin(token.clone().cancelled_owned());
        Self {
            stream: Some(stream),
            leases,
            is_described: false,
            stopping: until(stopping),
            revoked: until(&grant.revoked),
            span,
            batch: None,
            _open: open,
        }
    }
}

impl ResponseStream {
    /// Frees the batches prepared ahead; the stream yields nothing more.
    pub(super) fn stop(&mut self) {
        let _named = self.span.enter();
        self.stream = None;
        self.leases = None;
    }

    /// Returns whether the reader holds all leases.
    pub(super) fn is_exhausted(&self) -> bool {
        self.leases.as_ref().is_some_and(Leases::is_exhausted)
    }
}

impl Drop for ResponseStream {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Stream for ResponseStream {
    type Item = Result<StreamBatchesResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let _named = this.span.enter();
        let Some(stream) = &mut this.stream else {
            return Poll::Ready(None);
        };
        if !this.is_described {
            this.is_described = true;
            let mut description = convert::description(stream.description());
            description.memory = this.leases.as_ref().map(Leases::memory);
            return Poll::Ready(Some(Ok(response(Message::Description(description)))));
        }
        if this.stopping.as_mut().poll(context).is_ready() {
            this.stream = None;
            return Poll::Ready(Some(Err(stopping())));
        }
        if this.revoked.as_mut().poll(context).is_ready() {
            this.stream = None;
            return Poll::Ready(Some(Err(token_revoked())));
        }
        if let Some(leases) = &mut this.leases {
            if let Err(status) = leases.poll_releases(context) {
                this.stream = None;
                return Poll::Ready(Some(Err(status)));
            }
            if leases.is_exhausted() {
                return Poll::Pending;
            }
        }
        let polled = stream.poll_next(context);
        if !matches!(polled, Poll::Ready(None)) {
            trace(&mut this.batch, &polled);
        }
        let answer = match ready!(polled) {
            Some(Ok(batch)) => {
                let offset = batch.offset;
                let mut batch = convert::batch(batch, stream.description());
                if let Some(leases) = &mut this.leases {
                    leases.lend(&mut batch, offset);
                }
                Some(Ok(response(Message::Batch(batch))))
            }
            Some(Err(error)) => {
                let status = status(&error);
                // The message includes the error's sources.
                tracing::warn!(error = status.message(), "stream failed");
                Some(Err(status))
            }
            None => None,
        };
        if !matches!(answer, Some(Ok(_))) {
            this.stream = None;
        }
        Poll::Ready(answer)
    }
}

/// Adds the request's attributes to the trace: together with a batch's epoch and step, all that is in its position token.
fn describe(span: &Span, description: &Description) {
    let spec = &description.spec;
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    attribute(span, "stream", description.id.to_string());
    attribute(span, "dataset", spec.dataset.clone());
    attribute(span, "split", spec.split.name());
    attribute(
        span,
        "fingerprint",
        description.served.dataset().fingerprint.to_string(),
    );
    attribute(span, "spec_hash", format!("{:?}", description.spec_hash));
    // Seeds use all 64 bits; numeric attributes are signed.
    attribute(span, "seed", spec.seed.to_string());
    attribute(span, "world", i64::from(spec.shard.world));
    attribute(span, "rank", i64::from(spec.shard.rank));
    attribute(span, "start.epoch", number(spec.start.position.epoch));
    attribute(span, "start.step", number(spec.start.position.step));
    attribute(span, "epochs", i64::from(spec.epochs));
}

/// Each batch is a span of the stream's trace, from the demand for it to its delivery.
fn trace(span: &mut Option<Span>, polled: &Poll<Option<Result<Batch, pipeline::Error>>>) {
    let begin = || tracing::debug_span!("batch", epoch = Empty, step = Empty, images = Empty);
    let begun = span.get_or_insert_with(begin);
    if let Poll::Ready(Some(Ok(batch))) = polled {
        begun.record("epoch", batch.position.epoch);
        begun.record("step", batch.position.step);
        begun.record("images", batch.labels.len());
    }
    if polled.is_ready() {
        *span = None;
    }
}

fn response(message: Message) -> StreamBatchesResponse {
    StreamBatchesResponse {
        message: Some(message),
    }
}
