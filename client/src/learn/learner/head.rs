//! The head of a frozen body, trained on features that were computed once.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Error, Learner, StepReport,
    inputs::{self, Samples},
    spec,
};
use crate::learn::{
    architecture::cosine_scale,
    checkpoint::{Checkpoint, ResumeState},
    run::RunConfig,
};
use equibatch_stream::Mixed;
use equibatch_training::{
    program::{self, Images, LastLayer, ModelSpec, Optimizer, Precision, TrainSpec},
    runtime::{DeviceState, Function, Runtime, SessionOptions, Tensor},
    schedule::Schedule,
    trainer::{Stepper, stepper::model_of},
};

/// Name of the features among the inputs.
const FEATURES: &str = "features";

/// Features of a batch of images.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureBatch {
    /// Little-endian elements, `f32[N, …]`.
    pub features: Vec<u8>,
    /// Epoch of the images in the stream, from 0.
    pub epoch: u64,
    /// One per image.
    pub labels: Vec<u32>,
    /// One per image, the image mixed into it; `None` if images are not mixed.
    pub mixed: Option<Vec<Mixed>>,
}

/// The head of a [`Learner`] in training.
#[derive(Debug)]
pub struct HeadLearner {
    runtime: Runtime,
    options: SessionOptions,
    model: ModelSpec,
    optimizer: Arc<dyn Optimizer>,
    rates: Vec<f64>,
    schedule: Schedule,
    stepper: Stepper,
    state: DeviceState,
    /// That of the learner, before its first step.
    progress: ResumeState,
}

impl Learner {
    /// The body: computes features of images as the stream sends them.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] if the network does not end in a head, [`Error::Runtime`] if the device fails.
    pub fn body(&self) -> Result<Function, Error> {
        let state = model_of(self.stepper.read(&self.state)?);
        let program = program::features(&self.model, &state, spec::images(&self.progress.config))?;
        Ok(Function::new(&self.runtime, "the body", &program, &self.options)?)
    }

    /// The head, to be trained for `steps` steps of the schedule.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] if the network does not end in a head, [`Error::Runtime`] if the device fails.
    pub fn head(&self, steps: u64) -> Result<HeadLearner, Error> {
        self.part(ModelSpec::Head(Box::new(self.model.clone())), steps)
    }

    /// A factor for the logits of each class, to be trained on logits for `steps` steps of the schedule.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] if the device fails.
    pub fn class_scales(&self, steps: u64) -> Result<HeadLearner, Error> {
        self.part(ModelSpec::ClassScales(self.progress.config.classes.len()), steps)
    }

    fn part(&self, model: ModelSpec, steps: u64) -> Result<HeadLearner, Error> {
        let config = &self.progress.config;
        let spec = TrainSpec {
            model: model.clone(),
            batch_size: config.images_per_step() as usize,
            images: Images::F32,
            precision: Precision::F32,
            ..spec::of(config, &self.options)?
        };
        let stepper = Stepper::new(&self.runtime, (&spec, 1), &self.options, None)?;
        let mut state = program::initial_state(&model, config.seed)?;
        let own = &stepper.signature().state;
        let trained = self.stepper.read(&self.state)?.into_iter();
        state.extend(trained.filter(|(name, _)| own.iter().any(|pair| pair.name == *name)));
        stepper.init_optimizer(&mut state);
        Ok(HeadLearner {
            runtime: self.runtime.clone(),
            options: self.options.clone(),
            model,
            optimizer: self.optimizer.clone(),
            rates: self.rates.clone(),
            schedule: config
                .optimizer
                .schedule(steps.div_ceil(config.epochs.into()), config.epochs),
            state: stepper.upload(state)?,
            stepper,
            progress: self.progress.clone(),
        })
    }

    /// The linear layer that computes the logits.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if another layer does, or they are cosines.
    pub fn last_layer(&self) -> Result<LastLayer, Error> {
        if cosine_scale(&self.progress.config.head).is_some() {
            let reason =
                "--head-fit: the logits of --head cosine do not depend on the lengths of its weights"
                    .to_owned();
            return Err(Error::Setting { reason });
        }
        program::last_layer(&self.model).ok_or_else(|| Error::Setting {
            reason: "--head-fit: the last layer of the network is not linear".to_owned(),
        })
    }

    /// Replaces the head and the optimizer's state by those of [`HeadLearner::state`], and the progress.
    ///
    /// # Errors
    ///
    /// Those of [`Learner::restore`].
    pub fn put_head(&mut self, head: BTreeMap<String, Tensor>, progress: ResumeState) -> Result<(), Error> {
        let mut tensors = self.stepper.read(&self.state)?;
        tensors.extend(head);
        self.restore(Checkpoint { progress, tensors })
    }
}

impl HeadLearner {
    fn config(&self) -> &RunConfig {
        &self.progress.config
    }

    /// Trains on a batch; `step` is its number, from 0.
    ///
    /// # Errors
    ///
    /// [`Error::HeadDiverged`] if the loss or a gradient is not finite, [`Error::Runtime`] if the program fails.
    pub fn step(&mut self, batch: &FeatureBatch, step: u64) -> Result<StepReport, Error> {
        let factor = self.schedule.at(step);
        let rates: Vec<f64> = self.rates.iter().map(|rate| rate * factor).collect();
        let momentum = self.config().optimizer.momentum(&self.schedule, step);
        let t = self.config().lineage.optimizer_steps + step + 1;
        let hyper = self.optimizer.hyperparameters(t, momentum);
        let samples = Samples {
            input: (FEATURES, &batch.features),
            epoch: batch.epoch,
            labels: &batch.labels,
            mixed: batch.mixed.as_deref(),
            next: None,
        };
        let inputs = inputs::of(&self.progress, &self.stepper, &samples, (step, &hyper, &rates));
        let stepped = self.stepper.step(&mut self.state, &inputs)?;
        if !(stepped.are_finite && stepped.loss.is_finite()) {
            return Err(Error::HeadDiverged {
                loss: stepped.loss,
                step: step + 1,
            });
        }
        Ok(StepReport::new(&stepped, None, &hyper, &rates))
    }

    /// A head with the given state for inference: computes logits of features, first of its outputs.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] if it cannot be compiled, [`Error::Runtime`] if the device fails.
    pub fn function(&self, state: BTreeMap<String, Tensor>) -> Result<Function, Error> {
        let program = program::inference(&self.model, &model_of(state), &[])?;
        Ok(Function::new(&self.runtime, "the head", &program, &self.options)?)
    }

    /// Parameters, running statistics, averages and moments of the head.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] if the device fails.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>, Error> {
        Ok(self.stepper.read(&self.state)?)
    }
}
