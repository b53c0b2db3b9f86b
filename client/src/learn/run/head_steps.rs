use std::{fmt, num::NonZeroU64, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::serde_text::string_conversions;

/// How long the head of a frozen body is trained on features that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum HeadSteps {
    /// A linear layer to its optimum, by logistic regression; another head for several numbers of steps, of which the best one on the
    /// validation images is kept.
    Auto,
    /// This many steps.
    Count(NonZeroU64),
    /// Not at all: each step computes its features.
    None,
    /// Resolved when the classes are known: [`HeadSteps::Auto`] if the head of a network from a file is new and its body frozen.
    OfNewHead,
}

/// Most steps of [`HeadSteps::Auto`], unless one pass over all features takes more.
const AUTO: u64 = 2000;
/// Text of [`HeadSteps::OfNewHead`].
const OF_NEW_HEAD: &str = "of-new-head";
/// Fractions of them that are tried.
const DIVISORS: [u64; 5] = [16, 8, 4, 2, 1];

impl HeadSteps {
    /// The steps of each head that is trained, if there are `batches` batches of features; one head without validation images.
    #[must_use]
    pub fn cycles(self, batches: u64, has_valid: bool) -> Vec<u64> {
        let most = batches.max(AUTO);
        match self {
            Self::Auto if has_valid => DIVISORS.map(|divisor| most / divisor).to_vec(),
            Self::Auto => vec![most],
            Self::Count(steps) => vec![steps.get()],
            Self::None | Self::OfNewHead => vec![],
        }
    }
}

impl fmt::Display for HeadSteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Count(steps) => steps.fmt(f),
            Self::None => f.write_str("none"),
            Self::OfNewHead => f.write_str(OF_NEW_HEAD),
        }
    }
}

impl FromStr for HeadSteps {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::None),
            OF_NEW_HEAD => Ok(Self::OfNewHead),
            _ => text
                .parse()
                .map(Self::Count)
                .map_err(|_| "expected auto, none, or a number of steps of at least 1".to_owned()),
        }
    }
}

string_conversions!(HeadSteps);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_steps_round_trip_through_text() {
        for text in ["auto", "40", "none", "of-new-head"] {
            assert_eq!(text.parse::<HeadSteps>().expect("steps").to_string(), text);
        }
        for text in ["", "0", "-1", "some"] {
            assert!(text.parse::<HeadSteps>().is_err(), "{text}");
        }
        assert_eq!(HeadSteps::Auto.cycles(8, true), [125, 250, 500, 1000, 2000]);
        assert_eq!(HeadSteps::Auto.cycles(3000, false), [3000]);
        assert_eq!(
            "40".parse().map(|steps: HeadSteps| steps.cycles(8, true)),
            Ok(vec![40])
        );
    }
}
