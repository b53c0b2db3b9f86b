//! A model in training: its program, its state on the device, and where it stands in its schedule.
//!
//! # Layout
//!
//! - [`Learner`]: begun or resumed, stepped, saved.
//! - `spec`: from a configuration to the program of a step; `inputs`: what a step is given.

mod error;
mod inputs;
mod spec;

use std::{collections::BTreeMap, time::Duration};

pub use self::error::Error;
use super::{
    card::ModelCard,
    checkpoint::{Checkpoint, ResumeState},
    fit::{epoch::EpochSums, policy::PolicyAction},
    init::{InitFrom, InitialState},
    membership::Membership,
    metrics::Metrics,
    run::RunConfig,
    stepper::{Stepper, model_of},
};
use equibatch_stream::Batch;
use equibatch_training::{
    program::{self, LayerGroup, ModelSpec, Precision},
    runtime::{Classifier, DeviceState, OperatorTime, Runtime, SessionOptions, Tensor},
    schedule::{Hyper, OneCycle},
};

/// What came of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Of the batch.
    pub loss: f64,
    /// Largest learning rate of all layer groups.
    pub learning_rate: f64,
    /// Norm of the gradients before they were clipped; absent where nothing is clipped, or the step was skipped.
    pub gradient_norm: Option<f64>,
    /// What the loss was multiplied with before gradients were taken; absent where it is not scaled.
    pub loss_scale: Option<f32>,
    /// Whether a gradient was not finite, and the step changed nothing of the model: only where the loss is scaled, for other runs end then.
    pub is_skipped: bool,
    /// Learning rate of each layer group.
    pub rates: [f64; LayerGroup::ALL.len()],
    /// The optimizer's first decay.
    pub momentum: f64,
}

/// A model in training.
#[derive(Debug)]
pub struct Learner {
    runtime: Runtime,
    options: SessionOptions,
    model: ModelSpec,
    beta2: f32,
    rates: Vec<f64>,
    cycle: OneCycle,
    stepper: Stepper,
    state: DeviceState,
    progress: ResumeState,
}

impl Learner {
    /// A model that has learnt nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] where the configuration makes no sense, [`Error::Runtime`] where the device cannot be used.
    pub fn new(runtime: &Runtime, config: &RunConfig, options: &SessionOptions) -> Result<Self, Error> {
        Self::from_initial(runtime, InitFrom::Nothing.init(config.clone())?, options)
    }

    /// A model at the beginning of a run.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] where the configuration makes no sense, [`Error::Checkpoint`] where the state does not fit it,
    /// [`Error::Runtime`] where the device cannot be used.
    pub fn from_initial(
        runtime: &Runtime,
        initial: InitialState,
        options: &SessionOptions,
    ) -> Result<Self, Error> {
        Self::start(
            runtime,
            ResumeState::new(initial.config),
            options,
            initial.state,
            true,
        )
    }

    /// A model that continues from a checkpoint, bit for bit as if it had never stopped.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] where a tensor is missing or of another shape.
    pub fn resume(
        runtime: &Runtime,
        checkpoint: Checkpoint,
        options: &SessionOptions,
    ) -> Result<Self, Error> {
        Self::start(runtime, checkpoint.progress, options, checkpoint.tensors, false)
    }

    fn start(
        runtime: &Runtime,
        progress: ResumeState,
        options: &SessionOptions,
        mut state: BTreeMap<String, Tensor>,
        fresh: bool,
    ) -> Result<Self, Error> {
        let config = &progress.config;
        let spec = spec::of(config, options)?;
        let rates = spec::peak_rates(&config.max_lr)?;
        let training = SessionOptions {
            tf32: config.precision.takes_tf32(),
            ..options.clone()
        };
        let stepper = Stepper::new(runtime, &spec, config.accumulate.max(1) as usize, &training)?;
        if fresh {
            stepper.init_optimizer(&mut state);
        }
        let state = stepper.upload(state)?;
        Ok(Self {
            runtime: runtime.clone(),
            options: SessionOptions {
                tf32: progress.config.precision == Precision::Tf32,
                ..options.clone()
            },
            model: spec.model,
            beta2: spec.optimizer.beta2,
            rates,
            cycle: OneCycle::new(config.total_steps()),
            stepper,
            state,
            progress,
        })
    }

