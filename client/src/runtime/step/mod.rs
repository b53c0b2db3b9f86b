//! Runs a program.

mod host;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::Path};

use ort::{
    memory::Allocator,
    session::{IoBinding, Session},
    value::Tensor as Buffer,
};

use host::HostBuffer;

use super::{
    DeviceState, Error, OperatorTime, Runtime, SessionOptions, error::first_line, profile, state::dimensions,
};
use crate::program::{Program, Signature, Tensor};

/// A program with its host buffers, ready to run any number of times.
///
/// Fill the inputs through [`StepRunner::f32_input`] and [`StepRunner::i64_input`], then call [`StepRunner::step`],
/// then read [`StepRunner::output`]. Nothing is allocated between runs.
#[derive(Debug)]
pub struct StepRunner {
    what: String,
    session: Session,
    options: SessionOptions,
    signature: Signature,
    inputs: BTreeMap<String, HostBuffer>,
    outputs: BTreeMap<String, Buffer<f32>>,
    /// One for each way in which the state's buffers were used so far, the latest first.
    bindings: Vec<Bound>,
}

/// Most bindings that are kept. Alone, a program uses its buffers in two ways; two programs that share a state by turns, in four.
const BINDINGS: usize = 4;

#[derive(Debug)]
struct Bound {
    binding: IoBinding,
    /// The state whose buffers are bound.
    state: u64,
    /// Which buffer of each tensor is read, in the order of the signature.
    sides: Vec<usize>,
}

impl StepRunner {
    /// Prepares `program`, called `what` in errors.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] where the device cannot be used, [`Error::Model`] where ONNX Runtime refuses the program.
    pub fn new(
        runtime: &Runtime,
        what: &str,
        program: &Program,
        options: &SessionOptions,
    ) -> Result<Self, Error> {
        let session = runtime.session(what, &program.model, options)?;
        let refused = |error: ort::Error| Error::Model {
            what: what.to_owned(),
            reason: first_line(&error),
        };
        let signature = program.signature.clone();
        let host = Allocator::default();
        let inputs = signature
            .inputs
            .iter()
            .map(|input| Ok((input.name.clone(), HostBuffer::new(&host, input)?)));
        let inputs = inputs.collect::<ort::Result<_>>().map_err(refused)?;
        let outputs = signature.outputs.iter().map(|output| {
            Ok((
                output.name.clone(),
                Buffer::new(&host, dimensions(&output.shape))?,
            ))
        });
        let outputs = outputs.collect::<ort::Result<_>>().map_err(refused)?;
        Ok(Self {
            what: what.to_owned(),
            session,
            options: options.clone(),
            signature,
            inputs,
            outputs,
            bindings: vec![],
        })
    }

    /// What goes in and comes out.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Puts `values` on the device of this program.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] where the device has no room.
    pub fn place(&self, values: &BTreeMap<String, Tensor>) -> Result<DeviceState, Error> {
        let device = self.options.device;
        let allocator =
            Allocator::new(&self.session, device.memory()?).map_err(|error| device.refused(&error))?;
        DeviceState::new(device, &allocator, values)
    }

    /// The host buffer of an `f32` input, to be filled before a run. It keeps its content from run to run.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] where the program has no such input.
    pub fn f32_input(&mut self, name: &str) -> Result<&mut [f32], Error> {
        let buffer = self.inputs.get_mut(name).and_then(HostBuffer::f32);
        buffer.ok_or_else(|| Error::Name {
            name: name.to_owned(),
            what: format!("the f32 inputs of {}", self.what),
        })
    }

    /// The host buffer of an `i64` input, to be filled before a run. It keeps its content from run to run.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] where the program has no such input.
    pub fn i64_input(&mut self, name: &str) -> Result<&mut [i64], Error> {
        let buffer = self.inputs.get_mut(name).and_then(HostBuffer::i64);
        buffer.ok_or_else(|| Error::Name {
            name: name.to_owned(),
            what: format!("the i64 inputs of {}", self.what),
        })
    }

