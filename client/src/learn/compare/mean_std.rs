use serde::Serialize;

/// Mean and standard deviation of a metric over repeats.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeanStd {
    /// Mean; absent if the metric is undefined in a repeat.
    pub mean: Option<f64>,
    /// Sample standard deviation (n − 1); absent for fewer than two repeats.
    pub deviation: Option<f64>,
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
        Self {
            mean,
            deviation,
            values,
        }
    }
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
}
