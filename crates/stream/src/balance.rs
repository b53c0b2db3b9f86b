//! How often each class is drawn.

use std::{collections::BTreeMap, fmt, ops::Range, str::FromStr};

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
    /// A class with a share `f` of the images `sqrt(t / f)` times as often as it has images, if that is more than once; otherwise as often as it
    /// has images. `None`: `t` is the median share.
    #[serde(rename = "repeat-factor")]
    RepeatFactor(Option<f64>),
    /// From one policy to another by epoch.
    Schedule {
        /// The policy of the first epoch; not a schedule.
        from: Box<Balance>,
        /// The policy of the last epoch; not a schedule.
        to: Box<Balance>,
        /// Fraction of the epochs that draw as `from`; the others draw as `to`. `None`: linearly from `from` to `to`.
        at: Option<f64>,
    },
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
            Self::RepeatFactor(None) => f.write_str("repeat-factor"),
            Self::RepeatFactor(Some(threshold)) => write!(f, "repeat-factor:{threshold}"),
            Self::Schedule { from, to, at } => match at {
                None if (&**from, &**to) == (&Self::Natural, &Self::Oversample) => f.write_str(PROGRESSIVE),
                None => write!(f, "{from}>{to}"),
                Some(at) => write!(f, "{from}>{to}@{at}"),
            },
        }
    }
}

/// Invalid balance.
#[derive(Debug, thiserror::Error)]
#[error(
    "invalid balance `{0}`: expected oversample, undersample, natural, power:X with X from 0 to 1, effective:BETA with BETA from 0 to less than 1, \
     repeat-factor or repeat-factor:T with T above 0 and at most 1, weights:CLASS=W,..., progressive, or a schedule FROM>TO or FROM>TO@FRACTION of two \
     other policies with FRACTION above 0 and below 1"
)]
pub struct ParseBalanceError(String);

impl FromStr for Balance {
    type Err = ParseBalanceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = match text {
            PROGRESSIVE => schedule("natural>oversample"),
            text => policy(text).or_else(|| schedule(text)),
        };
        found.ok_or_else(|| ParseBalanceError(text.to_owned()))
    }
}

/// Linearly from natural to oversample.
const PROGRESSIVE: &str = "progressive";

/// Parses a policy that is the same in all epochs.
fn policy(text: &str) -> Option<Balance> {
    match text.split_once(':') {
        None if text == "oversample" => Some(Balance::Oversample),
        None if text == "undersample" => Some(Balance::Undersample),
        None if text == "natural" => Some(Balance::Natural),
        None if text == "repeat-factor" => Some(Balance::RepeatFactor(None)),
        Some(("power", exponent)) => number(exponent)
            .filter(|exponent| (0.0..=1.0).contains(exponent))
            .map(Balance::Power),
        Some(("effective", beta)) => number(beta)
            .filter(|beta| (0.0..1.0).contains(beta))
            .map(Balance::Effective),
        Some(("repeat-factor", threshold)) => number(threshold)
            .filter(|threshold| *threshold > 0.0 && *threshold <= 1.0)
            .map(|threshold| Balance::RepeatFactor(Some(threshold))),
        Some(("weights", pairs)) => weights(pairs).map(Balance::Weights),
        _ => None,
    }
}

/// Parses `FROM>TO` and `FROM>TO@FRACTION`. Class names may contain `>` and `@`.
fn schedule(text: &str) -> Option<Balance> {
    text.match_indices('>').find_map(|(place, _)| {
        let (from, to) = (policy(&text[..place])?, &text[place + 1..]);
        let deferred = to
            .rsplit_once('@')
            .and_then(|(to, at)| Some((policy(to)?, number(at)?)));
        let (to, at) = match deferred {
            Some((to, at)) => (to, Some(at)),
            None => (policy(to)?, None),
        };
        let schedule = Balance::Schedule {
            from: Box::new(from),
            to: Box::new(to),
            at,
        };
        at.is_none_or(|at| at > 0.0 && at < 1.0).then_some(schedule)
    })
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
    /// `epochs` are those of a schedule; `None` for all epochs of the stream.
    pub(super) fn to_wire(&self, epochs: Option<&Range<u32>>) -> v1::Balance {
        let policy = match self {
            Self::Oversample => balance::Policy::Oversample(balance::Oversample {}),
            Self::Undersample => balance::Policy::Undersample(balance::Undersample {}),
            Self::Natural => balance::Policy::Natural(balance::Natural {}),
            &Self::Power(exponent) => balance::Policy::Power(balance::Power { exponent }),
            &Self::Effective(beta) => balance::Policy::Effective(balance::Effective { beta }),
            Self::Weights(weights) => balance::Policy::Weights(balance::Weights {
                weights: weights.clone().into_iter().collect(),
            }),
            &Self::RepeatFactor(threshold) => {
                balance::Policy::RepeatFactor(balance::RepeatFactor { threshold })
            }
            Self::Schedule { from, to, at } => balance::Policy::Schedule(Box::new(balance::Schedule {
                from: Some(Box::new(from.to_wire(None))),
                to: Some(Box::new(to.to_wire(None))),
                at: *at,
                epochs: epochs.map(|&Range { start: first, end }| balance::EpochRange { first, end }),
            })),
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
            "repeat-factor",
            "repeat-factor:0.1",
            "progressive",
            "natural>oversample@0.8",
            "oversample>power:0.5",
            "weights:a>b=1",
            "weights:a=1>weights:b@2=1@0.5",
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
            "repeat-factor:0",
            "repeat-factor:2",
            "natural>",
            "natural>oversample@1",
            "natural>progressive",
            "natural>natural>oversample",
        ] {
            let message = text.parse::<Balance>().expect_err("refused").to_string();
            assert!(message.contains(text), "{message}");
        }
    }
}
