//! Runs a program.

use std::{collections::BTreeMap, path::Path};

use ort::{
    memory::Allocator,
    session::{IoBinding, Session},
    value::Tensor as Buffer,
};

use half::f16;

use super::{
    DeviceState, Error, OperatorTime, Runtime, SessionOptions, element::fill, error::first_line, profile,
    state::dimensions,
};
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

#[derive(Debug)]
enum HostBuffer {
    F32(Buffer<f32>),
    F16(Buffer<f16>),
    U8(Buffer<u8>),
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

    /// Fills an input with little-endian elements of its type, at any alignment, to be read by the next run.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] where the program has no such input, [`Error::Length`] where it has another number of elements.
    pub fn fill(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        match self.inputs.get_mut(name) {
            Some(HostBuffer::F32(buffer)) => fill(name, buffer.extract_tensor_mut().1, bytes),
            Some(HostBuffer::F16(buffer)) => fill(name, buffer.extract_tensor_mut().1, bytes),
            Some(HostBuffer::U8(buffer)) => fill(name, buffer.extract_tensor_mut().1, bytes),
            Some(HostBuffer::I64(_)) | None => Err(Error::Name {
                name: name.to_owned(),
                what: format!("the inputs of {} that hold images", self.what),
            }),
        }
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
            match buffer {
                HostBuffer::F32(buffer) => binding.bind_input(name.as_str(), buffer),
                HostBuffer::F16(buffer) => binding.bind_input(name.as_str(), buffer),
                HostBuffer::U8(buffer) => binding.bind_input(name.as_str(), buffer),
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
            ElementType::F16 => Self::F16(Buffer::new(host, shape)?),
            ElementType::U8 => Self::U8(Buffer::new(host, shape)?),
            found @ (ElementType::Bool | ElementType::Bf16) => {
                let name = &input.name;
                return Err(ort::Error::new(format!("the input `{name}` holds {found}")));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        graph::{
            Graph, TensorType,
            export::{Options, export},
            lower::lower,
        },
        program::{Role, StatePair},
    };

    /// `total.next = total + amount`, `sum = total + amount + fixed`.
    fn accumulator() -> Program {
        let mut graph = Graph::new();
        let g = &mut graph;
        let amount = g.input("amount", TensorType::f32([2])).expect("an input");
        let total = g.parameter("total", [2]).expect("a parameter");
        let fixed = g.parameter("fixed", [2]).expect("a parameter");
        let next = g.add(total, amount).expect("equal shapes");
        let sum = g.add(next, fixed).expect("equal shapes");
        g.output("total.next", next).expect("an output");
        g.output("sum", sum).expect("an output");
        let pair = |name: &str, output: Option<&str>| StatePair {
            name: name.to_owned(),
            input: name.to_owned(),
            output: output.map(str::to_owned),
            shape: [2].into(),
            role: Role::Parameter,
        };
        let value = |name: &str| ValueInfo {
            name: name.to_owned(),
            element_type: ElementType::F32,
            shape: [2].into(),
        };
        let signature = Signature {
            inputs: vec![value("amount")],
            state: vec![pair("total", Some("total.next")), pair("fixed", None)],
            outputs: vec![value("sum")],
            ..Signature::default()
        };
        let lowered = lower(&graph).expect("standard operators");
        Program {
            model: export(&lowered, &Options::default()).expect("a model"),
            signature,
        }
    }

    fn runner() -> StepRunner {
        let runtime = Runtime::load().expect("ONNX Runtime is installed: `make runtime`");
        StepRunner::new(
            &runtime,
            "the accumulator",
            &accumulator(),
            &SessionOptions::default(),
        )
        .expect("a runner")
    }

    fn state(total: f32) -> BTreeMap<String, Tensor> {
        let tensor = |number: f32| Tensor::full([2], number);
        BTreeMap::from([
            ("total".to_owned(), tensor(total)),
            ("fixed".to_owned(), tensor(100.0)),
        ])
    }

    #[test]
    fn a_step_moves_the_state_on_and_leaves_what_does_not_change() {
        let mut runner = runner();
        let mut device = runner.place(&state(0.0)).expect("room");
        for step in 1..=5 {
            runner
                .f32_input("amount")
                .expect("an input")
                .copy_from_slice(&[1.0, 10.0]);
            runner.step(&mut device).expect("a step");
            let step = step as f32;
            assert_eq!(device.read().expect("values")["total"].data, [step, 10.0 * step]);
            assert_eq!(
                device.read().expect("values")["fixed"].data,
                [100.0, 100.0],
                "step {step}"
            );
            assert_eq!(
                runner.output("sum").expect("an output"),
                [100.0 + step, 100.0 + 10.0 * step]
            );
        }
    }

    #[test]
    fn two_states_of_one_runner_do_not_mix() {
        let mut runner = runner();
        let mut first = runner.place(&state(0.0)).expect("room");
        let mut second = runner.place(&state(50.0)).expect("room");
        runner.f32_input("amount").expect("an input").fill(1.0);
        for state in [&mut first, &mut second] {
            runner.step(state).expect("a step");
        }
        runner.step(&mut first).expect("a step");
        assert_eq!(first.read().expect("values")["total"].data, [2.0, 2.0]);
        assert_eq!(second.read().expect("values")["total"].data, [51.0, 51.0]);
    }

    /// `saved.next = saved + total`, where `total` is not this program's to change.
    fn collector() -> Program {
        let mut graph = Graph::new();
        let g = &mut graph;
        let total = g.parameter("total", [2]).expect("a parameter");
        let saved = g.parameter("saved", [2]).expect("a parameter");
        let next = g.add(saved, total).expect("equal shapes");
        g.output("saved.next", next).expect("an output");
        let pair = |name: &str, output: Option<&str>| StatePair {
            name: name.to_owned(),
            input: name.to_owned(),
            output: output.map(str::to_owned),
            shape: [2].into(),
            role: Role::Parameter,
        };
        let signature = Signature {
            state: vec![pair("total", None), pair("saved", Some("saved.next"))],
            ..Signature::default()
        };
        let lowered = lower(&graph).expect("standard operators");
        Program {
            model: export(&lowered, &Options::default()).expect("a model"),
            signature,
        }
    }

    #[test]
    fn two_programs_share_a_state_by_turns() {
        let mut adder = runner();
        let runtime = Runtime::load().expect("ONNX Runtime is installed: `make runtime`");
        let options = SessionOptions::default();
        let mut saver = StepRunner::new(&runtime, "the collector", &collector(), &options).expect("a runner");
        let mut values = state(0.0);
        values.insert("saved".to_owned(), Tensor::full([2], 0.0));
        let mut device = adder.place(&values).expect("room");
        adder.f32_input("amount").expect("an input").fill(1.0);
        let (mut total, mut saved) = (0.0, 0.0);
        // More ways to use the buffers than are kept, in an order that meets all of them again.
        for additions in [1, 2, 1, 3, 2, 2, 1] {
            for _ in 0..additions {
                adder.step(&mut device).expect("a step");
                total += 1.0;
            }
            saver.step(&mut device).expect("a step");
            saved += total;
            let values = device.read().expect("values");
            assert_eq!(values["total"].data, [total; 2]);
            assert_eq!(values["saved"].data, [saved; 2]);
        }
    }

    #[test]
    fn loaded_values_replace_those_of_either_set_of_buffers() {
        let mut runner = runner();
        let mut device = runner.place(&state(0.0)).expect("room");
        runner.f32_input("amount").expect("an input").fill(1.0);
        for _ in 0..2 {
            runner.step(&mut device).expect("a step");
            device.load(&state(7.0)).expect("equal shapes");
            assert_eq!(device.read().expect("values"), state(7.0));
        }
    }

    #[test]
    fn unknown_names_and_other_lengths_are_refused_by_name() {
        let mut runner = runner();
        let message = runner.f32_input("label").expect_err("unknown").to_string();
        assert_eq!(
            message,
            "cannot find `label` among the f32 inputs of the accumulator"
        );
        assert!(runner.i64_input("amount").is_err(), "another element type");
        assert!(runner.output("loss").is_err());
        let mut device = runner.place(&state(0.0)).expect("room");
        let mut short = state(0.0);
        short.insert("total".to_owned(), Tensor::full([1], 0.0));
        let message = device.load(&short).expect_err("too short").to_string();
        assert_eq!(
            message,
            "cannot use `total`: the program has 2 elements, the value has 1"
        );
        short.remove("total");
        assert!(
            device
                .load(&short)
                .expect_err("missing")
                .to_string()
                .contains("`total`")
        );
    }
}
