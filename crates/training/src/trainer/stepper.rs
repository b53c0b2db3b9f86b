//! One optimizer step on the device, for the whole batch at once or accumulated over micro-batches.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use bytes::Bytes;

use super::{Error, Evaluator, InPlaceGradCam};
use crate::{
    program::{
        self, LearningRate, ModelSpec, Program, Role, Shape, Signature, StatePair, TrainSpec, dropout,
    },
    runtime::{DeviceState, OperatorTime, Runtime, SessionOptions, StepRunner, Tensor},
};

/// Inputs of a step, for the whole batch.
#[derive(Debug)]
pub struct StepInputs<'a> {
    /// Little-endian elements of the inputs of [`Signature::batch`], by name.
    pub batch: Vec<(&'a str, Cow<'a, [u8]>)>,
    /// The staged input's elements in the next step, if they have arrived.
    pub next: Option<&'a Bytes>,
    /// `f32[N, F]`, from [`Stepper::masks`].
    pub masks: Vec<Vec<f32>>,
    /// Scalar inputs by name: learning rates and the optimizer's hyperparameters.
    pub scalars: Vec<(String, f64)>,
    /// Loss scale, if the loss is scaled.
    pub loss_scale: Option<f32>,
}

/// Outputs of a step.
#[derive(Clone, Copy, Debug)]
pub struct StepOutput {
    /// The loss.
    pub loss: f64,
    /// Global norm before clipping; absent without clipping, or if a gradient is not finite.
    pub gradient_norm: Option<f64>,
    /// Whether all gradients were finite. If not, or if the loss was not, the state was rolled back.
    pub are_finite: bool,
}

/// The compiled programs of a step, on a device.
#[derive(Debug)]
pub struct Stepper {
    /// Forward and backward, and the update if it has no program of its own.
    pass: StepRunner,
    update: Option<StepRunner>,
    parts: usize,
    /// Name of the staged input.
    staged_input: Option<&'static str>,
    /// The elements whose first micro-batch is staged in the program's next input buffer. Holding them keeps their address from being reused.
    staged: Option<Bytes>,
}

impl Stepper {
    /// Compiles a step over `parts` micro-batches of [`TrainSpec::batch_size`] samples. `staged_input` is the input to stage if the options say so.
    ///
    /// # Errors
    /// [`Error::Program`] if the specification is invalid, [`Error::Runtime`] if the device cannot be used.
    pub fn new(
        runtime: &Runtime,
        (spec, parts): (&TrainSpec, usize),
        options: &SessionOptions,
        staged_input: Option<&'static str>,
    ) -> Result<Self, Error> {
        let (mut pass, update) = if parts == 1 {
            let program = program::train_step(spec)?;
            let pass = StepRunner::new(runtime, "the training step", &program, options)?;
            (pass, None)
        } else {
            let programs = program::train_parts(spec)?;
            let pass = StepRunner::new(runtime, "the gradients", &programs.gradients, options)?;
            let update = StepRunner::new(runtime, "the update", &programs.update, options)?;
            (pass, Some(update))
        };
        let staged_input = staged_input.filter(|_| options.staging.is_on(options.device));
        if let Some(name) = staged_input {
            pass.double_buffer(name)?;
        }
        Ok(Self {
            pass,
            update,
            parts,
            staged_input,
            staged: None,
        })
    }

    /// Whether [`StepInputs::next`] is used.
    #[must_use]
    pub fn uses_staging(&self) -> bool {
        self.staged_input.is_some()
    }

