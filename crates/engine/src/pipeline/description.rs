use std::sync::Arc;

use super::{epoch_history::StreamId, position::SpecHash, served_dataset::ServedDataset, spec::StreamSpec};
use crate::sampling::Quotas;

/// What a stream consists of, known before its first batch.
#[derive(Clone, Debug)]
pub struct Description {
    /// Id of the stream.
    pub id: StreamId,
    /// The request, with all defaults filled in.
    pub spec: StreamSpec,
    /// The dataset.
    pub served: Arc<ServedDataset>,
    /// Hash of the request.
    pub spec_hash: SpecHash,
    /// Batches in an epoch.
    pub steps_per_epoch: u64,
    /// Images in an epoch, over all shards.
    pub images_per_epoch: u64,
    /// Draws per class in each epoch, in label order, over all shards.
    pub quotas: Quotas,
}
