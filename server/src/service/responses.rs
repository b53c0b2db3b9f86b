//! The stream of responses to one request.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
};

use equibatch_proto::v1::{StreamBatchesResponse, stream_batches_response::Message};
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tracing::Span;

use super::{
    access::{Grant, Place},
    convert,
    drain::Guest,
    status::{status, stopping, withdrawn},
};
use crate::pipeline::BatchStream;

/// The description, then the batches. When the server stops or the client's token is withdrawn, the batch in hand is the last one, and the
/// stream ends with a status.
#[derive(Debug)]
pub struct Responses {
    /// `None` when all is said.
    stream: Option<BatchStream>,
    is_described: bool,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    withdrawn: Pin<Box<WaitForCancellationFutureOwned>>,
    /// What is said of the stream names the client.
    span: Span,
    _guest: (Guest, Place),
}

impl Responses {
    /// Responses from `stream`, until `stopping` or until `grant` is withdrawn.
    pub(super) fn new(
        stream: BatchStream,
        stopping: &CancellationToken,
        grant: &Grant,
        guest: (Guest, Place),
    ) -> Self {
        let span = tracing::info_span!("stream", client = %guest.1.guest());
        let until = |token: &CancellationToken| Box::pin(token.clone().cancelled_owned());
        Self {
            stream: Some(stream),
            is_described: false,
            stopping: until(stopping),
            withdrawn: until(&grant.withdrawn),
            span,
            _guest: guest,
        }
    }
}

impl Responses {
    /// Frees the batches that are made ahead. Nothing more comes.
    pub(super) fn stop(&mut self) {
        let _named = self.span.enter();
        self.stream = None;
    }
}

impl Drop for Responses {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Stream for Responses {
    type Item = Result<StreamBatchesResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let _named = this.span.enter();
        let Some(stream) = &mut this.stream else {
            return Poll::Ready(None);
        };
        if !this.is_described {
            this.is_described = true;
            let description = convert::description(stream.description());
            return Poll::Ready(Some(Ok(response(Message::Description(description)))));
        }
        if this.stopping.as_mut().poll(context).is_ready() {
            this.stream = None;
            return Poll::Ready(Some(Err(stopping())));
        }
        if this.withdrawn.as_mut().poll(context).is_ready() {
            this.stream = None;
            return Poll::Ready(Some(Err(withdrawn())));
        }
        let answer = match ready!(stream.poll_next(context)) {
            Some(Ok(batch)) => Some(Ok(response(Message::Batch(convert::batch(
                batch,
                stream.description(),
            ))))),
            Some(Err(error)) => {
                tracing::warn!(error = %error, "stream failed");
                Some(Err(status(&error)))
            }
            None => None,
        };
        if !matches!(answer, Some(Ok(_))) {
            this.stream = None;
        }
        Poll::Ready(answer)
    }
}

fn response(message: Message) -> StreamBatchesResponse {
    StreamBatchesResponse {
        message: Some(message),
    }
}
