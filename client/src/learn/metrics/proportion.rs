use std::fmt;

use super::interval::{Interval, wilson};

/// Proportions of fewer images are shown as counts, because a percentage would suggest more precision.
pub const MIN_FOR_PERCENT: u64 = 10;

/// `hits` of `of` images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proportion {
    /// Number of hits, at most `of`.
    pub hits: u64,
    /// Number of all images.
    pub of: u64,
}

impl Proportion {
    /// The proportion, 0 to 1; `None` without images.
    #[must_use]
    pub fn value(self) -> Option<f64> {
        (self.of > 0).then(|| self.hits as f64 / self.of as f64)
    }

    /// Its [`wilson`] interval of 95 %; `None` without images.
    #[must_use]
    pub fn interval(self) -> Option<Interval> {
        wilson(self)
    }

    /// The formatted interval: `4.6–69.9 %`, or a dash without images.
    #[must_use]
    pub fn shown_interval(self) -> String {
        self.interval()
            .map_or_else(|| "-".to_owned(), |interval| interval.percent())
    }
}

impl fmt::Display for Proportion {
    /// `93.2 %`, `3 of 4` of fewer than ten images, or a dash without images.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.value() {
            None => "-".to_owned(),
            Some(_) if self.of < MIN_FOR_PERCENT => format!("{} of {}", self.hits, self.of),
            Some(value) => format!("{:.1} %", value * 100.0),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(hits: u64, of: u64) -> Proportion {
        Proportion { hits, of }
    }

    #[test]
    fn few_images_are_shown_as_a_count_and_many_as_a_percentage() {
        assert_eq!(of(1, 1).to_string(), "1 of 1");
        assert_eq!(of(0, 9).to_string(), "0 of 9");
        assert_eq!(of(41, 44).to_string(), "93.2 %");
        assert_eq!(of(0, 0).to_string(), "-");
        assert_eq!(format!("{:>8}", of(1, 4)), "  1 of 4");
        assert_eq!(of(1, 4).shown_interval(), "4.6–69.9 %");
    }
}
