use serde::Serialize;

/// Fewest repeats for an interval: with two, it would be 6 times as wide as with three.
const MIN_FOR_INTERVAL: usize = 3;

/// Mean and standard deviation of a metric over repeats.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeanStd {
    /// Mean; absent if the metric is undefined in a repeat.
    pub mean: Option<f64>,
    /// Sample standard deviation (n − 1); absent for fewer than two repeats.
    pub deviation: Option<f64>,
    /// 95 % confidence interval of the mean by Student's t; absent for fewer than three repeats.
    pub interval: Option<(f64, f64)>,
    /// Value of each repeat.
    pub values: Vec<Option<f64>>,
}

impl MeanStd {
    /// From the values of all repeats.
    pub fn of(values: impl IntoIterator<Item = Option<f64>>) -> Self {
        let values: Vec<Option<f64>> = values.into_iter().collect();
        let defined: Option<Vec<f64>> = values.iter().copied().collect();
        let defined = defined.filter(|defined| !defined.is_empty());
        let mean = defined
            .as_ref()
            .map(|of| of.iter().sum::<f64>() / of.len() as f64);
        let deviation = defined
            .zip(mean)
            .filter(|(of, _)| of.len() > 1)
            .map(|(of, mean)| {
                let squares: f64 = of.iter().map(|value| (value - mean).powi(2)).sum();
                (squares / (of.len() - 1) as f64).sqrt()
            });
        let count = values.len();
        let interval = mean
            .zip(deviation)
            .filter(|_| count >= MIN_FOR_INTERVAL)
            .map(|(mean, deviation)| {
                let half = student_t(count - 1) * deviation / (count as f64).sqrt();
                (mean - half, mean + half)
            });
        Self {
            mean,
            deviation,
            interval,
            values,
        }
    }
}

/// The 97.5 % quantiles of Student's t distribution with 1 to 10 degrees of freedom.
const T: [f64; 10] = [
    12.706_205, 4.302_653, 3.182_446, 2.776_445, 2.570_582, 2.446_912, 2.364_624, 2.306_004, 2.262_157,
    2.228_139,
];

/// The 97.5 % quantile of Student's t distribution with `degrees` degrees of freedom, at least 1, to within 1e-4.
///
/// # Source
///
/// Above the table, the expansion of Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5.
pub(super) fn student_t(degrees: usize) -> f64 {
    if let Some(quantile) = T.get(degrees.saturating_sub(1)) {
        return *quantile;
    }
    let (x, n) = (1.959_963_984_540_054_f64, degrees as f64);
    let odd = |coefficients: &[f64]| {
        let sum = coefficients
            .iter()
            .rev()
            .fold(0.0, |sum, coefficient| sum * x * x + coefficient);
        sum * x
    };
    x + odd(&[1.0, 1.0]) / (4.0 * n)
        + odd(&[3.0, 16.0, 5.0]) / (96.0 * n.powi(2))
        + odd(&[-15.0, 17.0, 19.0, 3.0]) / (384.0 * n.powi(3))
        + odd(&[-945.0, -1920.0, 1482.0, 776.0, 79.0]) / (92_160.0 * n.powi(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_deviations_equal_hand_calculation() {
        let mean_std = MeanStd::of([Some(2.0), Some(4.0), Some(9.0)]);
        assert_eq!(mean_std.mean, Some(5.0));
        assert_eq!(mean_std.deviation, Some(13.0_f64.sqrt()));
        assert_eq!(MeanStd::of([Some(0.5)]).deviation, None);
        assert_eq!(MeanStd::of([Some(0.5), None]).mean, None);
        assert_eq!(MeanStd::of([]).mean, None);
    }

    #[test]
    fn intervals_are_students() {
        let (low, high) = MeanStd::of([2.0, 4.0, 9.0].map(Some))
            .interval
            .expect("three values");
        let half = 4.302_653 * (13.0_f64 / 3.0).sqrt();
        assert!((low - 5.0 + half).abs() < 1e-9 && (high - 5.0 - half).abs() < 1e-9);
        assert_eq!(MeanStd::of([Some(0.5), Some(0.6)]).interval, None);
        assert_eq!(MeanStd::of([Some(0.5), Some(0.6), None]).interval, None);
    }

    /// Expected values of statistical tables.
    #[test]
    fn quantiles_of_students_distribution() {
        for (degrees, expected) in [
            (1, 12.706_205),
            (10, 2.228_139),
            (11, 2.200_985),
            (15, 2.131_450),
            (30, 2.042_272),
            (100, 1.983_972),
            (999, 1.962_341),
        ] {
            let found = student_t(degrees);
            assert!((found - expected).abs() < 1e-4, "{degrees}: {found}");
        }
    }
}
