//! Runs a program.

use std::collections::BTreeMap;

use ort::{
    memory::Allocator,
    session::{IoBinding, Session},
    value::Tensor as Buffer,
};

use super::{DeviceState, Error, Runtime, SessionOptions, error::first_line, state::dimensions};
use crate::program::{ElementType, Program, Signature, Tensor, ValueInfo};

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
    /// One for each direction in which the state's buffers can be used.
    bindings: [Bound; 2],
}

#[derive(Debug)]
struct Bound {
    binding: IoBinding,
    /// The state whose buffers are bound.
    state: Option<u64>,
}

#[derive(Debug)]
enum HostBuffer {
    F32(Buffer<f32>),
    I64(Buffer<i64>),
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
        let bind = || {
            session
                .create_binding()
                .map(|binding| Bound { binding, state: None })
                .map_err(refused)
        };
        let bindings = [bind()?, bind()?];
        Ok(Self {
            what: what.to_owned(),
            session,
            options: options.clone(),
            signature,
            inputs,
            outputs,
            bindings,
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
        match self.inputs.get_mut(name) {
            Some(HostBuffer::F32(buffer)) => Ok(buffer.extract_tensor_mut().1),
            _ => Err(Error::Name {
                name: name.to_owned(),
                what: format!("the f32 inputs of {}", self.what),
            }),
        }
    }

    /// The host buffer of an `i64` input, to be filled before a run. It keeps its content from run to run.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] where the program has no such input.
    pub fn i64_input(&mut self, name: &str) -> Result<&mut [i64], Error> {
        match self.inputs.get_mut(name) {
            Some(HostBuffer::I64(buffer)) => Ok(buffer.extract_tensor_mut().1),
            _ => Err(Error::Name {
                name: name.to_owned(),
                what: format!("the i64 inputs of {}", self.what),
            }),
        }
    }

    /// Runs once and moves `state` on: its values are the outputs of this run.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] where ONNX Runtime fails; the state then has the values from before.
    pub fn step(&mut self, state: &mut DeviceState) -> Result<(), Error> {
        let side = state.current();
        if self.bindings[side].state != Some(state.id()) {
            self.bind_state(state)?;
        }
        self.run(side)?;
        state.swap();
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

    fn bind_state(&mut self, state: &mut DeviceState) -> Result<(), Error> {
        let (device, side, id) = (self.options.device, state.current(), state.id());
        let Bound {
            binding,
            state: bound,
        } = &mut self.bindings[side];
        *bound = None;
        for pair in &self.signature.state {
            let buffers = state.pair(&pair.name)?;
            binding
                .bind_input(pair.input.as_str(), &buffers[side])
                .map_err(|error| device.refused(&error))?;
            if let Some(output) = &pair.output {
                binding
                    .bind_output(output.as_str(), &mut buffers[1 - side])
                    .map_err(|error| device.refused(&error))?;
            }
        }
        self.bind_outputs(side)?;
        self.bindings[side].state = Some(id);
        Ok(())
    }

    fn bind_outputs(&mut self, side: usize) -> Result<(), Error> {
        for (name, buffer) in &mut self.outputs {
            let bound = self.bindings[side].binding.bind_output(name.as_str(), buffer);
            bound.map_err(|error| self.options.device.refused(&error))?;
        }
        Ok(())
    }

    /// Binds the host buffers (on a CUDA device this is the copy to it, so it comes before every run) and runs.
    fn run(&mut self, side: usize) -> Result<(), Error> {
        let failed = |error: ort::Error| Error::Run {
            what: self.what.clone(),
            reason: first_line(&error),
        };
        let binding = &mut self.bindings[side].binding;
        for (name, buffer) in &self.inputs {
            match buffer {
                HostBuffer::F32(buffer) => binding.bind_input(name.as_str(), buffer),
                HostBuffer::I64(buffer) => binding.bind_input(name.as_str(), buffer),
            }
            .map_err(failed)?;
        }
        self.session.run_binding(binding).map_err(failed)?;
        Ok(())
    }
}

impl HostBuffer {
    fn new(host: &Allocator, input: &ValueInfo) -> ort::Result<Self> {
        let shape = dimensions(&input.shape);
        Ok(match input.element_type {
            ElementType::I64 => Self::I64(Buffer::new(host, shape)?),
            ElementType::F32 => Self::F32(Buffer::new(host, shape)?),
            ElementType::Bool => {
                return Err(ort::Error::new(format!(
                    "the input `{}` is a truth value",
                    input.name
                )));
            }
        })
    }
}
