use std::str::FromStr;

use thiserror::Error;

/// Maximum learning rate of each layer group (discriminative learning rates).
///
/// As text: `3e-3` is one rate for all groups, `..3e-3` is 3e-3 for the last group and a tenth of it for all others, and `1e-5..1e-2` is a
/// geometric progression from the first to the last group.
///
/// # Source
/// fastai's `lr_range`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LearningRates {
    /// The same for all groups.
    Uniform(f64),
    /// This for the last group, a tenth of it for all others.
    LastGroup(f64),
    /// A geometric progression from the first group's rate to the last group's.
    Spread(f64, f64),
}

impl LearningRates {
    /// One rate per group, in the order from input to logits. A single group gets the last rate.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a network has a handful of groups")]
    pub fn per_group(&self, groups: usize) -> Vec<f64> {
        let last = groups.saturating_sub(1);
        let rate = |group: usize| match *self {
            Self::Uniform(rate) => rate,
            Self::LastGroup(rate) => {
                if group == last {
                    rate
                } else {
                    rate / 10.0
                }
            }
            Self::Spread(_, end) if group == last => end,
            Self::Spread(start, end) => start * (end / start).powf(group as f64 / last as f64),
        };
        (0..groups).map(rate).collect()
    }
}

impl LearningRates {
    /// Placeholder for the result of the learning rate finder.
    const FOUND: &str = "found";

    /// Checks a text, in which `found` may stand for a learning rate, and returns it.
    ///
    /// # Errors
    /// [`InvalidRange`] if it is not a learning rate or range.
    pub fn checked(text: &str) -> Result<String, InvalidRange> {
        let given = Self::with_found(text, 1.0).parse::<Self>();
        given.map(|_| text.to_owned()).map_err(|_| InvalidRange {
            text: text.to_owned(),
        })
    }

    /// Whether a text contains the placeholder `found`.
    #[must_use]
    pub fn are_to_be_found(text: &str) -> bool {
        text.contains(Self::FOUND)
    }

    /// The text with `found` replaced by a rate, to three digits.
    #[must_use]
    pub fn with_found(text: &str, rate: f64) -> String {
        text.replace(Self::FOUND, &format!("{rate:.2e}"))
    }
}

/// The text is not a learning rate or a range of learning rates.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not a learning rate: use a number above 0 such as 3e-3, or ..3e-3, or 1e-5..1e-2")]
pub struct InvalidRange {
    /// The text.
    pub text: String,
}

impl FromStr for LearningRates {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<Self, InvalidRange> {
        let invalid = || InvalidRange {
            text: text.to_owned(),
        };
        let rate = |text: &str| match text.trim().parse::<f64>() {
            Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
            _ => Err(invalid()),
        };
        match text.split_once("..") {
            None => rate(text).map(Self::Uniform),
            Some(("", end)) => rate(end).map(Self::LastGroup),
            Some((start, end)) => Ok(Self::Spread(rate(start)?, rate(end)?)),
        }
    }
}

/// The learning rate of batch `step` in an exponential sweep from `start` at batch 0 to `end` at batch `steps`.
///
/// # Source
/// fastai's `lr_find`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a sweep has a few hundred batches")]
pub fn sweep_at(start: f64, end: f64, steps: u64, step: u64) -> f64 {
    start * (end / start).powf(step as f64 / steps as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        let off = |(found, expected): (&f64, &f64)| (found / expected - 1.0).abs();
        assert!(
            // Half a unit in the fifth digit.
            found.iter().zip(expected).map(off).all(|off| off < 5e-5),
            "{found:?} {expected:?}"
        );
    }

    #[test]
    fn ranges_follow_fastai() {
        let rates = |text: &str| text.parse::<LearningRates>().expect("a range").per_group(3);
        close(&rates("1e-3"), &[1e-3, 1e-3, 1e-3]);
        close(&rates("..3e-3"), &[3e-4, 3e-4, 3e-3]);
        close(&rates("1e-6..1e-4"), &[1e-6, 1e-5, 1e-4]);
        close(&rates("3e-5..3e-4"), &[3e-5, 9.4868e-5, 3e-4]);
    }

    #[test]
    fn a_rate_may_be_the_placeholder_found() {
        for text in ["found", "..found", "1e-5..found"] {
            assert_eq!(LearningRates::checked(text).as_deref(), Ok(text));
            assert!(LearningRates::are_to_be_found(text));
        }
        assert_eq!(
            LearningRates::with_found("1e-5..found", 0.001_234_5),
            "1e-5..1.23e-3"
        );
        assert!(!LearningRates::are_to_be_found("3e-3"));
        assert!(LearningRates::checked("lost").is_err() && LearningRates::checked("found..").is_err());
    }

    #[test]
    fn a_single_group_gets_the_last_rate() {
        assert_eq!(LearningRates::Spread(1e-6, 1e-4).per_group(1), [1e-4]);
        assert_eq!(LearningRates::LastGroup(1e-3).per_group(1), [1e-3]);
    }

    #[test]
    fn texts_other_than_positive_numbers_are_rejected() {
        for text in [
            "",
            "..",
            "x",
            "0",
            "-1e-3",
            "1e-3..",
            "nan",
            "1e-3..inf",
            "1..2..3",
        ] {
            assert!(text.parse::<LearningRates>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_sweep_follows_fastai() {
        close(
            &[1, 50, 99].map(|step| sweep_at(1e-7, 10.0, 100, step)),
            &[1.2023e-7, 1e-3, 8.3176],
        );
    }
}
