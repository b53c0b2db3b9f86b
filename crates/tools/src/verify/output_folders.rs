//! Checks of the folders to write to.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::fix_options::{Conversion, FixOptions, Removal};

/// Why an output folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder is inside the data set, or contains it.
    #[error("{option} {}: must be outside of {}", folder.display(), root.display())]
    Inside {
        /// The flag that names it.
        option: &'static str,
        /// The folder.
        folder: PathBuf,
        /// The folder that is verified.
        root: PathBuf,
    },
    /// The folder is not empty.
    #[error("--out {}: the folder is not empty", folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder cannot be read.
    #[error("cannot read {}", folder.display())]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

/// Checks, before anything is changed, that output folders are outside of `root`, and that --out is empty.
///
/// # Errors
///
/// Every variant of [`Error`].
pub fn check_folders(root: &Path, fix_options: &FixOptions) -> Result<(), Error> {
    let outside = |option, folder: &Path| {
        let real = real(folder).map_err(|source| Error::Unreadable {
            folder: folder.to_owned(),
            source,
        })?;
        if real.starts_with(root) || root.starts_with(&real) {
            return Err(Error::Inside {
                option,
                folder: folder.to_owned(),
                root: root.to_owned(),
            });
        }
        Ok(())
    };
    if let Removal::Quarantine(folder) = &fix_options.removal {
        outside("--quarantine", folder)?;
    }
    if let Conversion::Out(folder) = &fix_options.conversion {
        outside("--out", folder)?;
        match fs::read_dir(folder).map(|mut entries| entries.next().is_some()) {
            Ok(false) => {}
            Ok(true) => {
                return Err(Error::NotEmpty {
                    folder: folder.clone(),
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(Error::Unreadable {
                    folder: folder.clone(),
                    source,
                });
            }
        }
    }
    Ok(())
}

/// The canonical path; its last components may not exist yet.
fn real(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let mut missing = vec![];
    let mut there = path.as_path();
    loop {
        match there.canonicalize() {
            Ok(real) => return Ok(missing.iter().rev().fold(real, |path, part| path.join(part))),
            Err(error) => match (there.parent(), there.file_name()) {
                (Some(parent), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
                    missing.push(name);
                    there = parent;
                }
                _ => return Err(error),
            },
        }
    }
}
