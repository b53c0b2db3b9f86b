//! Measures what a batch costs, stage by stage, on the machine that it runs on.
//!
//! # What is measured
//!
//! | stage | what is done | figures |
//! |---|---|---|
//! | `plan` | 10 million samples in 1,000 classes are planned, and batches asked for at random | `plan_10m_ms`, `plan_10m_mb`, `plan_10m_batch_us`, `plan_10m_epoch_us` |
//! | `engine` | batches are made and dropped, within the process | `engine_f32_*`, `engine_f16_*`, `engine_u8_*`, `engine_f32_one_thread_*`, `engine_scaling` |
//! | `cache` | resident images are looked up | `cache_hit_ns` |
//! | `decode` | files become canonical images; the engine works without a cache; a photograph of 12 megapixels is seen for the first time | `decode_*`, `canonical_*`, `engine_uncached_*`, `decode_bound`, `large_jpeg_*` |
//! | `stream` | batches go through a server and a receiver in this process, by TCP, Unix socket and shared memory, to where a program can compute with them; the same bytes go through plain sockets | `stream_*`, `unix_*`, `shared_*`, `uncached_*`, `raw_tcp_*`, `transport_of_raw_tcp`, `throughput_of_raw_tcp`, `images_per_second` |
//!
//! `*_cpu_ms` is processor time per image, user and system, of the whole process: of server *and* receiver where there are both.
//! `*_images_per_second` is by the clock. Images are 224x224, in batches of 64, augmented by the default recipe, and all decoded images are
//! kept, unless the stage says otherwise.
//!
//! # How
//!
//! Whatever is compared takes turns ([`interleaved`]): machines have moods, and a mood of one turn is not taken for a property of one stage.
//! Each turn is a whole stream from its opening to its end, so that no work is done before its turn or left over after it. Figures are
//! medians over the rounds; ratios are medians of the ratios within each round.

mod cache;
mod data;
mod decode;
mod engine;
mod error;
mod fixture;
mod interleaved;
mod meter;
mod plan;
mod receive;
mod report;
mod steady_state;
mod stream;
mod tcp_baseline;

pub use self::{error::Error, report::Report};

use std::{num::NonZeroUsize, path::PathBuf};

use self::{fixture::Fixture, interleaved::Interleaved};

/// What to measure, and for how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// A root of class folders; `None` draws one.
    pub data: Option<PathBuf>,
    /// The stages, in any order.
    pub stages: Vec<Stage>,
    /// Worker threads.
    pub threads: NonZeroUsize,
    /// Turns of everything.
    pub rounds: NonZeroUsize,
    /// Length of a turn, about. A turn makes one batch at least.
    pub seconds: f64,
    /// Form of the batches.
    pub size: Size,
}

/// How large everything is. Figures can be compared with others of the same size only.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Height and width of the images sent, in pixels.
    pub image: u32,
    /// Images of a batch.
    pub batch: u32,
    /// Samples and classes of the plan.
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

/// Part of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Which sample stands where.
    Plan,
    /// Decoded images to batches.
    Engine,
    /// Finding decoded images.
    Cache,
    /// Files to decoded images.
    Decode,
    /// Batches to a receiver.
    Stream,
}

impl Stage {
    /// Every stage, in the order in which they are measured.
    pub const ALL: [Self; 5] = [Self::Plan, Self::Engine, Self::Cache, Self::Decode, Self::Stream];
}

/// Measures the stages of `options`.
///
/// # Errors
///
/// Where the data is of no use, or the system refuses threads, memory or sockets.
pub fn run(options: &Options) -> Result<Report, Error> {
    let wants = |stage| options.stages.contains(&stage);
    let mut report = Report::default();
    // First, because memory that another stage has used and given back would not show.
    if wants(Stage::Plan) {
        plan::measure(options, &mut report)?;
    }
    if Stage::ALL[1..].iter().all(|&stage| !wants(stage)) {
        return Ok(report);
    }
    let fixture = Fixture::open(options)?;
    let mut interleaved = Interleaved::default();
    if wants(Stage::Engine) {
        engine::join(&fixture, &mut interleaved)?;
    }
    if wants(Stage::Decode) {
        decode::join(&fixture, &mut interleaved)?;
    }
    if wants(Stage::Stream) {
        stream::join(&fixture, &mut interleaved)?;
    }
    let rounds = interleaved.take(options)?;
    report.costs(&rounds);
    engine::compare(&rounds, &mut report);
    decode::compare(&rounds, &mut report);
    stream::compare(&rounds, &mut report);
    if wants(Stage::Cache) {
        cache::measure(&fixture, &mut report)?;
    }
    if wants(Stage::Decode) {
        decode::measure_photograph(options, &mut report)?;
    }
    Ok(report)
}

#[cfg(test)]
mod tests;
