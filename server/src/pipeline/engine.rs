//! The datasets, the cache and the workers of a server; opens streams.

use std::{
    io,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    Error,
    job::{Job, Work},
    position::Identity,
    produce::{Decoder, Producer},
    served::Served,
    source::{Files, Source},
    spec::StreamSpec,
    stream::{Account, BatchStream, Description, Seat},
    workers::Workers,
};
use crate::{
    cache::{Cache, Registration, Want},
    dataset::Dataset,
    decode::{DecodeOptions, canonical_size},
    image::Image,
    sampling::{Plan, PlanSpec},
};

/// How streams are made: the operator's side. Nothing here changes a byte of a batch.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Worker threads.
    pub threads: NonZeroUsize,
    /// Bytes of decoded images kept, at most.
    pub cache_bytes: u64,
    /// Bytes of unread batches that a stream may hold. One batch is always allowed, however large.
    pub stream_bytes: u64,
    /// Unread batches that a stream may hold: more than a few hide no jitter and take memory.
    pub stream_batches: NonZeroUsize,
    /// Part of a split's images that may be broken before its streams fail, from 0 to 1.
    pub max_broken: f64,
    /// What a request may ask for.
    pub limits: Limits,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            cache_bytes: 4 << 30,
            // Six batches of 64 float images at 224.
            stream_bytes: 256 << 20,
            stream_batches: NonZeroUsize::new(4).expect("4 is not zero"),
            max_broken: 0.1,
            limits: Limits::default(),
        }
    }
}

/// What a request may ask for.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a batch's tensor.
    pub batch_bytes: u64,
    /// Images of a global batch, which are listed even where a shard takes few of them.
    pub batch_size: u32,
    /// Height and width of an image sent.
    pub image_size: u32,
    /// Epochs of a stream.
    pub epochs: u32,
    /// Streams open at a time.
    pub open_streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // gRPC's length prefix ends at 4 GiB; the rest is beyond any use seen.
        Self {
            batch_bytes: 1 << 30,
            batch_size: 1 << 16,
            image_size: 4096,
            epochs: 1_000_000,
            open_streams: 64,
        }
    }
}

/// Makes batches. Cheap to clone; the threads end with the last clone and the last stream.
#[derive(Clone, Debug)]
pub struct Engine {
    datasets: Arc<[Arc<Served>]>,
    workers: Arc<Workers>,
    cache: Arc<Cache>,
    source: Arc<dyn Source>,
    open_streams: Arc<AtomicUsize>,
    config: EngineConfig,
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
    /// Where the system refuses a thread.
    pub fn with_source(
        config: EngineConfig,
        datasets: Vec<Dataset>,
        source: Arc<dyn Source>,
    ) -> io::Result<Self> {
        Ok(Self {
            datasets: datasets
                .into_iter()
                .map(|dataset| Arc::new(Served::new(dataset, config.max_broken)))
                .collect(),
            workers: Arc::new(Workers::start(config.threads.get())?),
            cache: Arc::new(Cache::new(config.cache_bytes)),
            source,
            open_streams: Arc::default(),
            config,
        })
    }

    /// All datasets, in the order of the configuration.
    #[must_use]
    pub fn datasets(&self) -> &[Arc<Served>] {
        &self.datasets
    }

    /// Images decoded so far and kept, and what it took.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// What a request may ask for.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.config.limits
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
    /// Where there is no such dataset, or the name is empty and there are several.
    pub fn dataset(&self, name: &str) -> Result<&Arc<Served>, Error> {
        self.find(name).map(|(_, served)| served)
    }

    fn find(&self, name: &str) -> Result<(usize, &Arc<Served>), Error> {
        let known = || {
            let names: Vec<&str> = self
                .datasets
                .iter()
                .map(|served| served.dataset().name.as_str())
                .collect();
            names.join(", ")
        };
        match (name, &*self.datasets) {
            ("", [only]) => Ok((0, only)),
            ("", _) => Err(Error::DatasetNotNamed { known: known() }),
            (_, all) => all
                .iter()
                .enumerate()
                .find(|(_, served)| served.dataset().name == name)
                .ok_or_else(|| Error::UnknownDataset {
                    name: name.to_owned(),
                    known: known(),
                }),
        }
    }

