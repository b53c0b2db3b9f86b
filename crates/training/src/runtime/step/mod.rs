//! Runs a program step by step.
//!
//! # Layout
//!
//! - [`StepRunner`]: fills inputs, runs the program, reads outputs.
//! - `bound`: `IoBinding` of state and outputs; `input`: an input.
//! - `host`: host buffers of inputs; `packed`: that of inputs that are parts of one.
//! - `staged`: double-buffered inputs, of which one buffer is filled while the other is read.

mod bound;
mod host;
mod input;
mod packed;
mod staged;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, panic::resume_unwind, path::Path, thread};

use ort::{memory::Allocator, session::Session, value::Tensor as Buffer};

use self::{
    bound::{BINDINGS, Bound},
    host::HostBuffer,
    input::Input,
    packed::PackedInputs,
    staged::Staged,
};

use super::{
    Device, DeviceState, Error, OperatorTime, Runtime, SessionOptions, error::first_line, profile,
    state::dimensions,
};
use crate::program::{Program, Signature, Tensor};

/// A program with its session and host buffers.
///
/// Fill the inputs through [`StepRunner::f32_input`] and [`StepRunner::i64_input`], then call [`StepRunner::step`],
/// then read [`StepRunner::output`]. Runs do not allocate.
///
/// An input that takes long to fill or to copy to the device can be double-buffered ([`StepRunner::double_buffer`]): then the next run's elements are
/// copied while a run is going on ([`StepRunner::step_ahead`]).
#[derive(Debug)]
pub struct StepRunner {
    what: String,
    session: Session,
    options: SessionOptions,
    signature: Signature,
    inputs: BTreeMap<String, Input>,
    packed: Option<PackedInputs>,
    outputs: BTreeMap<String, Buffer<f32>>,
    /// Cached bindings, one per combination of the state's buffers, most recently used first.
    bindings: Vec<Bound>,
}

