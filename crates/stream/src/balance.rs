//! How often each class is drawn.

use std::{collections::BTreeMap, fmt, str::FromStr};

use equibatch_proto::v1::{self, balance};
use serde::{Deserialize, Serialize};

/// How often each class is drawn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Balance {
    /// Every class as often as the largest one.
    #[default]
    Oversample,
    /// Every class as often as the smallest one.
    Undersample,
    /// As often as the split has images.
    Natural,
    /// Between natural (0) and oversample (1).
    Power(f64),
    /// In proportion to the effective number of images, with this β in `0..1`.
    Effective(f64),
    /// In these proportions, by class name; other classes are not drawn.
    Weights(BTreeMap<String, f64>),
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oversample => f.write_str("oversample"),
            Self::Undersample => f.write_str("undersample"),
            Self::Natural => f.write_str("natural"),
            Self::Power(exponent) => write!(f, "power:{exponent}"),
            Self::Effective(beta) => write!(f, "effective:{beta}"),
            Self::Weights(weights) => {
                let pairs: Vec<String> = weights
                    .iter()
                    .map(|(class, weight)| format!("{class}={weight}"))
                    .collect();
                write!(f, "weights:{}", pairs.join(","))
            }
        }
    }
}

/// Invalid balance.
#[derive(Debug, thiserror::Error)]
#[error(
    "invalid balance `{0}`: expected oversample, undersample, natural, power:X with X from 0 to 1, effective:BETA with BETA from 0 to less than 1, \
     or weights:CLASS=W,..."
)]
pub struct ParseBalanceError(String);

impl FromStr for Balance {
    type Err = ParseBalanceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = match text.split_once(':') {
            None if text == "oversample" => Some(Self::Oversample),
            None if text == "undersample" => Some(Self::Undersample),
            None if text == "natural" => Some(Self::Natural),
            Some(("power", exponent)) => number(exponent)
                .filter(|exponent| (0.0..=1.0).contains(exponent))
                .map(Self::Power),
            Some(("effective", beta)) => number(beta)
                .filter(|beta| (0.0..1.0).contains(beta))
                .map(Self::Effective),
            Some(("weights", pairs)) => weights(pairs).map(Self::Weights),
            _ => None,
        };
        found.ok_or_else(|| ParseBalanceError(text.to_owned()))
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// Parses `birds=2,flowers=1`: no class twice, no negative weight, and at least one positive.
fn weights(text: &str) -> Option<BTreeMap<String, f64>> {
    let mut weights = BTreeMap::new();
    for pair in text.split(',') {
        let (class, weight) = pair.rsplit_once('=')?;
        let weight = number(weight).filter(|weight| weight.is_finite() && *weight >= 0.0)?;
        if class.is_empty() || weights.insert(class.to_owned(), weight).is_some() {
            return None;
        }
    }
    weights.values().any(|&weight| weight > 0.0).then_some(weights)
}

impl Balance {
    pub(super) fn to_wire(&self) -> v1::Balance {
        let policy = match self {
            Self::Oversample => balance::Policy::Oversample(balance::Oversample {}),
            Self::Undersample => balance::Policy::Undersample(balance::Undersample {}),
            Self::Natural => balance::Policy::Natural(balance::Natural {}),
            &Self::Power(exponent) => balance::Policy::Power(balance::Power { exponent }),
            &Self::Effective(beta) => balance::Policy::Effective(balance::Effective { beta }),
            Self::Weights(weights) => balance::Policy::Weights(balance::Weights {
                weights: weights.clone().into_iter().collect(),
            }),
        };
        v1::Balance { policy: Some(policy) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balances_round_trip_through_text() {
        for text in [
            "oversample",
            "undersample",
            "natural",
            "power:0.5",
            "effective:0.99",
            "weights:birds=2,flowers=0.5",
        ] {
            let balance = text.parse::<Balance>().expect("a balance");
            assert_eq!(balance.to_string(), text);
            let json = serde_json::to_string(&balance).expect("plain data");
            assert_eq!(
                serde_json::from_str::<Balance>(&json).expect("plain data"),
                balance
            );
        }
    }

    #[test]
    fn invalid_balances_are_refused() {
        for text in [
            "fair",
            "power:2",
            "power:",
            "effective:1",
            "weights:",
            "weights:birds",
            "weights:birds=-1",
            "weights:birds=0",
            "weights:birds=1,birds=2",
            "weights:birds=NaN",
        ] {
            let message = text.parse::<Balance>().expect_err("refused").to_string();
            assert!(message.contains(text), "{message}");
        }
    }
}
