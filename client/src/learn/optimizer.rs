//! Optimizer and learning rate schedule of a run.

use std::{fmt, str::FromStr, sync::Arc};

use equibatch_training::{
    optim::{AdamW, Optimizer, Sgd},
    program::{Parameter, ParameterGroup},
    schedule::Schedule,
};
use serde::{Deserialize, Serialize};

use crate::serde_text::string_conversions;

/// Optimizer and learning rate schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// The optimizer.
    pub name: OptimizerName,
    /// μ of SGD. Absent: 0.9, or the schedule's.
    pub momentum: Option<f64>,
    /// Whether SGD's momentum is Nesterov's.
    pub nesterov: bool,
    /// β₁ and β₂ of AdamW. Absent: fastai's, or β₁ the schedule's.
    pub betas: Option<[f64; 2]>,
    /// Weight decay of weights and biases of norms. Absent: that of all other parameters.
    pub norm_weight_decay: Option<f32>,
    /// Weight decay of all biases, those of norms included. Absent: that of all other parameters.
    pub bias_weight_decay: Option<f32>,
    /// The schedule.
    pub schedule: ScheduleName,
    /// Epochs in which the learning rate rises linearly before the schedule.
    pub warmup_epochs: f64,
}

/// Optimizers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum OptimizerName {
    /// [`AdamW`].
    #[default]
    AdamW,
    /// [`Sgd`].
    Sgd,
}

/// Learning rate schedules, with times in epochs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ScheduleName {
    /// [`Schedule::one_cycle`].
    #[default]
    OneCycle,
    /// [`Schedule::cosine`].
    Cosine,
    /// [`Schedule::constant`].
    Constant,
    /// [`Schedule::step`].
    Step {
        /// Epochs of equal learning rate.
        epochs: u32,
        /// Factor of the learning rate after them.
        gamma: f64,
    },
}

/// γ of a step schedule, as torchvision's training references.
const GAMMA: f64 = 0.1;
/// μ of SGD, as torchvision's training references.
const MOMENTUM: f64 = 0.9;

impl OptimizerName {
    /// Default peak learning rate: fastai's for AdamW, that of torchvision's fine-tuning for SGD.
    #[must_use]
    pub fn default_max_lr(self) -> &'static str {
        match self {
            Self::AdamW => "3e-3",
            Self::Sgd => "1e-2",
        }
    }

    /// Default weight decay: PyTorch's for AdamW, that of torchvision's training references for SGD, which couples it to the gradient.
    #[must_use]
    pub fn default_weight_decay(self) -> f32 {
        match self {
            Self::AdamW => 1e-2,
            Self::Sgd => 1e-4,
        }
    }
}

impl OptimizerConfig {
    /// Why these settings cannot be used together in a run of `epochs` epochs, if they cannot.
    #[must_use]
    pub fn conflict(&self, epochs: u32) -> Option<String> {
        let Self { warmup_epochs, .. } = self;
        let refused = match self.name {
            OptimizerName::AdamW if self.momentum.is_some() || self.nesterov => {
                "--momentum and --nesterov need --optimizer sgd; the momentum of adamw is the first of --betas"
            }
            OptimizerName::Sgd if self.betas.is_some() => {
                "--betas needs --optimizer adamw; sgd has --momentum"
            }
            OptimizerName::Sgd if self.nesterov && self.momentum == Some(0.0) => {
                "--nesterov needs a --momentum above 0"
            }
            _ if *warmup_epochs > 0.0 && self.schedule == ScheduleName::OneCycle => {
                "--warmup-epochs: the schedule one-cycle begins with a warm-up of its own, 30 % of all steps; use --schedule cosine, constant \
                 or step"
            }
            _ if *warmup_epochs > 0.0 && *warmup_epochs >= f64::from(epochs) => {
                return Some(format!(
                    "--warmup-epochs {warmup_epochs}: expected less than the {epochs} of --epochs"
                ));
            }
            _ => return None,
        };
        Some(refused.to_owned())
    }

    /// The optimizer.
    #[must_use]
    pub fn build(&self, weight_decay: f32) -> Arc<dyn Optimizer> {
        match self.name {
            OptimizerName::AdamW => {
                let adamw = AdamW::fastai().weight_decay(weight_decay);
                let [beta1, beta2] = self.betas.unwrap_or(adamw.betas);
                Arc::new(adamw.betas(beta1, beta2))
            }
            OptimizerName::Sgd => Arc::new(Sgd {
                momentum: self.momentum.unwrap_or(MOMENTUM),
                nesterov: self.nesterov,
                weight_decay,
            }),
        }
    }

    /// Weight decay of norms and biases where it differs from that of other parameters.
    #[must_use]
    pub fn groups(&self) -> Vec<ParameterGroup> {
        let norms = |decay| ParameterGroup::of(|own: &Parameter| own.kind.is_norm()).weight_decay(decay);
        let biases = |decay| ParameterGroup::of(Parameter::is_bias).weight_decay(decay);
        let norms = self.norm_weight_decay.map(norms);
        norms
            .into_iter()
            .chain(self.bias_weight_decay.map(biases))
            .collect()
    }

