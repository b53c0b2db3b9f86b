//! What the stages have in common: data, engines, and requests for batches.

use std::num::NonZeroUsize;

use super::{
    Error, Options, Size,
    data::{Data, scan},
};
use equibatch_engine::{
    augment::Recipe,
    dataset::{Dataset, Split},
    pipeline::{Canonical, Engine, EngineConfig, Shard, Start, StreamSpec, Stride},
    sampling::{Balance, LastBatch, Order},
    tensor::{ElementType, Layout, Normalization, TensorSpec},
};

/// More than any data is, decoded: measurements of kept images are of images that are kept.
const EVERYTHING: u64 = 1 << 40;

/// The dataset, and engines over it.
#[derive(Debug)]
pub(super) struct Fixture {
    pub(super) dataset: Dataset,
    pub(super) threads: NonZeroUsize,
    pub(super) size: Size,
    /// Keeps all decoded images.
    pub(super) engine: Engine,
    /// The same with one thread.
    pub(super) one_thread: Engine,
    /// Keeps none.
    pub(super) uncached: Engine,
    /// Files, for as long as they are needed.
    _data: Data,
}

impl Fixture {
    pub(super) fn open(options: &Options) -> Result<Self, Error> {
        let data = Data::open(options.data.as_deref(), options.threads)?;
        let dataset = scan(&data.root)?;
        let engine = |threads, cache_bytes| {
            let config = EngineConfig {
                threads,
                cache_bytes,
                ..EngineConfig::default()
            };
            Engine::new(config, vec![dataset.clone()]).map_err(Error::Threads)
        };
        Ok(Self {
            engine: engine(options.threads, EVERYTHING)?,
            one_thread: engine(NonZeroUsize::MIN, EVERYTHING)?,
            uncached: engine(options.threads, 0)?,
            threads: options.threads,
            size: options.size,
            dataset,
            _data: data,
        })
    }

    /// Training batches by the default recipe. How many is said by `images_per_epoch`, before the request is made.
    pub(super) fn request(&self, element_type: ElementType) -> StreamSpec {
        StreamSpec {
            dataset: String::new(),
            split: Split::Train,
            seed: 0,
            epochs: 1,
            start: Start::default(),
            shard: Shard::WHOLE,
            stride: Stride::ALL,
            batch_size: self.size.batch,
            balance: Balance::Oversample,
            images_per_epoch: None,
            order: Order::Shuffled,
            last_batch: LastBatch::Drop,
            recipe: Recipe::reference(),
            canonical: Canonical::ShortSide,
            tensor: TensorSpec {
                size: self.size.image,
                element_type,
                layout: Layout::Nchw,
                normalization: Normalization::IMAGENET,
            },
            expected_fingerprint: None,
            weight: 1,
            reports: false,
        }
    }
}
