use serde::Serialize;

/// One figure over several repeats.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeanStd {
    /// Their mean; absent where the figure is undefined in a repeat.
    pub mean: Option<f64>,
    /// Their standard deviation, with one degree of freedom less than repeats; absent for fewer than two.
    pub deviation: Option<f64>,
    /// One for each repeat.
    pub values: Vec<Option<f64>>,
}

impl MeanStd {
    /// Of the figures of all repeats.
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
    fn means_and_deviations_are_those_of_hand_calculation() {
        let mean_std = MeanStd::of([Some(2.0), Some(4.0), Some(9.0)]);
        assert_eq!(mean_std.mean, Some(5.0));
        assert_eq!(mean_std.deviation, Some(13.0_f64.sqrt()));
        assert_eq!(MeanStd::of([Some(0.5)]).deviation, None);
        assert_eq!(MeanStd::of([Some(0.5), None]).mean, None);
        assert_eq!(MeanStd::of([]).mean, None);
    }
}