    /// Factors of the peak learning rate, and the momentum if the schedule sets it.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "step counts are far below 2^52 and not negative"
    )]
    pub fn schedule(&self, steps_per_epoch: u64, epochs: u32) -> Schedule {
        let steps = steps_per_epoch * u64::from(epochs);
        let schedule = match self.schedule {
            ScheduleName::OneCycle => Schedule::one_cycle(steps),
            ScheduleName::Cosine => Schedule::cosine(steps),
            ScheduleName::Constant => Schedule::constant(),
            ScheduleName::Step { epochs, gamma } => {
                Schedule::step(steps_per_epoch * u64::from(epochs), gamma)
            }
        };
        let warmup = (self.warmup_epochs * steps_per_epoch as f64).round() as u64;
        schedule.max_lr(1.0).warmup(warmup)
    }

    /// The momentum after `steps` steps of `schedule`, if the schedule sets it: not if it is given.
    #[must_use]
    pub fn momentum(&self, schedule: &Schedule, steps: u64) -> Option<f64> {
        let is_given = self.momentum.is_some() || self.betas.is_some();
        schedule.momentum(steps).filter(|_| !is_given)
    }
}

impl fmt::Display for OptimizerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AdamW => "adamw",
            Self::Sgd => "sgd",
        })
    }
}

impl FromStr for OptimizerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::AdamW, Self::Sgd];
        let found = all.into_iter().find(|name| name.to_string() == text);
        found.ok_or_else(|| "expected adamw or sgd".to_owned())
    }
}

impl fmt::Display for ScheduleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneCycle => f.write_str("one-cycle"),
            Self::Cosine => f.write_str("cosine"),
            Self::Constant => f.write_str("constant"),
            Self::Step { epochs, gamma } => write!(f, "step:{epochs}:{gamma}"),
        }
    }
}

impl FromStr for ScheduleName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            "expected one-cycle, cosine, constant or step:EPOCHS:GAMMA with EPOCHS of at least 1 and GAMMA above 0 and below 1".to_owned()
        };
        let steps = match text {
            "one-cycle" => return Ok(Self::OneCycle),
            "cosine" => return Ok(Self::Cosine),
            "constant" => return Ok(Self::Constant),
            _ => text.strip_prefix("step:").ok_or_else(expected)?,
        };
        let (epochs, gamma) = match steps.split_once(':') {
            None => (steps, Some(GAMMA)),
            Some((epochs, gamma)) => (epochs, gamma.parse().ok()),
        };
        let epochs = epochs.parse().ok().filter(|&epochs| epochs > 0);
        let gamma = gamma.filter(|gamma| *gamma > 0.0 && *gamma < 1.0);
        let of = |(epochs, gamma)| Self::Step { epochs, gamma };
        epochs.zip(gamma).map(of).ok_or_else(expected)
    }
}

string_conversions!(OptimizerName);
string_conversions!(ScheduleName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_round_trip_through_text() {
        for text in ["one-cycle", "cosine", "constant", "step:3:0.5"] {
            assert_eq!(
                text.parse::<ScheduleName>().expect("a schedule").to_string(),
                text
            );
        }
        assert_eq!(
            "step:30".parse(),
            Ok(ScheduleName::Step {
                epochs: 30,
                gamma: 0.1
            })
        );
        for text in [
            "", "step", "step:", "step:0", "step:3:1", "step:3:0", "cosine:3", "linear",
        ] {
            let error = text.parse::<ScheduleName>().expect_err(text);
            assert!(error.contains("cosine"), "{error}");
        }
        assert!("adam".parse::<OptimizerName>().is_err());
    }

    #[test]
    fn a_schedule_counts_in_epochs() {
        let of = |schedule, warmup_epochs| OptimizerConfig {
            schedule,
            warmup_epochs,
            ..OptimizerConfig::default()
        };
        let step = of(
            ScheduleName::Step {
                epochs: 2,
                gamma: 0.5,
            },
            0.0,
        )
        .schedule(10, 6);
        assert_eq!([0, 19, 20, 40].map(|at| step.at(at)), [1.0, 1.0, 0.5, 0.25]);
        let cosine = of(ScheduleName::Cosine, 0.5).schedule(10, 2);
        assert_eq!((cosine.at(0), cosine.at(5)), (0.01, 1.0));
        assert!(cosine.at(20).abs() < 1e-12);
        let cycle = OptimizerConfig::default().schedule(10, 10);
        assert!((cycle.at(0) - 1.0 / 25.0).abs() < 1e-12);
        assert_eq!(cycle.momentum(0), Some(0.95));
    }

    #[test]
    fn settings_that_do_nothing_together_are_refused() {
        let adamw = OptimizerConfig::default();
        let sgd = OptimizerConfig {
            name: OptimizerName::Sgd,
            ..adamw.clone()
        };
        let momentum = Some(0.0);
        let betas = Some([0.9, 0.999]);
        for (config, words) in [
            (
                OptimizerConfig {
                    momentum,
                    ..adamw.clone()
                },
                "need --optimizer sgd",
            ),
            (
                OptimizerConfig {
                    nesterov: true,
                    ..adamw.clone()
                },
                "need --optimizer sgd",
            ),
            (
                OptimizerConfig { betas, ..sgd.clone() },
                "needs --optimizer adamw",
            ),
            (
                OptimizerConfig {
                    nesterov: true,
                    momentum,
                    ..sgd.clone()
                },
                "--momentum above 0",
            ),
            (
                OptimizerConfig {
                    warmup_epochs: 1.0,
                    ..sgd.clone()
                },
                "one-cycle",
            ),
            (
                OptimizerConfig {
                    warmup_epochs: 4.0,
                    schedule: ScheduleName::Cosine,
                    ..sgd.clone()
                },
                "less than the 4 of --epochs",
            ),
        ] {
            let reason = config.conflict(4).expect("a conflict");
            assert!(reason.contains(words), "{reason}");
        }
        assert!(adamw.conflict(4).is_none() && sgd.conflict(4).is_none());
    }
}
