//! Networks from ONNX files.

use super::card;
use equibatch_training::program::{
    OnnxModel,
    import::{self, read_external_data},
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Why a file cannot be used as a network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is not a valid or supported ONNX model.
    #[error("cannot use {} as a model", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: import::Error,
    },
    /// The model's graph cannot be trained.
    #[error("cannot use the network in {}", path.display())]
    Network {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: equibatch_training::program::Error,
    },
    /// The file or one of its external data files has changed.
    #[error("{} has changed since training began, or one of its external data files has: restore the files with the BLAKE3 hash {expected}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Expected BLAKE3, in hexadecimal.
        expected: String,
    },
}

/// A network file, its current hash, and what its metadata say.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkFile {
    /// Its absolute path.
    pub path: String,
    /// BLAKE3 of the file and of its external data files, in hexadecimal.
    pub hash: String,
    /// The normalisation of its images; `None` if its metadata do not say.
    pub normalization: Option<Normalization>,
}

/// Normalisation of images, part of the metadata `preprocessing`: see [`Preprocessing`](super::card::Preprocessing).
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Normalization {
    /// Mean per channel in [0, 1] units: red, green, blue.
    pub mean: [f32; 3],
    /// Standard deviation per channel in [0, 1] units: red, green, blue.
    pub std: [f32; 3],
}

impl FromStr for NetworkFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let contents = Contents::read(Path::new(text)).map_err(|error| match error {
            Error::Read { source, .. } => source.to_string(),
            error => error.to_string(),
        })?;
        let path = std::path::absolute(text).map_err(|error| error.to_string())?;
        let path = path.into_os_string().into_string();
        Ok(Self {
            path: path.map_err(|_| "its path is not UTF-8".to_owned())?,
            hash: contents.hash(),
            normalization: contents.normalization(),
        })
    }
}

/// Bytes of a model file and of its external data files, by location.
struct Contents {
    model: Vec<u8>,
    external: BTreeMap<String, Vec<u8>>,
}

impl Contents {
    /// Reads as much as exists; [`Contents::parse`] reports an invalid model or a missing external data file.
    fn read(path: &Path) -> Result<Self, Error> {
        let model = fs::read(path).map_err(|source| Error::Read {
            path: path.to_path_buf(),
            source,
        })?;
        let locations = import::external_files(&model).unwrap_or_default().into_iter();
        let read = |location: String| Some((read_external_data(folder(path), &location).ok()?, location));
        let external = locations.filter_map(read);
        let external = external.map(|(bytes, location)| (location, bytes)).collect();
        Ok(Self { model, external })
    }

    fn normalization(&self) -> Option<Normalization> {
        let metadata = import::metadata(&self.model).ok()?;
        let (_, text) = metadata.into_iter().find(|(key, _)| key == card::PREPROCESSING)?;
        serde_json::from_str(&text).ok()
    }

    /// BLAKE3 of the model file, or of it and all external data files if there are some.
    fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.model);
        for (location, bytes) in &self.external {
            for part in [location.as_bytes(), bytes] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
        hasher.finalize().to_hex().to_string()
    }

    fn parse(&self, path: &Path) -> Result<OnnxModel, Error> {
        let external = |location: &str| match self.external.get(location) {
            Some(bytes) => Ok(bytes.clone()),
            None => read_external_data(folder(path), location),
        };
        let model = import::read(&self.model, &external).map_err(|source| Error::Model {
            path: path.to_path_buf(),
            source,
        })?;
        OnnxModel::new(model).map_err(|source| Error::Network {
            path: path.to_path_buf(),
            source: source.into(),
        })
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// Paths of the model file and of its external data files.
///
/// # Errors
///
/// [`Error::Read`] if the model file cannot be read.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let external = Contents::read(path)?.external.into_keys();
    let external = external.map(|location| folder(path).join(location));
    Ok([path.to_path_buf()].into_iter().chain(external).collect())
}

/// Reads the network in a file and its external data files, which are in the same folder.
///
/// # Errors
///
/// [`Error`] if the file cannot be read, or is not a network that can be used.
pub fn read(path: &Path) -> Result<OnnxModel, Error> {
    Contents::read(path)?.parse(path)
}

/// Like [`read`], and checks the BLAKE3 of the file and its external data files.
///
/// # Errors
///
/// Those of [`read`], and [`Error::Changed`] if the hash differs.
pub fn read_as(path: &Path, expected: &str) -> Result<OnnxModel, Error> {
    let contents = Contents::read(path)?;
    if contents.hash() != expected {
        return Err(Error::Changed {
            path: path.to_path_buf(),
            expected: expected.to_owned(),
        });
    }
    contents.parse(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A length-delimited protobuf field.
    fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).expect("a short field");
        [&[tag << 3 | 2, length], bytes].concat()
    }

    #[test]
    fn the_hash_covers_external_data_files() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [path, read_external_data] = ["net.onnx", "net.bin"].map(|name| folder.path().join(name));
        let text = path.to_str().expect("UTF-8");
        let located = [field(1, b"location"), field(2, b"net.bin")].concat();
        // data_location = EXTERNAL (1).
        let tensor = [&*field(13, &located), &[14 << 3, 1]].concat();
        let model = field(7, &field(5, &tensor));
        fs::write(&path, model).expect("written");
        let hashed = |bytes: &[u8]| {
            fs::write(&read_external_data, bytes).expect("written");
            text.parse::<NetworkFile>().expect("a file").hash
        };
        let [old, new] = [hashed(b"old"), hashed(b"new")];
        assert_ne!(old, new);
        let error = read_as(&path, &old).expect_err("it has changed");
        assert!(matches!(error, Error::Changed { .. }), "{error}");
        let error = read_as(&path, &new).expect_err("no network");
        assert!(!matches!(error, Error::Changed { .. }), "{error}");
        assert_eq!(files(&path).expect("files"), [path.clone(), read_external_data]);
        // Without external data, the hash is that of the model file.
        fs::write(&path, b"other").expect("written");
        let hash = text.parse::<NetworkFile>().expect("a file").hash;
        assert_eq!(hash, blake3::hash(b"other").to_hex().to_string());
    }

    #[test]
    fn an_invalid_model_is_reported_with_its_path() {
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
