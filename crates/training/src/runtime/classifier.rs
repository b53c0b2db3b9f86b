//! Runs inference models.

use std::{fs, path::Path};

use half::f16;
use ort::{
    memory::Allocator,
    session::Session,
    value::{Outlet, PrimitiveTensorElementType, Tensor as Buffer, TensorElementType, ValueType},
};

use super::{
    Error, Runtime, SessionOptions,
    element::{Element, fill},
    error::first_line,
    state::dimensions,
};
use crate::program::ElementType;

/// Name of the input.
const IMAGES: &str = "images";
/// Name of the output, `f32[N, classes]`.
const LOGITS: &str = "logits";

/// Element type and layout of a model's image input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageInput {
    /// Floats for normalised images, u8 for raw pixels.
    pub element_type: ElementType,
    /// NHWC, `[N, S, S, 3]`, instead of NCHW, `[N, 3, S, S]`.
    pub channels_last: bool,
}

impl ImageInput {
    fn of(outlet: &Outlet) -> Option<Self> {
        let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
            return None;
        };
        let element_type = match ty {
            TensorElementType::Float32 => ElementType::F32,
            TensorElementType::Float16 => ElementType::F16,
            TensorElementType::Uint8 => ElementType::U8,
            _ => return None,
        };
        let channels_last = match **shape {
            [_, 3, _, _] => false,
            [_, _, _, 3] => true,
            _ => return None,
        };
        Some(Self {
            element_type,
            channels_last,
        })
    }
}

/// A session of a model that maps images to logits.
#[derive(Debug)]
pub struct Classifier {
    what: String,
    session: Session,
    input: ImageInput,
    /// Added to the logits of each image; empty: nothing.
    offsets: Vec<f32>,
    /// Factor of the result.
    scale: f32,
}

impl Classifier {
    /// Creates a session of the ONNX model in `bytes`, called `what` in errors.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the device cannot be used, [`Error::Model`] if ONNX Runtime rejects the model, or it has no input `images` or
    /// output `logits`.
    pub fn new(runtime: &Runtime, what: &str, bytes: &[u8], options: &SessionOptions) -> Result<Self, Error> {
        // Batches differ in size, so memory cannot be planned once.
        let options = SessionOptions {
            memory_pattern: false,
            ..options.clone()
        };
        let session = runtime.session(what, bytes, &options)?;
        let refused = |reason: String| Error::Model {
            what: what.to_owned(),
            reason,
        };
        let find = |name: &str, outlets: &[Outlet]| outlets.iter().position(|outlet| outlet.name() == name);
        let (Some(images), Some(_)) = (find(IMAGES, session.inputs()), find(LOGITS, session.outputs()))
        else {
            return Err(refused(format!(
                "it has no input `{IMAGES}` or no output `{LOGITS}`"
            )));
        };
        let input = ImageInput::of(&session.inputs()[images])
            .ok_or_else(|| refused(format!("its input `{IMAGES}` is not float32, float16 or uint8 with shape [N, 3, S, S] or [N, S, S, 3]")))?;
        Ok(Self {
            what: what.to_owned(),
            session,
            input,
            offsets: vec![],
            scale: 1.0,
        })
    }

    /// Adds `offsets`, one per class, to the logits of each image from now on.
    pub fn add_offsets(&mut self, offsets: Vec<f32>) {
        self.offsets = offsets;
    }

    /// Multiplies the logits of each image, after offsets were added, by `factor` from now on.
    pub fn scale(&mut self, factor: f32) {
        self.scale = factor;
    }

    /// Element type and layout of the image input.
    #[must_use]
    pub fn input(&self) -> ImageInput {
        self.input
    }

    /// Reads a model file and creates a session of it.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] if the file cannot be read, and those of [`Classifier::new`].
    pub fn open(runtime: &Runtime, path: &Path, options: &SessionOptions) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(|source| Error::Read {
            path: path.to_path_buf(),
            source,
        })?;
        Self::new(runtime, &path.display().to_string(), &bytes, options)
    }

    /// The model's metadata under `key`.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<String> {
        self.session.metadata().ok()?.custom(key)
    }

    /// Computes logits, one row per image.
    ///
    /// # Shapes
    ///
    /// `tensor`: `[count, 3, size, size]` or `[count, size, size, 3]`, little-endian elements of the type of [`Classifier::input`], at any
    /// alignment → `f32[count, classes]`, flattened.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if `tensor` has another length, [`Error::Run`] if ONNX Runtime fails.
    pub fn logits(&mut self, tensor: &[u8], count: usize, size: usize) -> Result<Vec<f32>, Error> {
        let shape = if self.input.channels_last {
            [count, size, size, 3]
        } else {
            [count, 3, size, size]
        };
        let mut logits = match self.input.element_type {
            ElementType::U8 => self.run::<u8>(tensor, &shape),
            ElementType::F16 => self.run::<f16>(tensor, &shape),
            _ => self.run::<f32>(tensor, &shape),
        }?;
        for row in logits.chunks_mut(self.offsets.len().max(1)) {
            for (logit, offset) in row.iter_mut().zip(&self.offsets) {
                *logit += offset;
            }
        }
        if self.scale != 1.0 {
            logits.iter_mut().for_each(|logit| *logit *= self.scale);
        }
        Ok(logits)
    }

    fn run<E: Element + PrimitiveTensorElementType + std::fmt::Debug>(
        &mut self,
        tensor: &[u8],
        shape: &[usize],
    ) -> Result<Vec<f32>, Error> {
        let failed = |error: ort::Error| Error::Run {
            what: self.what.clone(),
            reason: first_line(&error),
        };
        let mut images = Buffer::<E>::new(&Allocator::default(), dimensions(shape)).map_err(failed)?;
        fill(IMAGES, images.extract_tensor_mut().1, tensor)?;
        let outputs = self.session.run(ort::inputs![IMAGES => images]).map_err(failed)?;
        let (_, logits) = outputs[LOGITS].try_extract_tensor::<f32>().map_err(failed)?;
        Ok(logits.to_vec())
    }
}
