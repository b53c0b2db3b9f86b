//! Pretrained weights: safetensors files, ONNX models, the Hugging Face hub.
//!
//! # Layout
//!
//! - [`Source`]: the value of `--weights`.
//! - [`hub`]: downloads, caches and verifies files of a hub repository.
//! - `safetensors`, `onnx`: read named tensors from the bytes of a file.
//! - `names`: maps fastai's and wrapped names to torchvision's.
//! - [`mod@load_state_dict`]: copies tensors into a model's state, or lists every mismatch.

mod error;
pub mod hub;
mod load_state_dict;
mod names;
mod onnx;
mod safetensors;
mod source;

use std::{collections::BTreeMap, fs, path::Path};

pub use error::Error;
pub use hub::Hub;
pub use load_state_dict::{HeadLoad, LoadReport, Mismatch, load_state_dict};
pub use names::is_moment;
pub use source::{HubFile, InvalidSource, Source};

use equibatch_training::program::Tensor;

/// Tensors of a file, under torchvision's names.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// The source, for messages.
    pub origin: String,
    /// BLAKE3 of the file, in hexadecimal.
    pub hash: String,
    /// Tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
}

impl Source {
    /// Reads the tensors; `None` for [`Source::None`].
    ///
    /// # Errors
    ///
    /// [`Error`] if the file is missing, cannot be downloaded or is not a weights file.
    pub fn read(&self, hub: &Hub) -> Result<Option<Weights>, Error> {
        let path = match self {
            Self::None => return Ok(None),
            Self::File(path) => path.clone(),
            Self::Hub(file) => hub.fetch(file)?,
        };
        read(&path, &self.to_string()).map(Some)
    }
}

/// Reads a file, called `origin` in errors: ONNX if its name ends in `.onnx`, safetensors otherwise.
fn read(path: &Path, origin: &str) -> Result<Weights, Error> {
    let bytes = fs::read(path).map_err(|source| Error::Read {
        path: path.to_path_buf(),
        source,
    })?;
    let is_onnx = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"));
    let tensors = if is_onnx {
        onnx::tensors(&bytes, path.parent().unwrap_or(Path::new("")))
    } else {
        safetensors::tensors(&bytes)
    };
    let tensors = tensors.map_err(|reason| Error::Content {
        origin: origin.to_owned(),
        reason,
    })?;
    Ok(Weights {
        origin: origin.to_owned(),
        hash: blake3::hash(&bytes).to_hex().to_string(),
        tensors: names::canonical(tensors),
    })
}
