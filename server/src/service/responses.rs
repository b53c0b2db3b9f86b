//! The stream of responses to one request.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
};

use equibatch_proto::v1::{StreamBatchesResponse, stream_batches_response::Message};
use tokio_stream::Stream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::Status;

use super::{
    convert,
    drain::Guest,
    status::{status, stopping},
};
use crate::pipeline::BatchStream;

/// The description, then the batches. When the server stops, the batch in hand is the last one, and the stream ends with a status.
#[derive(Debug)]
pub struct Responses {
    /// `None` when all is said.
    stream: Option<BatchStream>,
    is_described: bool,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    _guest: Guest,
}

impl Responses {
    /// Responses from `stream`, until `stopping`.
    pub(super) fn new(stream: BatchStream, stopping: WaitForCancellationFutureOwned, guest: Guest) -> Self {
        Self {
            stream: Some(stream),
            is_described: false,
            stopping: Box::pin(stopping),
            _guest: guest,
        }
    }
}

impl Stream for Responses {
    type Item = Result<StreamBatchesResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
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