    /// Inputs, outputs and state of forward and backward pass, with the batch axis of a micro-batch.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        self.pass.signature()
    }

    /// The learning rate inputs.
    #[must_use]
    pub fn learning_rates(&self) -> &[LearningRate] {
        let last = self.update.as_ref().unwrap_or(&self.pass);
        &last.signature().learning_rates
    }

    /// The dropout masks of a step. There is one mask for the whole batch, of which micro-batches use their rows.
    ///
    /// # Determinism
    /// A pure function of seed and step.
    #[must_use]
    pub fn masks(&self, seed: u64, step: u64) -> Vec<Vec<f32>> {
        let masks = (0..).zip(&self.signature().dropout).map(|(layer, dropout)| {
            let mut mask = vec![0.0; dropout.shape.elements() * self.parts];
            dropout::draw(dropout, (seed, step, layer), &mut mask);
            mask
        });
        masks.collect()
    }

    /// An output of the last micro-batch.
    ///
    /// # Errors
    /// [`Error::Runtime`] if the program has no such `f32` output.
    pub fn output(&self, name: &str) -> Result<&[f32], Error> {
        Ok(self.pass.output(name)?)
    }

    /// State tensors of all programs.
    fn state(&self) -> impl Iterator<Item = &StatePair> {
        let programs = [Some(&self.pass), self.update.as_ref()];
        programs
            .into_iter()
            .flatten()
            .flat_map(|program| &program.signature().state)
    }

    /// The names, shapes and roles of the state dictionary's tensors; vectors are several of them.
    fn tensors(&self) -> impl Iterator<Item = (&str, &Shape, Role)> {
        self.state()
            .flat_map(|pair| pair.tensors().map(|(name, shape)| (name, shape, pair.role)))
    }

    /// Adds missing optimizer state: zero moments, and averages equal to their parameters.
    pub fn init_optimizer(&self, state: &mut BTreeMap<String, Tensor>) {
        for (name, shape, role) in self.tensors() {
            if state.contains_key(name) {
                continue;
            }
            let start = match role {
                Role::Optimizer => Some(Tensor::full(shape.clone(), 0.0)),
                Role::Average => averaged_by(name).and_then(|of| state.get(of).cloned()),
                Role::Parameter | Role::Statistic | Role::Gradient | Role::Staged => None,
            };
            state.extend(start.map(|start| (name.to_owned(), start)));
        }
    }

    /// Copies a state to the device.
    ///
    /// # Errors
    /// [`Error::State`] if a tensor is missing or has another shape, [`Error::Runtime`] if the device is out of memory.
    pub fn upload(&self, state: BTreeMap<String, Tensor>) -> Result<DeviceState, Error> {
        Ok(self.pass.upload(self.checked(state)?)?)
    }

    /// The state as the programs have it: with tensors that are meaningful only within a step, and with vectors. Checks names and shapes.
    fn checked(&self, mut state: BTreeMap<String, Tensor>) -> Result<BTreeMap<String, Tensor>, Error> {
        self.add_zero_sums(&mut state);
        for (name, shape, _) in self.tensors() {
            let reason = match state.get(name) {
                Some(tensor) if tensor.shape == *shape => continue,
                Some(tensor) => format!(
                    "tensor `{name}` has shape {}, but the model needs {shape}",
                    tensor.shape
                ),
                None => format!("tensor `{name}` is missing"),
            };
            return Err(Error::State { reason });
        }
        for pair in self.vectors() {
            let members = pair.members.iter();
            let members = members.filter_map(|(name, _)| state.remove(name));
            let data = members.flat_map(|member| member.data).collect();
            let shape = pair.shape.clone();
            state.insert(pair.name.clone(), Tensor { shape, data });
        }
        Ok(state)
    }

    /// The state tensors that hold several of the state dictionary, each once.
    fn vectors(&self) -> impl Iterator<Item = &StatePair> {
        let mut known = BTreeSet::new();
        self.state()
            .filter(|pair| !pair.members.is_empty())
            .filter(move |pair| known.insert(&pair.name))
    }

    /// Replaces the state on the device.
    ///
    /// # Errors
    /// Those of [`Stepper::upload`].
    pub fn replace(&self, device: &mut DeviceState, state: BTreeMap<String, Tensor>) -> Result<(), Error> {
        Ok(device.load(&self.checked(state)?)?)
    }

    /// Copies the state from the device, without tensors that are meaningful only within a step.
    ///
    /// # Errors
    /// [`Error::Runtime`] if the copy fails.
    pub fn read(&self, device: &DeviceState) -> Result<BTreeMap<String, Tensor>, Error> {
        let mut state = BTreeMap::new();
        self.read_into(device, &mut state)?;
        Ok(state)
    }

    /// [`Stepper::read`] into `state`, an earlier result, whose memory is used again.
    ///
    /// # Errors
    /// [`Error::Runtime`] if the device fails.
    pub fn read_into(&self, device: &DeviceState, state: &mut BTreeMap<String, Tensor>) -> Result<(), Error> {
        let pairs = self.state().filter(|pair| pair.role.is_within_a_step());
        let within: BTreeSet<&str> = pairs.map(|pair| pair.name.as_str()).collect();
        device.read_into(state, |name| !within.contains(name))?;
        for pair in self.vectors() {
            let whole = state.remove(&pair.name).map_or_else(Vec::new, |whole| whole.data);
            let mut rest = whole.as_slice();
            for (name, shape) in &pair.members {
                let (own, after) = rest.split_at(shape.elements());
                let member = state
                    .entry(name.clone())
                    .or_insert_with(|| Tensor::full(shape.clone(), 0.0));
                member.data.copy_from_slice(own);
                rest = after;
            }
        }
        Ok(())
    }

    /// Adds zeros for the tensors that are meaningful only within a step and are never saved.
    fn add_zero_sums(&self, state: &mut BTreeMap<String, Tensor>) {
        let sums = self.state().filter(|pair| pair.role.is_within_a_step());
        state.extend(sums.map(|pair| (pair.name.clone(), Tensor::full(pair.shape.clone(), 0.0))));
    }

    /// Compiles inference of `model`, the network of this step, on up to `batch` images at once, with the averages of parameters and statistics that
    /// have some. `None` if ONNX Runtime computes it faster with fixed weights.
    ///
    /// # Errors
    /// [`Error::Program`] if the model is invalid, [`Error::Runtime`] if the device cannot be used.
    pub fn evaluator(
        &self,
        runtime: &Runtime,
        (model, batch): (&ModelSpec, usize),
        options: &SessionOptions,
    ) -> Result<Option<Evaluator>, Error> {
        let of = (
            batch,
            options.operators.kernels(options.device).unwrap_or_default(),
        );
        let program = program::evaluation(model, of, self.pass.signature())?;
        let evaluator = |program| Evaluator::new(runtime, (&self.with_averages(program), batch), options);
        program.map(evaluator).transpose()
    }

    /// Compiles Grad-CAM of `images` images by the classifier `model`, the network of this step, as [`Stepper::evaluator`] compiles inference.
    ///
    /// # Errors
    /// [`Error::Program`] if the model is invalid or has no global pooling layer, [`Error::Runtime`] if the device cannot be used.
    pub fn grad_cam(
        &self,
        runtime: &Runtime,
        (model, images): (&ModelSpec, usize),
        options: &SessionOptions,
    ) -> Result<Option<InPlaceGradCam>, Error> {
        let of = (
            images,
            options.operators.kernels(options.device).unwrap_or_default(),
        );
        let program = program::grad_cam_in_place(model, of, self.pass.signature())?;
        let grad_cam = |program| InPlaceGradCam::new(runtime, &self.with_averages(program), options);
        program.map(grad_cam).transpose()
    }

    /// The program with the averages of the parameters and statistics that have some.
    fn with_averages(&self, mut program: Program) -> Program {
        for pair in &mut program.signature.state {
            let average = format!("{AVERAGE}{}", pair.name);
            if self.state().any(|own| own.name == average) {
                pair.name = average;
            }
        }
        program
    }

    /// Runs one step. The last program commits its results, so that they can be rolled back as a whole.
    ///
    /// # Errors
    /// [`Error::Runtime`] if an input is unknown or has another length, or ONNX Runtime fails; the state is then unchanged.
    pub fn step(&mut self, state: &mut DeviceState, inputs: &StepInputs<'_>) -> Result<StepOutput, Error> {
        let mut loss = 0.0;
        // The staged buffer is held, so an equal address means the same elements.
        let staged = self.staged.take();
        let mut is_staged = staged
            .zip(self.staged_elements(inputs))
            .is_some_and(|(staged, elements)| staged.as_ptr_range() == elements.as_ptr_range());
        for part in 0..self.parts {
            for (name, elements) in &inputs.batch {
                if !(is_staged && self.staged_input == Some(*name)) {
                    self.pass.fill(name, part_of(elements, part, self.parts))?;
                }
            }
            for (dropout, mask) in self.signature().dropout.clone().iter().zip(&inputs.masks) {
                let mask = part_of(mask, part, self.parts);
                self.pass.f32_input(&dropout.name)?.copy_from_slice(mask);
            }
            match self.update {
                None => set(&mut self.pass, &inputs.scalars)?,
                // The first micro-batch overwrites the gradient sums of the previous step.
                Some(_) => self.pass.f32_input("keep")?[0] = if part == 0 { 0.0 } else { 1.0 },
            }
            if let Some(scale) = inputs.loss_scale {
                self.pass.f32_input(LOSS_SCALE)?[0] = scale;
            }
            let ahead = self.staged_input.zip(self.to_stage(inputs, part));
            self.pass.step_ahead(state, ahead)?;
            is_staged = ahead.is_some();
            loss += f64::from(self.pass.output("loss")?[0]);
        }
        if is_staged {
            self.staged = inputs.next.cloned();
        }
        if let Some(update) = &mut self.update {
            set(update, &inputs.scalars)?;
            if let Some(scale) = inputs.loss_scale {
                update.f32_input(LOSS_SCALE)?[0] = scale;
            }
            update.step(state)?;
        }
        let last = self.update.as_ref().unwrap_or(&self.pass);
        let are_finite = last.output(IS_FINITE)?[0] > 0.0;
        if !(are_finite && loss.is_finite()) {
            last.rollback(state)?;
        }
        Ok(StepOutput {
            loss,
            gradient_norm: optional_output(last, NORM)?.filter(|_| are_finite).map(f64::from),
            are_finite,
        })
    }

    /// The whole batch's elements of the staged input.
    fn staged_elements<'a>(&self, inputs: &'a StepInputs<'_>) -> Option<&'a [u8]> {
        let mut batch = inputs.batch.iter();
        let staged = batch.find(|(name, _)| Some(*name) == self.staged_input);
        staged.map(|(_, elements)| &**elements)
    }

    /// The elements to stage while `part` is computed: those of the next micro-batch, or of the next step's first. A next batch of another
    /// size is not staged; its own step reports the error.
    fn to_stage<'a>(&self, inputs: &'a StepInputs<'_>, part: usize) -> Option<&'a [u8]> {
        let elements = self.staged_elements(inputs)?;
        if part + 1 < self.parts {
            return Some(part_of(elements, part + 1, self.parts));
        }
        let next = inputs.next.filter(|next| next.len() == elements.len())?;
        Some(part_of(next, 0, self.parts))
    }

    /// Time per operator of forward and backward, and of the update if it has no program of its own.
    ///
    /// # Errors
    /// [`Error::Runtime`] if profiling is off or the profile cannot be read.
    pub fn profile(&mut self) -> Result<Vec<OperatorTime>, Error> {
        Ok(self.pass.profile()?)
    }
}

