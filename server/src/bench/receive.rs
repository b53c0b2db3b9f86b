//! The receiving end of a measured stream.

use std::{hint::black_box, path::PathBuf, time::Duration};

use equibatch_proto::v1::{Batch, StreamBatchesRequest, stream_batches_response::Message};
use tonic::transport::{Channel, Endpoint};

use super::Error;
use crate::receive::{self, FRAME, Messages, SharedMessages, Sizes, Windows};

/// Batches that a trainer holds: three that wait, one that is coming, and one in use.
const HELD: u32 = 5;

/// Bytes of the smallest page of memory.
const PAGE: usize = 4096;

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
        let windows = Windows::new(Duration::ZERO);
        let endpoint = Endpoint::from_shared(address)?
            .initial_stream_window_size(windows.stream)
            .initial_connection_window_size(windows.connection)
            .max_frame_size(FRAME);
        Ok(Self::Sent(endpoint.connect().await?))
    }

    /// Takes all batches of a stream, of tensors of `bytes` bytes, which end where a program can compute with them: aligned, in one piece,
    /// in memory that every page of is seen. The number of images.
    pub(super) async fn drain(&self, request: StreamBatchesRequest, bytes: usize) -> Result<u64, Error> {
        let sizes = Sizes {
            tensor: bytes,
            message: bytes + (1 << 20),
        };
        let mut images = 0;
        let mut take = |batch: &Batch| {
            images += batch.labels.len() as u64;
            black_box(
                batch
                    .tensor
                    .iter()
                    .step_by(PAGE)
                    .fold(0, |seen, byte| seen ^ byte),
            );
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
