use std::sync::Arc;

use super::{Error, Model, Trainer};
use crate::optim::{AdamW, Optimizer};
use crate::program::{Loss, ParameterGroup, TrainSpec};
use crate::runtime::{Device, Runtime, SessionOptions};

/// Settings of a [`Trainer`].
#[derive(Debug)]
pub struct TrainerBuilder {
    model: Model,
    loss: Option<Loss>,
    batch_size: Option<usize>,
    optimizer: Arc<dyn Optimizer>,
    groups: Vec<(String, ParameterGroup)>,
    clip_norm: Option<f32>,
    seed: u64,
}

impl Trainer {
    /// Settings for training a model.
    #[must_use]
    pub fn builder(model: Model) -> TrainerBuilder {
        TrainerBuilder {
            model,
            loss: None,
            batch_size: None,
            optimizer: Arc::new(AdamW::default()),
            groups: vec![],
            clip_norm: None,
            seed: 0,
        }
    }
}

impl TrainerBuilder {
    /// The loss. It has no default.
    #[must_use]
    pub fn loss(self, loss: Loss) -> Self {
        Self {
            loss: Some(loss),
            ..self
        }
    }

    /// Samples per step: the first extent of inputs for which the file leaves it open. It has no default.
    #[must_use]
    pub fn batch_size(self, batch_size: usize) -> Self {
        Self {
            batch_size: Some(batch_size),
            ..self
        }
    }

    /// The optimizer. The default is [`AdamW`] with PyTorch's defaults.
    #[must_use]
    pub fn optimizer(self, optimizer: impl Optimizer + 'static) -> Self {
        Self {
            optimizer: Arc::new(optimizer),
            ..self
        }
    }

    /// Settings of the parameters with names that match a regular expression anywhere. A parameter may be in several groups; of those that set the
    /// same value, the last one decides.
    #[must_use]
    pub fn group(mut self, pattern: &str, set: impl FnOnce(ParameterGroup) -> ParameterGroup) -> Self {
        let group = ParameterGroup::of(|_| false);
        self.groups.push((pattern.to_owned(), set(group)));
        self
    }

    /// Clips gradients to this global norm, as PyTorch's `clip_grad_norm_`. By default they are not clipped.
    #[must_use]
    pub fn clip_grad_norm(self, largest: f32) -> Self {
        Self {
            clip_norm: Some(largest),
            ..self
        }
    }

    /// Seed of the initial values of replaced layers, and of dropout. The default is 0.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Compiles the training step for a device.
    ///
    /// # Errors
    /// [`Error::Setting`] if loss or batch size is missing, [`Error::Program`] if the network, the loss or a group is invalid,
    /// [`Error::Runtime`] if the device cannot be used.
    pub fn build(self, runtime: &Runtime, device: Device) -> Result<Trainer, Error> {
        let missing = |what: &str| Error::Setting {
            reason: format!("it needs a {what}"),
        };
        let loss = self.loss.ok_or_else(|| missing("loss"))?;
        let batch_size = self.batch_size.ok_or_else(|| missing("batch_size"))?;
        let options = SessionOptions {
            device,
            ..SessionOptions::default()
        };
        let mut groups = self.model.frozen.clone();
        for (pattern, group) in self.groups {
            groups.push(group.selecting(&pattern)?);
        }
        let spec = TrainSpec {
            groups,
            loss,
            clip_norm: self.clip_norm,
            optimizer: self.optimizer,
            kernels: options.kernels(),
            ..TrainSpec::new(self.model.into_spec(), batch_size)
        };
        Trainer::new(runtime, spec, (self.seed, &options))
    }
}