const NORM: &str = "gradient_norm";
const IS_FINITE: &str = "is_finite";
const LOSS_SCALE: &str = "loss_scale";

/// A scalar output of the program; `None` if it has no such output.
fn optional_output(program: &StepRunner, name: &str) -> Result<Option<f32>, Error> {
    let tells = program
        .signature()
        .outputs
        .iter()
        .any(|output| output.name == name);
    Ok(if tells {
        Some(program.output(name)?[0])
    } else {
        None
    })
}

fn set(runner: &mut StepRunner, scalars: &[(String, f64)]) -> Result<(), Error> {
    for (name, value) in scalars {
        runner.f32_input(name)?[0] = *value as f32;
    }
    Ok(())
}

/// The slice of micro-batch `part`.
fn part_of<T>(whole: &[T], part: usize, parts: usize) -> &[T] {
    let length = whole.len() / parts;
    &whole[part * length..(part + 1) * length]
}

/// Name prefix of weight averages.
const AVERAGE: &str = "average.";

/// Name of the parameter that this average is of.
fn averaged_by(name: &str) -> Option<&str> {
    name.strip_prefix(AVERAGE)
}

/// Whether `state` has averages.
#[must_use]
pub fn has_averages(state: &BTreeMap<String, Tensor>) -> bool {
    state.keys().any(|name| averaged_by(name).is_some())
}

/// The state of the exported model: parameters replaced by their averages, if there are some.
#[must_use]
pub fn model_of(state: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let (averages, mut model): (BTreeMap<_, _>, BTreeMap<_, _>) = state
        .into_iter()
        .partition(|(name, _)| averaged_by(name).is_some());
    let averages = averages.into_iter();
    model.extend(averages.filter_map(|(name, tensor)| Some((averaged_by(&name)?.to_owned(), tensor))));
    model
}

/// Removes all averages, so that they start anew from the parameters.
pub fn drop_averages(state: &mut BTreeMap<String, Tensor>) {
    state.retain(|name, _| averaged_by(name).is_none());
}
