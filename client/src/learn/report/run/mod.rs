//! The report of one run: `report.html` in its folder, and its drawings as SVG and PNG in `report/`.
//!
//! Everything comes from the files of the folder, so that a report can be made again at any time, without a server and without a model:
//! the configuration, the epochs (`metrics.jsonl`), the steps, the stream and the sessions (see [`run_log`](crate::learn::journal)), and the
//! examination (see [`interpret`](crate::learn::examine)). What is missing is left out, and said so.
//!
//! # Layout
//!
//! - [`RunRecord`]: what the folder holds.
//! - [`curves`]: charts over steps and epochs. [`classes`]: what of each class is drawn.
//! - `page`: the sections and their order. `reproduce`: how to do it again.

pub mod classes;
pub mod curves;
mod page;
mod record;
mod reproduce;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use equibatch_cli::files;
pub use page::page;
pub use record::RunRecord;

use super::{canvas, html::Figure};
use crate::learn::run;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder holds no run.
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
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A chart cannot be drawn.
    #[error(transparent)]
    Draw(#[from] canvas::Error),
}

/// Makes the report of the run in `folder`, and says where it is.
///
/// # Errors
///
/// [`Error`].
pub fn write(folder: &Path) -> Result<PathBuf, Error> {
    let record = RunRecord::read(folder)?;
    let (page, figures) = page(&record)?;
    save(&figures, &folder.join("report"))?;
    let path = folder.join("report.html");
    let written = files::replace(&path, page.to_html().as_bytes());
    written.map_err(|source| Error::Write {
        path: path.clone(),
        source,
    })?;
    Ok(path)
}

/// Writes the drawings of a page to `folder`, which is made where it is missing.
///
/// # Errors
///
/// [`Error::Write`].
pub fn save(figures: &[Figure], folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(|source| Error::Write {
        path: folder.to_path_buf(),
        source,
    })?;
    for figure in figures {
        figure
            .save(folder)
            .map_err(|(path, source)| Error::Write { path, source })?;
    }
    Ok(())
}
