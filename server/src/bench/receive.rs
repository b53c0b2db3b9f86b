//! The receiving end of a measured stream.

use std::{path::PathBuf, time::Duration};

use equibatch_proto::v1::{Batch, StreamBatchesRequest, stream_batches_response::Message};
use tonic::transport::{Channel, Endpoint};

use super::Error;
use crate::receive::{self, FRAME, Messages, SharedMessages, Sizes, window};

/// Batches that a trainer holds: three that wait, one that is coming, and one in use.
const HELD: u32 = 5;

/// Takes the batches of streams from one server.
#[derive(Debug)]
pub(super) enum Receiver {
    /// Through this connection.
    Sent(Channel),
    /// From the memory of the server that listens on this socket. Each stream has a connection of its own.
    Lent(PathBuf),
}

impl Receiver {
    /// Connects to `http://HOST:PORT` or `unix:PATH`.
    pub(super) async fn connect(address: String) -> Result<Self, Error> {
        let endpoint = Endpoint::from_shared(address)?
            .initial_stream_window_size(window(Duration::ZERO))
            .initial_connection_window_size(window(Duration::ZERO))
            .max_frame_size(FRAME);
        Ok(Self::Sent(endpoint.connect().await?))
    }

    /// Takes all batches of a stream, and copies their tensors to `input`, as a trainer does; the number of images.
    pub(super) async fn drain(&self, request: StreamBatchesRequest, input: &mut [u8]) -> Result<u64, Error> {
        let sizes = Sizes {
            tensor: input.len(),
            message: input.len() + (1 << 20),
        };
        let mut images = 0;
        let mut take = |batch: &Batch| {
            images += batch.labels.len() as u64;
            input[..batch.tensor.len()].copy_from_slice(&batch.tensor);
        };
        match self {
            Self::Sent(channel) => {
                let mut messages = Messages::open(channel.clone(), &request, sizes).await?;
                while let Some(response) = messages.message().await? {
                    if let Some(Message::Batch(batch)) = response.message {
                        take(&batch);
                    }
                }
            }
            Self::Lent(socket) => {
                let endpoint = Endpoint::from_static("http://localhost");
                let (channel, mailbox) = receive::connect(&endpoint, socket.clone()).await?;
                let mut messages = SharedMessages::open(channel, mailbox, (request, sizes), HELD).await?;
                while let Some(response) = messages.message().await? {
                    if let Some(Message::Batch(batch)) = response.message {
                        take(&batch);
                    }
                }
            }
        }
        Ok(images)
    }
}
