//! The engine: datasets, caches and workers.

use std::{
    io,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
};

use super::{
    bottleneck::TimeBreakdown,
    clients::Clients,
    coalescer::StreamCoalescer,
    epoch_history::{EpochHistory, StreamId},
    metrics::ClientReport,
    options::EngineConfig,
    served_dataset::ServedDataset,
    source::{Files, Source},
    stream::log_report,
    stream_task::StreamTask,
    workers::Workers,
};
use crate::{
    cache::{Cache, Encoded},
    dataset::{Dataset, FOLDS, Progress},
    memory::Parts,
};

mod datasets;
pub(super) mod open;
mod plan;

/// Makes batches. Cheap to clone; its threads end when the last clone and the last stream are dropped.
#[derive(Clone, Debug)]
pub struct Engine {
    slots: Arc<[DatasetSlot]>,
    /// Wakers of the tasks in [`Engine::scanned`].
    scanned: Arc<Mutex<Vec<Waker>>>,
    workers: Arc<Workers<StreamTask>>,
    cache: Arc<Cache>,
    encoded: Arc<Cache<Encoded>>,
    source: Arc<dyn Source>,
    open_streams: Arc<AtomicUsize>,
    epoch_history: Arc<EpochHistory>,
    coalescer: Arc<StreamCoalescer>,
    clients: Arc<Clients<StreamTask>>,
    /// The memory that the caches leave.
    memory: Parts,
    config: EngineConfig,
}

/// A dataset of the configuration, scanned or not.
#[derive(Debug)]
struct DatasetSlot {
    name: String,
    progress: Progress,
    /// Empty until the dataset is scanned.
    served: OnceLock<Arc<ServedDataset>>,
    /// Its folds from 0, each empty until it is first requested.
    folds: [OnceLock<Arc<ServedDataset>>; FOLDS as usize + 1],
}

/// Divides the memory that the caches leave.
fn memory_beside_caches(config: &EngineConfig) -> Parts {
    let caches = config.cache_bytes.saturating_add(config.encoded_cache_bytes);
    Parts::of(config.memory_bytes.saturating_sub(caches))
}

impl Engine {
    /// Starts the workers over `datasets`, whose names must differ.
    ///
    /// # Errors
    ///
    /// If the system refuses a thread.
    pub fn new(config: EngineConfig, datasets: Vec<Dataset>) -> io::Result<Self> {
        Self::with_source(config, datasets, Arc::new(Files))
    }

    /// As [`Engine::new`], reading images from `source`.
    ///
    /// # Errors
    ///
    /// If the system refuses a thread, or the index of a dataset does not fit the memory.
    pub fn with_source(
        config: EngineConfig,
        datasets: Vec<Dataset>,
        source: Arc<dyn Source>,
    ) -> io::Result<Self> {
        let names = datasets.iter().map(|dataset| dataset.name.clone()).collect();
        let engine = Self::awaiting(config, names, source)?;
        for dataset in datasets {
            engine.add(dataset).map_err(io::Error::other)?;
        }
        Ok(engine)
    }

    /// As [`Engine::with_source`], for datasets with these names that are [added](Engine::add) later.
    ///
    /// # Errors
    ///
    /// If the system refuses a thread.
    pub fn awaiting(config: EngineConfig, names: Vec<String>, source: Arc<dyn Source>) -> io::Result<Self> {
        let slot = |name| DatasetSlot {
            name,
            progress: Progress::default(),
            served: OnceLock::new(),
            folds: Default::default(),
        };
        Ok(Self {
            slots: names.into_iter().map(slot).collect(),
            scanned: Arc::default(),
            workers: Arc::new(Workers::start(config.threads.get())?),
            cache: Arc::new(Cache::new(config.cache_bytes)),
            encoded: Arc::new(Cache::new(config.encoded_cache_bytes)),
            source,
            open_streams: Arc::default(),
            epoch_history: Arc::default(),
            coalescer: Arc::default(),
            clients: Arc::default(),
            memory: memory_beside_caches(&config),
            config,
        })
    }

    /// The cache of decoded images.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The cache of encoded files.
    #[must_use]
    pub fn encoded(&self) -> &Cache<Encoded> {
        &self.encoded
    }

    /// The limits on requests.
    #[must_use]
    pub fn limits(&self) -> &super::Limits {
        &self.config.limits
    }

    /// Maximum bytes of all incomplete requests together.
    #[must_use]
    pub fn request_bytes(&self) -> usize {
        usize::try_from(self.memory.requests).unwrap_or(usize::MAX)
    }

    /// Bytes in use of the memory that the caches leave.
    #[must_use]
    pub fn memory_used(&self) -> u64 {
        self.memory.used()
    }

    /// Number of streams that wait for a worker.
    #[must_use]
    pub fn queued_streams(&self) -> usize {
        self.workers.queued()
    }

    /// Number of open streams.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.open_streams.load(Ordering::Acquire)
    }

    /// Attributes the time of an epoch, from its client's report and what was counted here, and logs it. `None` if `owner` has no such stream or
    /// epoch, if it is too long ago, or if it was reported before.
    #[must_use]
    pub fn report(
        &self,
        (stream, owner): (StreamId, &str),
        epoch: u64,
        usage: &ClientReport,
    ) -> Option<TimeBreakdown> {
        let record = self.epoch_history.take((stream, owner), epoch)?;
        let spent = TimeBreakdown::reported(&record.sums, record.is_first, usage);
        record.served.metrics().report(usage);
        log_report(&record.served, (stream, epoch), usage, &spent);
        Some(spent)
    }
}
