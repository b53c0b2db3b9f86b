use super::{Builder, LayerGroup, Mode, ParameterKind, Statistic};
use crate::graph::op::BatchNormalization;
use crate::graph::{Error, Value};

/// Hyperparameters of a batch norm.
#[derive(Clone, Copy, Debug)]
pub(super) struct NormSettings {
    /// Added to the variance.
    pub(super) epsilon: f32,
    /// Weight of the batch's statistic in the running one (PyTorch's convention).
    pub(super) momentum: f32,
}

impl Default for NormSettings {
    /// PyTorch's.
    fn default() -> Self {
        Self {
            epsilon: 1e-5,
            momentum: 0.1,
        }
    }
}

/// Name of the tensor that holds a running statistic between the micro-batches of a step.
pub(crate) fn staged_name(statistic: &str) -> String {
    format!("pending.{statistic}")
}

impl Builder<'_> {
    /// Batch norm per channel.
    ///
    /// # Shapes
    /// `x: f32[N, C, …] → f32[N, C, …]`.
    ///
    /// # Source
    /// PyTorch's `BatchNorm2d`: the biased variance normalises the batch, the unbiased one updates the running variance.
    pub(super) fn batch_norm(&mut self, name: &str, x: Value) -> Result<Value, Error> {
        let channels = self.graph.shape(x)[1];
        let scale = self.parameter(name, "weight", ParameterKind::NormWeight, [channels])?;
        let bias = self.parameter(name, "bias", ParameterKind::NormBias, [channels])?;
        let statistics = ["running_mean", "running_var"].map(|field| format!("{name}.{field}"));
        self.normalised(name, [x, scale, bias], &statistics, NormSettings::default())
    }

    /// [`Self::batch_norm`] with given scale and bias values and names of running mean and running variance.
    pub(super) fn normalised(
        &mut self,
        name: &str,
        [x, scale, bias]: [Value; 3],
        [mean_name, variance_name]: &[String; 2],
        settings: NormSettings,
    ) -> Result<Value, Error> {
        let channels = self.graph.shape(x)[1];
        let mean = self.graph.parameter(mean_name, [channels])?;
        let variance = self.graph.parameter(variance_name, [channels])?;
        let attributes = BatchNormalization {
            epsilon: settings.epsilon,
        };
        let mut before = [None, None];
        let mode = match self.group {
            LayerGroup::Head => self.mode,
            LayerGroup::Early | LayerGroup::Late => self.norm_mode,
        };
        let (y, next) = match mode {
            Mode::Inference => {
                let y = self.layer(name, |g| {
                    g.batch_normalization([x, scale, bias, mean, variance], attributes)
                })?;
                (y, None)
            }
            Mode::Train | Mode::Statistics => {
                let [y, batch_mean, batch_variance] =
                    self.layer(name, |g| g.batch_norm(x, scale, bias, attributes))?;
                let per_channel = self.graph.shape(x).elements() / channels;
                let momentum = match mode {
                    Mode::Statistics => 1.0,
                    _ => settings.momentum,
                };
                let mut start = [mean, variance];
                if let Some(is_accumulating) = self.is_accumulating {
                    for (position, statistic) in [mean_name, variance_name].into_iter().enumerate() {
                        let carried = self.graph.parameter(&staged_name(statistic), [channels])?;
                        let scope = format!("running/{name}");
                        let from =
                            self.layer(&scope, |g| g.select(is_accumulating, carried, start[position]))?;
                        (before[position], start[position]) = (Some(carried), from);
                    }
                }
                let next_mean = self.running(name, start[0], batch_mean, [1.0 - momentum, momentum])?;
                let take = momentum * unbiased(per_channel);
                let next_variance = self.running(name, start[1], batch_variance, [1.0 - momentum, take])?;
                (y, Some([next_mean, next_variance]))
            }
        };
        let [next_mean, next_variance] = next.map_or([None, None], |next| next.map(Some));
        self.statistics.push(Statistic {
            name: mean_name.clone(),
            value: mean,
            next: next_mean,
            staged: before[0],
            is_variance: false,
            group: self.group,
        });
        self.statistics.push(Statistic {
            name: variance_name.clone(),
            value: variance,
            next: next_variance,
            staged: before[1],
            is_variance: true,
            group: self.group,
        });
        Ok(y)
    }

    /// `keep·running + take·batch`.
    fn running(
        &mut self,
        name: &str,
        running: Value,
        batch: Value,
        [keep, take]: [f32; 2],
    ) -> Result<Value, Error> {
        self.layer(&format!("running/{name}"), |g| {
            let (keep, take) = (g.scalar(keep), g.scalar(take));
            let kept = g.mul(running, keep)?;
            let taken = g.mul(batch, take)?;
            g.add(kept, taken)
        })
    }
}

/// `M / (M − 1)`: Bessel's correction for a variance of M elements.
#[expect(
    clippy::cast_precision_loss,
    reason = "rounded once, like any other constant of the graph"
)]
fn unbiased(elements: usize) -> f32 {
    elements as f32 / (elements as f32 - 1.0)
}
