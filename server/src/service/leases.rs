//! Batches in memory that the reader sees, too: what it has of them, and what it gives back.

use std::{
    collections::BTreeMap,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use equibatch_proto::v1::{
    Batch, SharedMemory, StreamSharedBatchesRequest, TensorInMemory, stream_shared_batches_request::Message,
};
use tokio_stream::Stream as _;
use tonic::{Status, Streaming};

use equibatch_engine::pipeline;

/// What a reader borrows from a stream.
#[derive(Debug)]
pub(super) struct Leases {
    memory: SharedMemory,
    releases: Streaming<StreamSharedBatchesRequest>,
    /// By the place in the memory. Nothing is written there while it is lent.
    lent: BTreeMap<u64, Bytes>,
}

impl Leases {
    /// Nothing is lent yet of `memory`; the reader says by `releases` what it needs no more.
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

    /// What the reader has to know.
    pub(super) fn memory(&self) -> SharedMemory {
        self.memory
    }

    /// Says that the reader has all that there is, so that nothing can be made for it.
    pub(super) fn is_exhausted(&self) -> bool {
        self.lent.len() >= self.memory.batches as usize
    }

    /// Takes back what the reader has returned. What it says is believed of nothing but what was lent to it.
    ///
    /// # Errors
    ///
    /// Where it says anything else, or stops to say anything.
    pub(super) fn poll_releases(&mut self, context: &mut Context<'_>) -> Result<(), Status> {
        while let Poll::Ready(next) = Pin::new(&mut self.releases).poll_next(context) {
            let message = match next {
                None => return Err(Status::cancelled("the reader returns nothing any more")),
                Some(request) => request?.message,
            };
            let returned = match message {
                Some(Message::Release(release)) => self.lent.remove(&release.offset),
                _ => None,
            };
            if returned.is_none() {
                return Err(Status::invalid_argument(
                    "after the first message, every one must release a tensor that was lent and not released yet",
                ));
            }
        }
        Ok(())
    }

    /// Lends the tensor of `batch`, which lies at `offset`, and leaves in its place where it lies.
    pub(super) fn lend(&mut self, batch: &mut Batch, offset: usize) {
        let tensor = std::mem::take(&mut batch.tensor);
        batch.tensor_crc32c = None;
        batch.in_memory = Some(TensorInMemory {
            offset: offset as u64,
            bytes: tensor.len() as u64,
        });
        if !tensor.is_empty() {
            self.lent.insert(offset as u64, tensor);
        }
    }
}
