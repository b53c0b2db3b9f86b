//! A model in training: its program, its state on the device, and where it stands in its schedule.

use std::collections::BTreeMap;

use super::{
    card::ModelCard,
    checkpoint::{Checkpoint, Progress},
    dropout,
    run::RunConfig,
    targets::Loss,
};
use crate::{
    program::{self, AdamW, Backbone, LayerGroup, ModelSpec, Program, Role, TrainSpec},
    runtime::{self, Classifier, DeviceState, Runtime, SessionOptions, StepRunner, Tensor},
    schedule::{LearningRates, OneCycle},
    stream::Batch,
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
    /// The loss left the finite numbers.
    #[error(
        "the loss became {loss} at epoch {epoch} step {step}, learning rate {learning_rate:.2e}; try a lower --max-lr"
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
    },
    /// The program could not be compiled.
    #[error("cannot compile the training step")]
    Program(#[from] program::Error),
    /// The program could not be run.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

/// What came of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Of the batch.
    pub loss: f64,
    /// Largest learning rate of all layer groups.
    pub learning_rate: f64,
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
    runner: StepRunner,
    state: DeviceState,
    progress: Progress,
}

impl Learner {
    /// A model that has learnt nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] where the configuration makes no sense, [`Error::Runtime`] where the device cannot be used.
    pub fn new(runtime: &Runtime, config: &RunConfig, options: &SessionOptions) -> Result<Self, Error> {
        let state = program::initial_state(&model_spec(config)?, config.seed)?;
        Self::start(runtime, Progress::new(config.clone()), options, state, true)
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
        let model = model_spec(config)?;
        let optimizer = AdamW {
            weight_decay: config.weight_decay,
            ..AdamW::default()
        };
        let batch_size = config.batch_size as usize;
        let spec = TrainSpec {
            optimizer,
            ..TrainSpec::new(model.clone(), batch_size)
        };
        let rates: LearningRates = config.max_lr.parse().map_err(|error| Error::Setting {
            reason: format!("{error}"),
        })?;
        let program = program::train_step(&spec)?;
        if fresh {
            add_moments(&program, &mut state);
        }
        check(&program, &state)?;
        let runner = StepRunner::new(runtime, "the training step", &program, options)?;
        let state = runner.place(&state)?;
        Ok(Self {
            runtime: runtime.clone(),
            options: options.clone(),
            model,
            beta2: optimizer.beta2,
            rates: rates.per_group(LayerGroup::ALL.len()),
            cycle: OneCycle::new(config.steps_per_epoch * u64::from(config.epochs)),
            runner,
            state,
            progress,
        })
    }

    /// Where training stands.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Learns from one batch, which must be full.
    ///
    /// # Errors
    ///
    /// [`Error::Diverged`] where the loss is not finite: the state is then worthless; [`Error::Runtime`] where the run fails.
    pub fn step(&mut self, batch: &Batch) -> Result<StepReport, Error> {
        let learning_rate = self.feed_schedule()?;
        let (seed, step) = (self.progress.config.seed, self.progress.steps);
        let masks = self.runner.signature().dropout.clone();
        for (layer, mask) in (0..).zip(&masks) {
            dropout::draw(mask, (seed, step, layer), self.runner.f32_input(&mask.name)?);
        }
        self.runner.fill("images", &batch.tensor)?;
        Loss::default().targets(&batch.labels, None, self.runner.f32_input("targets")?);
        self.runner.step(&mut self.state)?;
        let loss = f64::from(self.runner.output("loss")?[0]);
        if !loss.is_finite() {
            return Err(Error::Diverged {
                loss,
                epoch: batch.epoch + 1,
                step: batch.step + 1,
                learning_rate,
            });
        }
        self.progress.steps += 1;
        self.progress.position = Some(batch.next.clone());
        self.progress.smoothed_loss.add(loss);
        Ok(StepReport { loss, learning_rate })
    }

    /// Sets the scalars of the schedule, and says the largest learning rate.
    fn feed_schedule(&mut self) -> Result<f64, Error> {
        let setting = self.cycle.at(self.progress.steps);
        let steps = (self.progress.steps + 1) as f64;
        let correction = |beta: f64| 1.0 - beta.powf(steps);
        let mut set =
            |name: &str, value: f64| self.runner.f32_input(name).map(|input| input[0] = value as f32);
        set("beta1", setting.momentum)?;
        set("bias_correction1", correction(setting.momentum))?;
        set("bias_correction2", correction(f64::from(self.beta2)))?;
        for (group, rate) in self.rates.iter().enumerate() {
            set(&format!("learning_rate.{group}"), rate * setting.rate)?;
        }
        Ok(self
            .rates
            .iter()
            .fold(0.0, |largest: f64, &rate| largest.max(rate))
            * setting.rate)
    }

    /// Copies everything that training needs to go on.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] where the device fails.
    pub fn checkpoint(&self) -> Result<Checkpoint, Error> {
        Ok(Checkpoint {
            progress: self.progress.clone(),
            tensors: self.state.read()?,
        })
    }

    /// The model as it stands, as an ONNX file for inference with its class names and preprocessing.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] where the device fails.
    pub fn model(&self) -> Result<Vec<u8>, Error> {
        let metadata = ModelCard::metadata(&self.progress.config);
        Ok(program::inference(&self.model, &self.state.read()?, &metadata)?.model)
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

fn model_spec(config: &RunConfig) -> Result<ModelSpec, Error> {
    let backbone = network(&config.arch)?;
    Ok(ModelSpec {
        image_size: config.image_size as usize,
        ..ModelSpec::new(backbone, config.classes.len())
    })
}

/// The network called `name`: `resnet34`, or narrower for quick trials: `resnet34@16` has 16 channels in its first stage instead of 64.
///
/// # Errors
///
/// [`Error::Setting`] where there is no such network.
pub fn network(name: &str) -> Result<Backbone, Error> {
    let setting = |reason: String| Error::Setting { reason };
    let (name, width) = name
        .split_once('@')
        .map_or((name, None), |(name, width)| (name, Some(width)));
    let backbone: Backbone = name.parse().map_err(|error| setting(format!("{error}")))?;
    match width.map(|width| (width, width.parse())) {
        None => Ok(backbone),
        Some((_, Ok(width @ 1..=1024))) => Ok(Backbone { width, ..backbone }),
        Some((width, _)) => Err(setting(format!("`{width}` is no width: use 1 to 1024 channels"))),
    }
}

/// Moments start at zero.
fn add_moments(program: &Program, state: &mut BTreeMap<String, Tensor>) {
    let moments = program
        .signature
        .state
        .iter()
        .filter(|pair| matches!(pair.role, Role::FirstMoment | Role::SecondMoment));
    state.extend(moments.map(|pair| (pair.name.clone(), Tensor::full(pair.shape.clone(), 0.0))));
}

/// Names the first tensor that is missing from `state` or has another shape.
fn check(program: &Program, state: &BTreeMap<String, Tensor>) -> Result<(), Error> {
    for pair in &program.signature.state {
        let reason = match state.get(&pair.name) {
            Some(tensor) if tensor.shape == pair.shape => continue,
            Some(tensor) => format!(
                "`{}` has shape {}, the model needs {}",
                pair.name, tensor.shape, pair.shape
            ),
            None => format!("it has no `{}`", pair.name),
        };
        return Err(Error::Checkpoint { reason });
    }
    Ok(())
}
