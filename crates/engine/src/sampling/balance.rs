//! Balance policies: draws per class and epoch.

use super::{
    Schedule,
    apportion::largest_remainder,
    error::{Error, MAX_IMAGES},
};

/// A balance policy. `n_c` is the number of images of class `c`, `n_max` and `n_min` are the largest and the smallest of those that are
/// not zero. A class without images is never drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Balance {
    /// Every class `n_max` times.
    Oversample,
    /// Every class `n_min` times.
    Undersample,
    /// Every class `n_c` times.
    Natural,
    /// Class `c` `n_max (n_c / n_max)^(1 - power)` times, rounded: 0 is natural, 1 is oversample.
    Power(f64),
    /// In proportion to a weight per class, in label order; in total as many images as the classes of positive weight have.
    Weights(Vec<f64>),
    /// In proportion to the effective number of images, `(1 - beta^n_c) / (1 - beta)`, the largest class `n_max` times.
    ///
    /// # Source
    ///
    /// Cui et al., *Class-Balanced Loss Based on Effective Number of Samples*, CVPR 2019, used for sampling instead of weighting.
    Effective(f64),
    /// Class `c` `n_c max(1, sqrt(t / f_c))` times, rounded, where `f_c` is its share of the images: rare classes are repeated, none is drawn less
    /// than it has images. `None`: `t` is the median of the shares.
    ///
    /// # Source
    ///
    /// Gupta et al., *LVIS: A Dataset for Large Vocabulary Instance Segmentation*, CVPR 2019.
    RepeatFactor(Option<f64>),
    /// By epoch, from one policy to another.
    Schedule(Box<Schedule>),
}

impl Balance {
    /// Draws per class in an epoch, given the images per class; `images_per_epoch` overrides the sum and keeps the proportions.
    ///
    /// # Errors
    ///
    /// If a parameter is out of range, no image would be drawn, or the policy is a schedule, whose draws are not the same in all epochs.
    pub fn draws(&self, counts: &[u64], images_per_epoch: Option<u64>) -> Result<Vec<u64>, Error> {
        let present = || counts.iter().copied().filter(|count| *count > 0);
        let (Some(largest), Some(smallest)) = (present().max(), present().min()) else {
            return Err(Error::NoImages);
        };
        self.validate(counts.len())?;
        let where_present = |draws: &dyn Fn(u64) -> f64| -> Vec<f64> {
            counts
                .iter()
                .map(|&count| if count == 0 { 0.0 } else { draws(count) })
                .collect()
        };
        let (shares, sum) = match self {
            Self::Oversample => (where_present(&|_| largest as f64), None),
            Self::Undersample => (where_present(&|_| smallest as f64), None),
            Self::Natural => (where_present(&|count| count as f64), None),
            Self::Power(power) => {
                let largest = largest as f64;
                (
                    where_present(&|count| {
                        (largest * libm::pow(count as f64 / largest, 1.0 - power)).round()
                    }),
                    None,
                )
            }
            Self::Effective(beta) => {
                let effective = |count: u64| (1.0 - libm::pow(*beta, count as f64)) / (1.0 - beta);
                let scale = largest as f64 / effective(largest);
                (
                    where_present(&|count| (effective(count) * scale).round().max(1.0)),
                    None,
                )
            }
            Self::RepeatFactor(threshold) => {
                let images: u64 = counts.iter().sum();
                let share = |count: u64| count as f64 / images as f64;
                let threshold = threshold.unwrap_or_else(|| median(present().map(share)));
                let factor = |count| (threshold / share(count)).sqrt().max(1.0);
                (
                    where_present(&|count| (count as f64 * factor(count)).round()),
                    None,
                )
            }
            Self::Schedule(_) => return Err(Error::NestedSchedule),
            Self::Weights(weights) => {
                let drawn = |(count, weight): (&u64, &f64)| if *weight > 0.0 { *count } else { 0 };
                let sum = counts.iter().zip(weights).map(drawn).sum::<u64>();
                let shares = counts
                    .iter()
                    .zip(weights)
                    .map(|(&count, &weight)| if count == 0 { 0.0 } else { weight });
                (shares.collect(), Some(sum))
            }
        };
        let natural_sum: f64 = shares.iter().sum();
        if natural_sum <= 0.0 || images_per_epoch == Some(0) {
            return Err(Error::NothingDrawn);
        }
        let images = images_per_epoch
            .or(sum)
            .map_or(natural_sum, |images| images as f64);
        if images > MAX_IMAGES as f64 {
            return Err(Error::EpochTooLarge { images });
        }
        Ok(largest_remainder(images as u64, &shares))
    }

