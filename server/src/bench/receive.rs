//! The receiver of a measured stream.

use std::{hint::black_box, path::PathBuf, time::Duration};

use equibatch_proto::v1::{StreamBatchesRequest, StreamBatchesResponse, stream_batches_response::Message};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

use super::{error::Error, meter::Cost, steady_state::SteadyState};
use equibatch_transport as receive;
use equibatch_transport::{
    BatchReceiver, MAX_FRAME_SIZE, SharedBatchReceiver, SizeLimits, with_flow_control,
};

/// Batches that a trainer holds: three queued, one being received, and one in use.
const HELD: u32 = 5;

/// Receives the batches of streams from one server.
#[derive(Debug)]
pub(super) enum Receiver {
    /// Over this connection.
    Sent(Channel),
    /// From shared memory of the server that listens on this socket. Each stream has a connection of its own.
    Shared(PathBuf),
}

impl Receiver {
    /// Connects to `http://HOST:PORT` or `unix:PATH`.
    pub(super) async fn connect(address: String) -> Result<Self, Error> {
        let endpoint = Endpoint::from_shared(address)?.max_frame_size(MAX_FRAME_SIZE);
        let nearby = with_flow_control(endpoint, Duration::ZERO);
        Ok(Self::Sent(nearby.connect().await?))
    }

    /// Receives batches of a stream until enough are measured, and returns their cost. Tensors, of at most `bytes` bytes, are ready to
    /// compute on: aligned and contiguous, and every page of their memory is read once.
    pub(super) async fn drain(
        &self,
        request: StreamBatchesRequest,
        bytes: usize,
        steady_state: SteadyState,
    ) -> Result<Cost, Error> {
        let sizes = SizeLimits {
            tensor: bytes,
            message: bytes + (1 << 20),
        };
        match self {
            Self::Sent(channel) => {
                let mut receiver = BatchReceiver::open(channel.clone(), &request, sizes).await?;
                measured(async || receiver.message().await, steady_state).await
            }
            Self::Shared(socket) => {
                let endpoint = Endpoint::from_static("http://localhost");
                let (channel, fd_receiver) = receive::connect(&endpoint, socket.clone()).await?;
                let mut receiver =
                    SharedBatchReceiver::open(channel, fd_receiver, (request, sizes), HELD).await?;
                measured(async || receiver.message().await, steady_state).await
            }
        }
    }
}

/// Measures the batches that `next` returns.
async fn measured(
    mut next: impl AsyncFnMut() -> Result<Option<StreamBatchesResponse>, Status>,
    mut steady_state: SteadyState,
) -> Result<Cost, Error> {
    let page = rustix::param::page_size();
    while let Some(response) = next().await? {
        if let Some(Message::Batch(batch)) = response.message {
            batch.tensor.iter().step_by(page).for_each(|byte| {
                black_box(byte);
            });
            if let Some(cost) = steady_state.take(batch.labels.len() as u64) {
                return Ok(cost);
            }
        }
    }
    Err(Error::Ended)
}
