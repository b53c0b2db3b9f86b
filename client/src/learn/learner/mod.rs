//! A model in training: its programs, its state on the device, and its position in the schedule.
//!
//! # Layout
//!
//! - [`Learner`]: creation or resumption, steps, checkpoints; `norms`: estimates its running statistics again.
//! - [`HeadLearner`]: the head of a frozen body, trained on features.
//! - [`Snapshot`]: a copy for files; [`Validator`]: the model as validation runs it.
//! - `spec`: from a configuration to the specification of a step; `inputs`: inputs of a step.

mod error;
mod head;
mod inputs;
mod norms;
mod snapshot;
mod spec;
mod step_report;
mod validator;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use self::inputs::Samples;
pub use self::{
    error::Error,
    head::{FeatureBatch, HeadLearner},
    norms::NormEstimator,
    snapshot::Snapshot,
    step_report::StepReport,
    validator::Validator,
};
use super::{
    checkpoint::{Checkpoint, ResumeState},
    fit::{epoch::EpochSums, policy::PolicyAction},
    init::{InitFrom, InitialState},
    membership::Membership,
    metrics::Metrics,
    run::RunConfig,
};
use equibatch_stream::Batch;
use equibatch_training::{
    program::{ModelSpec, Optimizer, Precision},
    runtime::{Classifier, DeviceState, Heatmap, OperatorTime, Runtime, SessionOptions, Tensor},
    schedule::Schedule,
    trainer::{Evaluator, Stepper},
};

/// A model in training.
#[derive(Debug)]
pub struct Learner {
    runtime: Runtime,
    options: SessionOptions,
    model: ModelSpec,
    optimizer: Arc<dyn Optimizer>,
    rates: Vec<f64>,
    schedule: Schedule,
    stepper: Stepper,
    state: DeviceState,
    progress: ResumeState,
    /// Set at the first validation; then `None` if each validation needs a session of its own.
    evaluator: Option<Option<Evaluator>>,
}

impl Learner {
    /// A randomly initialised model.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the configuration is invalid, [`Error::Runtime`] if the device cannot be used.
    pub fn new(runtime: &Runtime, config: &RunConfig, options: &SessionOptions) -> Result<Self, Error> {
        Self::from_initial(runtime, InitFrom::Nothing.init(config.clone())?, options)
    }

    /// A model with the given initial state.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the configuration is invalid, [`Error::Checkpoint`] if the state does not match it, [`Error::Runtime`] if the
    /// device cannot be used.
    pub fn from_initial(
        runtime: &Runtime,
        initial: InitialState,
        options: &SessionOptions,
    ) -> Result<Self, Error> {
        Self::start(runtime, ResumeState::new(initial.config), options, initial.state)
    }

    /// A model that continues from a checkpoint, bit for bit like an uninterrupted run.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if a tensor is missing or has another shape.
    pub fn resume(
        runtime: &Runtime,
        checkpoint: Checkpoint,
        options: &SessionOptions,
    ) -> Result<Self, Error> {
        Self::start(runtime, checkpoint.progress, options, checkpoint.tensors)
    }

