//! Classifies image files, prepared exactly as the server prepares validation images: by the same code.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use equibatch_server::{
    augment::Draw,
    decode::{self, DecodeOptions, canonical, decode},
    tensor::{ElementType, Layout, Normalization, TensorSpec, write_image},
};

use super::{
    card::{self, ModelCard, Preprocessing},
    metrics::{argmax, softmax},
};
use crate::runtime::{self, Classifier, Runtime, SessionOptions};

/// What can go wrong with a model. A bad image is not an error of the whole: see [`Unreadable`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model file says too little.
    #[error(transparent)]
    Card(#[from] card::Error),
    /// The model cannot be run.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

/// A file that cannot be classified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is no intact image.
    #[error("cannot classify {}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: decode::Error,
    },
}

/// What a model takes an image for.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Index of the likeliest class.
    pub class: usize,
    /// Of every class, in label order.
    pub probabilities: Vec<f64>,
}

/// A model with what it needs to be used on files.
#[derive(Debug)]
pub struct Predictor {
    classifier: Classifier,
    card: ModelCard,
}

impl Predictor {
    /// Opens a model file.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] where it cannot be read or run, [`Error::Card`] where its metadata says too little.
    pub fn open(runtime: &Runtime, path: &Path, options: &SessionOptions) -> Result<Self, Error> {
        let classifier = Classifier::open(runtime, path, options)?;
        let card = ModelCard::read(&path.display().to_string(), &classifier)?;
        Ok(Self { classifier, card })
    }

    /// Class names and preprocessing.
    #[must_use]
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// The model, to be judged on a stream.
    pub fn classifier(&mut self) -> &mut Classifier {
        &mut self.classifier
    }

    /// Classifies one file. The outer error is the model's, the inner one the file's.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] where the model fails.
    pub fn predict(&mut self, path: &Path) -> Result<Result<Prediction, Unreadable>, Error> {
        let tensor = match prepare(path, &self.card.preprocessing) {
            Ok(tensor) => tensor,
            Err(unreadable) => return Ok(Err(unreadable)),
        };
        let logits = self
            .classifier
            .logits(&tensor, 1, self.card.preprocessing.image_size as usize)?;
        Ok(Ok(Prediction {
            class: argmax(&logits),
            probabilities: softmax(&logits),
        }))
    }
}

/// The tensor of a file: little-endian `f32[3, S, S]`, normalised.
///
/// # Errors
///
/// [`Unreadable`] where the file is no intact image.
pub fn prepare(path: &Path, preprocessing: &Preprocessing) -> Result<Vec<u8>, Unreadable> {
    let bytes = fs::read(path).map_err(|source| Unreadable::Read {
        path: path.to_path_buf(),
        source,
    })?;
    let image = decode(&bytes, &DecodeOptions::default()).map_err(|source| Unreadable::Decode {
        path: path.to_path_buf(),
        source,
    })?;
    let short_side = (preprocessing.canonical_short_side > 0).then_some(preprocessing.canonical_short_side);
    let image = canonical(image, short_side);
    let spec = TensorSpec {
        size: preprocessing.image_size,
        element_type: ElementType::F32,
        layout: Layout::Nchw,
        normalization: Normalization {
            mean: preprocessing.mean,
            std: preprocessing.std,
        },
    };
    let draw = Draw::identity();
    let map = draw.map((image.width(), image.height()), spec.size);
    let mut tensor = vec![0; spec.image_bytes()];
    write_image(&image, &map, &draw.tone(), &spec, &mut tensor);
    Ok(tensor)
}
