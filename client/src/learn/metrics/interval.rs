//! 95 % confidence intervals.

use std::fmt;

use equibatch_engine::random::{Purpose, below, generator};
use serde::{Deserialize, Serialize};

use super::Proportion;

/// The 97.5 % quantile of the standard normal distribution, for 95 % intervals.
const Z: f64 = 1.959_963_984_540_054;

/// Number of bootstrap resamples.
pub const RESAMPLES: u64 = 1000;

/// Random numbers of bootstrap resamples.
const BOOTSTRAP: Purpose = Purpose::new(20);

/// A confidence interval of 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How it was computed.
    pub method: IntervalMethod,
}

/// How an interval was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntervalMethod {
    /// [`wilson`].
    Wilson,
    /// [`mean_of_proportions`].
    CombinedWilson,
    /// [`bootstrap`].
    Bootstrap,
}

impl fmt::Display for IntervalMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wilson => "Wilson",
            Self::CombinedWilson => "combined Wilson",
            Self::Bootstrap => "bootstrap",
        })
    }
}

impl Interval {
    /// The formatted interval of a share: `4.6–69.9 %`.
    #[must_use]
    pub fn percent(&self) -> String {
        format!("{:.1}–{:.1} %", self.low * 100.0, self.high * 100.0)
    }
}

/// The Wilson score interval of a proportion, within 0 to 1; `None` without images.
///
/// # Source
///
/// Wilson, Probable inference, the law of succession, and statistical inference, Journal of the American Statistical Association 22, 1927.
#[must_use]
pub fn wilson(proportion: Proportion) -> Option<Interval> {
    let (p, n, z2) = (proportion.value()?, proportion.of as f64, Z * Z);
    let scale = 1.0 / (1.0 + z2 / n);
    let centre = (p + z2 / (2.0 * n)) * scale;
    let half = Z * scale * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    Some(Interval {
        low: (centre - half).max(0.0),
        high: (centre + half).min(1.0),
        method: IntervalMethod::Wilson,
    })
}

