//! The report of a run: `report.html` in its folder, and its figures as SVG and PNG in `report/`.
//!
//! Everything comes from the files of the folder, so that a report can be made again at any time, without a server and without a model: the
//! configuration, the epochs (`metrics.jsonl`), the steps, the stream and the sessions (see [`run_log`](crate::learn::run_log)), and the
//! interpretation (see [`interpret`](crate::learn::interpret)). Missing data is omitted with a note.
//!
//! # Layout
//!
//! - [`RunRecord`]: the data of the folder.
//! - [`curves`]: charts over steps and epochs. [`classes`]: training images and draws per class.
//! - `page`: the sections and their order. `reproduce`: commands, tokens and settings to reproduce the run.

pub mod classes;
pub mod curves;
mod page;
mod record;
mod reproduce;

use std::{
    fs, io,
    panic::resume_unwind,
    path::{Path, PathBuf},
    thread,
};

use equibatch_cli::files::{self, WriteError, cannot_write};
pub use page::page;
pub use record::RunRecord;

use super::{canvas, html::Figure};
use crate::learn::run;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder contains no run.
    #[error(transparent)]
    Run(#[from] run::Error),
    /// A file of the run cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file of the report cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A chart cannot be drawn.
    #[error(transparent)]
    Draw(#[from] canvas::Error),
}

/// Writes the report of the run in `folder`, and returns its path.
///
/// # Errors
///
/// [`Error`] if the folder contains no readable run, a chart cannot be drawn, or a file cannot be written.
pub fn write(folder: &Path) -> Result<PathBuf, Error> {
    write_record(&RunRecord::read(folder)?)
}

/// [`write()`] of a folder whose data has been read.
///
/// # Errors
///
/// If a figure cannot be drawn, or a file cannot be written.
pub fn write_record(record: &RunRecord) -> Result<PathBuf, Error> {
    let (page, figures) = page(record)?;
    save(&figures, &record.folder.join("report"))?;
    let path = record.folder.join("report.html");
    files::write(&path, page.to_html().as_bytes())?;
    Ok(path)
}

/// Writes the figures of a page to `folder`, which is created if missing.
///
/// # Errors
///
/// If a file cannot be written.
pub fn save(figures: &[Figure], folder: &Path) -> Result<(), WriteError> {
    fs::create_dir_all(folder).map_err(cannot_write(folder))?;
    // At once, because each waits for the disk.
    thread::scope(|scope| {
        let saved = figures.iter().map(|figure| scope.spawn(|| figure.save(folder)));
        let saved: Vec<_> = saved.collect();
        saved
            .into_iter()
            .try_for_each(|saved| saved.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}
