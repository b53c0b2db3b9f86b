use super::logits::largest;

/// Range of fitted temperatures.
pub const TEMPERATURES: (f64, f64) = (0.05, 20.0);

/// The temperature T for which the mean cross entropy of `logits / T` is smallest, within [`TEMPERATURES`]. `None` without images.
///
/// It is at an end of the range if the images do not determine it: at the lower one if all are classified correctly. `rows`: logits of each
/// image with its label.
///
/// # Source
///
/// Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2. The cross entropy is convex in 1 / T; its minimum is found by
/// Newton's method, with bisection where a step leaves the bracket.
#[must_use]
pub fn fit_temperature<'a>(rows: &(impl Iterator<Item = (&'a [f32], usize)> + Clone)) -> Option<f64> {
    fit(rows, &[])
}

/// [`fit_temperature`] where each class counts equally: for the smallest mean over the classes of the mean cross entropy of their images.
#[must_use]
pub fn fit_balanced_temperature<'a>(
    rows: &(impl Iterator<Item = (&'a [f32], usize)> + Clone),
) -> Option<f64> {
    let mut images = vec![];
    for (logits, label) in rows.clone() {
        images.resize(images.len().max(logits.len()), 0.0);
        images[label] += 1.0;
    }
    let weights: Vec<f64> = images.iter().map(|images: &f64| 1.0 / images.max(1.0)).collect();
    fit(rows, &weights)
}

/// The temperature of images that are weighted by class; no weights: all 1.
fn fit<'a>(rows: &(impl Iterator<Item = (&'a [f32], usize)> + Clone), weights: &[f64]) -> Option<f64> {
    rows.clone().next()?;
    let (mut low, mut high) = (1.0 / TEMPERATURES.1, 1.0 / TEMPERATURES.0);
    let mut beta = 1.0;
    for _ in 0..100 {
        let (slope, curvature) = derivatives(rows.clone(), weights, beta);
        if slope > 0.0 {
            high = beta;
        } else {
            low = beta;
        }
        let newton = beta - slope / curvature;
        let next = if newton > low && newton < high {
            newton
        } else {
            f64::midpoint(low, high)
        };
        if (next - beta).abs() <= 1e-12 * beta {
            break;
        }
        beta = next;
    }
    Some(1.0 / beta)
}

/// First and second derivative of the weighted sum of the cross entropies of `beta * logits` by `beta`: the mean of the logits under the
/// probabilities minus the logit of the label, and their variance.
fn derivatives<'a>(rows: impl Iterator<Item = (&'a [f32], usize)>, weights: &[f64], beta: f64) -> (f64, f64) {
    rows.fold((0.0, 0.0), |(slope, curvature), (logits, label)| {
        let largest = largest(logits);
        let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
        for &logit in logits {
            let below = f64::from(logit) - largest;
            let weight = (beta * below).exp();
            sum += weight;
            first += weight * below;
            second += weight * below * below;
        }
        let (mean, square) = (first / sum, second / sum);
        let of_label = f64::from(logits[label]) - largest;
        let weight = weights.get(label).copied().unwrap_or(1.0);
        (
            slope + weight * (mean - of_label),
            curvature + weight * (square - mean * mean),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::metrics::cross_entropy;

    fn loss(rows: &[([f32; 3], usize)], temperature: f64) -> f64 {
        let scaled = |logits: &[f32; 3]| logits.map(|logit| (f64::from(logit) / temperature) as f32);
        rows.iter()
            .map(|(logits, label)| cross_entropy(&scaled(logits), *label))
            .sum()
    }

    fn fitted(rows: &[([f32; 3], usize)]) -> Option<f64> {
        fit_temperature(&rows.iter().map(|(logits, label)| (&logits[..], *label)))
    }

    /// Logits of which each class is right as often as its probability at temperature 2.
    #[test]
    fn the_temperature_of_frequencies_is_found() {
        let logits = [2.0 * 3.0_f32.ln(), 2.0 * 2.0_f32.ln(), 0.0];
        let rows = [0, 0, 0, 1, 1, 2].map(|label| (logits, label));
        let found = fitted(&rows).expect("images");
        assert!((found - 2.0).abs() < 1e-6, "{found}");
    }

    #[test]
    fn no_other_temperature_has_a_smaller_loss() {
        let wave = |image: usize, class: usize| ((image * 7 + class * 13) as f32 * 0.73).sin() * 4.0;
        let rows: Vec<([f32; 3], usize)> = (0..60)
            .map(|image| (std::array::from_fn(|class| wave(image, class)), image * image % 3))
            .collect();
        let found = fitted(&rows).expect("images");
        let smallest = loss(&rows, found);
        for step in 1..400 {
            let other = 0.05 * f64::from(step);
            assert!(
                loss(&rows, other) >= smallest - 1e-4,
                "{other} instead of {found}"
            );
        }
    }

    #[test]
    fn images_that_do_not_determine_it_give_an_end_of_the_range() {
        let right = [([3.0, 0.0, 0.0], 0), ([0.0, 2.0, 0.0], 1)];
        assert!((fitted(&right).expect("images") - TEMPERATURES.0).abs() < 1e-6);
        let wrong = right.map(|(logits, label)| (logits, label + 1));
        assert!((fitted(&wrong).expect("images") - TEMPERATURES.1).abs() < 1e-6);
        assert_eq!(fitted(&[]), None);
    }
}
