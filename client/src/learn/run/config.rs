use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Frozen, HeadFit, HeadSteps};
use crate::{
    learn::{
        fit::policy::Policy, init::HeadInit, optimizer::OptimizerConfig, prior::ClassShares, targets::Loss,
    },
    weights::Source,
};
use equibatch_stream::{Balance, BatchDtype, BatchRequest, Split, StreamDescription};
use equibatch_training::program::{Head, Precision};

/// All settings that determine the results of a run. Device and servers are not part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Name of the dataset.
    pub dataset: String,
    /// Fingerprint of the dataset, in hexadecimal.
    pub fingerprint: String,
    /// Class names in label order.
    pub classes: Vec<String>,
    /// Architecture, such as `resnet34`, or the path of a network file.
    pub arch: String,
    /// BLAKE3 of the network file, in hexadecimal; empty for a named architecture.
    #[serde(default)]
    pub network_hash: String,
    /// The head: `fastai` or `plain`. For a network from a file, a regular expression of its tensor names, or `own` for the automatically
    /// detected last layers.
    #[serde(default = "fastai")]
    pub head: String,
    /// How the last layer begins.
    #[serde(default)]
    pub head_init: HeadInit,
    /// Previous stages and pretrained weights.
    #[serde(default, rename = "before")]
    pub lineage: Lineage,
    /// Frozen parameters.
    #[serde(default)]
    pub frozen: Frozen,
    /// Whether a run that starts from a checkpoint draws a new head.
    #[serde(default)]
    pub reset_head: bool,
    /// Steps of the head on features of the frozen body, which are computed once for the images of all epochs. Absent: each step computes its own.
    #[serde(default)]
    pub head_steps: Option<HeadSteps>,
    /// What of the head is fitted to these features.
    #[serde(default)]
    pub head_fit: HeadFit,
    /// Whether running statistics of batch norms are estimated again before each evaluation.
    #[serde(default)]
    pub reestimate_norms: bool,
    /// Number of epochs.
    pub epochs: u32,
    /// Steps per epoch.
    pub steps_per_epoch: u64,
    /// Peak of the schedule, as [`LearningRates`](equibatch_training::schedule::LearningRates) reads it.
    pub max_lr: String,
    /// Weight decay.
    pub weight_decay: f32,
    /// Optimizer and learning rate schedule.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Whether the norms of the body are frozen, too.
    #[serde(default)]
    pub freeze_norms: bool,
    /// Loss options.
    #[serde(default)]
    pub loss: Loss,
    /// What the classes' shares are. Empty in runs of older versions.
    #[serde(default)]
    pub class_shares: ClassShares,
    /// Largest global gradient norm; gradients are clipped to it. Absent: no clipping.
    #[serde(default)]
    pub clip_norm: Option<f32>,
    /// Decay of the exponential moving average of all weights, which is evaluated and exported. Absent: no averaging.
    #[serde(default)]
    pub ema: Option<f32>,
    /// Compute precision.
    #[serde(default)]
    pub precision: Precision,
    /// Images per micro-batch.
    pub batch_size: u32,
    /// Gradient accumulation: micro-batches per optimizer step.
    #[serde(default = "once")]
    pub accumulate: u32,
    /// Height and width in pixels.
    pub image_size: u32,
    /// Class balance. A schedule is over the epochs of this run.
    pub balance: Balance,
    /// Images per epoch. Absent: determined by the balance.
    #[serde(default)]
    pub images_per_epoch: Option<u64>,
    /// Resolved augmentation recipe in the server's text form. Empty in runs of older versions: the default recipe.
    #[serde(default)]
    pub recipe: String,
    /// Element type of images on the wire.
    #[serde(default)]
    pub wire: BatchDtype,
    /// Checkpoint retention and early stopping.
    #[serde(default)]
    pub policy: Policy,
    /// Seed of the stream, of the initial weights and of dropout.
    pub seed: u64,
    /// Mean per channel in [0, 1] units: red, green, blue.
    pub mean: [f32; 3],
    /// Standard deviation per channel in [0, 1] units: red, green, blue.
    pub std: [f32; 3],
    /// Short side of the downscaled images that are augmented, in pixels; 0: not downscaled.
    pub canonical_short_side: u32,
}

fn once() -> u32 {
    1
}

fn fastai() -> String {
    Head::default().to_string()
}

/// Where a run's initial state comes from: pretrained weights and previous stages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lineage {
    /// Pretrained weights as requested, or `none`.
    pub weights: String,
    /// BLAKE3 of the weights file, in hexadecimal; empty without weights.
    pub weights_hash: String,
    /// Epochs of all previous stages, after which the stream continues.
    pub epochs: u32,
    /// Steps of all previous stages, after which dropout continues.
    pub steps: u64,
    /// Optimizer steps behind the initial moments; 0 for a new optimizer.
    pub optimizer_steps: u64,
}

impl Default for Lineage {
    /// Random initialisation.
    fn default() -> Self {
        Self {
            weights: Source::None.to_string(),
            weights_hash: String::new(),
            epochs: 0,
            steps: 0,
            optimizer_steps: 0,
        }
    }
}

