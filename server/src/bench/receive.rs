//! The receiving end of a measured stream.

use equibatch_proto::v1::{
    StreamBatchesRequest, batch_loader_client::BatchLoaderClient, stream_batches_response::Message,
};
use tonic::transport::{Channel, Endpoint};

use super::Error;

/// Bytes on the way, and in one frame: those of this project's client.
const WINDOW: u32 = 16 << 20;
const FRAME: u32 = 256 << 10;

/// A connection to the server at `address`: `http://HOST:PORT` or `unix:PATH`.
pub(super) async fn connect(address: String) -> Result<BatchLoaderClient<Channel>, Error> {
    let channel = Endpoint::from_shared(address)?
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(FRAME)
        .connect()
        .await?;
    Ok(BatchLoaderClient::new(channel).max_decoding_message_size(usize::MAX))
}

/// Takes all batches of a stream and drops them; the number of images.
pub(super) async fn drain(
    client: &mut BatchLoaderClient<Channel>,
    request: StreamBatchesRequest,
) -> Result<u64, Error> {
    let mut stream = client.stream_batches(request).await?.into_inner();
    let mut images = 0;
    while let Some(response) = stream.message().await? {
        if let Some(Message::Batch(batch)) = response.message {
            images += batch.labels.len() as u64;
        }
    }
    Ok(images)
}
