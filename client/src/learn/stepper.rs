//! One optimizer step on the device, for the whole batch at once or accumulated over micro-batches.

use std::collections::BTreeMap;

use bytes::Bytes;
use equibatch_training::{
    program::{self, Dropout, Role, StatePair, TrainSpec},
    runtime::{DeviceState, OperatorTime, Runtime, SessionOptions, StepRunner, Tensor},
};

use super::learner::Error;

/// Inputs of a step, for the whole batch.
#[derive(Debug)]
pub(super) struct StepInputs<'a> {
    /// `[N, 3, S, S]`, little-endian.
    pub(super) images: &'a [u8],
    /// The images of the next step, if they have arrived.
    pub(super) next: Option<&'a Bytes>,
    /// `f32[N, K]`.
    pub(super) targets: Vec<f32>,
    /// `f32[N, F]`, in the order of [`Stepper::dropout`].
    pub(super) masks: Vec<Vec<f32>>,
    /// Scalar inputs by name: learning rates, momentum, bias corrections.
    pub(super) scalars: Vec<(String, f64)>,
    /// Loss scale, if the loss is scaled.
    pub(super) loss_scale: Option<f32>,
}

/// Outputs of a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepOutput {
    pub(super) loss: f64,
    /// Global norm before clipping; absent without clipping, or if a gradient is not finite.
    pub(super) gradient_norm: Option<f64>,
    /// Whether all gradients were finite. If not, or if the loss was not, the state was rolled back.
    pub(super) are_finite: bool,
}

/// The compiled programs of a step.
#[derive(Debug)]
pub(super) struct Stepper {
    /// Forward and backward, and the update if it has no program of its own.
    pass: StepRunner,
    update: Option<StepRunner>,
    parts: usize,
    uses_staging: bool,
    /// The images whose first micro-batch is staged in the program's next input buffer. Holding them keeps their address from being reused.
    staged: Option<Bytes>,
}

impl Stepper {
    /// Compiles a step over `parts` micro-batches of [`TrainSpec::batch_size`] images.
    pub(super) fn new(
        runtime: &Runtime,
        spec: &TrainSpec,
        parts: usize,
        options: &SessionOptions,
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
        let uses_staging = options.staging.is_on(options.device);
        if uses_staging {
            pass.double_buffer(IMAGES)?;
        }
        Ok(Self {
            pass,
            update,
            parts,
            uses_staging,
            staged: None,
        })
    }

    /// Whether [`StepInputs::next`] is used.
    pub(super) fn uses_staging(&self) -> bool {
        self.uses_staging
    }

    /// Dropout masks of the program, with the batch axis of a micro-batch.
    pub(super) fn dropout(&self) -> &[Dropout] {
        &self.pass.signature().dropout
    }

    /// State tensors of all programs.
    fn state(&self) -> impl Iterator<Item = &StatePair> {
        let programs = [Some(&self.pass), self.update.as_ref()];
        programs
            .into_iter()
            .flatten()
            .flat_map(|program| &program.signature().state)
    }

    /// Adds missing optimizer state: zero moments, and averages equal to their parameters.
    pub(super) fn init_optimizer(&self, state: &mut BTreeMap<String, Tensor>) {
        for pair in self
            .state()
            .filter(|pair| !state.contains_key(&pair.name))
            .collect::<Vec<_>>()
        {
            let start = match pair.role {
                Role::Optimizer => Some(Tensor::full(pair.shape.clone(), 0.0)),
                Role::Average => averaged_by(&pair.name).and_then(|of| state.get(of).cloned()),
                Role::Parameter | Role::Statistic | Role::Gradient | Role::Staged => None,
            };
            state.extend(start.map(|start| (pair.name.clone(), start)));
        }
    }