impl Default for RunConfig {
    /// Default settings, without a dataset: network, image size, batch size and optimizer of the reference experiment; ten epochs, because
    /// training from random weights takes longer than fine-tuning.
    fn default() -> Self {
        Self {
            dataset: String::new(),
            fingerprint: String::new(),
            classes: Vec::new(),
            arch: "resnet34".to_owned(),
            network_hash: String::new(),
            head: fastai(),
            head_init: HeadInit::default(),
            lineage: Lineage::default(),
            frozen: Frozen::default(),
            reset_head: false,
            head_steps: None,
            head_fit: HeadFit::All,
            reestimate_norms: false,
            epochs: 10,
            steps_per_epoch: 0,
            max_lr: "3e-3".to_owned(),
            weight_decay: 1e-2,
            optimizer: OptimizerConfig::default(),
            freeze_norms: false,
            loss: Loss::default(),
            class_shares: ClassShares::default(),
            clip_norm: None,
            ema: None,
            precision: Precision::F32,
            batch_size: 64,
            accumulate: 1,
            image_size: 224,
            balance: Balance::Oversample,
            images_per_epoch: None,
            recipe: String::new(),
            wire: BatchDtype::F32,
            policy: Policy::default(),
            seed: 42,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
            canonical_short_side: 0,
        }
    }
}

impl RunConfig {
    /// Number of steps of all epochs.
    #[must_use]
    pub fn total_steps(&self) -> u64 {
        self.steps_per_epoch * u64::from(self.epochs)
    }

    /// Whether the batch norms of the body use their running statistics in training.
    #[must_use]
    pub fn has_fixed_norms(&self) -> bool {
        self.freeze_norms || matches!(self.frozen, Frozen::All(_))
    }

    /// Number of steps that update parameters: those of the head, if it is trained on features that are kept.
    #[must_use]
    pub fn training_steps(&self) -> u64 {
        if self.head_fit == HeadFit::TauNorm {
            return 0;
        }
        let batches = self.total_steps();
        self.head_steps
            .map_or(batches, |steps| steps.cycles(batches, true).iter().sum())
    }

    /// Images per optimizer step: the batch size requested from the server.
    #[must_use]
    pub fn images_per_step(&self) -> u32 {
        self.batch_size.saturating_mul(self.accumulate)
    }

    /// The request for `epochs` epochs of training images.
    #[must_use]
    pub fn images(&self, epochs: u32) -> BatchRequest {
        BatchRequest {
            seed: self.seed,
            epochs,
            balance: Some(self.balance.clone()),
            schedule_epochs: Some(self.lineage.epochs..self.lineage.epochs.saturating_add(self.epochs)),
            images_per_epoch: self.images_per_epoch,
            normalization: Some((self.mean, self.std)),
            recipe: self.recipe.clone(),
            wire: self.wire,
            ..BatchRequest::evaluation(
                &self.dataset,
                Split::Train,
                self.images_per_step(),
                self.image_size,
            )
        }
    }

    /// Fills in the fields that the server determines.
    #[must_use]
    pub fn described(self, stream: &StreamDescription) -> Self {
        Self {
            dataset: stream.dataset.clone(),
            fingerprint: stream.fingerprint.clone(),
            classes: stream.classes.clone(),
            steps_per_epoch: stream.steps_per_epoch,
            recipe: stream.recipe.clone(),
            mean: stream.mean,
            std: stream.std,
            canonical_short_side: stream.canonical_short_side,
            ..self
        }
    }

    /// Describes all fields that differ in `other`; empty if none does.
    #[must_use]
    pub fn differences(&self, other: &Self) -> String {
        let json = |config: &Self| serde_json::to_value(config).expect("plain data");
        let mut words = vec![];
        differences("", &json(self), &json(other), &mut words);
        words.join("; ")
    }
}

/// Adds the differences of two values called `name`, of objects field by field.
fn differences(name: &str, mine: &Value, theirs: &Value, words: &mut Vec<String>) {
    match (mine, theirs) {
        _ if mine == theirs => {}
        (Value::Object(fields), Value::Object(others)) => {
            for (field, value) in fields {
                let name = if name.is_empty() {
                    field.clone()
                } else {
                    format!("{name}.{field}")
                };
                differences(&name, value, others.get(field).unwrap_or(&Value::Null), words);
            }
        }
        _ if name == "fingerprint" => words.push("the dataset has changed since".to_owned()),
        _ => words.push(format!("{name} was {}, now {}", shown(mine), shown(theirs))),
    }
}

/// A setting as typed: 0.01, not its `f32` value in `f64` precision.
fn shown(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if f64::from(number as f32) == number => (number as f32).to_string(),
        _ => value.to_string(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn config() -> RunConfig {
        RunConfig {
            dataset: "garden".to_owned(),
            fingerprint: "00ff".to_owned(),
            classes: vec!["bird".to_owned(), "flower".to_owned()],
            arch: "resnet18".to_owned(),
            epochs: 4,
            steps_per_epoch: 10,
            batch_size: 16,
            image_size: 64,
            balance: Balance::Power(0.5),
            recipe: "flip(p=0.5)".to_owned(),
            seed: 7,
            canonical_short_side: 74,
            ..RunConfig::default()
        }
    }

    #[test]
    fn a_schedule_is_over_the_epochs_of_the_run_whatever_the_stream_has() {
        let mut config = config();
        config.lineage.epochs = 6;
        for epochs in [1, 10, 20] {
            assert_eq!(config.images(epochs).schedule_epochs, Some(6..10));
        }
    }

    #[test]
    fn differences_name_the_fields_with_both_values() {
        let other = RunConfig {
            arch: "resnet34".to_owned(),
            seed: 8,
            loss: Loss {
                label_smoothing: 0.1,
                ..Loss::default()
            },
            ..config()
        };
        assert_eq!(
            config().differences(&other),
            "arch was \"resnet18\", now \"resnet34\"; loss.label_smoothing was 0, now 0.1; seed was 7, now 8"
        );
        assert_eq!(config().differences(&config()), "");
        let changed = RunConfig {
            fingerprint: "11".to_owned(),
            ..config()
        };
        assert_eq!(config().differences(&changed), "the dataset has changed since");
    }
}