    fn start(
        runtime: &Runtime,
        progress: ResumeState,
        options: &SessionOptions,
        mut state: BTreeMap<String, Tensor>,
    ) -> Result<Self, Error> {
        let config = &progress.config;
        let spec = spec::of(config, options)?;
        let rates = spec::peak_rates(&config.max_lr)?;
        let schedule = config.optimizer.schedule(config.steps_per_epoch, config.epochs);
        let training = SessionOptions {
            tf32: config.precision.takes_tf32(),
            ..options.clone()
        };
        let stepper = Stepper::new(
            runtime,
            (&spec, config.accumulate.max(1) as usize),
            &training,
            Some(inputs::IMAGES),
        )?;
        if progress.steps == 0 {
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
            optimizer: spec.optimizer,
            rates,
            schedule,
            stepper,
            state,
            progress,
            evaluator: None,
        })
    }

    /// The current resume state.
    #[must_use]
    pub fn progress(&self) -> &ResumeState {
        &self.progress
    }

    /// Whether the learner stages the next batch: see [`Learner::step_ahead`].
    #[must_use]
    pub fn uses_staging(&self) -> bool {
        self.stepper.uses_staging()
    }

    /// Closes the epoch, and returns the policy's actions for these validation metrics.
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

    /// Sets the peak learning rates before the first step.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `text` cannot be parsed.
    pub fn set_max_lr(&mut self, text: &str) -> Result<(), Error> {
        self.rates = spec::peak_rates(text)?;
        text.clone_into(&mut self.progress.config.max_lr);
        Ok(())
    }

    /// Records the split of each image, to detect later changes of the dataset.
    pub fn set_images(&mut self, images: Membership) {
        self.progress.images = images;
    }

    /// Trains on one batch, which must be full. If the loss is scaled and a gradient is not finite, the step is skipped and the scale is
    /// halved; schedule, dropout and stream advance, but the optimizer's step count does not.
    ///
    /// # Errors
    ///
    /// [`Error::Diverged`] if the loss, or without loss scaling a gradient, is not finite: model and resume state are as before the step;
    /// [`Error::Overflow`] if gradients are not finite at the minimum scale; [`Error::Runtime`] if the program fails.
    pub fn step(&mut self, batch: &Batch) -> Result<StepReport, Error> {
        self.step_ahead(batch, None)
    }

    /// Like [`Learner::step`], and meanwhile copies the images of `next`, the expected next batch, to the next step's input buffer. The
    /// results are identical bit for bit, even if another batch follows.
    ///
    /// # Errors
    ///
    /// Those of [`Learner::step`], and [`Error::Runtime`] if the images cannot be copied.
    pub fn step_ahead(&mut self, batch: &Batch, next: Option<&Batch>) -> Result<StepReport, Error> {
        let steps = self.progress.steps;
        let factor = self.schedule.at(steps);
        let momentum = self.progress.config.optimizer.momentum(&self.schedule, steps);
        let was_at_minimum = self.progress.loss_scale.is_at_minimum();
        let rates = self.rates.iter().map(|rate| rate * factor).collect();
        let report = self.run((batch, next), steps, (momentum, rates))?;
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

    /// Trains on one batch with the same learning rate for all layers and the optimizer's own momentum, for the learning-rate finder; `step` is
    /// the number of the batch, from 0; `next` is as in [`Learner::step_ahead`]. Neither the schedule nor [`Learner::progress`] advances, except
    /// the loss scale. Returns the loss, or NaN if a gradient is not finite and the loss is not scaled.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] if the program fails.
    pub fn probe(
        &mut self,
        (batch, next): (&Batch, Option<&Batch>),
        learning_rate: f64,
        step: u64,
    ) -> Result<f64, Error> {
        let rates = vec![learning_rate; self.rates.len()];
        let report = self.run((batch, next), self.progress.steps + step, (None, rates))?;
        // With loss scaling, a later step may succeed; without, training would fail here.
        let is_lost = report.is_skipped && report.loss_scale.is_none();
        Ok(if is_lost { f64::NAN } else { report.loss })
    }

    /// Restores a state copied by [`Learner::checkpoint`].
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if the checkpoint is of another network, [`Error::Runtime`] if the device fails.
    pub fn restore(&mut self, checkpoint: Checkpoint) -> Result<(), Error> {
        self.stepper.replace(&mut self.state, checkpoint.tensors)?;
        self.progress = checkpoint.progress;
        Ok(())
    }

    /// Runs one optimizer step after `steps` steps of this run, with these learning rates and, if the schedule sets it, this momentum.
    fn run(
        &mut self,
        (batch, next): (&Batch, Option<&Batch>),
        steps: u64,
        (momentum, rates): (Option<f64>, Vec<f64>),
    ) -> Result<StepReport, Error> {
        let loss_scale = self.progress.loss_scale_in_use();
        let config = &self.progress.config;
        let t = config.lineage.optimizer_steps + self.progress.optimizer_steps(steps) + 1;
        let hyper = self.optimizer.hyperparameters(t, momentum);
        let inputs = inputs::of(
            &self.progress,
            &self.stepper,
            &Samples::images((batch, next)),
            (steps, &hyper, &rates),
        );
        let stepped = self.stepper.step(&mut self.state, &inputs)?;
        if loss_scale.is_some() {
            self.progress.loss_scale.update(stepped.are_finite);
            self.progress.skipped_steps += u64::from(!stepped.are_finite);
        }
        Ok(StepReport::new(&stepped, loss_scale, &hyper, &rates))
    }

    /// Epoch and step of a batch in this run, from 1.
    fn place_of(&self, batch: &Batch) -> (u64, u64) {
        let before = u64::from(self.progress.config.lineage.epochs);
        (batch.epoch.saturating_sub(before) + 1, batch.step + 1)
    }

    /// Time per operator, if the session was configured for profiling.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] if there is no profile.
    pub fn profile(&mut self) -> Result<Vec<OperatorTime>, Error> {
        Ok(self.stepper.profile()?)
    }

    /// Copies the complete training state.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] if the device fails.
    pub fn checkpoint(&self) -> Result<Checkpoint, Error> {
        Ok(Checkpoint {
            progress: self.progress.clone(),
            tensors: self.stepper.read(&self.state)?,
        })
    }

    /// Adds a step to the sums of its epoch.
    pub(super) fn add_to_epoch(&mut self, batch: &Batch, report: StepReport, times: (Duration, Duration)) {
        self.progress.epoch.add(batch, report, times);
    }

    /// Copies what the files of the model and its checkpoint are written from.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] if the device fails.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        self.snapshot_into(None)
    }

    /// [`Learner::snapshot`] in the memory of an earlier one.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] if the device fails.
    pub fn snapshot_into(&self, earlier: Option<Snapshot>) -> Result<Snapshot, Error> {
        let earlier = earlier.map(|earlier| earlier.checkpoint.tensors);
        let mut tensors = earlier.unwrap_or_default();
        self.stepper.read_into(&self.state, &mut tensors)?;
        let progress = self.progress.clone();
        Ok(Snapshot {
            model: self.model.clone(),
            checkpoint: Checkpoint { progress, tensors },
        })
    }

    /// The current model as an ONNX file: see [`Snapshot::model`].
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] if the device fails, [`Error::Program`] if the model cannot be compiled.
    pub fn model(&self) -> Result<Vec<u8>, Error> {
        self.snapshot()?.model()
    }

    /// The current model, which `snapshot` is of, for validation. Its session is created at the first call, and kept if it can read the training state.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] if the model cannot be compiled, [`Error::Runtime`] if the device fails.
    pub fn validator(&mut self, snapshot: &Snapshot) -> Result<Validator<'_>, Error> {
        if self.evaluator.is_none() {
            let batch = self.progress.config.batch_size as usize;
            let evaluator = self
                .stepper
                .evaluator(&self.runtime, (&self.model, batch), &self.options)?;
            self.evaluator = Some(evaluator);
        }
        if let Some(Some(evaluator)) = &mut self.evaluator {
            return Ok(Validator::InPlace(evaluator, &mut self.state));
        }
        let model = snapshot.model()?;
        Ok(Validator::Exported(Classifier::new(
            &self.runtime,
            "the model",
            &model,
            &self.options,
        )?))
    }

    /// Grad-CAM heatmaps of the current model: of each image, as [`Learner::validator`] gets it, for the class with its label. `None` if they can
    /// only be computed with the exported model.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] if the network has no global pooling layer, [`Error::Runtime`] if the device fails.
    pub fn heatmaps(&mut self, images: &[(&[u8], usize)]) -> Result<Option<Vec<Heatmap>>, Error> {
        let of = (&self.model, images.len());
        let Some(mut grad_cam) = self.stepper.grad_cam(&self.runtime, of, &self.options)? else {
            return Ok(None);
        };
        let labels: Vec<i64> = images.iter().map(|(_, label)| *label as i64).collect();
        let images: Vec<&[u8]> = images.iter().map(|(image, _)| *image).collect();
        Ok(Some(grad_cam.heatmaps(
            &mut self.state,
            &images.concat(),
            &labels,
        )?))
    }

    /// A classifier that runs `model`, the bytes of [`Learner::model`].
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] if the model cannot be loaded.
    pub fn classifier(&self, model: &[u8]) -> Result<Classifier, Error> {
        Ok(Classifier::new(&self.runtime, "the model", model, &self.options)?)
    }
}
