//! A model in training: its program, its state on the device, and where it stands in its schedule.

use std::collections::BTreeMap;

use super::{
    architecture,
    begin::{Beginning, Begun},
    card::ModelCard,
    checkpoint::{Checkpoint, Progress},
    dropout,
    fit::policy::Action,
    metrics::Figures,
    network,
    run::RunConfig,
    stepper::{Feed, Stepper, model_of},
};
use crate::{
    program::{self, AdamW, Images, LayerGroup, ModelSpec, Pixels, TrainSpec},
    runtime::{self, Classifier, DeviceState, OperatorTime, Runtime, SessionOptions, Tensor},
    schedule::{Hyper, LearningRates, OneCycle},
    stream::{Batch, Position, Wire},
    weights::{self, Misfit},
};

/// What can go wrong while a model learns.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting does not make sense.
    #[error("cannot train: {reason}")]
    Setting {
        /// Which and why.
        reason: String,
    },
    /// A checkpoint's tensor does not fit the model.
    #[error("cannot continue from the checkpoint: {reason}")]
    Checkpoint {
        /// Which tensor and why.
        reason: String,
    },
    /// Weights to start from cannot be used.
    #[error(transparent)]
    Weights(#[from] weights::Error),
    /// The file of the network cannot be used.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// The loss left the finite numbers.
    #[error(
        "the loss became {loss} at epoch {epoch} step {step}, learning rate {learning_rate:.2e}, in the batch of {batch}; try a lower \
         --max-lr, or look at that batch with `server explain`"
    )]
    Diverged {
        /// The loss.
        loss: f64,
        /// From 1.
        epoch: u64,
        /// From 1.
        step: u64,
        /// The largest of all layer groups.
        learning_rate: f64,
        /// The token of the batch.
        batch: Box<Position>,
    },
    /// The program could not be compiled.
    #[error("cannot compile the training step")]
    Program(#[from] program::Error),
    /// The program could not be run.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

impl Error {
    /// Whether the file that the network is read from is what cannot be used.
    #[must_use]
    pub fn is_of_a_file(&self) -> bool {
        matches!(self, Self::Network(_) | Self::Program(program::Error::Network(_)))
    }
}

/// What came of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Of the batch.
    pub loss: f64,
    /// Largest learning rate of all layer groups.
    pub learning_rate: f64,
    /// Norm of the gradients before they were clipped; absent where nothing is clipped.
    pub gradient_norm: Option<f64>,
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
    progress: Progress,
}

impl From<Misfit> for Error {
    fn from(misfit: Misfit) -> Self {
        Self::Weights(misfit.into())
    }
}

impl Learner {
    /// A model that has learnt nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] where the configuration makes no sense, [`Error::Runtime`] where the device cannot be used.
    pub fn new(runtime: &Runtime, config: &RunConfig, options: &SessionOptions) -> Result<Self, Error> {
        Self::begin(runtime, Beginning::Nothing.begin(config.clone())?, options)
    }

    /// A model at the beginning of a run.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] where the configuration makes no sense, [`Error::Checkpoint`] where the state does not fit it,
    /// [`Error::Runtime`] where the device cannot be used.
    pub fn begin(runtime: &Runtime, begun: Begun, options: &SessionOptions) -> Result<Self, Error> {
        Self::start(runtime, Progress::new(begun.config), options, begun.state, true)
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
        progress: Progress,
        options: &SessionOptions,
        mut state: BTreeMap<String, Tensor>,
        fresh: bool,
    ) -> Result<Self, Error> {
        let config = &progress.config;
        let model = architecture::spec(config)?;
        let optimizer = AdamW {
            weight_decay: config.weight_decay,
            ..AdamW::default()
        };
        let batch_size = config.batch_size as usize;
        let is_fused = options
            .operators
            .are_fused(options.device)
            .ok_or_else(|| Error::Setting {
                reason: format!("--operators fast runs on the CPU only, not on {}", options.device),
            })?;
        let spec = TrainSpec {
            optimizer,
            images: images(config),
            frozen_groups: if config.frozen {
                LayerGroup::Head.index()
            } else {
                0
            },
            is_fused,
            focal: config.loss.focal,
            clip_norm: config.clip_norm,
            average: config.ema.is_some(),
            ..TrainSpec::new(model.clone(), batch_size)
        };
        let rates = peak_rates(&config.max_lr)?;
        let stepper = Stepper::new(runtime, &spec, config.accumulate.max(1) as usize, options)?;
        if fresh {
            stepper.begin(&mut state);
        }
        let state = stepper.place(state)?;
        Ok(Self {
            runtime: runtime.clone(),
            options: options.clone(),
            model,
            beta2: optimizer.beta2,
            rates,
            cycle: OneCycle::new(config.total_steps()),
            stepper,
            state,
            progress,
        })
    }

    /// Where training stands.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether this learner makes use of the batch after the one that it learns from: see [`Learner::step_ahead`].
    #[must_use]
    pub fn stages(&self) -> bool {
        self.stepper.stages()
    }

    /// Decides on what to do after the epoch that has just ended, with these figures of the validation images.
    pub fn close_epoch(&mut self, figures: Option<&Figures>) -> Vec<Action> {
        let Progress {
            config,
            steps,
            standing,
            ..
        } = &mut self.progress;
        let epoch = u32::try_from(*steps / config.steps_per_epoch.max(1)).unwrap_or(u32::MAX);
        config.policy.after_epoch(standing, epoch, figures)
    }

