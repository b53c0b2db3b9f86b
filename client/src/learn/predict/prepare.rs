use equibatch_engine::{
    augment::Draw,
    decode::{self, DecodeOptions, decode_canonical},
    pipeline::render,
    tensor::{self, Layout, Normalization, TensorSpec},
};
use std::{borrow::Cow, fs, io};

use super::source::{ImageSource, SourceBytes};
use crate::learn::card::Preprocessing;
use equibatch_training::{program::ElementType, runtime::ImageInput};

/// An image that cannot be classified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// It cannot be read.
    #[error("cannot read {name}")]
    Read {
        /// The image.
        name: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It cannot be decoded.
    #[error("cannot classify {name}")]
    Decode {
        /// The image.
        name: String,
        /// What is wrong with it.
        #[source]
        source: decode::Error,
    },
}

/// The tensors of an image, one per draw: `[V, 3, S, S]` or `[V, S, S, 3]`, little-endian, in the model's element type and layout.
///
/// # Errors
///
/// [`PrepareError`] if the image cannot be read or decoded.
pub fn prepare(
    source: &ImageSource,
    preprocessing: &Preprocessing,
    input: ImageInput,
    draws: &[Draw],
) -> Result<Vec<u8>, PrepareError> {
    let name = || source.name.clone();
    let bytes = match &source.bytes {
        SourceBytes::File(path) => fs::read(path).map(Cow::from),
        SourceBytes::Memory(bytes) => Ok(Cow::from(bytes)),
        SourceBytes::Unreadable(error) => Err(io::Error::new(error.kind(), error.to_string())),
    };
    let bytes = bytes.map_err(|source| PrepareError::Read { name: name(), source })?;
    let short_side = (preprocessing.canonical_short_side > 0).then_some(preprocessing.canonical_short_side);
    let image = decode_canonical(&bytes, &DecodeOptions::default(), short_side)
        .map_err(|source| PrepareError::Decode { name: name(), source })?;
    let spec = TensorSpec {
        size: preprocessing.image_size,
        element_type: match input.element_type {
            ElementType::U8 => tensor::ElementType::U8,
            ElementType::F16 => tensor::ElementType::F16,
            _ => tensor::ElementType::F32,
        },
        layout: if input.channels_last {
            Layout::Nhwc
        } else {
            Layout::Nchw
        },
        normalization: Normalization {
            mean: preprocessing.mean,
            std: preprocessing.std,
        },
    };
    let mut tensors = vec![0; spec.image_bytes() * draws.len()];
    for (draw, tensor) in draws.iter().zip(tensors.chunks_exact_mut(spec.image_bytes())) {
        render(&image, draw, &spec, tensor);
    }
    Ok(tensors)
}
