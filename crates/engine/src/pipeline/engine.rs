//! The engine: datasets, caches and workers; opens streams.

use std::{
    future::poll_fn,
    io, mem,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
};

use super::{
    Error, Exposure,
    bottleneck::{ClientReport, TimeBreakdown},
    cache_demand::register_demand,
    clients::{Client, Clients},
    coalescer::{SharedStream, StreamCoalescer, StreamKey},
    epoch_history::{EpochHistory, StreamId},
    options::EngineConfig,
    position::StreamIdentity,
    sample_renderer::{Decoder, SampleRenderer},
    sent_batches::SentBatches,
    served_dataset::ServedDataset,
    source::{Files, Source},
    spec::StreamSpec,
    stream::{BatchStream, Description, StreamPermit, StreamStats, log_report},
    stream_task::{StreamParts, StreamTask},
    workers::Workers,
};
use crate::{
    cache::{Cache, Encoded},
    dataset::{self, Dataset, Progress},
    decode::DecodeOptions,
    memory::{Parts, Permit, Pool, Shared},
    sampling::{Plan, PlanSpec},
};

/// Makes batches. Cheap to clone; its threads end when the last clone and the last stream are dropped.
#[derive(Clone, Debug)]
pub struct Engine {
    slots: Arc<[DatasetSlot]>,
    /// Wakers of the tasks in [`Engine::scanned`].
    scanned: Arc<Mutex<Vec<Waker>>>,
    workers: Arc<Workers>,
    cache: Arc<Cache>,
    encoded: Arc<Cache<Encoded>>,
    source: Arc<dyn Source>,
    open_streams: Arc<AtomicUsize>,
    epoch_history: Arc<EpochHistory>,
    coalescer: Arc<StreamCoalescer>,
    clients: Arc<Clients>,
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
}

/// Shared memory that holds the batches of a stream, so that another process on this machine reads them without a copy.
#[derive(Debug)]
pub struct SharedMemory {
    /// Its descriptor, which can be mapped for reading only.
    pub file: OwnedFd,
    /// Its size in bytes.
    pub bytes: usize,
    /// Number of batches that it holds.
    pub batches: usize,
}

/// Divides the memory that the caches leave.
fn memory_beside_caches(config: &EngineConfig) -> Parts {
    let caches = config.cache_bytes.saturating_add(config.encoded_cache_bytes);
    Parts::of(config.memory_bytes.saturating_sub(caches))
}

/// Buffers of a stream in shared memory in addition to those that its reader holds: one batch is completed while the next is started.
const WRITE_BUFFERS: usize = 2;

/// Maximum number of batches in shared memory that a reader may hold; more would not hide more jitter.
const MAX_HELD: usize = 62;

/// The buffers of a stream.
struct StreamBuffers {
    buffers: Arc<Pool>,
    /// Maximum number of batches that are open or sent.
    window: usize,
    memory: Permit,
    shared_stream: Option<Arc<SharedStream>>,
}

/// A valid request, planned.
#[derive(Debug)]
pub(super) struct PlannedStream {
    pub(super) description: Description,
    pub(super) plan: Plan,
    pub(super) renderer: SampleRenderer,
}

impl PlannedStream {
    /// Equal for streams that can share batches.
    fn key(&self) -> StreamKey {
        let Description { spec, spec_hash, .. } = &self.description;
        StreamKey {
            dataset: self.renderer.decoder.dataset,
            spec: *spec_hash,
            seed: spec.seed,
            shard: spec.shard,
        }
    }
}