    /// Where training stands.
    #[must_use]
    pub fn progress(&self) -> &ResumeState {
        &self.progress
    }

    /// Whether this learner makes use of the batch after the one that it learns from: see [`Learner::step_ahead`].
    #[must_use]
    pub fn uses_staging(&self) -> bool {
        self.stepper.uses_staging()
    }

    /// Decides on what to do after the epoch that has just ended, with these figures of the validation images.
    pub fn close_epoch(&mut self, metrics: Option<&Metrics>) -> Vec<PolicyAction> {
        let ResumeState {
            config,
            steps,
            policy_state,
            epoch: sums,
            ..
        } = &mut self.progress;
        let epoch = u32::try_from(*steps / config.steps_per_epoch.max(1)).unwrap_or(u32::MAX);
        let actions = config.policy.after_epoch(policy_state, epoch, metrics);
        *sums = EpochSums::default();
        actions
    }

    /// Changes the peak learning rates of a run that has not begun.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] where the text is not one of learning rates.
    pub fn set_max_lr(&mut self, text: &str) -> Result<(), Error> {
        self.rates = spec::peak_rates(text)?;
        text.clone_into(&mut self.progress.config.max_lr);
        Ok(())
    }

    /// Notes which split each image is in, for uses of the run after the data set has changed.
    pub fn set_images(&mut self, images: Membership) {
        self.progress.images = images;
    }

    /// Learns from one batch, which must be full. Where the loss is scaled and a gradient is not finite, nothing is learnt from it, and the
    /// scale is halved; schedule, dropout and stream go on all the same, but not the optimizer's count of its steps.
    ///
    /// # Errors
    ///
    /// [`Error::Diverged`] if the loss, or without a scale a gradient, is not finite: model and progress are as before the step;
    /// [`Error::Overflow`] if gradients are not finite with the least scale either; [`Error::Runtime`] if the run fails.
    pub fn step(&mut self, batch: &Batch) -> Result<StepReport, Error> {
        self.step_ahead(batch, None)
    }

    /// Like [`Learner::step`]; meanwhile the images of `next`, the batch of the step after this one, are copied to where that step reads them.
    /// What is learnt is the same bit for bit, and so it is where another batch than `next` follows.
    ///
    /// # Errors
    ///
    /// Those of [`Learner::step`], and [`Error::Runtime`] where the images cannot be copied.
    pub fn step_ahead(&mut self, batch: &Batch, next: Option<&Batch>) -> Result<StepReport, Error> {
        let setting = self.cycle.at(self.progress.steps);
        let was_at_minimum = self.progress.loss_scale.is_at_minimum();
        let rates = self.rates.iter().map(|rate| rate * setting.rate).collect();
        let report = self.run((batch, next), self.progress.steps, (setting.momentum, rates))?;
        let (epoch, step) = self.place_of(batch);
        let is_scaled = report.loss_scale.is_some();
        let is_lost = if report.is_skipped {
            !is_scaled
        } else {
            !report.loss.is_finite()
        };
        if is_lost {
            return Err(Error::Diverged {
                what: if report.loss.is_finite() {
                    "a gradient"
                } else {
                    "the loss"
                },
                loss: report.loss,
                epoch,
                step,
                learning_rate: report.learning_rate,
                batch: Box::new(batch.position()),
            });
        }
        if report.is_skipped && was_at_minimum {
            let loss = report.loss;
            return Err(Error::Overflow { loss, epoch, step });
        }
        self.progress.steps += 1;
        self.progress.position = Some(batch.next.clone());
        if report.loss.is_finite() {
            self.progress.smoothed_loss.add(report.loss);
        }
        Ok(report)
    }