    /// Opens a stream. Takes time in proportion to the images of the split: not for an async thread.
    ///
    /// # Errors
    ///
    /// Where the request is not one that can be answered, or too many streams are open.
    pub fn open(&self, spec: StreamSpec) -> Result<BatchStream, Error> {
        spec.validate(&self.config.limits)?;
        let (index, served) = self.find(&spec.dataset)?;
        let dataset = served.dataset();
        if let Some(expected) = spec.expected_fingerprint.filter(|f| *f != dataset.fingerprint) {
            let (dataset, found) = (dataset.name.clone(), dataset.fingerprint);
            return Err(Error::Fingerprint {
                dataset,
                expected,
                found,
            });
        }
        let members: Arc<[Vec<u32>]> = dataset.members(spec.split).into();
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
            spec_hash: spec.hash(),
            steps_per_epoch: plan.steps_per_epoch(),
            images_per_epoch: plan.images_per_epoch(),
            draws_per_class: plan.draws_per_class().to_vec(),
            served: Arc::clone(served),
            spec,
        };
        let spec = &description.spec;
        spec.start.check(&Identity {
            seed: spec.seed,
            spec_hash: description.spec_hash,
            fingerprint: dataset.fingerprint,
            epochs: spec.epochs,
            steps: description.steps_per_epoch,
        })?;
        let seat = Seat::take(&self.open_streams, self.config.limits.open_streams)?;
        let producer = self.producer(index, &description, members);
        let announced = announce(&producer, &description);
        let work = Work {
            producer,
            plan,
            window: self.window(spec),
        };
        let job = Arc::new(Job::new(work, spec.start.position));
        let workers = Arc::clone(&self.workers);
        Ok(BatchStream {
            job,
            workers,
            description,
            account: Account::default(),
            _announced: announced,
            _seat: seat,
        })
    }

    fn producer(&self, index: usize, description: &Description, members: Arc<[Vec<u32>]>) -> Producer {
        let spec = description.spec.clone();
        let scanned = description.served.dataset().options;
        Producer {
            decoder: Decoder {
                dataset: index as u32,
                source: Arc::clone(&self.source),
                cache: Arc::clone(&self.cache),
                options: DecodeOptions {
                    orientation: scanned.orientation,
                    limits: scanned.limits,
                },
                short_side: spec.canonical_short_side(),
            },
            served: Arc::clone(&description.served),
            spec,
            members,
        }
    }

    /// Batches of `spec` that fit the byte budget of a stream.
    fn window(&self, spec: &StreamSpec) -> usize {
        let batch = (spec.images_per_batch() * spec.tensor.image_bytes()).max(1);
        let fitting = usize::try_from(self.config.stream_bytes).unwrap_or(usize::MAX) / batch;
        fitting.clamp(1, self.config.stream_batches.get())
    }
}

/// Tells the cache how often an epoch draws which image, and how large it is.
fn announce(producer: &Producer, description: &Description) -> Registration {
    let (spec, dataset, decoder) = (&producer.spec, description.served.dataset(), &producer.decoder);
    let mut name = blake3::Hasher::new();
    name.update(&decoder.dataset.to_le_bytes())
        .update(&dataset.fingerprint.0)
        .update(&[spec.split as u8]);
    name.update(&decoder.short_side.unwrap_or(0).to_le_bytes());
    for draws in &description.draws_per_class {
        name.update(&draws.to_le_bytes());
    }
    let bytes = |sample: u32| {
        let file = &dataset.samples[sample as usize];
        let (width, height) = canonical_size(file.width, file.height, decoder.short_side);
        u64::from(width) * u64::from(height) * Image::CHANNELS as u64 + Image::SLACK as u64
    };
    decoder.cache.register(*name.finalize().as_bytes(), || {
        let classes = producer.members.iter().zip(&description.draws_per_class);
        let of_class = |(members, draws): (&Vec<u32>, &u64)| {
            let draws = *draws as f64 / members.len().max(1) as f64;
            members
                .iter()
                .map(|&sample| Want {
                    key: decoder.key(sample),
                    draws,
                    bytes: bytes(sample),
                })
                .collect::<Vec<_>>()
        };
        classes.flat_map(of_class).collect()
    })
}
