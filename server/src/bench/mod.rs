//! Benchmarks of the server: what a batch costs on this machine, stage by stage.
//!
//! # What is measured
//!
//! | stage | what is done | figures |
//! |---|---|---|
//! | `plan` | plans epochs of 10 million samples in 1,000 classes, and random batches of them | `plan_10m_ms`, `plan_10m_mb`, `plan_10m_batch_us`, `plan_10m_epoch_us` |
//! | `engine` | renders batches and drops them, within the process | `engine_f32_*`, `engine_f16_*`, `engine_u8_*`, `engine_f32_one_thread_*`, `engine_scaling` |
//! | `cache` | looks up cached images | `cache_hit_ns` |
//! | `decode` | decodes files to canonical images; runs the engine without a cache; decodes a photograph of 12 megapixels | `decode_*`, `canonical_*`, `engine_uncached_*`, `decode_bound`, `large_jpeg_*` |
//! | `stream` | sends batches from a server to a receiver in this process, over TCP, Unix socket and shared memory, to memory that a program can compute on; sends the same bytes over plain sockets | `stream_*`, `unix_*`, `shared_*`, `uncached_*`, `raw_tcp_*`, `transport_of_raw_tcp`, `throughput_of_raw_tcp`, `images_per_second` |
//!
//! `*_cpu_ms` is processor time per image, user and system, of the whole process: of server *and* receiver, if there are both.
//! `*_images_per_second` is per wall time. Images are 224x224, in batches of 64, augmented by the default recipe, and all decoded images
//! are cached, unless the stage says otherwise.
//!
//! # How
//!
//! Benchmarks that are compared run interleaved ([`interleaved`]), so that a change in the machine's speed is not mistaken for a difference
//! between them. Each run is a whole stream, so that no work is done before it or left over after it. Results are medians over the rounds;
//! ratios are medians of the ratios within each round.

mod cache;
mod data;
mod decode;
mod engine;
mod error;
mod fixture;
mod interleaved;
mod meter;
mod options;
mod plan;
mod receive;
mod report;
mod steady_state;
mod stream;
mod tcp_baseline;

pub use self::{
    error::Error,
    options::{Options, Size, Stage},
    report::Report,
};

use clap::ValueEnum as _;

use self::{fixture::Fixture, interleaved::Interleaved};

/// Runs the stages of `options`.
///
/// # Errors
///
/// If the data is unusable, or the system refuses threads, memory or sockets.
pub fn run(options: &Options) -> Result<Report, Error> {
    let wants = |stage| options.stages.contains(&stage);
    let mut report = Report::default();
    // First: memory that an earlier stage has freed would hide its memory use.
    if wants(Stage::Plan) {
        plan::measure(options, &mut report)?;
    }
    if Stage::value_variants()[1..].iter().all(|&stage| !wants(stage)) {
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
