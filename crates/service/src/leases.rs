//! Leases of shared-memory batches: which tensors the reader holds, and which it releases.

use std::{
    collections::BTreeMap,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use equibatch_proto::v1::{
    SharedMemory, StreamSharedBatchesRequest, TensorInMemory, stream_shared_batches_request::Message,
};
use tokio_stream::Stream as _;
use tonic::{Status, Streaming};

use equibatch_engine::pipeline;

/// The tensors that a reader holds of a stream.
#[derive(Debug)]
pub(super) struct Leases {
    memory: SharedMemory,
    releases: Streaming<StreamSharedBatchesRequest>,
    /// By offset. The engine does not write to a tensor while it is held here.
    lent: BTreeMap<u64, Bytes>,
}

impl Leases {
    /// No tensor of `memory` is leased yet; the reader sends its releases by `releases`.
    pub(super) fn new(
        memory: &pipeline::SharedMemory,
        releases: Streaming<StreamSharedBatchesRequest>,
    ) -> Self {
        Self {
            memory: SharedMemory {
                bytes: memory.bytes as u64,
                batches: memory.batches as u32,
            },
            releases,
            lent: BTreeMap::new(),
        }
    }

    /// The size of the memory, for the stream's description.
    pub(super) fn memory(&self) -> SharedMemory {
        self.memory
    }

    /// Returns whether the reader holds all batches of the memory, so that none can be made.
    pub(super) fn is_exhausted(&self) -> bool {
        self.lent.len() >= self.memory.batches as usize
    }

    /// Processes the reader's releases. Only tensors that are leased to it can be released.
    ///
    /// # Errors
    ///
    /// If a message is anything but such a release, or the reader has closed its half of the stream.
    pub(super) fn poll_releases(&mut self, context: &mut Context<'_>) -> Result<(), Status> {
        while let Poll::Ready(next) = Pin::new(&mut self.releases).poll_next(context) {
            let message = match next {
                None => return Err(Status::cancelled("the reader has closed its half of the stream")),
                Some(request) => request?.message,
            };
            let returned = match message {
                Some(Message::Release(release)) => self.lent.remove(&release.offset),
                _ => None,
            };
            if returned.is_none() {
                return Err(Status::invalid_argument(
                    "every message after the first must release a tensor that is leased and not yet released",
                ));
            }
        }
        Ok(())
    }

    /// Leases `tensor`, which lies at `offset`; returns its location.
    pub(super) fn lend(&mut self, tensor: Bytes, offset: usize) -> TensorInMemory {
        let (offset, bytes) = (offset as u64, tensor.len() as u64);
        if !tensor.is_empty() {
            self.lent.insert(offset, tensor);
        }
        TensorInMemory { offset, bytes }
    }
}
