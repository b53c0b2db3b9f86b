//! Where a model's numbers come from, if not from nothing: files of other programs, ONNX models, the Hugging Face hub.
//!
//! # Layout
//!
//! - [`Source`]: what `--weights` says.
//! - [`hub`]: files of a repository, fetched once, kept and checked.
//! - `safetensors`, `onnx`: tensors by name from the bytes of a file.
//! - `names`: other programs' names as torchvision writes them.
//! - [`mod@load_state_dict`]: the tensors of a file in the place of a model's own, or everything that does not fit.

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
pub use onnx::read_external_data;
pub use source::{HubFile, InvalidSource, Source};

use equibatch_training::program::Tensor;

/// Tensors of a file, by torchvision's names.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// Where they are from, in words.
    pub origin: String,
    /// BLAKE3 of the file, in hexadecimal.
    pub hash: String,
    /// By name.
    pub tensors: BTreeMap<String, Tensor>,
}

impl Source {
    /// Reads the tensors; `None` where there are to be none.
    ///
    /// # Errors
    ///
    /// [`Error`] where the file is not there, not to be had or of no use.
    pub fn read(&self, hub: &Hub) -> Result<Option<Weights>, Error> {
        let path = match self {
            Self::None => return Ok(None),
            Self::File(path) => path.clone(),
            Self::Hub(file) => hub.fetch(file)?,
        };
        read(&path, &self.to_string()).map(Some)
    }
}

/// Reads a file, called `origin` in errors: an ONNX model where its name ends in `.onnx`, safetensors otherwise.
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
