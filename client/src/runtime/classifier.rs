//! Runs a model for prediction.

use std::{fs, path::Path};

use ort::{memory::Allocator, session::Session, value::Tensor as Buffer};

use super::{Error, Runtime, SessionOptions, error::first_line, state::dimensions};

/// Name of the input, `f32[N, 3, S, S]`.
const IMAGES: &str = "images";
/// Name of the output, `f32[N, classes]`.
const LOGITS: &str = "logits";

/// A model that turns normalised images into logits.
#[derive(Debug)]
pub struct Classifier {
    what: String,
    session: Session,
}

impl Classifier {
    /// Prepares the model in `bytes`, called `what` in errors.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] where the device cannot be used, [`Error::Model`] where ONNX Runtime refuses the model.
    pub fn new(runtime: &Runtime, what: &str, bytes: &[u8], options: &SessionOptions) -> Result<Self, Error> {
        // Batches differ in size, so there is no one plan for the memory.
        let options = SessionOptions {
            memory_pattern: false,
            ..options.clone()
        };
        let session = runtime.session(what, bytes, &options)?;
        let has =
            |name: &str, outlets: &[ort::value::Outlet]| outlets.iter().any(|outlet| outlet.name() == name);
        if !has(IMAGES, session.inputs()) || !has(LOGITS, session.outputs()) {
            let reason = format!("it has no input `{IMAGES}` or no output `{LOGITS}`");
            return Err(Error::Model {
                what: what.to_owned(),
                reason,
            });
        }
        Ok(Self {
            what: what.to_owned(),
            session,
        })
    }

    /// Reads and prepares a model file.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] where the file cannot be read, and those of [`Classifier::new`].
    pub fn open(runtime: &Runtime, path: &Path, options: &SessionOptions) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(|source| Error::Read {
            path: path.to_path_buf(),
            source,
        })?;
        Self::new(runtime, &path.display().to_string(), &bytes, options)
    }

    /// What the model's file says under `key`.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<String> {
        self.session.metadata().ok()?.custom(key)
    }

    /// Logits of images, one row per image.
    ///
    /// # Shapes
    ///
    /// `tensor`: little-endian `f32[count, 3, size, size]`, at any alignment → `f32[count, classes]`, flat.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] where `tensor` has another length, [`Error::Run`] where ONNX Runtime fails.
    pub fn logits(&mut self, tensor: &[u8], count: usize, size: usize) -> Result<Vec<f32>, Error> {
        let failed = |error: ort::Error| Error::Run {
            what: self.what.clone(),
            reason: first_line(&error),
        };
        let mut images =
            Buffer::<f32>::new(&Allocator::default(), dimensions(&[count, 3, size, size])).map_err(failed)?;
        fill(IMAGES, images.extract_tensor_mut().1, tensor)?;
        let outputs = self.session.run(ort::inputs![IMAGES => images]).map_err(failed)?;
        let (_, logits) = outputs[LOGITS].try_extract_tensor::<f32>().map_err(failed)?;
        Ok(logits.to_vec())
    }
}

/// Copies little-endian floats of any alignment to the front of `buffer`.
///
/// # Errors
///
/// [`Error::Length`] where they do not fit exactly.
pub fn fill(name: &str, buffer: &mut [f32], bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() != size_of_val(buffer) {
        return Err(Error::Length {
            name: name.to_owned(),
            expected: buffer.len(),
            found: bytes.len() / size_of::<f32>(),
        });
    }
    #[cfg(target_endian = "little")]
    bytemuck::cast_slice_mut::<f32, u8>(buffer).copy_from_slice(bytes);
    #[cfg(target_endian = "big")]
    for (value, bytes) in buffer.iter_mut().zip(bytes.chunks_exact(4)) {
        *value = f32::from_le_bytes(bytes.try_into().expect("four bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_read_at_any_alignment() {
        let mut bytes = vec![0];
        [1.5_f32, -0.0, f32::MAX]
            .iter()
            .for_each(|value| bytes.extend(value.to_le_bytes()));
        let mut buffer = [0.0_f32; 3];
        fill("images", &mut buffer, &bytes[1..]).expect("the lengths agree");
        assert_eq!(
            buffer.map(f32::to_bits),
            [1.5_f32, -0.0, f32::MAX].map(f32::to_bits)
        );
    }

    #[test]
    fn another_length_is_refused() {
        let message = fill("images", &mut [0.0; 2], &[0; 4])
            .expect_err("too short")
            .to_string();
        assert_eq!(
            message,
            "cannot use `images`: the program has 2 elements, the value has 1"
        );
    }
}
