//! Streams of batches: connects plan, cache, decoder, augmentation and tensor, on worker threads of its own.
//!
//! # How a batch is made
//!
//! a. [`Engine::stream`] validates a [`StreamSpec`] against the dataset and the [`Limits`], and plans its epochs.
//! b. The reader's demand puts the stream into the queue of the workers.
//! c. A worker opens the next batch: it asks the plan for the slots of the global batch, takes those of its shard, and splits a pooled
//!    buffer into one chunk per image.
//! d. Workers claim one sample at a time, in weighted turns between streams; each takes the canonical image from the cache (which decodes it if
//!    necessary), draws the augmentation of that slot of the epoch, and writes the tensor into the chunk.
//! e. The worker that writes the last chunk joins the chunks to the batch, without a copy, and wakes the reader; identical concurrent streams
//!    render their batches together and get the same bytes.
//! f. When the last reference to those bytes is dropped, the buffer returns to the stream's pool.
//! A batch depends only on the request and the dataset's files, not on which thread renders a sample, in what order, or what is cached: every
//! random number is keyed by the position of the sample in the epoch.

mod batch;
mod bottleneck;
mod cache_demand;
mod clients;
mod coalescer;
mod description;
mod engine;
mod epoch_history;
mod error;
mod explain;
mod exposure;
mod fair_queue;
mod metrics;
mod mixing;
mod options;
mod pending_batch;
mod position;
mod render;
mod sample_renderer;
mod sample_task;
mod sent_batches;
mod served_dataset;
mod source;
mod spec;
mod spec_hash;
mod stream;
mod stream_task;
mod task_state;
mod validation;
mod variations;
mod workers;

pub use self::{
    batch::{Batch, Mixed, Replacement},
    bottleneck::{Bottleneck, TimeBreakdown},
    description::{Background, Description},
    engine::{
        Engine,
        open::{Requester, SharedMemory},
    },
    epoch_history::StreamId,
    error::Error,
    explain::{Explained, Mixture},
    exposure::Exposure,
    metrics::{ClientReport, DatasetMetrics, EpochStats, Histogram, MetricsSnapshot},
    options::{EngineConfig, Limits},
    position::{Position, ResumeError, SpecHash, Start, Stride},
    render::render,
    served_dataset::ServedDataset,
    source::{Files, Source, is_transient},
    spec::{Canonical, Shard, StreamSpec},
    stream::BatchStream,
    validation::{Error as SpecError, Limit},
    variations::{Variation, variations},
};
