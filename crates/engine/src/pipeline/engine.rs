//! The datasets, the cache and the workers of a server; opens streams.

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

/// Makes batches. Cheap to clone; the threads end with the last clone and the last stream.
#[derive(Clone, Debug)]
pub struct Engine {
    slots: Arc<[DatasetSlot]>,
    /// Who waits until all slots are filled.
    scanned: Arc<Mutex<Vec<Waker>>>,
    workers: Arc<Workers>,
    cache: Arc<Cache>,
    encoded: Arc<Cache<Encoded>>,
    source: Arc<dyn Source>,
    open_streams: Arc<AtomicUsize>,
    epoch_history: Arc<EpochHistory>,
    coalescer: Arc<StreamCoalescer>,
    clients: Arc<Clients>,
    /// What the caches leave.
    memory: Parts,
    config: EngineConfig,
}

/// The place of a dataset.
#[derive(Debug)]
struct DatasetSlot {
    name: String,
    progress: Progress,
    /// Empty until the dataset is scanned.
    served: OnceLock<Arc<ServedDataset>>,
}

/// Memory in which another process on this machine can read the batches of a stream, without a copy.
#[derive(Debug)]
pub struct SharedMemory {
    /// Maps it, for reading only.
    pub file: OwnedFd,
    /// Its size.
    pub bytes: usize,
    /// Batches that lie in it at a time.
    pub batches: usize,
}

/// What the caches leave of the memory.
fn memory_beside_caches(config: &EngineConfig) -> Parts {
    let caches = config.cache_bytes.saturating_add(config.encoded_cache_bytes);
    Parts::of(config.memory_bytes.saturating_sub(caches))
}

/// Batches of a stream in shared memory beyond those that its reader holds: one is completed while the next one is begun.
const WRITE_BUFFERS: usize = 2;

/// More hide no jitter.
const MAX_HELD: usize = 62;

/// Where a stream's batches lie.
struct StreamBuffers {
    buffers: Arc<Pool>,
    /// Batches at a time.
    window: usize,
    memory: Permit,
    shared_stream: Option<Arc<SharedStream>>,
}

/// A request that can be answered.
#[derive(Debug)]
pub(super) struct PlannedStream {
    pub(super) description: Description,
    pub(super) plan: Plan,
    pub(super) renderer: SampleRenderer,
}

impl PlannedStream {
    /// What it has in common with its twins.
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

impl Engine {
    /// Starts the workers over `datasets`, whose names must differ.
    ///
    /// # Errors
    ///
    /// Where the system refuses a thread.
    pub fn new(config: EngineConfig, datasets: Vec<Dataset>) -> io::Result<Self> {
        Self::with_source(config, datasets, Arc::new(Files))
    }

    /// Like [`Engine::new`], with the bytes of images from `source`.
    ///
    /// # Errors
    ///
    /// Where the system refuses a thread, or there is no memory for the index of a dataset.
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

    /// Like [`Engine::with_source`], over datasets of these names that are [added](Engine::add) later.
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

    /// Serves `dataset` from now on. Waits for decoders of other datasets if they have the memory for its index.
    ///
    /// # Errors
    ///
    /// [`dataset::Error::NoMemory`].
    ///
    /// # Panics
    ///
    /// If its name is not one of those that are awaited, or was added before.
    pub fn add(&self, dataset: Dataset) -> Result<(), dataset::Error> {
        let slot = self.slots.iter().find(|slot| slot.name == dataset.name);
        let slot = slot.expect("a dataset that is awaited");
        let bytes = dataset.heap_bytes();
        let memory = self.memory.rest.take_for_all(bytes);
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

    /// Where the scan of the dataset of this name says how far it is; `None` if there is no such dataset.
    #[must_use]
    pub fn progress(&self, name: &str) -> Option<&Progress> {
        let slot = self.slots.iter().find(|slot| slot.name == name)?;
        Some(&slot.progress)
    }

    /// Datasets that are not scanned yet, with the progress of their scan.
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
            waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// All datasets that are scanned, in the order of the configuration.
    #[must_use]
    pub fn datasets(&self) -> Vec<&Arc<ServedDataset>> {
        self.slots.iter().filter_map(|slot| slot.served.get()).collect()
    }

    /// Images decoded so far and kept, and what it took.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Files read so far and kept as they are, and what it took.
    #[must_use]
    pub fn encoded(&self) -> &Cache<Encoded> {
        &self.encoded
    }

    /// What a request may ask for.
    #[must_use]
    pub fn limits(&self) -> &super::Limits {
        &self.config.limits
    }

    /// Bytes that all requests together may hold while they are not complete.
    #[must_use]
    pub fn request_bytes(&self) -> usize {
        usize::try_from(self.memory.requests).unwrap_or(usize::MAX)
    }

    /// Bytes that are taken now of what the caches leave of the memory.
    #[must_use]
    pub fn memory_used(&self) -> u64 {
        self.memory.used()
    }

    /// Streams that wait for a worker now.
    #[must_use]
    pub fn queued_streams(&self) -> usize {
        self.workers.queued()
    }

    /// Streams open now.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.open_streams.load(Ordering::Acquire)
    }