    /// Copies a state to the device.
    pub(super) fn upload(&self, mut state: BTreeMap<String, Tensor>) -> Result<DeviceState, Error> {
        self.add_zero_sums(&mut state);
        for pair in self.state() {
            let reason = match state.get(&pair.name) {
                Some(tensor) if tensor.shape == pair.shape => continue,
                Some(tensor) => format!(
                    "tensor `{}` has shape {}, but the model needs {}",
                    pair.name, tensor.shape, pair.shape
                ),
                None => format!("tensor `{}` is missing", pair.name),
            };
            return Err(Error::Checkpoint { reason });
        }
        Ok(self.pass.upload(&state)?)
    }

    /// Replaces the state on the device.
    pub(super) fn replace(
        &self,
        device: &mut DeviceState,
        mut state: BTreeMap<String, Tensor>,
    ) -> Result<(), Error> {
        self.add_zero_sums(&mut state);
        Ok(device.load(&state)?)
    }

    /// Copies the state from the device, without tensors that are meaningful only within a step.
    pub(super) fn read(&self, device: &DeviceState) -> Result<BTreeMap<String, Tensor>, Error> {
        let mut state = device.read()?;
        for pair in self.state().filter(|pair| pair.role.is_within_a_step()) {
            state.remove(&pair.name);
        }
        Ok(state)
    }

    /// Adds zeros for the tensors that are meaningful only within a step and are never saved.
    fn add_zero_sums(&self, state: &mut BTreeMap<String, Tensor>) {
        let sums = self.state().filter(|pair| pair.role.is_within_a_step());
        state.extend(sums.map(|pair| (pair.name.clone(), Tensor::full(pair.shape.clone(), 0.0))));
    }

    /// Runs one step. The last program commits its results, so that they can be rolled back as a whole.
    pub(super) fn step(
        &mut self,
        state: &mut DeviceState,
        inputs: &StepInputs<'_>,
    ) -> Result<StepOutput, Error> {
        let mut loss = 0.0;
        // The staged buffer is held, so an equal address means the same images.
        let staged = self.staged.take();
        let mut is_staged =
            staged.is_some_and(|staged| staged.as_ptr_range() == inputs.images.as_ptr_range());
        for part in 0..self.parts {
            if !is_staged {
                self.pass.fill(IMAGES, part_of(inputs.images, part, self.parts))?;
            }
            let targets = part_of(&inputs.targets, part, self.parts);
            self.pass.f32_input("targets")?.copy_from_slice(targets);
            for (dropout, mask) in self.dropout().to_vec().iter().zip(&inputs.masks) {
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
            let images_to_stage = self.images_to_stage(inputs, part);
            self.pass
                .step_ahead(state, images_to_stage.map(|images| (IMAGES, images)))?;
            is_staged = images_to_stage.is_some();
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

    /// The images to stage while `part` is computed: those of the next micro-batch, or of the next step's first. A next batch of another
    /// size is not staged; its own step reports the error.
    fn images_to_stage<'a>(&self, inputs: &StepInputs<'a>, part: usize) -> Option<&'a [u8]> {
        if !self.uses_staging {
            return None;
        }
        if part + 1 < self.parts {
            return Some(part_of(inputs.images, part + 1, self.parts));
        }
        let next = inputs.next.filter(|next| next.len() == inputs.images.len())?;
        Some(part_of(next, 0, self.parts))
    }

    /// Time per operator of forward and backward, and of the update if it has no program of its own.
    pub(super) fn profile(&mut self) -> Result<Vec<OperatorTime>, Error> {
        Ok(self.pass.profile()?)
    }
}

const IMAGES: &str = "images";
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

/// The state of the exported model: parameters replaced by their averages, if there are some.
pub(super) fn model_of(state: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let (averages, mut model): (BTreeMap<_, _>, BTreeMap<_, _>) = state
        .into_iter()
        .partition(|(name, _)| averaged_by(name).is_some());
    let averages = averages.into_iter();
    model.extend(averages.filter_map(|(name, tensor)| Some((averaged_by(&name)?.to_owned(), tensor))));
    model
}

/// Removes all averages, so that they start anew from the parameters.
pub(super) fn drop_averages(state: &mut BTreeMap<String, Tensor>) {
    state.retain(|name, _| averaged_by(name).is_none());
}