    /// Fills an input with little-endian elements of its type, at any alignment, to be read by the next run.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] where the program has no such input, [`Error::Length`] where it has another number of elements.
    pub fn fill(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let filled = self
            .inputs
            .get_mut(name)
            .and_then(|buffer| buffer.fill(name, bytes));
        filled.unwrap_or_else(|| {
            Err(Error::Name {
                name: name.to_owned(),
                what: format!("the inputs of {} that hold images", self.what),
            })
        })
    }

    /// Ends profiling, where it was asked for: what the runs but the first took, by operator.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] where there is no profile, [`Error::Read`] where it cannot be read.
    pub fn profile(&mut self) -> Result<Vec<OperatorTime>, Error> {
        let file = self.session.end_profiling().map_err(|error| Error::Run {
            what: format!("the profile of {}", self.what),
            reason: first_line(&error),
        })?;
        profile::read(Path::new(&file))
    }

    /// Runs once and moves `state` on: its values are the outputs of this run.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] where ONNX Runtime fails; the state then has the values from before.
    pub fn step(&mut self, state: &mut DeviceState) -> Result<(), Error> {
        let names = self.signature.state.iter().map(|pair| &pair.name);
        let sides: Vec<usize> = names
            .map(|name| Ok(state.pair(name)?.current))
            .collect::<Result<_, Error>>()?;
        let is_this = |bound: &Bound| bound.state == state.id() && bound.sides == sides;
        match self.bindings.iter().position(is_this) {
            Some(known) => self.bindings[..=known].rotate_right(1),
            None => {
                let bound = self.bind(state, sides)?;
                self.bindings.insert(0, bound);
                self.bindings.truncate(BINDINGS);
            }
        }
        self.run()?;
        for pair in self.signature.state.iter().filter(|pair| pair.output.is_some()) {
            let tensor = state.pair(&pair.name)?;
            tensor.current = 1 - tensor.current;
        }
        Ok(())
    }

    /// An output of the last run.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] where the program has no such `f32` output.
    pub fn output(&self, name: &str) -> Result<&[f32], Error> {
        self.outputs
            .get(name)
            .map(|buffer| buffer.extract_tensor().1)
            .ok_or_else(|| Error::Name {
                name: name.to_owned(),
                what: format!("the outputs of {}", self.what),
            })
    }

    /// Binds everything that stays where it is from run to run.
    fn bind(&mut self, state: &mut DeviceState, sides: Vec<usize>) -> Result<Bound, Error> {
        let (device, id) = (self.options.device, state.id());
        let refused = |error: ort::Error| device.refused(&error);
        let mut binding = self.session.create_binding().map_err(refused)?;
        for (pair, &side) in self.signature.state.iter().zip(&sides) {
            let buffers = &mut state.pair(&pair.name)?.buffers;
            binding
                .bind_input(pair.input.as_str(), &buffers[side])
                .map_err(refused)?;
            if let Some(output) = &pair.output {
                binding
                    .bind_output(output.as_str(), &mut buffers[1 - side])
                    .map_err(refused)?;
            }
        }
        for (name, buffer) in &mut self.outputs {
            binding.bind_output(name.as_str(), buffer).map_err(refused)?;
        }
        Ok(Bound {
            binding,
            state: id,
            sides,
        })
    }

    /// Binds the host buffers to the latest binding (on a CUDA device this is the copy to it, so it comes before every run) and runs.
    fn run(&mut self) -> Result<(), Error> {
        let failed = |error: ort::Error| Error::Run {
            what: self.what.clone(),
            reason: first_line(&error),
        };
        let binding = &mut self.bindings[0].binding;
        for (name, buffer) in &self.inputs {
            buffer.bind(binding, name).map_err(failed)?;
        }
        self.session.run_binding(binding).map_err(failed)?;
        Ok(())
    }
}
