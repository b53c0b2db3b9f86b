use super::{Builder, Kind, Mode};
use crate::graph::op::BatchNormalization;
use crate::graph::{Error, Value};

/// Added to the variance, as PyTorch does by default.
pub(super) const EPSILON: f32 = 1e-5;

/// How much of a batch's statistic enters the running one, as in PyTorch by default.
const MOMENTUM: f32 = 0.1;

/// A running statistic of a batch norm.
#[derive(Clone, Debug)]
pub struct Statistic {
    /// Its name in a state dictionary.
    pub name: String,
    /// Its value before the batch.
    pub value: Value,
    /// Its value after the batch, when training.
    pub next: Option<Value>,
    /// Whether it is the variance, which starts at one; the mean starts at zero.
    pub is_variance: bool,
}

impl Builder<'_> {
    /// Batch normalisation per channel.
    ///
    /// # Shapes
    /// `x: f32[N, C, …] → f32[N, C, …]`.
    ///
    /// # Source
    /// PyTorch's `BatchNorm2d`: the batch is normalised by its biased variance, the running variance takes in the unbiased one.
    pub(super) fn batch_norm(&mut self, name: &str, x: Value) -> Result<Value, Error> {
        let channels = self.graph.shape(x)[1];
        let scale = self.parameter(name, "weight", Kind::NormWeight, [channels])?;
        let bias = self.parameter(name, "bias", Kind::NormBias, [channels])?;
        let mean_name = format!("{name}.running_mean");
        let variance_name = format!("{name}.running_var");
        let mean = self.graph.parameter(&mean_name, [channels])?;
        let variance = self.graph.parameter(&variance_name, [channels])?;
        let attributes = BatchNormalization { epsilon: EPSILON };
        let (y, next) = match self.mode {
            Mode::Inference => {
                let y = self.layer(name, |g| {
                    g.batch_normalization([x, scale, bias, mean, variance], attributes)
                })?;
                (y, None)
            }
            Mode::Train => {
                let [y, batch_mean, batch_variance] =
                    self.layer(name, |g| g.batch_norm(x, scale, bias, attributes))?;
                let per_channel = self.graph.shape(x).elements() / channels;
                let next_mean = self.running(name, mean, batch_mean, 1.0)?;
                let next_variance = self.running(name, variance, batch_variance, unbiased(per_channel))?;
                (y, Some([next_mean, next_variance]))
            }
        };
        let [next_mean, next_variance] = next.map_or([None, None], |next| next.map(Some));
        self.statistics.push(Statistic {
            name: mean_name,
            value: mean,
            next: next_mean,
            is_variance: false,
        });
        self.statistics.push(Statistic {
            name: variance_name,
            value: variance,
            next: next_variance,
            is_variance: true,
        });
        Ok(y)
    }

    /// `(1 − momentum)·running + momentum·factor·batch`.
    fn running(&mut self, name: &str, running: Value, batch: Value, factor: f32) -> Result<Value, Error> {
        self.layer(&format!("running/{name}"), |g| {
            let (keep, take) = (g.scalar(1.0 - MOMENTUM), g.scalar(MOMENTUM * factor));
            let kept = g.mul(running, keep)?;
            let taken = g.mul(batch, take)?;
            g.add(kept, taken)
        })
    }
}

/// `M / (M − 1)`: what turns a biased variance of M elements into an unbiased one.
#[expect(
    clippy::cast_precision_loss,
    reason = "rounded once, like any other constant of the graph"
)]
fn unbiased(elements: usize) -> f32 {
    elements as f32 / (elements as f32 - 1.0)
}
