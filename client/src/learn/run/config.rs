use serde::{Deserialize, Serialize};

use super::Frozen;
use crate::{
    learn::{fit::policy::Policy, targets::Loss},
    weights::Source,
};
use equibatch_stream::{Balance, BatchDtype, BatchRequest, Split, StreamDescription};
use equibatch_training::program::{Head, Precision};

/// Everything that decides the numbers of a run. Where it runs and whom it asks is not part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Name of the dataset.
    pub dataset: String,
    /// Its fingerprint, in hexadecimal.
    pub fingerprint: String,
    /// In label order.
    pub classes: Vec<String>,
    /// Name of the network, such as `resnet34`, or the file that it is read from.
    pub arch: String,
    /// BLAKE3 of that file, in hexadecimal; empty for a network with a name.
    #[serde(default)]
    pub network_hash: String,
    /// Name of the network's last layers: fastai or plain. For a network from a file, a regular expression of their names, or `own` for
    /// the layers that are found to be last.
    #[serde(default = "fastai")]
    pub head: String,
    /// What went before.
    #[serde(default)]
    pub before: Before,
    /// What keeps what it is.
    #[serde(default)]
    pub frozen: Frozen,
    /// Passes over the training images.
    pub epochs: u32,
    /// Steps per epoch.
    pub steps_per_epoch: u64,
    /// Peak of the one-cycle schedule, as [`LearningRates`](equibatch_training::schedule::LearningRates) reads it.
    pub max_lr: String,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// What is made small.
    #[serde(default)]
    pub loss: Loss,
    /// The largest norm of all gradients together. Absent: any.
    #[serde(default)]
    pub clip_norm: Option<f32>,
    /// Decay of the moving average of all weights that is judged and exported. Absent: the weights themselves are.
    #[serde(default)]
    pub ema: Option<f32>,
    /// What steps are computed in.
    #[serde(default)]
    pub precision: Precision,
    /// Images that are computed at once.
    pub batch_size: u32,
    /// How many times as many are learnt from in every step.
    #[serde(default = "once")]
    pub accumulate: u32,
    /// Height and width in pixels.
    pub image_size: u32,
    /// How often each class is drawn.
    pub balance: Balance,
    /// Images of an epoch. Absent: as many as the balance makes of the split.
    #[serde(default)]
    pub images_per_epoch: Option<u64>,
    /// Augmentation, resolved, in the server's text form. Empty in runs of before there was a choice: the default.
    #[serde(default)]
    pub recipe: String,
    /// What batches are made of on their way.
    #[serde(default)]
    pub wire: BatchDtype,
    /// What is kept, and when the run ends before its time.
    #[serde(default)]
    pub policy: Policy,
    /// Seeds the stream, the initial weights and dropout.
    pub seed: u64,
    /// Per channel: red, green, blue.
    pub mean: [f32; 3],
    /// Per channel: red, green, blue.
    pub std: [f32; 3],
    /// Short side of the images that augmentation starts from, in pixels; 0: as decoded.
    pub canonical_short_side: u32,
}

fn once() -> u32 {
    1
}

fn fastai() -> String {
    Head::default().to_string()
}

/// What went before a run: where its first numbers come from, and what they have learnt already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Before {
    /// `none`, or the file that the network started from, as it was asked for.
    pub weights: String,
    /// BLAKE3 of that file, in hexadecimal; empty where there was none.
    pub weights_hash: String,
    /// Epochs of the stages before this one: the stream goes on behind them.
    pub epochs: u32,
    /// Steps of the stages before: dropout goes on behind them.
    pub steps: u64,
    /// Steps that the optimizer has taken with the moments that it starts with; 0 for a new one.
    pub optimizer_steps: u64,
}

impl Default for Before {
    /// Nothing.
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
    /// What training is like where nothing is said, on no images yet: the reference experiment's network, size, batch and optimizer;
    /// ten epochs, since a network that starts from nothing needs more than one that was trained before.
    fn default() -> Self {
        Self {
            dataset: String::new(),
            fingerprint: String::new(),
            classes: Vec::new(),
            arch: "resnet34".to_owned(),
            network_hash: String::new(),
            head: fastai(),
            before: Before::default(),
            frozen: Frozen::default(),
            epochs: 10,
            steps_per_epoch: 0,
            max_lr: "3e-3".to_owned(),
            weight_decay: 1e-2,
            loss: Loss::default(),
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
    /// Steps of all epochs.
    #[must_use]
    pub fn total_steps(&self) -> u64 {
        self.steps_per_epoch * u64::from(self.epochs)
    }

    /// Images that are learnt from in every step: the batch that the server sends.
    #[must_use]
    pub fn images_per_step(&self) -> u32 {
        self.batch_size.saturating_mul(self.accumulate)
    }

    /// The request for its training images, of `epochs` epochs from the first on.
    #[must_use]
    pub fn images(&self, epochs: u32) -> BatchRequest {
        BatchRequest {
            seed: self.seed,
            epochs,
            balance: Some(self.balance.clone()),
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

    /// With what only the stream of its images tells.
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

    /// Names every field in which `other` differs, in words; empty where none does.
    #[must_use]
    pub fn differences(&self, other: &Self) -> String {
        let fields = |config: &Self| match serde_json::to_value(config) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let (mine, theirs) = (fields(self), fields(other));
        let differing = mine
            .iter()
            .filter(|(name, value)| theirs.get(*name) != Some(value));
        let words = differing.map(|(name, value)| match name.as_str() {
            "fingerprint" => "the dataset has changed since".to_owned(),
            _ => format!(
                "{name} was {}, now {}",
                shown(Some(value)),
                shown(theirs.get(name))
            ),
        });
        words.collect::<Vec<_>>().join("; ")
    }
}

/// A setting as it was typed: 0.01, not what single precision makes of it in double.
fn shown(value: Option<&serde_json::Value>) -> String {
    let number = value.and_then(serde_json::Value::as_f64);
    match (value, number) {
        (_, Some(number)) if f64::from(number as f32) == number => (number as f32).to_string(),
        (Some(value), _) => value.to_string(),
        (None, _) => "null".to_owned(),
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
    fn differences_name_the_fields_with_both_values() {
        let other = RunConfig {
            arch: "resnet34".to_owned(),
            seed: 8,
            ..config()
        };
        assert_eq!(
            config().differences(&other),
            "arch was \"resnet18\", now \"resnet34\"; seed was 7, now 8"
        );
        assert_eq!(config().differences(&config()), "");
        let changed = RunConfig {
            fingerprint: "11".to_owned(),
            ..config()
        };
        assert_eq!(config().differences(&changed), "the dataset has changed since");
    }
}
