//! The subcommands, and the exit codes.

mod bench;
mod check;
mod download;
mod exit;
mod explain;
mod health;
mod health_check;
mod main;
mod preview;
mod recipe;
mod sample_data;
mod serve;
mod stats;
mod verify;

pub use main::main;

use bench::bench;
use check::check;
use download::download;
use explain::explain;
use health::health;
use preview::preview;
use recipe::recipe;
use sample_data::sample_data;
use serve::serve;
use stats::stats;
use verify::verify;

use std::{num::NonZeroUsize, path::Path};

use anyhow::{Context as _, anyhow};
use equibatch_cli::terminal;
use equibatch_engine::{
    dataset::{self, Dataset, ScanOptions},
    pipeline::{Engine, EngineConfig, Error, Explained, ResumeError, StreamSpec},
};
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde::Serialize;

use crate::args::{BatchSelector, ScanArgs};
use exit::{Failure, INPUT, SYSTEM, USAGE};

/// Scans `dir` leniently: any number of classes is accepted.
fn scan_lenient(dir: &Path, scan: &ScanArgs) -> Result<Dataset, Failure> {
    let options = ScanOptions::try_from(&scan.split).map_err(|error| USAGE.failure(error))?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    dataset::scan_lenient(&name, dir, &options).map_err(|error| INPUT.failure(error))
}

/// The stream and the batch of `dir` that `selector` selects.
fn explain_batch(dir: &Path, selector: &BatchSelector) -> Result<(StreamSpec, Vec<Explained>), Failure> {
    let spec = StreamSpec::try_from(selector).map_err(|error| USAGE.failure(error))?;
    let options = ScanOptions::try_from(&selector.scan.split).map_err(|error| USAGE.failure(error))?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let dataset = Dataset::scan(&name, dir, &options).map_err(|error| INPUT.failure(error))?;
    let config = EngineConfig {
        threads: NonZeroUsize::MIN,
        ..EngineConfig::default()
    };
    let engine = Engine::new(config, vec![dataset]).map_err(|error| SYSTEM.failure(error))?;
    let batch = engine.explain(spec.clone()).map_err(|error| match error {
        Error::NoReadableImage { .. } => INPUT.failure(error),
        Error::Resume(ResumeError::BeyondEnd { step, steps, .. }) => USAGE.failure(anyhow!(
            "--step {step}: expected a number from 0 to {}",
            steps.saturating_sub(1)
        )),
        _ => USAGE.failure(error),
    })?;
    Ok((spec, batch))
}

/// The thread pool that decodes.
fn pool(scan: &ScanArgs) -> Result<ThreadPool, Failure> {
    // 0 is rayon's default: one per CPU.
    let threads = ThreadPoolBuilder::new().num_threads(scan.threads.unwrap_or(0));
    threads
        .build()
        .context("cannot start the decoding threads")
        .map_err(|error| SYSTEM.failure(error))
}

/// Prints `report` as JSON, or as `text` formats it.
fn print<T: Serialize>(report: &T, json: bool, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
    let text = if json {
        let json = serde_json::to_string_pretty(report).expect("reports are serialisable");
        format!("{json}\n")
    } else {
        text(report)
    };
    terminal::print(text.as_bytes()).map_err(|error| SYSTEM.failure(error))
}
