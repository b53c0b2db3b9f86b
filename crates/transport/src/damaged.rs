//! Batches that were damaged on their way.

use std::sync::Arc;

use equibatch_proto::v1::Batch;
use tonic::Status;

/// The error for a batch whose tensor was corrupted in transit.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("epoch {} step {} was damaged on its way: the CRC-32C of its tensor differs", epoch + 1, step + 1)]
pub struct Damaged {
    /// From 0.
    pub epoch: u64,
    /// Within the epoch, from 0.
    pub step: u64,
}

/// The status of such a batch, with [`Damaged`] as its source.
pub(super) fn damaged(batch: &Batch) -> Status {
    let (epoch, step) = (batch.epoch, batch.step);
    let damaged = Damaged { epoch, step };
    let mut status = Status::internal(damaged.to_string());
    status.set_source(Arc::new(damaged));
    status
}
