use std::str::FromStr;

use thiserror::Error;

/// The largest learning rate of each layer group.
///
/// As text: `3e-3` is one rate for all groups, `..3e-3` gives the last group 3e-3 and all others a tenth of it, and `1e-5..1e-2` spreads
/// the groups evenly in ratio from the first to the last.
///
/// # Source
/// fastai's `lr_range`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LearningRates {
    /// The same for all groups.
    Uniform(f64),
    /// This for the last group, a tenth of it for the others.
    LastGroup(f64),
    /// From the first group's to the last group's, by a constant ratio.
    Spread(f64, f64),
}

impl LearningRates {
    /// One rate per group, from the image to the logits. A single group gets the last one.
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
    /// What stands in a text for a learning rate that is to be found.
    const FOUND: &str = "found";

    /// The text, if it is that of learning rates, given or to be found.
    ///
    /// # Errors
    /// [`InvalidRange`].
    pub fn checked(text: &str) -> Result<String, InvalidRange> {
        let given = Self::with_found(text, 1.0).parse::<Self>();
        given.map(|_| text.to_owned()).map_err(|_| InvalidRange {
            text: text.to_owned(),
        })
    }

    /// Whether a text needs a learning rate that is to be found.
    #[must_use]
    pub fn are_to_be_found(text: &str) -> bool {
        text.contains(Self::FOUND)
    }

    /// The text with the rate that was found, to three digits.
    #[must_use]
    pub fn with_found(text: &str, rate: f64) -> String {
        text.replace(Self::FOUND, &format!("{rate:.2e}"))
    }
}

/// A text that is not a learning rate or a range of them.
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

/// The learning rate of batch `step` in a sweep that grows from `start` by a constant ratio and would reach `end` at batch `steps`.
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
            // Half a unit of the fifth digit.
            found.iter().zip(expected).map(off).all(|off| off < 5e-5),
            "{found:?} {expected:?}"
        );
    }

    #[test]
    fn ranges_follow_the_reference() {
        let rates = |text: &str| text.parse::<LearningRates>().expect("a range").per_group(3);
        close(&rates("1e-3"), &[1e-3, 1e-3, 1e-3]);
        close(&rates("..3e-3"), &[3e-4, 3e-4, 3e-3]);
        close(&rates("1e-6..1e-4"), &[1e-6, 1e-5, 1e-4]);
        close(&rates("3e-5..3e-4"), &[3e-5, 9.4868e-5, 3e-4]);
    }

    #[test]
    fn a_rate_may_be_left_to_be_found() {
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
    fn one_group_gets_the_last_rate() {
        assert_eq!(LearningRates::Spread(1e-6, 1e-4).per_group(1), [1e-4]);
        assert_eq!(LearningRates::LastGroup(1e-3).per_group(1), [1e-3]);
    }

    #[test]
    fn what_is_not_a_positive_number_is_refused() {
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
    fn a_sweep_follows_the_reference() {
        close(
            &[1, 50, 99].map(|step| sweep_at(1e-7, 10.0, 100, step)),
            &[1.2023e-7, 1e-3, 8.3176],
        );
    }
}
