//! The receiving end of a measured stream.

use std::time::Duration;

use equibatch_proto::v1::{StreamBatchesRequest, stream_batches_response::Message};
use tonic::transport::{Channel, Endpoint};

use super::Error;
use crate::receive::{FRAME, Messages, Sizes, window};

/// A connection to the server at `address`: `http://HOST:PORT` or `unix:PATH`.
pub(super) async fn connect(address: String) -> Result<Channel, Error> {
    let endpoint = Endpoint::from_shared(address)?
        .initial_stream_window_size(window(Duration::ZERO))
        .initial_connection_window_size(window(Duration::ZERO))
        .max_frame_size(FRAME);
    Ok(endpoint.connect().await?)
}

/// Takes all batches of a stream, and copies their tensors to `input`, as a trainer does; the number of images.
pub(super) async fn drain(
    channel: &Channel,
    request: &StreamBatchesRequest,
    input: &mut [u8],
) -> Result<u64, Error> {
    let sizes = Sizes {
        tensor: input.len(),
        message: input.len() + (1 << 20),
    };
    let mut messages = Messages::open(channel.clone(), request, sizes).await?;
    let mut images = 0;
    while let Some(response) = messages.message().await? {
        if let Some(Message::Batch(batch)) = response.message {
            images += batch.labels.len() as u64;
            input[..batch.tensor.len()].copy_from_slice(&batch.tensor);
        }
    }
    Ok(images)
}
