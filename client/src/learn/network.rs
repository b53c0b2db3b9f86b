//! Networks that are read from ONNX files.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use crate::program::{Foreign, import};

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

/// A file that a model names. Names that lead out of the model's folder are not followed.
fn beside(folder: &Path, location: &str) -> io::Result<Vec<u8>> {
    let relative = Path::new(location);
    let stays = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if location.is_empty() || !stays {
        let reason = "it leads out of the model's folder";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    }
    fs::read(folder.join(relative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_outside_of_the_folder_are_not_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).expect("a folder");
        fs::write(folder.path().join("secret"), b"x").expect("a file");
        fs::write(inner.join("data"), b"y").expect("a file");
        for location in ["../secret", "", "/etc/hostname", "a/../../secret"] {
            let error = beside(&inner, location).expect_err(location);
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{location}");
        }
        assert_eq!(beside(&inner, "./data").expect("read"), b"y");
    }

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
