use std::fmt;

/// Proportions of fewer images are shown as counts, because a percentage would suggest more precision.
pub const MIN_FOR_PERCENT: u64 = 10;

/// The 97.5 % quantile of the standard normal distribution, for 95 % intervals.
const Z: f64 = 1.959_963_984_540_054;

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

    /// The Wilson score interval of 95 %, within 0 to 1; `None` without images.
    ///
    /// # Source
    ///
    /// Wilson, Probable inference, the law of succession, and statistical inference, Journal of the American Statistical Association 22,
    /// 1927.
    #[must_use]
    pub fn interval(self) -> Option<(f64, f64)> {
        let (p, n, z2) = (self.value()?, self.of as f64, Z * Z);
        let scale = 1.0 / (1.0 + z2 / n);
        let centre = (p + z2 / (2.0 * n)) * scale;
        let half = Z * scale * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
        Some(((centre - half).max(0.0), (centre + half).min(1.0)))
    }

    /// The formatted interval: `4.6–69.9 %`, or a dash without images.
    #[must_use]
    pub fn shown_interval(self) -> String {
        self.interval().map_or_else(
            || "-".to_owned(),
            |(low, high)| format!("{:.1}–{:.1} %", low * 100.0, high * 100.0),
        )
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

    /// Expected values computed in Python.
    #[test]
    fn intervals_are_wilson_score_intervals() {
        for (hits, images, low, high) in [
            (1, 1, 0.206_549_3, 1.0),
            (0, 10, 0.0, 0.277_532_8),
            (1, 4, 0.045_587_26, 0.699_358_2),
            (41, 44, 0.817_749_6, 0.976_540_6),
        ] {
            let (found_low, found_high) = of(hits, images).interval().expect("images");
            assert!((found_low - low).abs() < 1e-6, "{hits} of {images}: {found_low}");
            assert!(
                (found_high - high).abs() < 1e-6,
                "{hits} of {images}: {found_high}"
            );
        }
        assert_eq!(of(0, 0).interval(), None);
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
