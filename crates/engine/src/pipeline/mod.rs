//! Makes streams of batches: wires plan, cache, decoder, augmentation and tensor together, on threads of its own.
//!
//! # How a batch is made
//!
//! a. [`Engine::stream`] checks a [`StreamSpec`] against the dataset and the operator's [`Limits`], and plans its epochs.
//! b. The reader's demand puts the stream's job into the queue of the workers.
//! c. A worker opens the next batch: it asks the plan for the slots of the global batch, takes those of its shard, and cuts a pooled
//!    buffer into one chunk per image.
//! d. Workers claim one sample at a time, in turns between streams; each takes the canonical image from the cache (which decodes where it
//!    must), draws the augmentation of that place in the epoch, and writes the tensor straight into the chunk.
//! e. The worker that writes the last chunk joins the chunks into the batch, without moving a byte, and wakes the reader: or the readers,
//!    since streams of the same batches that run side by side fill them together and get the same bytes.
//! f. When the last reference to those bytes is gone, the buffer returns to the stream's pool.
//!
//! # Determinism
//!
//! A batch depends on the request and on the dataset's files. Which thread makes a sample, in what order, and what is in the cache cannot
//! change it: every random number is keyed by the place of the sample in the epoch.

mod batch;
mod bottleneck;
mod cache_demand;
mod clients;
mod coalescer;
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
mod variations;
mod workers;

pub use self::{
    batch::{Batch, Mixed, Replacement},
    bottleneck::{Bottleneck, ClientReport, TimeBreakdown},
    engine::{Engine, SharedMemory},
    epoch_history::StreamId,
    error::Error,
    explain::{Explained, Mixture},
    exposure::Exposure,
    metrics::{DatasetMetrics, EpochStats, Histogram, MetricsSnapshot},
    options::{EngineConfig, Limits},
    position::{Position, ResumeError, SpecHash, Start, Stride},
    render::render,
    served_dataset::ServedDataset,
    source::{Files, Source, is_transient},
    spec::{Canonical, Error as SpecError, Limit, Shard, StreamSpec},
    stream::{BatchStream, Description},
    variations::{Variation, variations},
};
