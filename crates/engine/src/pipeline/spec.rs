//! The specification of a stream: a request with all defaults filled in.

use super::position::{Start, Stride};
use crate::{
    augment::Recipe,
    dataset::{Fingerprint, Split},
    decode,
    sampling::{Balance, LastBatch, Order},
    tensor::{ElementType, Layout, Normalization, TensorSpec},
};

/// The specification of a stream. A batch is a pure function of it and of the dataset's files.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamSpec {
    /// Name of the dataset.
    pub dataset: String,
    /// Split of the dataset.
    pub split: Split,
    /// Seeds sampling, augmentation and replacement.
    pub seed: u64,
    /// The stream ends before this epoch.
    pub epochs: u32,
    /// First batch.
    pub start: Start,
    /// Part of each global batch.
    pub shard: Shard,
    /// Selects every n-th batch.
    pub stride: Stride,
    /// Images in a global batch.
    pub batch_size: u32,
    /// How often each class is drawn.
    pub balance: Balance,
    /// Images in an epoch over all shards; `None` for the sum that `balance` gives.
    pub images_per_epoch: Option<u64>,
    /// Order of an epoch.
    pub order: Order,
    /// Treatment of a last batch that is not full.
    pub last_batch: LastBatch,
    /// Augmentation.
    pub recipe: Recipe,
    /// The pixels that augmentation starts from.
    pub canonical: Canonical,
    /// Size, element type, layout and normalization of the tensor.
    pub tensor: TensorSpec,
    /// The fingerprint that the dataset must have, if given.
    pub expected_fingerprint: Option<Fingerprint>,
    /// Share of the workers' time, relative to other streams, while they are busy. Changes no byte.
    pub weight: u32,
    /// Whether the client is going to report on each epoch, so that the bottleneck is logged only then.
    pub reports: bool,
}

/// Approximate bytes of bookkeeping per image of a batch under construction.
const IMAGE_NOTES: u64 = 320;

/// Part `rank` of `world` parts of each global batch: slots `rank`, `rank + world`, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    /// Number of parts, at least 1.
    pub world: u32,
    /// This part, below `world`.
    pub rank: u32,
}

impl Shard {
    /// The whole global batch.
    pub const WHOLE: Self = Self { world: 1, rank: 0 };

    /// Number of this shard's slots among `slots` slots.
    #[must_use]
    pub fn share(self, slots: usize) -> usize {
        slots
            .saturating_sub(self.rank as usize)
            .div_ceil(self.world as usize)
    }

    /// Index in the global batch of the shard's slot `index`.
    #[must_use]
    pub fn place(self, index: usize) -> usize {
        self.rank as usize + index * self.world as usize
    }

    /// Index in the shard of slot `place` of the global batch; `None` if it belongs to another shard.
    #[must_use]
    pub fn index(self, place: usize) -> Option<usize> {
        let (world, rank) = (self.world as usize, self.rank as usize);
        (place % world == rank).then_some(place / world)
    }
}

/// The pixels that augmentation starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canonical {
    /// Reduced with antialiasing to the short side of [`decode::canonical_short_side`], if the image is larger.
    ShortSide,
    /// As decoded.
    Native,
}

impl StreamSpec {
    /// The defaults for training: shuffled, oversampled, augmented batches of the train split of `dataset`; one epoch of full batches of 64 images,
    /// `f32[64, 3, 224, 224]`, normalised with ImageNet's mean and standard deviation.
    #[must_use]
    pub fn train(dataset: impl Into<String>) -> Self {
        Self {
            dataset: dataset.into(),
            split: Split::Train,
            seed: 0,
            epochs: 1,
            start: Start::default(),
            shard: Shard::WHOLE,
            stride: Stride::ALL,
            batch_size: 64,
            balance: Balance::Oversample,
            images_per_epoch: None,
            order: Order::Shuffled,
            last_batch: LastBatch::Drop,
            recipe: Recipe::reference(),
            canonical: Canonical::ShortSide,
            tensor: TensorSpec {
                size: 224,
                element_type: ElementType::F32,
                layout: Layout::Nchw,
                normalization: Normalization::IMAGENET,
            },
            expected_fingerprint: None,
            weight: 1,
            reports: false,
        }
    }

    /// The defaults for evaluation: every image of a split once, in the order of the samples and without augmentation; the last batch may be short.
    /// Otherwise as [`StreamSpec::train`].
    #[must_use]
    pub fn evaluate(dataset: impl Into<String>, split: Split) -> Self {
        Self {
            split,
            balance: Balance::Natural,
            order: Order::Sequential,
            last_batch: LastBatch::Keep,
            recipe: Recipe::none(),
            ..Self::train(dataset)
        }
    }

    /// The defaults for `split`: [`StreamSpec::train`] for the train split, otherwise [`StreamSpec::evaluate`].
    #[must_use]
    pub fn of(dataset: impl Into<String>, split: Split) -> Self {
        match split {
            Split::Train => Self::train(dataset),
            Split::Valid | Split::Test => Self::evaluate(dataset, split),
        }
    }

    /// Sets the seed of sampling and augmentation; 0 by default.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the number of epochs; 1 by default.
    #[must_use]
    pub fn epochs(mut self, epochs: u32) -> Self {
        self.epochs = epochs;
        self
    }

    /// Sets the images of a global batch, those of all shards together; 64 by default.
    #[must_use]
    pub fn batch_size(mut self, images: u32) -> Self {
        self.batch_size = images;
        self
    }

    /// Sets height and width of the images, in pixels; 224 by default.
    #[must_use]
    pub fn image_size(mut self, pixels: u32) -> Self {
        self.tensor.size = pixels;
        self
    }

    /// Sets the element type of the tensors: `F32` by default.
    #[must_use]
    pub fn element_type(mut self, element_type: ElementType) -> Self {
        self.tensor.element_type = element_type;
        self
    }

    /// Sets how often each class is drawn.
    #[must_use]
    pub fn balance(mut self, balance: Balance) -> Self {
        self.balance = balance;
        self
    }

    /// Sets the augmentation.
    #[must_use]
    pub fn recipe(mut self, recipe: Recipe) -> Self {
        self.recipe = recipe;
        self
    }

    /// Sets the part of each global batch; by default all of it.
    #[must_use]
    pub fn shard(mut self, shard: Shard) -> Self {
        self.shard = shard;
        self
    }

    /// Sets the first batch; by default that of epoch 0.
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// The short side that images are reduced to before augmentation, in pixels.
    #[must_use]
    pub fn canonical_short_side(&self) -> Option<u32> {
        match self.canonical {
            Canonical::ShortSide => Some(decode::canonical_short_side(self.tensor.size)),
            Canonical::Native => None,
        }
    }

    /// Images in a full batch of this shard.
    #[must_use]
    pub fn images_per_batch(&self) -> usize {
        self.shard.share(self.batch_size as usize)
    }

    /// Bytes of a full batch's tensor.
    #[must_use]
    pub fn batch_bytes(&self) -> usize {
        self.images_per_batch() * self.tensor.image_bytes()
    }

    /// Bytes of memory of a full batch under construction: its tensor, and the bookkeeping per image.
    #[must_use]
    pub fn batch_memory(&self) -> u64 {
        self.batch_bytes() as u64 + self.images_per_batch() as u64 * IMAGE_NOTES
    }
}