impl StepRunner {
    /// Creates a session of `program`, called `what` in errors.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the device cannot be used, [`Error::Model`] if ONNX Runtime rejects the program.
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
        let source = options.device.host_allocator(&session);
        let packed = match &*signature.packed_inputs {
            [] => None,
            _ => Some(PackedInputs::new(&source, &signature).map_err(refused)?),
        };
        let is_single = |name: &str| !packed.as_ref().is_some_and(|packed| packed.contains(name));
        let inputs = signature.inputs.iter().filter(|input| is_single(&input.name));
        let inputs = inputs.map(|input| {
            let buffer = HostBuffer::new(&source, input)?;
            Ok((input.name.clone(), Input::SingleBuffered(buffer)))
        });
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
            packed,
            outputs,
            bindings: vec![],
        })
    }

    /// Inputs, outputs and state of the program.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Copies `values` to the device of this program.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the device is out of memory.
    pub fn upload(&self, values: BTreeMap<String, Tensor>) -> Result<DeviceState, Error> {
        DeviceState::new(self.options.device, &self.device_allocator()?, values)
    }

    fn device_allocator(&self) -> Result<Allocator, Error> {
        let device = self.options.device;
        Allocator::new(&self.session, device.memory()?).map_err(|error| device.refused(&error))
    }

    /// Makes the input `name` double-buffered, for [`StepRunner::step_ahead`]. On a CUDA device both buffers are in device memory, and are
    /// filled through a third one on the host. A double-buffered input is filled by [`StepRunner::fill`] only; this call discards its content.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if the program has no such input, [`Error::Device`] if the device is out of memory.
    pub fn double_buffer(&mut self, name: &str) -> Result<(), Error> {
        let device = self.options.device;
        let inputs = self.signature.inputs.iter();
        let mut inputs = inputs.filter(|input| self.inputs.contains_key(&input.name));
        let input = inputs.find(|input| input.name == name);
        let input = input.ok_or_else(|| no_input(&self.what, name, "inputs"))?;
        let source = device.host_allocator(&self.session);
        let staged = match device {
            Device::Cpu => Staged::on_host(&source, input),
            Device::Cuda { .. } => Staged::on_device(device, (&source, &self.device_allocator()?), input),
        };
        let staged = staged.map_err(|error| device.refused(&error))?;
        self.inputs.insert(name.to_owned(), Input::DoubleBuffered(staged));
        Ok(())
    }

    /// The host buffer of a single-buffered `f32` input, to be filled before a run. Its content is kept between runs.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if the program has no such input.
    pub fn f32_input(&mut self, name: &str) -> Result<&mut [f32], Error> {
        let what = &self.what;
        let packed = self.packed.as_mut().and_then(|packed| packed.input(name));
        let single = self.inputs.get_mut(name).and_then(Input::host);
        packed
            .or_else(|| single.and_then(HostBuffer::f32))
            .ok_or_else(|| no_input(what, name, "f32 inputs"))
    }

    /// The host buffer of a single-buffered `i64` input, to be filled before a run. Its content is kept between runs.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if the program has no such input.
    pub fn i64_input(&mut self, name: &str) -> Result<&mut [i64], Error> {
        let what = &self.what;
        let buffer = self.inputs.get_mut(name).and_then(Input::host);
        buffer
            .and_then(HostBuffer::i64)
            .ok_or_else(|| no_input(what, name, "i64 inputs"))
    }

    /// Fills an input for the next run with little-endian elements of its type, at any alignment.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if the program has no such input, [`Error::Length`] if the number of elements differs.
    pub fn fill(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let packed = self.packed.as_mut();
        if let Some(filled) = packed.and_then(|packed| packed.fill(name, bytes)) {
            return filled;
        }
        match self.inputs.get_mut(name) {
            Some(Input::SingleBuffered(buffer)) => buffer.fill(name, bytes),
            Some(Input::DoubleBuffered(staged)) => staged.fill(name, bytes),
            None => Err(no_input(&self.what, name, "inputs")),
        }
    }

    /// Ends profiling; returns the mean time per run by operator, without the first run.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] if profiling is off, [`Error::Read`] if the profile cannot be read.
    pub fn profile(&mut self) -> Result<Vec<OperatorTime>, Error> {
        let file = self.session.end_profiling().map_err(|error| Error::Run {
            what: format!("the profile of {}", self.what),
            reason: first_line(&error),
        })?;
        profile::read(Path::new(&file))
    }

    /// Runs once and updates `state`.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] if ONNX Runtime fails; the state is then unchanged, but for tensors that are updated in place.
    pub fn step(&mut self, state: &mut DeviceState) -> Result<(), Error> {
        self.step_ahead(state, None)
    }

    /// Like [`StepRunner::step`], and concurrently copies `ahead`, the name of a double-buffered input and little-endian elements for the next
    /// run, which then needs no [`StepRunner::fill`].
    ///
    /// # Errors
    ///
    /// [`Error::Run`] if ONNX Runtime or the copy to the device fails, [`Error::Name`] if the program has no such double-buffered input,
    /// [`Error::Length`] if the number of elements differs. The state is then unchanged, but for tensors that are updated in place.
    pub fn step_ahead(&mut self, state: &mut DeviceState, ahead: Option<(&str, &[u8])>) -> Result<(), Error> {
        let names = self.signature.state.iter().map(|pair| &pair.name);
        let buffer_indices: Vec<usize> = names
            .map(|name| Ok(state.double_buffer(name)?.current))
            .collect::<Result<_, Error>>()?;
        let is_this = |bound: &Bound| bound.state == state.id() && bound.buffer_indices == buffer_indices;
        match self.bindings.iter().position(is_this) {
            Some(known) => self.bindings[..=known].rotate_right(1),
            None => {
                let allocator = self.device_allocator()?;
                let program = (&self.session, &self.signature, &mut self.outputs);
                let device = (self.options.device, &allocator, &mut *state);
                let bound = Bound::new(program, device, buffer_indices)?;
                self.bindings.insert(0, bound);
                self.bindings.truncate(BINDINGS);
            }
        }
        self.run(ahead)?;
        for pair in self.signature.state.iter().filter(|pair| pair.is_swapped()) {
            let tensor = state.double_buffer(&pair.name)?;
            tensor.current = 1 - tensor.current;
        }
        Ok(())
    }

    /// Restores the values of `state` before the last [`StepRunner::step`] of this program, whose loss or gradients were not finite: they are still in
    /// the other buffers, or were not updated. No other program may have updated the state since.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if `state` lacks a tensor of this program.
    pub fn rollback(&self, state: &mut DeviceState) -> Result<(), Error> {
        for pair in self.signature.state.iter().filter(|pair| pair.is_swapped()) {
            let tensor = state.double_buffer(&pair.name)?;
            tensor.current = 1 - tensor.current;
        }
        Ok(())
    }

    /// An output of the last run.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if the program has no such `f32` output.
    pub fn output(&self, name: &str) -> Result<&[f32], Error> {
        self.outputs
            .get(name)
            .map(|buffer| buffer.extract_tensor().1)
            .ok_or_else(|| Error::Name {
                name: name.to_owned(),
                what: format!("the outputs of {}", self.what),
            })
    }

    /// Binds the inputs to the most recent binding and runs it, while `ahead` is copied. For host inputs of a CUDA device, binding is the copy
    /// to the device, so it precedes every run.
    fn run(&mut self, ahead: Option<(&str, &[u8])>) -> Result<(), Error> {
        let failed = |error: ort::Error| Error::Run {
            what: self.what.clone(),
            reason: first_line(&error),
        };
        let binding = &mut self.bindings[0].binding;
        for (name, buffer) in &self.inputs {
            buffer.bind(binding, name).map_err(failed)?;
        }
        if let Some(packed) = &self.packed {
            packed.bind(binding).map_err(failed)?;
        }
        let session = &mut self.session;
        let mut run = || session.run_binding(binding).map(drop).map_err(failed);
        let Some((name, bytes)) = ahead else { return run() };
        let Some(Input::DoubleBuffered(staged)) = self.inputs.get_mut(name) else {
            return Err(no_input(&self.what, name, "double-buffered inputs"));
        };
        let (ran, copied) = thread::scope(|scope| {
            let copy = scope.spawn(|| staged.stage(name, bytes));
            (run(), copy.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        ran?;
        copied?;
        staged.swap();
        Ok(())
    }
}

/// Error: the program `what` has no input `name` of a kind.
fn no_input(what: &str, name: &str, kind: &str) -> Error {
    Error::Name {
        name: name.to_owned(),
        what: format!("the {kind} of {what}"),
    }
}