    /// Learns from one batch with one learning rate for all layers and a momentum of 0.9, as the learning-rate finder does: number `step`
    /// of its batches, from 0; `next` is as for [`Learner::step_ahead`]. The schedule does not move on, nor does [`Learner::progress`] but for
    /// the scale of the loss; the loss may be anything, and is not a number if a gradient is not finite and the loss is not scaled.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] where the run fails.
    pub fn probe(
        &mut self,
        (batch, next): (&Batch, Option<&Batch>),
        learning_rate: f64,
        step: u64,
    ) -> Result<f64, Error> {
        const MOMENTUM: f64 = 0.9;
        let rates = vec![learning_rate; self.rates.len()];
        let report = self.run((batch, next), self.progress.steps + step, (MOMENTUM, rates))?;
        // With a scale, the next step may well be taken; without one, training would end here.
        let is_lost = report.is_skipped && report.loss_scale.is_none();
        Ok(if is_lost { f64::NAN } else { report.loss })
    }

    /// Puts back what training needs, as [`Learner::checkpoint`] copied it.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] where the checkpoint is of another network, or the device fails.
    pub fn restore(&mut self, checkpoint: Checkpoint) -> Result<(), Error> {
        self.stepper.replace(&mut self.state, checkpoint.tensors)?;
        self.progress = checkpoint.progress;
        Ok(())
    }

    /// One step of the optimizer behind `steps` of this run, with the momentum and the learning rates given.
    fn run(
        &mut self,
        (batch, next): (&Batch, Option<&Batch>),
        steps: u64,
        (momentum, rates): (f64, Vec<f64>),
    ) -> Result<StepReport, Error> {
        let loss_scale = self.progress.loss_scale_in_use();
        let config = &self.progress.config;
        let t = config.lineage.optimizer_steps + self.progress.taken(steps) + 1;
        let hyper = Hyper::new(t, [momentum, f64::from(self.beta2)], rates);
        let inputs = inputs::of(
            &self.progress,
            self.stepper.dropout(),
            (batch, next),
            (steps, &hyper),
        );
        let stepped = self.stepper.step(&mut self.state, &inputs)?;
        if loss_scale.is_some() {
            self.progress.loss_scale.update(stepped.are_finite);
            self.progress.skipped_steps += u64::from(!stepped.are_finite);
        }
        Ok(StepReport {
            loss: stepped.loss,
            loss_scale,
            is_skipped: !stepped.are_finite,
            learning_rate: hyper.largest_rate(),
            gradient_norm: stepped.gradient_norm,
            rates: std::array::from_fn(|group| hyper.learning_rates.get(group).copied().unwrap_or(0.0)),
            momentum: hyper.beta1,
        })
    }

    /// Where a batch stands in this run: epoch and step, from 1.
    fn place_of(&self, batch: &Batch) -> (u64, u64) {
        let before = u64::from(self.progress.config.lineage.epochs);
        (batch.epoch.saturating_sub(before) + 1, batch.step + 1)
    }

    /// What steps took, by operator, where the session was told to keep a profile.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] where there is none.
    pub fn profile(&mut self) -> Result<Vec<OperatorTime>, Error> {
        self.stepper.profile()
    }

    /// Copies everything that training needs to go on.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] where the device fails.
    pub fn checkpoint(&self) -> Result<Checkpoint, Error> {
        Ok(Checkpoint {
            progress: self.progress.clone(),
            tensors: self.stepper.read(&self.state)?,
        })
    }

    /// Takes a step into the sums of its epoch.
    pub(super) fn add_to_epoch(&mut self, batch: &Batch, report: StepReport, times: (Duration, Duration)) {
        self.progress.epoch.add(batch, report, times);
    }

    /// The model as it stands, as an ONNX file for inference with its class names and preprocessing.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] where the device fails.
    pub fn model(&self) -> Result<Vec<u8>, Error> {
        let metadata = ModelCard::metadata(&self.progress.config);
        let state = model_of(self.stepper.read(&self.state)?);
        Ok(program::inference(&self.model, &state, &metadata)?.model)
    }

    /// The model as it stands, ready to judge images.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] where the model cannot be prepared.
    pub fn classifier(&self, model: &[u8]) -> Result<Classifier, Error> {
        Ok(Classifier::new(&self.runtime, "the model", model, &self.options)?)
    }
}