    /// The dataset of that name; an empty name means the only one.
    ///
    /// # Errors
    ///
    /// Where there is no such dataset, it is not scanned yet, or the name is empty and there are several.
    pub fn dataset(&self, name: &str) -> Result<&Arc<ServedDataset>, Error> {
        self.dataset_among(name, |_| true)
    }

    /// Like [`Engine::dataset`], as if there were no others than those whose name `is_visible`.
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
                "nothing".to_owned()
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

    /// Opens a stream for the only client there is. As [`Engine::stream_for`].
    ///
    /// # Errors
    ///
    /// Those of [`Engine::stream_for`].
    pub fn stream(&self, spec: StreamSpec) -> Result<BatchStream, Error> {
        self.stream_for("", spec)
    }

    /// Opens a stream for `client`, which has a share of the workers' time for all its streams together. May plan the cache, for which it
    /// takes time in proportion to the images of the split: not for an async thread.
    ///
    /// # Errors
    ///
    /// Where the request is not one that can be answered, or too many streams are open.
    pub fn stream_for(&self, client: &str, spec: StreamSpec) -> Result<BatchStream, Error> {
        let planned = self.plan(spec)?;
        let permit = StreamPermit::take(&self.open_streams, self.config.limits.open_streams)?;
        let spec = &planned.description.spec;
        let client = self.clients.named(client, self.workers.now());
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

    /// Like [`Engine::stream_for`], with batches that lie in memory which another process can see, at [`Batch::offset`](super::Batch::offset). No
    /// batch is overwritten while anybody refers to its tensor. There is room for `held` batches in the reader's hands and two in the making,
    /// or less where the operator allows a stream less memory.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::stream_for`], and where the system has no such memory.
    pub fn stream_shared(
        &self,
        client: &str,
        spec: StreamSpec,
        held: usize,
    ) -> Result<(BatchStream, SharedMemory), Error> {
        let planned = self.plan(spec)?;
        let permit = StreamPermit::take(&self.open_streams, self.config.limits.open_streams)?;
        let spec = &planned.description.spec;
        let batches = held.min(MAX_HELD) + WRITE_BUFFERS;
        let client = self.clients.named(client, self.workers.now());
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

    /// Memory for as many batches as there is room for, `wanted` at most and one at least. A stream takes half of what is left to its client
    /// at most, so that the next one finds some.
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

    /// What the time of an epoch went to, by what its reader says of it and what was done for it; the log says it too. `None` where there was
    /// no such stream of `owner` or epoch, where it was too long ago, and where the reader has said it before.
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

    /// Checks a request and plans its epochs. No pixel is read yet.
    pub(super) fn plan(&self, spec: StreamSpec) -> Result<PlannedStream, Error> {
        spec.validate(&self.config.limits)?;
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

    /// Batches of `spec` that fit the byte budget of a stream, and one at least.
    fn fitting(&self, spec: &StreamSpec) -> usize {
        let budget = usize::try_from(self.config.stream_bytes).unwrap_or(usize::MAX);
        (budget / spec.batch_bytes().max(1)).max(1)
    }
}
