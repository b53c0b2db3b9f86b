//! Class weights for a loss.

/// Weight `N / (K n)` per class: `n` images of the class, `N` of all classes, `K` the number of classes that have images. A class without images gets
/// 0. The mean over the images is 1.
///
/// # Source
///
/// `class_weight="balanced"` of scikit-learn.
#[must_use]
pub fn inverse_frequency(counts: &[u32]) -> Vec<f64> {
    let total: f64 = counts.iter().map(|&count| f64::from(count)).sum();
    let classes = counts.iter().filter(|&&count| count > 0).count() as f64;
    let weight = |&count: &u32| {
        if count == 0 {
            0.0
        } else {
            total / (classes * f64::from(count))
        }
    };
    counts.iter().map(weight).collect()
}

/// Weight `(1 - beta) / (1 - beta^n)` per class of `n` images, scaled so that the mean over the classes that have images is 1. A class without images
/// gets 0. `beta` in 0..1: 0 weighs all classes equally; towards 1 it approaches the inverse frequency.
///
/// # Source
///
/// Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019.
#[must_use]
pub fn effective_number(counts: &[u32], beta: f64) -> Vec<f64> {
    let raw = |&count: &u32| match count {
        0 => 0.0,
        // `1 - beta^n` in full precision for beta near 1.
        _ => (1.0 - beta) / -libm::expm1(f64::from(count) * libm::log(beta)),
    };
    let raw: Vec<f64> = counts.iter().map(raw).collect();
    let classes = counts.iter().filter(|&&count| count > 0).count() as f64;
    let total: f64 = raw.iter().sum();
    raw.iter()
        .map(|weight| {
            if *weight == 0.0 {
                0.0
            } else {
                weight * classes / total
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn a_class_with_a_tenth_of_the_images_has_ten_times_the_weight() {
        assert_close(&inverse_frequency(&[20, 200]), &[5.5, 0.55]);
        assert_close(&inverse_frequency(&[0, 20, 200]), &[0.0, 5.5, 0.55]);
    }

    #[test]
    fn effective_numbers_follow_their_formula_and_have_mean_one() {
        let beta: f64 = 0.999;
        let raw = [20, 200].map(|n| (1.0 - beta) / (1.0 - beta.powi(n)));
        let mean = (raw[0] + raw[1]) / 2.0;
        assert_close(
            &effective_number(&[20, 0, 200], beta),
            &[raw[0] / mean, 0.0, raw[1] / mean],
        );
        assert_close(&effective_number(&[20, 200], 0.0), &[1.0, 1.0]);
    }
}
