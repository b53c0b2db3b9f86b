use std::{fmt, num::NonZeroU64, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::serde_text::string_conversions;

/// How long the head of a frozen body is trained on features that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum HeadSteps {
    /// Until it has converged; the best head of the validation images is kept.
    Auto,
    /// This many steps.
    Count(NonZeroU64),
}

/// Steps of [`HeadSteps::Auto`], unless one pass over all features takes more.
const AUTO: u64 = 2000;

impl HeadSteps {
    /// The number of steps, if there are `batches` batches of features.
    #[must_use]
    pub fn count(self, batches: u64) -> u64 {
        match self {
            Self::Auto => batches.max(AUTO),
            Self::Count(steps) => steps.get(),
        }
    }
}

impl fmt::Display for HeadSteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Count(steps) => steps.fmt(f),
        }
    }
}

impl FromStr for HeadSteps {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text
                .parse()
                .map(Self::Count)
                .map_err(|_| "expected auto, or a number of steps of at least 1".to_owned()),
        }
    }
}

string_conversions!(HeadSteps);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_steps_round_trip_through_text() {
        for text in ["auto", "40"] {
            assert_eq!(text.parse::<HeadSteps>().expect("steps").to_string(), text);
        }
        for text in ["", "0", "-1", "some"] {
            assert!(text.parse::<HeadSteps>().is_err(), "{text}");
        }
        assert_eq!(HeadSteps::Auto.count(3000), 3000);
    }
}