    /// Changes the peak learning rates of a run that has not begun.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] where the text is not one of learning rates.
    pub fn set_max_lr(&mut self, text: &str) -> Result<(), Error> {
        self.rates = peak_rates(text)?;
        text.clone_into(&mut self.progress.config.max_lr);
        Ok(())
    }

    /// Learns from one batch, which must be full.
    ///
    /// # Errors
    ///
    /// [`Error::Diverged`] where the loss is not finite: the state is then worthless; [`Error::Runtime`] where the run fails.
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
        let rates = self.rates.iter().map(|rate| rate * setting.rate).collect();
        let report = self.run((batch, next), self.progress.steps, (setting.momentum, rates))?;
        if !report.loss.is_finite() {
            return Err(self.diverged(batch, &report));
        }
        self.progress.steps += 1;
        self.progress.position = Some(batch.next.clone());
        self.progress.smoothed_loss.add(report.loss);
        Ok(report)
    }

    /// Learns from one batch with one learning rate for all layers and a momentum of 0.9, as the learning-rate finder does: number `step`
    /// of its batches, from 0; `next` is as for [`Learner::step_ahead`]. Neither the schedule nor [`Learner::progress`] moves on; the loss may be anything.
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
        Ok(report.loss)
    }

    /// Puts back what training needs, as [`Learner::checkpoint`] copied it.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] where the checkpoint is of another network, or the device fails.
    pub fn restore(&mut self, checkpoint: Checkpoint) -> Result<(), Error> {
        self.stepper.load(&mut self.state, checkpoint.tensors)?;
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
        let config = &self.progress.config;
        let before = &config.before;
        let t = before.optimizer_steps + steps + 1;
        let (seed, step) = (config.seed, before.steps + steps);
        let hyper = Hyper::new(t, [momentum, f64::from(self.beta2)], rates);
        let mut targets = vec![0.0; batch.labels.len() * config.classes.len()];
        config
            .loss
            .targets(&batch.labels, batch.mixed.as_deref(), &mut targets);
        let parts = config.accumulate.max(1) as usize;
        let masks = (0..).zip(self.stepper.dropout()).map(|(layer, dropout)| {
            // One drawing for the whole batch, of which each part has its rows.
            let mut mask = vec![0.0; dropout.shape.elements() * parts];
            dropout::draw(dropout, (seed, step, layer), &mut mask);
            mask
        });
        let feed = Feed {
            images: &batch.tensor,
            next: next.map(|next| &next.tensor),
            targets,
            masks: masks.collect(),
            scalars: scalars(&hyper, config.ema.map(|decay| average_decay(decay, steps))),
        };
        let stepped = self.stepper.step(&mut self.state, &feed)?;
        Ok(StepReport {
            loss: stepped.loss,
            learning_rate: hyper.largest_rate(),
            gradient_norm: stepped.gradient_norm,
            rates: std::array::from_fn(|group| hyper.learning_rates.get(group).copied().unwrap_or(0.0)),
            momentum: hyper.beta1,
        })
    }

    fn diverged(&self, batch: &Batch, report: &StepReport) -> Error {
        let before = u64::from(self.progress.config.before.epochs);
        Error::Diverged {
            loss: report.loss,
            epoch: batch.epoch.saturating_sub(before) + 1,
            step: batch.step + 1,
            learning_rate: report.learning_rate,
            batch: Box::new(batch.position()),
        }
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

/// What the training step takes its images as.
fn images(config: &RunConfig) -> Images {
    match config.wire {
        Wire::F32 => Images::F32,
        Wire::F16 => Images::F16,
        Wire::U8 => Images::Pixels(Pixels {
            channels_last: false,
            mean: config.mean,
            std: config.std,
        }),
    }
}

/// The peak learning rate of each layer group.
fn peak_rates(text: &str) -> Result<Vec<f64>, Error> {
    let rates: LearningRates = text.parse().map_err(|error| Error::Setting {
        reason: format!("{error}"),
    })?;
    Ok(rates.per_group(LayerGroup::ALL.len()))
}

/// What the programs of a step call the scalars of the schedule.
fn scalars(hyper: &Hyper, average_decay: Option<f64>) -> Vec<(String, f64)> {
    let named = [
        ("beta1", hyper.beta1),
        ("bias_correction1", hyper.bias_correction1),
        ("bias_correction2", hyper.bias_correction2),
    ];
    let rates = hyper.learning_rates.iter().enumerate();
    let rates = rates.map(|(group, &rate)| (format!("learning_rate.{group}"), rate));
    let decay = average_decay.map(|decay| ("average_decay".to_owned(), decay));
    let named = named.into_iter().map(|(name, value)| (name.to_owned(), value));
    named.chain(rates).chain(decay).collect()
}

/// What an average keeps of itself in the step behind `steps` of this run. At first that is less than `decay`, since what a network starts
/// from is worth little.
///
/// # Source
///
/// TensorFlow's `ExponentialMovingAverage` with `num_updates`.
fn average_decay(decay: f32, steps: u64) -> f64 {
    f64::from(decay).min((1.0 + steps as f64) / (10.0 + steps as f64))
}
