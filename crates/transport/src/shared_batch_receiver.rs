//! Receives batches whose tensors stay in shared memory of a server on this machine.

use std::{ops::Range, os::fd::OwnedFd, sync::Arc};

use bytes::Bytes;
use equibatch_proto::v1::{
    Batch, OpenSharedBatches, Release, SharedMemory, StreamBatchesRequest, StreamBatchesResponse,
    StreamSharedBatchesRequest, batch_loader_client::BatchLoaderClient,
    stream_batches_response::Message as Kind, stream_shared_batches_request::Message,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, body::Body, client::GrpcService};

use super::{FdReceiver, SizeLimits, batch_receiver::slot_or_buffer};
use equibatch_engine::memory::{Pool, SharedMapping};

/// Maximum of batches in a server's shared memory. The channel of releases has room for all of them.
const MAX_BATCHES: usize = 128;

/// Receives the responses to one request, in order. Each tensor is leased from the server, and released when the last reference to it is
/// dropped.
///
/// If the caller holds so many leases that the server would have no buffer left for the next batch, further batches are copied, so any
/// number of batches can be kept.
#[derive(Debug)]
pub struct SharedBatchReceiver {
    stream: Streaming<StreamBatchesResponse>,
    fd_receiver: FdReceiver,
    releases: mpsc::Sender<StreamSharedBatchesRequest>,
    /// Mapped when the description arrives.
    region: Option<SharedRegion>,
    copies: Arc<Pool>,
    /// Used for copies, while one is free.
    slots: Option<Arc<Pool>>,
    sizes: SizeLimits,
}

/// The mapped memory of the server.
#[derive(Debug)]
struct SharedRegion {
    window: Arc<SharedMapping>,
    memory: SharedMemory,
}

impl SharedBatchReceiver {
    /// Sends `request` over `service`, whose file descriptors go to `fd_receiver`, and waits for the response headers. The caller will hold
    /// `held` batches at a time.
    ///
    /// # Errors
    ///
    /// The status of the server, or the error of the connection; `UNIMPLEMENTED` if the server does not share memory.
    pub async fn open<S>(
        service: S,
        fd_receiver: FdReceiver,
        (request, sizes): (StreamBatchesRequest, SizeLimits),
        held: u32,
    ) -> Result<Self, Status>
    where
        S: GrpcService<Body>,
        S::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        <S::ResponseBody as http_body::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let (releases, requests) = mpsc::channel(MAX_BATCHES + 1);
        let open = OpenSharedBatches {
            batches: Some(request),
            held,
        };
        let first = releases.try_send(message(Message::Open(open)));
        first.expect("the channel is new and has room");
        let mut client = BatchLoaderClient::new(service);
        let answer = client
            .stream_shared_batches(ReceiverStream::new(requests))
            .await?;
        Ok(Self {
            stream: answer.into_inner(),
            fd_receiver,
            releases,
            region: None,
            copies: Pool::new(sizes.tensor),
            slots: None,
            sizes,
        })
    }

    /// Copies tensors into `slots`, of which each has room for a full batch, while one is free.
    #[must_use]
    pub fn into_slots(self, slots: Option<Arc<Pool>>) -> Self {
        Self { slots, ..self }
    }

    /// Receives the next message; `None` after the last one. Nothing follows an error. Cancel safe.
    ///
    /// # Errors
    ///
    /// The status of the server, or the error of the connection; `UNIMPLEMENTED` if the memory cannot be mapped.
    pub async fn message(&mut self) -> Result<Option<StreamBatchesResponse>, Status> {
        let Some(mut response) = self.stream.message().await? else {
            return Ok(None);
        };
        match &mut response.message {
            Some(Kind::Description(description)) => {
                self.region = Some(region(description.memory, self.fd_receiver.take())?);
            }
            Some(Kind::Batch(batch)) => self.fill(batch)?,
            None => {}
        }
        Ok(Some(response))
    }

    /// Replaces the tensor's location by the tensor.
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Status> {
        let (Some(tensor), Some(region)) = (batch.in_memory.take(), &self.region) else {
            return Err(Status::internal(
                "received a batch without a location in the shared memory",
            ));
        };
        let range = range(tensor.offset, tensor.bytes, region.memory.bytes)
            .filter(|range| range.len() <= self.sizes.tensor)
            .ok_or_else(|| {
                Status::internal("received a tensor that is outside the shared memory, or too large")
            })?;
        if range.is_empty() {
            return Ok(());
        }
        // One reference is held by `self`.
        let lent = Arc::strong_count(&region.window) - 1;
        let lease = Lease {
            window: Arc::clone(&region.window),
            range,
            releases: self.releases.clone(),
        };
        let has_slot = self.slots.as_ref().is_some_and(|slots| slots.has_room());
        batch.tensor = if !has_slot && lent + 1 < region.memory.batches as usize {
            Bytes::from_owner(lease)
        } else {
            let mut copy = slot_or_buffer(self.slots.as_ref(), &self.copies);
            copy[..lease.range.len()].copy_from_slice(lease.as_ref());
            copy.freeze(lease.range.len())
        };
        Ok(())
    }
}

fn message(message: Message) -> StreamSharedBatchesRequest {
    StreamSharedBatchesRequest {
        message: Some(message),
    }
}

/// Maps the server's shared memory.
fn region(memory: Option<SharedMemory>, file: Option<OwnedFd>) -> Result<SharedRegion, Status> {
    let unusable =
        |reason: &str| Status::unimplemented(format!("cannot use the server's shared memory: {reason}"));
    let memory = memory.ok_or_else(|| unusable("the description has none"))?;
    let file = file.ok_or_else(|| unusable("no file descriptor was received on this connection"))?;
    if !(1..=MAX_BATCHES).contains(&(memory.batches as usize)) {
        return Err(unusable("its number of batches is out of range"));
    }
    let bytes = usize::try_from(memory.bytes).map_err(|_| unusable("it is too large"))?;
    let window = SharedMapping::open(&file, bytes).map_err(|error| unusable(&error.to_string()))?;
    Ok(SharedRegion {
        window: Arc::new(window),
        memory,
    })
}

/// The range of a tensor, if it is within the memory.
fn range(offset: u64, bytes: u64, memory: u64) -> Option<Range<usize>> {
    let end = offset.checked_add(bytes).filter(|&end| end <= memory)?;
    Some(usize::try_from(offset).ok()?..usize::try_from(end).ok()?)
}

/// A leased tensor, released when dropped.
struct Lease {
    window: Arc<SharedMapping>,
    range: Range<usize>,
    releases: mpsc::Sender<StreamSharedBatchesRequest>,
}

impl AsRef<[u8]> for Lease {
    #[allow(unsafe_code, reason = "a view of mapped memory")]
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the server has leased this range, does not write to it until it is released, and is told of the release only when the
        // lease is dropped, which no borrow of it outlives. A server that breaks this contract only corrupts its own pixels: the bytes are
        // copied and computed with, and no control flow or memory access depends on them.
        unsafe { self.window.bytes(self.range.clone()) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let offset = self.range.start as u64;
        // Fails only after the end of the stream: the channel has room for as many releases as there can be leases.
        let _stream_is_over = self
            .releases
            .try_send(message(Message::Release(Release { offset })));
    }
}
