//! What to measure.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::ValueEnum;

/// What to measure, and for how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// A root of class folders; `None`: generated images.
    pub data: Option<PathBuf>,
    /// The stages, in any order.
    pub stages: Vec<Stage>,
    /// Worker threads.
    pub threads: NonZeroUsize,
    /// Runs of each benchmark.
    pub rounds: NonZeroUsize,
    /// Approximate length of a run, in seconds; at least one batch.
    pub seconds: f64,
    /// Sizes of images, batches and plans.
    pub size: Size,
}

/// The problem sizes. Only results of the same sizes can be compared.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Height and width of the images sent, in pixels.
    pub image: u32,
    /// Images per batch.
    pub batch: u32,
    /// Number of samples and classes of the plan.
    pub plan: (u32, u32),
    /// Width and height of the large photograph, in pixels.
    pub photograph: (u32, u32),
}

impl Default for Size {
    fn default() -> Self {
        Self {
            image: 224,
            batch: 64,
            plan: (10_000_000, 1_000),
            photograph: (4000, 3000),
        }
    }
}

/// A stage of the benchmark, in the order in which they are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// Planning: sample ids of an epoch of 10 million images in 1,000 classes.
    Plan,
    /// Decoded images to batches.
    Engine,
    /// Lookups in the cache of decoded images.
    Cache,
    /// Files to decoded images.
    Decode,
    /// Batches to a client over TCP and shared memory, and the same bytes over plain sockets as a baseline.
    Stream,
}
