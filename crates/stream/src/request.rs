//! The request for a stream.

use std::ops::Range;

use equibatch_proto::v1;

use super::{Balance, BatchDtype, LastBatch, Position, Shard, Split, Stride, hex::from_hexadecimal};

/// A stream of `[N, 3, size, size]` or `[N, size, size, 3]` batches.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchRequest {
    /// Empty: the server's only dataset.
    pub dataset: String,
    /// The split.
    pub split: Split,
    /// Seeds sampling and augmentation.
    pub seed: u64,
    /// Number of epochs, counted from epoch 0.
    pub epochs: u32,
    /// `None`: the beginning.
    pub start: Option<Position>,
    /// Part of each global batch to receive.
    pub shard: Shard,
    /// Images per global batch.
    pub batch_size: u32,
    /// Height and width in pixels.
    pub image_size: u32,
    /// `None`: the server's default for the split.
    pub balance: Option<Balance>,
    /// Epochs of `balance`, if it is a schedule: earlier ones draw as its first, later ones as its last policy. `None`: 0 to `epochs`.
    pub schedule_epochs: Option<Range<u32>>,
    /// Images per epoch. `None`: the sum of the class counts by `balance`.
    pub images_per_epoch: Option<u64>,
    /// Augmentation recipe as text: `none`, `fastai`, `light rotate(15)`. Empty: the server's default for the split.
    pub recipe: String,
    /// If not empty, a dataset with another fingerprint is refused. Hexadecimal.
    pub expected_fingerprint: String,
    /// Treatment of a last batch that is not full. `None`: the server's default for the split.
    pub last_batch: Option<LastBatch>,
    /// Subset of the batches.
    pub stride: Stride,
    /// Mean and standard deviation per channel (red, green, blue), in [0, 1] units. `None`: ImageNet's.
    pub normalization: Option<([f32; 3], [f32; 3])>,
    /// Element type.
    pub wire: BatchDtype,
    /// NHWC layout, `[N, size, size, 3]`, instead of NCHW.
    pub channels_last: bool,
    /// Scheduling weight of the stream, among the streams of this client. `None`: the server's default.
    pub weight: Option<u32>,
    /// Whether [`BatchStream::end_epoch`](super::BatchStream::end_epoch) will be called for each epoch.
    pub reports: bool,
}

impl BatchRequest {
    /// One epoch of a split, with the server's defaults: the train split shuffled, oversampled and augmented; others in order and without
    /// augmentation.
    #[must_use]
    pub fn evaluation(dataset: &str, split: Split, batch_size: u32, image_size: u32) -> Self {
        Self {
            dataset: dataset.to_owned(),
            split,
            seed: 0,
            epochs: 1,
            start: None,
            shard: Shard::WHOLE,
            batch_size,
            image_size,
            balance: None,
            schedule_epochs: None,
            images_per_epoch: None,
            recipe: String::new(),
            expected_fingerprint: String::new(),
            last_batch: None,
            stride: Stride::ALL,
            normalization: None,
            wire: BatchDtype::F32,
            channels_last: false,
            weight: None,
            reports: false,
        }
    }

    /// The request as a message.
    #[must_use]
    pub fn to_wire(&self) -> v1::StreamBatchesRequest {
        v1::StreamBatchesRequest {
            dataset: self.dataset.clone(),
            split: self.split.name().to_owned(),
            seed: self.seed,
            epochs: Some(self.epochs),
            start: self.start.as_ref().map(Position::to_wire),
            shard: (self.shard != Shard::WHOLE).then_some(v1::Shard {
                world: self.shard.world,
                rank: self.shard.rank,
            }),
            batch_size: Some(self.batch_size),
            image_size: Some(self.image_size),
            balance: self
                .balance
                .as_ref()
                .map(|balance| balance.to_wire(self.schedule_epochs.as_ref())),
            images_per_epoch: self.images_per_epoch,
            recipe: (!self.recipe.is_empty()).then(|| v1::Recipe {
                text: self.recipe.clone(),
                ..v1::Recipe::default()
            }),
            normalization: self.normalization.map(|(mean, std)| v1::Normalization {
                mean: mean.to_vec(),
                std: std.to_vec(),
            }),
            element_type: self.wire.to_wire().into(),
            layout: if self.channels_last {
                v1::Layout::Nhwc.into()
            } else {
                v1::Layout::Nchw.into()
            },
            expected_fingerprint: from_hexadecimal(&self.expected_fingerprint).unwrap_or_default(),
            last_batch: match self.last_batch {
                None => v1::LastBatch::Unspecified,
                Some(LastBatch::Drop) => v1::LastBatch::Drop,
                Some(LastBatch::Keep) => v1::LastBatch::Keep,
                Some(LastBatch::Wrap) => v1::LastBatch::Wrap,
            }
            .into(),
            stride: (self.stride != Stride::ALL).then_some(v1::Stride {
                of: self.stride.of,
                index: self.stride.index,
            }),
            weight: self.weight,
            reports: self.reports,
            ..v1::StreamBatchesRequest::default()
        }
    }

    /// Images of a full batch of the shard.
    pub(super) fn images_per_batch(&self) -> u32 {
        self.shard.share(self.batch_size as usize) as u32
    }

    /// Shape of a full batch's tensor.
    pub(super) fn shape(&self) -> [u32; 4] {
        let (batch, size) = (self.images_per_batch(), self.image_size);
        if self.channels_last {
            [batch, size, size, 3]
        } else {
            [batch, 3, size, size]
        }
    }

    /// Bytes of one image.
    pub(super) fn image_bytes(&self) -> usize {
        let pixels = self.image_size as usize * self.image_size as usize;
        3 * pixels * self.wire.bytes()
    }

    /// Bytes of a full batch's tensor.
    #[must_use]
    pub fn tensor_bytes(&self) -> usize {
        self.images_per_batch() as usize * self.image_bytes()
    }

    /// Limit of a message, in bytes: the tensor, and a wide margin for the other fields.
    pub(super) fn message_limit(&self) -> usize {
        self.tensor_bytes() + self.batch_size as usize * 64 + (1 << 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_limit_holds_a_full_batch_and_its_labels() {
        let request = BatchRequest::evaluation("", Split::Valid, 64, 224);
        assert_eq!(request.tensor_bytes(), 38_535_168);
        let pixels = BatchRequest {
            wire: BatchDtype::U8,
            ..request.clone()
        };
        assert_eq!(pixels.tensor_bytes() * 4, request.tensor_bytes());
        assert!(request.message_limit() > request.tensor_bytes() + 64 * 32);
    }
}
