use half::f16;
use ort::{
    memory::Allocator,
    session::Session,
    value::{PrimitiveTensorElementType, Tensor as Buffer},
};

use super::{
    Error, Runtime, SessionOptions,
    element::{Element, fill},
    error::first_line,
    state::dimensions,
};
use crate::program::{ElementType, Program, ValueInfo};

/// A session of a program that is a function of its only input: its state, if it has some, are initializers.
#[derive(Debug)]
pub struct Function {
    what: String,
    session: Session,
    input: ValueInfo,
    outputs: Vec<String>,
}

impl Function {
    /// Creates a session of `program`, called `what` in errors.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the device cannot be used, [`Error::Model`] if ONNX Runtime rejects the program, or it has no input.
    pub fn new(
        runtime: &Runtime,
        what: &str,
        program: &Program,
        options: &SessionOptions,
    ) -> Result<Self, Error> {
        // Batches differ in size, so memory cannot be planned once.
        let options = SessionOptions {
            memory_pattern: false,
            ..options.clone()
        };
        let signature = &program.signature;
        let input = signature.inputs.first().ok_or_else(|| Error::Model {
            what: what.to_owned(),
            reason: "it has no input".to_owned(),
        })?;
        let outputs = signature.outputs.iter().map(|output| output.name.clone());
        let next = signature.state.iter().filter_map(|pair| pair.output.clone());
        Ok(Self {
            what: what.to_owned(),
            session: runtime.session(what, &program.model, &options)?,
            input: input.clone(),
            outputs: outputs.chain(next).collect(),
        })
    }

    /// Number of elements of the input for one sample.
    #[must_use]
    pub fn sample_elements(&self) -> usize {
        self.input.shape[1..].iter().product()
    }

    /// Computes the `f32` outputs and next states, in the order of the signature.
    ///
    /// # Shapes
    ///
    /// `elements`: little-endian elements of the input for `count` samples, at any alignment.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if `elements` has another length, [`Error::Run`] if ONNX Runtime fails.
    pub fn run(&mut self, elements: &[u8], count: usize) -> Result<Vec<Vec<f32>>, Error> {
        match self.input.element_type {
            ElementType::U8 => self.run_as::<u8>(elements, count),
            ElementType::F16 => self.run_as::<f16>(elements, count),
            _ => self.run_as::<f32>(elements, count),
        }
    }

    fn run_as<E: Element + PrimitiveTensorElementType + std::fmt::Debug>(
        &mut self,
        elements: &[u8],
        count: usize,
    ) -> Result<Vec<Vec<f32>>, Error> {
        let failed = |error: ort::Error| Error::Run {
            what: self.what.clone(),
            reason: first_line(&error),
        };
        let mut shape = self.input.shape.to_vec();
        shape[0] = count;
        let name = &*self.input.name;
        let mut buffer = Buffer::<E>::new(&Allocator::default(), dimensions(&shape)).map_err(failed)?;
        fill(name, buffer.extract_tensor_mut().1, elements)?;
        let found = self.session.run(ort::inputs![name => buffer]).map_err(failed)?;
        let output = |name: &String| {
            let (_, elements) = found[&**name].try_extract_tensor::<f32>().map_err(failed)?;
            Ok(elements.to_vec())
        };
        self.outputs.iter().map(output).collect()
    }
}
