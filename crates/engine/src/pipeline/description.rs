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
    /// The images that those drawn by `quotas` are mixed into, if the recipe mixes from natural; otherwise absent.
    pub background: Option<Background>,
}

/// Natural images that others are mixed into. They are the images of the batches.
#[derive(Clone, Debug, PartialEq)]
pub struct Background {
    /// Draws per class in each epoch, in label order, over all shards.
    pub draws_per_class: Vec<u64>,
    /// Mean weight of the images that are mixed in, from 0 to 1. A batch of `n` images, of which `a` in class `c`, into which `b` of class `c` are
    /// mixed, contains class `c` with `(1 - w) a + w b`, where `w` is the weight of all its images.
    pub mean_mixed_weight: f64,
}
