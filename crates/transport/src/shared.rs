//! Batches that lie in memory of the server, on this machine, and are read where they are.

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

use super::{Mailbox, Sizes};
use equibatch_engine::memory::{Pool, SharedMapping};

/// Batches that a server may lend at a time. There is room for the return of all of them at once.
const MOST_BATCHES: usize = 128;

/// The responses to one request, in order. A tensor is lent by the server, and goes back when the last reference to it is dropped.
///
/// Whoever keeps so many that the server would have no place left for the next one gets copies, so that it may keep as many as it likes.
#[derive(Debug)]
pub struct SharedMessages {
    stream: Streaming<StreamBatchesResponse>,
    mailbox: Mailbox,
    returns: mpsc::Sender<StreamSharedBatchesRequest>,
    /// Known from the description.
    place: Option<Place>,
    copies: Arc<Pool>,
    sizes: Sizes,
}

/// Where tensors lie.
#[derive(Debug)]
struct Place {
    window: Arc<SharedMapping>,
    memory: SharedMemory,
}

impl SharedMessages {
    /// Sends `request` by `service`, whose files come to `mailbox`, and waits until it is answered. The caller means to hold `held` batches
    /// at a time.
    ///
    /// # Errors
    ///
    /// What the server says, and what the connection says; `UNIMPLEMENTED` from a server that does not share its memory.
    pub async fn open<S>(
        service: S,
        mailbox: Mailbox,
        (request, sizes): (StreamBatchesRequest, Sizes),
        held: u32,
    ) -> Result<Self, Status>
    where
        S: GrpcService<Body>,
        S::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        <S::ResponseBody as http_body::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let (returns, requests) = mpsc::channel(MOST_BATCHES + 1);
        let open = OpenSharedBatches {
            batches: Some(request),
            held,
        };
        let first = returns.try_send(message(Message::Open(open)));
        first.expect("the channel is new and has room");
        let mut client = BatchLoaderClient::new(service);
        let answer = client
            .stream_shared_batches(ReceiverStream::new(requests))
            .await?;
        Ok(Self {
            stream: answer.into_inner(),
            mailbox,
            returns,
            place: None,
            copies: Pool::new(sizes.tensor),
            sizes,
        })
    }

    /// The next message; `None` behind the last one. Nothing follows an error. Nothing is lost where the future is dropped before it is done.
    ///
    /// # Errors
    ///
    /// What the server says, and what the connection says; `UNIMPLEMENTED` where the memory did not come through.
    pub async fn message(&mut self) -> Result<Option<StreamBatchesResponse>, Status> {
        let Some(mut response) = self.stream.message().await? else {
            return Ok(None);
        };
        match &mut response.message {
            Some(Kind::Description(description)) => {
                self.place = Some(place(description.memory, self.mailbox.take())?);
            }
            Some(Kind::Batch(batch)) => self.fill(batch)?,
            None => {}
        }
        Ok(Some(response))
    }

    /// Puts the tensor in the place of its description.
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Status> {
        let (Some(tensor), Some(place)) = (batch.in_memory.take(), &self.place) else {
            return Err(Status::internal("a batch that does not lie in the memory"));
        };
        let range = range(tensor.offset, tensor.bytes, place.memory.bytes)
            .filter(|range| range.len() <= self.sizes.tensor)
            .ok_or_else(|| Status::internal("a tensor that is not within the memory, or too large"))?;
        if range.is_empty() {
            return Ok(());
        }
        // This value has one reference itself.
        let lent = Arc::strong_count(&place.window) - 1;
        let lease = Lease {
            window: Arc::clone(&place.window),
            range,
            returns: self.returns.clone(),
        };
        batch.tensor = if lent + 1 < place.memory.batches as usize {
            Bytes::from_owner(lease)
        } else {
            let mut copy = self.copies.take().expect("the pool has no bound");
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

/// Maps the memory that the server speaks of.
fn place(memory: Option<SharedMemory>, file: Option<OwnedFd>) -> Result<Place, Status> {
    let unusable = |reason: &str| Status::unimplemented(format!("cannot use the server's memory: {reason}"));
    let memory = memory.ok_or_else(|| unusable("it describes none"))?;
    let file = file.ok_or_else(|| unusable("it did not come by this connection"))?;
    if !(1..=MOST_BATCHES).contains(&(memory.batches as usize)) {
        return Err(unusable("it holds no batches, or too many"));
    }
    let bytes = usize::try_from(memory.bytes).map_err(|_| unusable("it is too large"))?;
    let window = SharedMapping::open(&file, bytes).map_err(|error| unusable(&error.to_string()))?;
    Ok(Place {
        window: Arc::new(window),
        memory,
    })
}

/// Where a tensor lies, if that is within the memory.
fn range(offset: u64, bytes: u64, memory: u64) -> Option<Range<usize>> {
    let end = offset.checked_add(bytes).filter(|&end| end <= memory)?;
    Some(usize::try_from(offset).ok()?..usize::try_from(end).ok()?)
}

/// A borrowed tensor.
struct Lease {
    window: Arc<SharedMapping>,
    range: Range<usize>,
    returns: mpsc::Sender<StreamSharedBatchesRequest>,
}

impl AsRef<[u8]> for Lease {
    #[allow(unsafe_code, reason = "a view of mapped memory")]
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the server has lent this range, and is told that it is needed no more when the lease is dropped, which whoever borrows from
        // it outlives in no case. A server that writes there all the same is one whose pixels are wrong in any case: the bytes are copied and
        // computed with, and nothing is decided by them.
        unsafe { self.window.bytes(self.range.clone()) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let offset = self.range.start as u64;
        // Where the stream has ended nobody waits for it; and there is room for as many as can be lent.
        let _stream_is_over = self
            .returns
            .try_send(message(Message::Release(Release { offset })));
    }
}
