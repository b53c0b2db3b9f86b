//! Runs Grad-CAM programs.

use ort::{memory::Allocator, session::Session, value::Tensor as Buffer};

use super::{Error, Runtime, SessionOptions, element::fill, error::first_line, state::dimensions};
use crate::program::Program;

/// A session of a Grad-CAM program.
#[derive(Debug)]
pub struct GradCam {
    session: Session,
    image_size: usize,
}

/// Grad-CAM heatmap: how much each region of an image contributes to the score of a class.
#[derive(Clone, Debug, PartialEq)]
pub struct Heatmap {
    /// Rows and columns.
    pub extent: [usize; 2],
    /// Row-major, at least 0.
    pub values: Vec<f32>,
}

const WHAT: &str = "the Grad-CAM program";

impl GradCam {
    /// Creates a session of a program compiled by [`grad_cam`](crate::program::grad_cam()).
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the device cannot be used, [`Error::Model`] if ONNX Runtime rejects the program.
    pub fn new(runtime: &Runtime, program: &Program, options: &SessionOptions) -> Result<Self, Error> {
        let image_size = program.signature.inputs[0].shape[3];
        Ok(Self {
            session: runtime.session(WHAT, &program.model, options)?,
            image_size,
        })
    }

    /// Computes the heatmap of the class `label`.
    ///
    /// # Shapes
    ///
    /// `tensor`: little-endian `f32[3, S, S]`, at any alignment.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if `tensor` has another length, [`Error::Run`] if ONNX Runtime fails.
    pub fn of(&mut self, tensor: &[u8], label: i64) -> Result<Heatmap, Error> {
        let failed = |error: ort::Error| Error::Run {
            what: WHAT.to_owned(),
            reason: first_line(&error),
        };
        let size = self.image_size;
        let mut images =
            Buffer::<f32>::new(&Allocator::default(), dimensions(&[1, 3, size, size])).map_err(failed)?;
        fill("images", images.extract_tensor_mut().1, tensor)?;
        let labels = Buffer::from_array(([1_i64], vec![label])).map_err(failed)?;
        let outputs = self
            .session
            .run(ort::inputs!["images" => images, "labels" => labels])
            .map_err(failed)?;
        let (shape, values) = outputs["attention"].try_extract_tensor::<f32>().map_err(failed)?;
        let extent = [1, 2].map(|axis| usize::try_from(shape[axis]).unwrap_or(0));
        Ok(Heatmap {
            extent,
            values: values.to_vec(),
        })
    }
}
