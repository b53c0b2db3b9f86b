//! One optimizer step on the device, for the whole batch at once or accumulated over micro-batches.

mod state;

use std::borrow::Cow;

use bytes::Bytes;

use super::{Error, Evaluator, InPlaceGradCam};
use crate::{
    program::{self, LearningRate, ModelSpec, Signature, TrainSpec, dropout},
    runtime::{DeviceState, OperatorTime, Runtime, SessionOptions, StepRunner},
};

pub use state::{drop_averages, has_averages, model_of};

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
        let of = (batch, options.kernels());
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
        let of = (images, options.kernels());
        let program = program::grad_cam_in_place(model, of, self.pass.signature())?;
        let grad_cam = |program| InPlaceGradCam::new(runtime, &self.with_averages(program), options);
        program.map(grad_cam).transpose()
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
