//! What the stages share: data, engines, and requests.

use std::num::NonZeroUsize;

use super::{
    data::{Data, scan},
    error::Error,
    options::{Options, Size},
};
use equibatch_engine::{
    dataset::Dataset,
    pipeline::{Engine, EngineConfig, StreamSpec},
    tensor::ElementType,
};

/// Cache size that holds any dataset, so that all images stay cached.
const EVERYTHING: u64 = 1 << 40;

/// The dataset, and engines over it.
#[derive(Debug)]
pub(super) struct Fixture {
    pub(super) dataset: Dataset,
    pub(super) threads: NonZeroUsize,
    pub(super) size: Size,
    /// With all decoded images cached.
    pub(super) engine: Engine,
    /// The same with one thread.
    pub(super) one_thread: Engine,
    /// Without a cache.
    pub(super) uncached: Engine,
    /// Keeps the temporary folder.
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

    /// A request for training batches with the default recipe; the caller sets `images_per_epoch`.
    pub(super) fn request(&self, element_type: ElementType) -> StreamSpec {
        StreamSpec::train("")
            .batch_size(self.size.batch)
            .image_size(self.size.image)
            .element_type(element_type)
    }
}
