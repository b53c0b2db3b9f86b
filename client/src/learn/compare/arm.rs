use equibatch_stream::Balance;
use std::{fmt, str::FromStr};

use crate::learn::class_weights::ClassWeights;

/// An arm of a comparison: a way to handle class imbalance.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// Class balance of the stream.
    pub balance: Balance,
    /// Class weights of the loss.
    pub class_weights: ClassWeights,
    /// τ of the logit-adjusted loss; 0: not adjusted.
    pub logit_adjust: f32,
}

/// Name of the arm that weights the loss instead of balancing the stream.
const WEIGHTED: &str = "weighted";
/// Name of the arm whose loss is logit-adjusted with τ = 1.
const ADJUSTED: &str = "adjusted";

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.logit_adjust == 1.0 {
            return f.write_str(ADJUSTED);
        } else if self.logit_adjust != 0.0 {
            return write!(f, "{ADJUSTED}:{}", self.logit_adjust);
        }
        match self.class_weights {
            ClassWeights::None => self.balance.fmt(f),
            ClassWeights::Inverse => f.write_str(WEIGHTED),
            weights @ (ClassWeights::Effective(_) | ClassWeights::Power(_)) => {
                write!(f, "{WEIGHTED}:{weights}")
            }
        }
    }
}

/// Invalid arm.
#[derive(Debug, thiserror::Error)]
#[error(
    "invalid arm `{0}`: expected natural, oversample, undersample, power:X with X from 0 to 1, effective:BETA, weighted, \
     weighted:effective:BETA, adjusted or adjusted:TAU with TAU above 0 and at most 10"
)]
pub struct ParseArmError(String);

impl FromStr for Arm {
    type Err = ParseArmError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseArmError(text.to_owned());
        if let Some(tau) = text.strip_prefix(ADJUSTED) {
            let tau = match tau.strip_prefix(':') {
                None if tau.is_empty() => 1.0,
                None => return Err(error()),
                Some(tau) => tau.parse().map_err(|_| error())?,
            };
            return (tau > 0.0 && tau <= 10.0)
                .then_some(Self {
                    balance: Balance::Natural,
                    class_weights: ClassWeights::None,
                    logit_adjust: tau,
                })
                .ok_or_else(error);
        }
        let Some(weights) = text.strip_prefix(WEIGHTED) else {
            return Ok(Self {
                balance: text.parse().map_err(|_| error())?,
                class_weights: ClassWeights::None,
                logit_adjust: 0.0,
            });
        };
        let class_weights = match weights.strip_prefix(':') {
            None if weights.is_empty() => ClassWeights::Inverse,
            None => return Err(error()),
            Some(weights) => weights.parse().map_err(|_| error())?,
        };
        if class_weights == ClassWeights::None {
            return Err(error());
        }
        Ok(Self {
            balance: Balance::Natural,
            class_weights,
            logit_adjust: 0.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_round_trip_through_text() {
        for text in [
            "natural",
            "oversample",
            "power:0.5",
            "weighted",
            "weighted:effective:0.99",
            "adjusted",
            "adjusted:0.5",
        ] {
            let arm: Arm = text.parse().expect("an arm");
            assert_eq!(arm.to_string(), text);
        }
        let weighted: Arm = "weighted".parse().expect("an arm");
        assert_eq!(
            (&weighted.balance, weighted.class_weights),
            (&Balance::Natural, ClassWeights::Inverse)
        );
        assert_eq!("weighted:inverse".parse::<Arm>().expect("an arm"), weighted);
    }

    #[test]
    fn an_invalid_arm_is_refused_with_the_accepted_values() {
        for text in ["fair", "weighted:", "weighted:none", "weightedly", ""] {
            let message = text.parse::<Arm>().expect_err("no arm").to_string();
            assert!(message.contains("natural, oversample"), "{message}");
        }
    }
}
