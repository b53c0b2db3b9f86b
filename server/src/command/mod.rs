//! The commands that gather, judge and measure, and end.

mod bench;
mod check;
mod download;
mod explain;
mod health;
mod recipe;
mod stats;
mod verify;

pub(crate) use bench::bench;
pub(crate) use check::check;
pub(crate) use download::download;
pub(crate) use explain::explain;
pub(crate) use health::health;
pub(crate) use recipe::recipe;
pub(crate) use stats::stats;
pub(crate) use verify::verify;

use std::{
    io::{self, Write as _},
    path::Path,
};

use anyhow::Context as _;
use equibatch_server::{
    args::Reading,
    dataset::{self, Dataset, ScanOptions},
};
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde::Serialize;

use crate::exit::{Failure, INPUT, SYSTEM, USAGE};

/// Lists the images of `dir`, of however many classes.
fn survey(dir: &Path, reading: &Reading) -> Result<Dataset, Failure> {
    let options = ScanOptions::try_from(reading).map_err(|error| USAGE.failure(error))?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    dataset::survey(&name, dir, &options).map_err(|error| INPUT.failure(error))
}

/// The threads that decode.
fn pool(reading: &Reading) -> Result<ThreadPool, Failure> {
    // None given is 0: as many as there are processors.
    let threads = ThreadPoolBuilder::new().num_threads(reading.threads.unwrap_or(0));
    threads
        .build()
        .context("cannot start the threads")
        .map_err(|error| SYSTEM.failure(error))
}

/// Prints `report` as JSON, or `text` of it.
fn print<T: Serialize>(report: &T, json: bool, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
    let text = if json {
        let json = serde_json::to_string_pretty(report).expect("a report is plain data");
        format!("{json}\n")
    } else {
        text(report)
    };
    match io::stdout().write_all(text.as_bytes()) {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| SYSTEM.failure(error)),
    }
}