    fn validate(&self, classes: usize) -> Result<(), Error> {
        let check = |parameter, value: f64, valid: bool, range| {
            if valid {
                Ok(())
            } else {
                Err(Error::OutOfRange {
                    parameter,
                    value,
                    range,
                })
            }
        };
        match self {
            Self::Oversample
            | Self::Undersample
            | Self::Natural
            | Self::RepeatFactor(None)
            | Self::Schedule(_) => Ok(()),
            Self::RepeatFactor(Some(threshold)) => check(
                "repeat-factor",
                *threshold,
                *threshold > 0.0 && *threshold <= 1.0,
                "above 0 and at most 1",
            ),
            Self::Power(power) => check("power", *power, (0.0..=1.0).contains(power), "from 0 to 1"),
            Self::Effective(beta) => check(
                "beta",
                *beta,
                (0.0..1.0).contains(beta),
                "at least 0 and less than 1",
            ),
            Self::Weights(weights) if weights.len() != classes => Err(Error::WeightCount {
                classes,
                weights: weights.len(),
            }),
            Self::Weights(weights) => weights.iter().try_for_each(|&weight| {
                check("weight", weight, (0.0..=1e9).contains(&weight), "from 0 to 1e9")
            }),
        }
    }
}

/// The middle value, or the mean of the two middle values.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        (values[middle - 1] + values[middle]) / 2.0
    } else {
        values[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTS: [u64; 4] = [160, 16, 0, 40];

    fn draws(balance: &Balance) -> Vec<u64> {
        balance.draws(&COUNTS, None).unwrap()
    }

    #[test]
    fn draws_per_policy() {
        assert_eq!(draws(&Balance::Oversample), [160, 160, 0, 160]);
        assert_eq!(draws(&Balance::Undersample), [16, 16, 0, 16]);
        assert_eq!(draws(&Balance::Natural), COUNTS);
        assert_eq!(draws(&Balance::Power(0.0)), COUNTS);
        assert_eq!(draws(&Balance::Power(1.0)), [160, 160, 0, 160]);
        assert_eq!(draws(&Balance::Power(0.5)), [160, 51, 0, 80]);
        assert_eq!(
            draws(&Balance::Weights(vec![1.0, 1.0, 5.0, 2.0])),
            [54, 54, 0, 108]
        );
        assert_eq!(draws(&Balance::Weights(vec![0.0, 1.0, 0.0, 0.0])), [0, 16, 0, 0]);
        // beta 0: every class has one effective image.
        assert_eq!(draws(&Balance::Effective(0.0)), [160, 160, 0, 160]);
        // (1 - 0.99^16) / (1 - 0.99^160) * 160 = 29.7; for 40 images 66.2.
        assert_eq!(draws(&Balance::Effective(0.99)), [160, 30, 0, 66]);
        // The median share is 40 of 216: sqrt(40 / 16) * 16 = 25.3.
        assert_eq!(draws(&Balance::RepeatFactor(None)), [160, 25, 0, 40]);
        // sqrt(1 / f) n = sqrt(216 n).
        assert_eq!(draws(&Balance::RepeatFactor(Some(1.0))), [186, 59, 0, 93]);
        assert_eq!(draws(&Balance::RepeatFactor(Some(0.01))), COUNTS);
    }

    #[test]
    fn the_number_of_images_can_be_given() {
        assert_eq!(
            Balance::Oversample.draws(&COUNTS, Some(100)),
            Ok(vec![34, 33, 0, 33])
        );
        assert_eq!(Balance::Natural.draws(&COUNTS, Some(27)), Ok(vec![20, 2, 0, 5]));
    }

    #[test]
    fn invalid_parameters_are_errors() {
        let error = |balance: Balance| balance.draws(&COUNTS, None).unwrap_err();
        assert!(matches!(
            error(Balance::Power(1.5)),
            Error::OutOfRange {
                parameter: "power",
                ..
            }
        ));
        assert!(matches!(
            error(Balance::Power(f64::NAN)),
            Error::OutOfRange { .. }
        ));
        assert!(matches!(
            error(Balance::Effective(1.0)),
            Error::OutOfRange {
                parameter: "beta",
                ..
            }
        ));
        for threshold in [0.0, -1.0, 1.5, f64::NAN] {
            let error = error(Balance::RepeatFactor(Some(threshold)));
            assert!(error.to_string().contains("repeat-factor"), "{error}");
        }
        assert_eq!(
            error(Balance::Schedule(Box::new(Schedule::progressive()))),
            Error::NestedSchedule
        );
        assert!(matches!(
            error(Balance::Weights(vec![1.0])),
            Error::WeightCount {
                classes: 4,
                weights: 1
            }
        ));
        assert!(matches!(
            error(Balance::Weights(vec![-1.0; 4])),
            Error::OutOfRange {
                parameter: "weight",
                ..
            }
        ));
        assert_eq!(
            error(Balance::Weights(vec![0.0, 0.0, 1.0, 0.0])),
            Error::NothingDrawn
        );
        assert_eq!(Balance::Natural.draws(&[0, 0], None), Err(Error::NoImages));
        assert_eq!(Balance::Natural.draws(&COUNTS, Some(0)), Err(Error::NothingDrawn));
        assert!(matches!(
            Balance::Natural.draws(&COUNTS, Some(u64::MAX)),
            Err(Error::EpochTooLarge { .. })
        ));
    }
}
