//! Value parsers of real numbers.

use std::str::FromStr;

/// Parses a number from 0 to less than 1.
pub(super) fn fraction<T: FromStr + Copy + Into<f64>>(text: &str) -> Result<T, String> {
    number(
        text,
        |number| (0.0..1.0).contains(&number),
        "expected a number from 0 to less than 1",
    )
}

/// Parses a τ of logit adjustment.
pub(super) fn tau<T: FromStr + Copy + Into<f64>>(text: &str) -> Result<T, String> {
    number(
        text,
        |number| (0.0..=10.0).contains(&number),
        "expected a number from 0 to 10",
    )
}

/// Parses a γ of the focal loss.
pub(super) fn gamma(text: &str) -> Result<f32, String> {
    number(
        text,
        |number| (0.0..=100.0).contains(&number),
        "expected a number from 0 to 100",
    )
}

/// Parses a margin of cosines.
pub(super) fn margin(text: &str) -> Result<f32, String> {
    number(
        text,
        |number| (0.0..=1.0).contains(&number),
        "expected a number from 0 to 1",
    )
}

/// Parses a number above 0.
pub(super) fn positive(text: &str) -> Result<f32, String> {
    number(
        text,
        |number| number > 0.0 && number.is_finite(),
        "expected a number above 0",
    )
}

/// Parses a number of at least 0.
pub(super) fn non_negative<T: FromStr + Copy + Into<f64>>(text: &str) -> Result<T, String> {
    number(
        text,
        |number| number >= 0.0 && number.is_finite(),
        "expected a number of at least 0",
    )
}

fn number<T: FromStr + Copy + Into<f64>>(
    text: &str,
    is_allowed: impl Fn(f64) -> bool,
    expected: &str,
) -> Result<T, String> {
    text.parse()
        .ok()
        .filter(|&number: &T| is_allowed(number.into()))
        .ok_or_else(|| expected.to_owned())
}