/// The interval of the mean of independent proportions, such as of balanced accuracy, the mean of the classes' recalls: their Wilson intervals,
/// combined by the method of variance estimates recovery. Proportions without images are ignored; `None` if none has images.
///
/// A bootstrap would be of no use here: of four birds that were all found, every resample finds all, so its interval has no width.
///
/// # Source
///
/// Zou and Donner, Construction of confidence limits about effect measures: a general approach, Statistics in Medicine 27, 2008.
#[must_use]
pub fn mean_of_proportions(proportions: impl IntoIterator<Item = Proportion>) -> Option<Interval> {
    let parts = proportions.into_iter();
    let parts: Vec<_> = parts
        .filter_map(|part| Some((part.value()?, wilson(part)?)))
        .collect();
    let count = parts.len() as f64;
    let root = |distance: &dyn Fn(&(f64, Interval)) -> f64| {
        parts
            .iter()
            .map(|part| distance(part).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    let sum: f64 = parts.iter().map(|(value, _)| value).sum();
    let below = root(&|(value, interval)| value - interval.low);
    let above = root(&|(value, interval)| interval.high - value);
    (!parts.is_empty()).then(|| Interval {
        low: (sum - below) / count,
        high: (sum + above) / count,
        method: IntervalMethod::CombinedWilson,
    })
}

/// The percentile interval of a statistic over [`RESAMPLES`] bootstrap resamples of the images, drawn with replacement within each class.
/// `labels`: the class of each image. `statistic` gets how often each image was drawn; resamples for which it is undefined are ignored. `None`
/// if it is undefined for all.
///
/// # Determinism
///
/// A pure function of its arguments.
///
/// # Source
///
/// Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
pub fn bootstrap(labels: &[u32], mut statistic: impl FnMut(&[u32]) -> Option<f64>) -> Option<Interval> {
    let classes = labels.iter().max().map_or(0, |&label| label as usize + 1);
    let mut images = vec![vec![]; classes];
    for (image, &label) in labels.iter().enumerate() {
        images[label as usize].push(image);
    }
    let mut values = vec![];
    for resample in 0..RESAMPLES {
        let mut random = generator(0, BOOTSTRAP, &[resample]);
        let mut draws = vec![0; labels.len()];
        for of_class in &images {
            let bound = u32::try_from(of_class.len()).unwrap_or(u32::MAX);
            for _ in of_class {
                draws[of_class[below(&mut random, bound) as usize]] += 1;
            }
        }
        values.extend(statistic(&draws));
    }
    values.sort_by(f64::total_cmp);
    let quantile = |share: f64| values.get((share * values.len().saturating_sub(1) as f64).round() as usize);
    Some(Interval {
        low: *quantile(0.025)?,
        high: *quantile(0.975)?,
        method: IntervalMethod::Bootstrap,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(hits: u64, of: u64) -> Proportion {
        Proportion { hits, of }
    }

    fn close(found: Interval, low: f64, high: f64) {
        let off = (found.low - low).abs().max((found.high - high).abs());
        assert!(off < 1e-6, "{found:?} instead of {low} to {high}");
    }

    /// Expected values computed in Python.
    #[test]
    fn intervals_of_proportions_are_wilson_score_intervals() {
        for (hits, images, low, high) in [
            (1, 1, 0.206_549_3, 1.0),
            (0, 10, 0.0, 0.277_532_8),
            (1, 4, 0.045_587_26, 0.699_358_2),
            (41, 44, 0.817_749_6, 0.976_540_6),
        ] {
            close(wilson(of(hits, images)).expect("images"), low, high);
        }
        assert_eq!(wilson(of(0, 0)), None);
        let shown = wilson(of(1, 4)).expect("images");
        assert_eq!(
            (shown.percent(), shown.method.to_string()),
            ("4.6–69.9 %".to_owned(), "Wilson".to_owned())
        );
    }

    #[test]
    fn the_mean_of_one_proportion_has_its_wilson_interval() {
        let interval = mean_of_proportions([of(1, 4), of(0, 0)]).expect("images");
        close(interval, 0.045_587_26, 0.699_358_2);
        assert_eq!(mean_of_proportions([of(0, 0)]), None);
    }

    /// Probability of `hits` of `images`, each with probability `p`.
    fn binomial(images: u64, hits: u64, p: f64) -> f64 {
        let ways = (0..hits).fold(1.0, |ways, k| ways * (images - k) as f64 / (k + 1) as f64);
        ways * p.powf(hits as f64) * (1.0 - p).powf((images - hits) as f64)
    }

    /// Of all 95 % intervals for four birds and forty flowers, weighted by their probability, 92 % or more contain the true balanced accuracy.
    #[test]
    fn intervals_of_balanced_accuracy_cover_it_with_few_images_too() {
        for (birds, flowers) in [(0.5, 0.95), (0.9, 0.9), (0.25, 0.99), (0.98, 0.8)] {
            let truth = (birds + flowers) / 2.0;
            let mut covered = 0.0;
            for (found, right) in (0..=4).flat_map(|found| (0..=40).map(move |right| (found, right))) {
                let interval = mean_of_proportions([of(found, 4), of(right, 40)]).expect("images");
                if (interval.low..=interval.high).contains(&truth) {
                    covered += binomial(4, found, birds) * binomial(40, right, flowers);
                }
            }
            assert!(covered >= 0.92, "recalls {birds} and {flowers}: {covered}");
        }
    }

    #[test]
    fn resamples_keep_the_number_of_images_of_each_class() {
        let labels = [0, 1, 1, 0, 1];
        let mut differing = 0;
        let interval = bootstrap(&labels, |draws| {
            let of_class = |class: u32| -> u32 {
                labels
                    .iter()
                    .zip(draws)
                    .filter(|(label, _)| **label == class)
                    .map(|(_, draws)| draws)
                    .sum()
            };
            assert_eq!((of_class(0), of_class(1)), (2, 3));
            differing += u32::from(draws.contains(&0));
            Some(1.0)
        });
        assert_eq!(
            interval.map(|interval| (interval.low, interval.high)),
            Some((1.0, 1.0))
        );
        assert!(differing > 700, "{differing}");
        assert_eq!(bootstrap(&labels, |_| None), None);
    }

    /// The bootstrap interval of a share of 200 images is nearly the normal one.
    #[test]
    fn the_bootstrap_interval_of_a_share_is_nearly_normal() {
        let hits: Vec<f64> = (0..200)
            .map(|image| f64::from(u8::from(image % 4 == 0)))
            .collect();
        let share = |draws: &[u32]| {
            Some(
                draws
                    .iter()
                    .zip(&hits)
                    .map(|(&draws, hit)| f64::from(draws) * hit)
                    .sum::<f64>()
                    / 200.0,
            )
        };
        let interval = bootstrap(&[0; 200], share).expect("defined");
        let half = Z * (0.25_f64 * 0.75 / 200.0).sqrt();
        assert!((interval.low - (0.25 - half)).abs() < 0.011, "{interval:?}");
        assert!((interval.high - (0.25 + half)).abs() < 0.011, "{interval:?}");
    }
}
