//! Networks that are read from ONNX files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    program::{Foreign, import},
    weights::beside,
};

/// Why a file cannot be used as a network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is no model that is understood.
    #[error("cannot use {} as a model", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: import::Error,
    },
    /// It is a model, but not of a network that can be used.
    #[error("cannot use the network in {}", path.display())]
    Network {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: crate::program::Error,
    },
}

/// Reads the network in a file; tensors that it keeps in other files are looked for beside it.
///
/// # Errors
///
/// [`Error`], with the file's name.
pub fn read(path: &Path) -> Result<Foreign, Error> {
    let bytes = fs::read(path).map_err(|source| Error::Read {
        path: path.to_path_buf(),
        source,
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let model =
        import::read(&bytes, &|location| beside(folder, location)).map_err(|source| Error::Model {
            path: path.to_path_buf(),
            source,
        })?;
    Foreign::new(model).map_err(|source| Error::Network {
        path: path.to_path_buf(),
        source: source.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_model_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("net.onnx");
        fs::write(&path, b"\xff\xff\xff\xff").expect("a file");
        let error = anyhow::Error::from(read(&path).expect_err("no model"));
        let message = format!("{error:#}");
        assert!(
            message.contains("net.onnx as a model: it is damaged"),
            "{message}"
        );
    }
}