/// Whom a stream is opened for.
#[derive(Clone, Copy, Debug)]
pub struct Requester<'a> {
    /// Name of the client.
    pub name: &'a str,
    /// The limits on its requests: the engine's, or lower ones.
    pub limits: &'a super::Limits,
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

    /// Serves `dataset` from now on. Blocks while decoders of other datasets use the memory that its index needs.
    ///
    /// # Errors
    ///
    /// [`dataset::Error::NoMemory`].
    ///
    /// # Panics
    ///
    /// If its name was not passed to [`Engine::awaiting`], or it was added before.
    pub fn add(&self, dataset: Dataset) -> Result<(), dataset::Error> {
        let slot = self.slots.iter().find(|slot| slot.name == dataset.name);
        let slot = slot.expect("a dataset that is awaited");
        let bytes = dataset.heap_bytes();
        let memory = self.memory.rest.take_unowned(bytes);
        let memory = memory.ok_or_else(|| dataset::Error::NoMemory {
            root: dataset.root.clone(),
            images: dataset.samples.len(),
            bytes,
        })?;
        let served = Arc::new(ServedDataset::new(dataset, memory, self.config.max_broken));
        assert!(slot.served.set(served).is_ok(), "{} is added twice", slot.name);
        let mut waiting = self.scanned.lock().unwrap_or_else(PoisonError::into_inner);
        mem::take(&mut *waiting).into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Progress of the scan of the dataset `name`, to be updated by the scan; `None` if there is no such dataset.
    #[must_use]
    pub fn progress(&self, name: &str) -> Option<&Progress> {
        let slot = self.slots.iter().find(|slot| slot.name == name)?;
        Some(&slot.progress)
    }

    /// Names of the datasets that are not scanned yet, with the progress of their scans.
    #[must_use]
    pub fn awaited(&self) -> Vec<(&str, &Progress)> {
        let awaited = self.slots.iter().filter(|slot| slot.served.get().is_none());
        awaited.map(|slot| (slot.name.as_str(), &slot.progress)).collect()
    }

    /// Waits until all datasets are scanned.
    pub async fn scanned(&self) {
        poll_fn(|context| {
            let mut waiting = self.scanned.lock().unwrap_or_else(PoisonError::into_inner);
            if self.awaited().is_empty() {
                return Poll::Ready(());
            }
            // Once for each task, however often it polls.
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// All datasets that are scanned, in the order of the configuration.
    #[must_use]
    pub fn datasets(&self) -> Vec<&Arc<ServedDataset>> {
        self.slots.iter().filter_map(|slot| slot.served.get()).collect()
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

    /// The dataset `name`; an empty name means the only one.
    ///
    /// # Errors
    ///
    /// If there is no such dataset, it is not scanned yet, or the name is empty and there are several datasets.
    pub fn dataset(&self, name: &str) -> Result<&Arc<ServedDataset>, Error> {
        self.dataset_among(name, |_| true)
    }

    /// As [`Engine::dataset`], among the datasets whose name `is_visible` only.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::dataset`].
    pub fn dataset_among(
        &self,
        name: &str,
        is_visible: impl Fn(&str) -> bool,
    ) -> Result<&Arc<ServedDataset>, Error> {
        self.find(name, is_visible).map(|(_, served)| served)
    }

    fn find(
        &self,
        name: &str,
        is_visible: impl Fn(&str) -> bool,
    ) -> Result<(usize, &Arc<ServedDataset>), Error> {
        let visible: Vec<(usize, &DatasetSlot)> = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| is_visible(&slot.name))
            .collect();
        let known = || {
            let names: Vec<&str> = visible.iter().map(|(_, slot)| slot.name.as_str()).collect();
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            }
        };
        let (index, slot) = match (name, &*visible) {
            ("", [only]) => *only,
            ("", _) => return Err(Error::DatasetNotNamed { known: known() }),
            (_, all) => {
                let found = all.iter().find(|(_, slot)| slot.name == name);
                *found.ok_or_else(|| Error::UnknownDataset {
                    name: name.to_owned(),
                    known: known(),
                })?
            }
        };
        let served = slot.served.get().ok_or_else(|| Error::NotScanned {
            dataset: slot.name.clone(),
            progress: slot.progress.to_string(),
        })?;
        Ok((index, served))
    }

    /// Opens a stream for an engine with one client; see [`Engine::stream_for`].
    ///
    /// # Errors
    ///
    /// Those of [`Engine::stream_for`].
    pub fn stream(&self, spec: StreamSpec) -> Result<BatchStream, Error> {
        let (name, limits) = ("", &self.config.limits);
        self.stream_for(Requester { name, limits }, spec)
    }

    /// Opens a stream for `client`; all streams of a client together have one share of the workers' time. May plan the cache, in time proportional to
    /// the number of images of the split: do not call it on an async thread.
    ///
    /// # Errors
    ///
    /// If the request is invalid for the dataset or exceeds a limit, or there is no memory for a batch.
    pub fn stream_for(&self, client: Requester<'_>, spec: StreamSpec) -> Result<BatchStream, Error> {
        let planned = self.plan(spec, client.limits)?;
        let permit = StreamPermit::take(&self.open_streams, self.config.limits.open_streams)?;
        let spec = &planned.description.spec;
        let client = self.clients.named(client.name, self.workers.now());
        let wanted = self.fitting(spec).min(self.config.stream_batches.get());
        let (window, memory) = self.reserve(&client, spec, wanted)?;
        let buffers = Pool::keeping(window, spec.batch_bytes());
        let shared_stream = self.coalescer.group(planned.key(), window);
        let stream_buffers = StreamBuffers {
            buffers,
            window,
            memory,
            shared_stream: Some(shared_stream),
        };
        Ok(self.start(client, planned, permit, stream_buffers))
    }

    /// As [`Engine::stream_for`], with batches in shared memory, at [`Batch::offset`](super::Batch::offset). A batch is not overwritten while its tensor
    /// is referred to. The memory holds `held` batches for the reader and two that are being written, or fewer if the limits on a stream's memory
    /// require it.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::stream_for`], and if the system has no sealed shared memory.
    pub fn stream_shared(
        &self,
        client: Requester<'_>,
        spec: StreamSpec,
        held: usize,
    ) -> Result<(BatchStream, SharedMemory), Error> {
        let planned = self.plan(spec, client.limits)?;
        let permit = StreamPermit::take(&self.open_streams, self.config.limits.open_streams)?;
        let spec = &planned.description.spec;
        let batches = held.min(MAX_HELD) + WRITE_BUFFERS;
        let client = self.clients.named(client.name, self.workers.now());
        let (batches, memory_taken) = self.reserve(&client, spec, batches.min(self.fitting(spec)))?;
        let Shared { pool, file, stride } =
            Pool::shared(batches, spec.batch_bytes()).map_err(|source| Error::SharedMemory { source })?;
        let memory = SharedMemory {
            file,
            bytes: batches * stride,
            batches,
        };
        let stream_buffers = StreamBuffers {
            buffers: pool,
            window: batches.min(self.config.stream_batches.get()),
            memory: memory_taken,
            shared_stream: None,
        };
        Ok((self.start(client, planned, permit, stream_buffers), memory))
    }

    /// Reserves memory for `wanted` batches, or as many as fit, at least one. A stream takes at most half of what is left to its client, so that the
    /// client can open another one.
    fn reserve(&self, client: &Client, spec: &StreamSpec, wanted: usize) -> Result<(usize, Permit), Error> {
        let each = spec.batch_memory();
        let take = |batches: usize| {
            let permit = self
                .memory
                .rest
                .try_take(each.saturating_mul(batches as u64), client.memory());
            permit.map(|permit| (batches, permit))
        };
        let half = self.memory.rest.left_for(client.memory()) / 2 / each.max(1);
        let wanted = wanted.min(usize::try_from(half).unwrap_or(usize::MAX)).max(1);
        let reserved = (1..=wanted).rev().find_map(take);
        reserved.ok_or(Error::NoMemory { bytes: each })
    }

    fn start(
        &self,
        client: Arc<Client>,
        planned: PlannedStream,
        permit: StreamPermit,
        stream_buffers: StreamBuffers,
    ) -> BatchStream {
        let PlannedStream {
            description,
            plan,
            renderer,
        } = planned;
        let cache_demand = register_demand(&renderer, &description);
        let counters = Arc::clone(&renderer.counters);
        let classes = description.served.dataset().classes.len();
        let exposure = description.spec.recipe.mixes().then(|| Exposure::none(classes));
        let parts = StreamParts {
            renderer,
            plan,
            window: stream_buffers.window,
            sent: SentBatches::new(stream_buffers.memory),
            buffers: stream_buffers.buffers,
            shared_stream: stream_buffers.shared_stream,
        };
        let task = Arc::new(StreamTask::new(parts, client, description.spec.start.position));
        let workers = Arc::clone(&self.workers);
        description.served.metrics().open();
        BatchStream {
            task,
            workers,
            epoch_history: Arc::clone(&self.epoch_history),
            description,
            stats: StreamStats::new(counters),
            owner: String::new(),
            exposure,
            _cache_demand: cache_demand,
            _permit: permit,
        }
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

    /// Validates a request and plans its epochs; reads no image.
    pub(super) fn plan(&self, spec: StreamSpec, limits: &super::Limits) -> Result<PlannedStream, Error> {
        spec.validate(limits)?;
        let (index, served) = self.find(&spec.dataset, |_| true)?;
        let dataset = served.dataset();
        if let Some(expected) = spec.expected_fingerprint.filter(|f| *f != dataset.fingerprint) {
            let (dataset, found) = (dataset.name.clone(), dataset.fingerprint);
            return Err(Error::Fingerprint {
                dataset,
                expected,
                found,
            });
        }
        let members = Arc::clone(served.members(spec.split));
        if members.iter().all(Vec::is_empty) {
            return Err(Error::EmptySplit {
                dataset: dataset.name.clone(),
                split: spec.split,
            });
        }
        let plan = Plan::new(PlanSpec {
            members: Arc::clone(&members),
            balance: spec.balance.clone(),
            images_per_epoch: spec.images_per_epoch,
            batch_size: spec.batch_size,
            last_batch: spec.last_batch,
            order: spec.order,
            seed: spec.seed,
        })?;
        let description = Description {
            id: StreamId::new(),
            spec_hash: spec.hash(),
            steps_per_epoch: plan.steps_per_epoch(),
            images_per_epoch: plan.images_per_epoch(),
            draws_per_class: plan.draws_per_class().to_vec(),
            served: Arc::clone(served),
            spec,
        };
        let spec = &description.spec;
        spec.start.check(&StreamIdentity {
            seed: spec.seed,
            spec_hash: description.spec_hash,
            fingerprint: dataset.fingerprint,
            epochs: spec.epochs,
            steps: description.steps_per_epoch,
        })?;
        let renderer = self.renderer(index, &description, members);
        Ok(PlannedStream {
            description,
            plan,
            renderer,
        })
    }

    fn renderer(&self, index: usize, description: &Description, members: Arc<[Vec<u32>]>) -> SampleRenderer {
        let spec = description.spec.clone();
        let scanned = description.served.dataset().options;
        SampleRenderer {
            decoder: Decoder {
                dataset: index as u32,
                source: Arc::clone(&self.source),
                cache: Arc::clone(&self.cache),
                encoded: Arc::clone(&self.encoded),
                options: DecodeOptions {
                    orientation: scanned.orientation,
                    limits: scanned.limits,
                },
                files: Arc::clone(&self.memory.files),
                memory: Arc::clone(&self.memory.rest),
                short_side: spec.canonical_short_side(),
            },
            served: Arc::clone(&description.served),
            spec,
            members,
            counters: Arc::default(),
        }
    }

    /// Number of batches of `spec` that fit the byte limit of a stream, at least 1.
    fn fitting(&self, spec: &StreamSpec) -> usize {
        let budget = usize::try_from(self.config.stream_bytes).unwrap_or(usize::MAX);
        (budget / spec.batch_bytes().max(1)).max(1)
    }
}
