//! Class weights of the loss.

use std::{fmt, str::FromStr};

use equibatch_stream::{DatasetDescription, Split};
use serde::{Deserialize, Serialize};

use crate::serde_text::string_conversions;

/// Which class weights, computed by the server, the loss uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ClassWeights {
    /// No class weights.
    #[default]
    None,
    /// Inverse class frequency.
    Inverse,
    /// Inverse effective number of samples with this β (Cui et al., 2019).
    Effective(f64),
    /// The number of training images of a class, to the power −γ (γ = 1: inverse class frequency), scaled to a mean of 1.
    Power(f64),
}

/// Default β, that of the server.
const BETA: f64 = 0.999;

impl ClassWeights {
    /// The β to request from the server.
    #[must_use]
    pub fn beta(self) -> Option<f64> {
        match self {
            Self::Effective(beta) => Some(beta),
            Self::None | Self::Inverse | Self::Power(_) => None,
        }
    }

    /// The weights of a dataset's classes in label order, computed by the server from the training images; empty if the loss is not
    /// weighted.
    /// `description` must have been requested with this [`ClassWeights::beta`].
    #[must_use]
    pub fn of(self, description: &DatasetDescription) -> Vec<f32> {
        let classes = description.classes.iter();
        match self {
            Self::None => vec![],
            Self::Inverse => classes
                .map(|class| class.inverse_frequency_weight as f32)
                .collect(),
            Self::Effective(_) => classes
                .map(|class| class.effective_number_weight as f32)
                .collect(),
            Self::Power(gamma) => {
                let images = classes.map(|class| class.images(Split::Train.name()));
                powers(&images.collect::<Vec<_>>(), gamma)
            }
        }
    }
}

/// `n^−γ` of each class, scaled to a mean of 1. A class without images counts as one with one image.
fn powers(images: &[u32], gamma: f64) -> Vec<f32> {
    let powers = images.iter().map(|&images| f64::from(images.max(1)).powf(-gamma));
    let powers: Vec<f64> = powers.collect();
    let mean = powers.iter().sum::<f64>() / powers.len() as f64;
    powers.iter().map(|power| (power / mean) as f32).collect()
}

impl fmt::Display for ClassWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Inverse => f.write_str("inverse"),
            Self::Effective(beta) => write!(f, "effective:{beta}"),
            Self::Power(gamma) => write!(f, "power:{gamma}"),
        }
    }
}

/// Invalid class weights.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid class weights `{0}`: expected none, inverse, effective, effective:BETA with 0 <= BETA < 1, or power:GAMMA with 0 < GAMMA <= 10"
)]
pub struct ParseClassWeightsError(String);

impl FromStr for ClassWeights {
    type Err = ParseClassWeightsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || ParseClassWeightsError(text.to_owned());
        match text.split_once(':') {
            None if text == "none" => Ok(Self::None),
            None if text == "inverse" => Ok(Self::Inverse),
            None if text == "effective" => Ok(Self::Effective(BETA)),
            Some(("effective", beta)) => {
                let beta = beta.parse().map_err(|_| refused())?;
                (0.0..1.0)
                    .contains(&beta)
                    .then_some(Self::Effective(beta))
                    .ok_or_else(refused)
            }
            Some(("power", gamma)) => {
                let gamma = gamma.parse().map_err(|_| refused())?;
                (gamma > 0.0 && gamma <= 10.0)
                    .then_some(Self::Power(gamma))
                    .ok_or_else(refused)
            }
            _ => Err(refused()),
        }
    }
}

string_conversions!(ClassWeights);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_scaled_to_a_mean_of_one() {
        // 1 and 1/2, of which the mean is 3/4.
        assert_eq!(powers(&[25, 100], 0.5), [4.0 / 3.0, 2.0 / 3.0]);
        assert_eq!(powers(&[10, 30], 1.0), [1.5, 0.5]);
        assert_eq!(powers(&[0, 1], 1.0), [1.0, 1.0]);
    }

    #[test]
    fn class_weights_round_trip_through_text() {
        for text in ["none", "inverse", "effective:0.99", "power:0.5"] {
            assert_eq!(text.parse::<ClassWeights>().expect("weights").to_string(), text);
        }
        assert_eq!("effective".parse(), Ok(ClassWeights::Effective(0.999)));
        for text in [
            "",
            "equal",
            "inverse:2",
            "effective:1",
            "effective:x",
            "effective:-0.1",
            "power",
            "power:0",
            "power:-1",
            "power:nan",
        ] {
            let message = text.parse::<ClassWeights>().expect_err("refused").to_string();
            assert!(message.contains(&format!("`{text}`")), "{message}");
        }
    }
}
