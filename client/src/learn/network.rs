//! Networks that are read from ONNX files.

use std::{
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
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
    /// It is another file than it was.
    #[error("{} has changed since training began: put back the file whose BLAKE3 is {expected}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// In hexadecimal.
        expected: String,
    },
}

/// A file that a network is to be read from, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkFile {
    /// Its absolute path.
    pub path: String,
    /// BLAKE3 of it, in hexadecimal.
    pub hash: String,
}

impl FromStr for NetworkFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = fs::read(text).map_err(|error| error.to_string())?;
        let path = std::path::absolute(text).map_err(|error| error.to_string())?;
        let path = path.into_os_string().into_string();
        Ok(Self {
            path: path.map_err(|_| "its path is not UTF-8".to_owned())?,
            hash: hash(&bytes),
        })
    }
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Reads the network in a file; tensors that it keeps in other files are looked for beside it.
///
/// # Errors
///
/// [`Error`], with the file's name.
pub fn read(path: &Path) -> Result<Foreign, Error> {
    parse(path, &bytes_of(path)?)
}

/// [`read`], where the file is still the one with that hash.
///
/// # Errors
///
/// [`Error`], with the file's name.
pub fn read_as(path: &Path, expected: &str) -> Result<Foreign, Error> {
    let bytes = bytes_of(path)?;
    if hash(&bytes) != expected {
        return Err(Error::Changed {
            path: path.to_path_buf(),
            expected: expected.to_owned(),
        });
    }
    parse(path, &bytes)
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Read {
        path: path.to_path_buf(),
        source,
    })
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Foreign, Error> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let model = import::read(bytes, &|location| beside(folder, location)).map_err(|source| Error::Model {
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
