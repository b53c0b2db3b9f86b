//! Functions of one row of logits.

/// Cross entropy of one row of logits, in nats, computed in `f64`: `ln(sum exp(l)) - l[label]`.
///
/// # Panics
///
/// If `label` is not an index into `logits`.
#[must_use]
pub fn cross_entropy(logits: &[f32], label: usize) -> f64 {
    let (largest, sum) = partition(logits);
    largest + sum.ln() - f64::from(logits[label])
}

/// Softmax of one row of logits, computed in `f64`.
#[must_use]
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    let (largest, sum) = partition(logits);
    let share = |&logit: &f32| (f64::from(logit) - largest).exp() / sum;
    logits.iter().map(share).collect()
}

/// The largest logit `m` of a row and `sum exp(l - m)`, so that the probability of a class is `exp(l - m) / sum`.
#[must_use]
pub fn partition(logits: &[f32]) -> (f64, f64) {
    let largest = largest(logits);
    let exponentials = logits.iter().map(|&logit| (f64::from(logit) - largest).exp());
    (largest, exponentials.sum())
}

/// Index of the largest logit; the first of equals.
///
/// # Panics
///
/// If `logits` is empty.
#[must_use]
pub fn argmax(logits: &[f32]) -> usize {
    assert!(!logits.is_empty(), "a row of logits has a value for every class");
    (1..logits.len()).fold(
        0,
        |best, index| if logits[index] > logits[best] { index } else { best },
    )
}

/// Rank of class `label`, from 0, the class of [`argmax`]; of equal logits the first ranks higher.
///
/// # Panics
///
/// If `label` is not an index into `logits`.
#[must_use]
pub fn rank(logits: &[f32], label: usize) -> usize {
    let of_label = logits[label];
    let likelier = |(index, &logit): (usize, &f32)| logit > of_label || (logit == of_label && index < label);
    logits.iter().enumerate().filter(|&each| likelier(each)).count()
}

pub(super) fn largest(logits: &[f32]) -> f64 {
    logits
        .iter()
        .copied()
        .map(f64::from)
        .fold(f64::NEG_INFINITY, f64::max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cross_entropy_of_equal_logits_is_the_logarithm_of_their_number() {
        assert!((cross_entropy(&[3.0, 3.0, 3.0], 1) - 3.0_f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn large_logits_do_not_overflow() {
        assert_eq!(cross_entropy(&[1e30, 0.0], 0), 0.0);
        assert_eq!(softmax(&[-1e30, 1e30]), [0.0, 1.0]);
    }

    #[test]
    fn argmax_takes_the_first_of_equals() {
        assert_eq!(argmax(&[1.0, 2.0, 2.0]), 1);
        assert_eq!(argmax(&[5.0]), 0);
    }

    #[test]
    fn the_rank_of_a_class_counts_larger_logits_and_equal_ones_before_it() {
        let logits = [1.0, 3.0, 2.0, 3.0];
        assert_eq!([0, 1, 2, 3].map(|label| rank(&logits, label)), [3, 0, 2, 1]);
    }

    proptest! {
        #[test]
        fn probabilities_add_up_to_one_and_agree_with_cross_entropy(logits in prop::collection::vec(-50.0_f32..50.0, 1..20)) {
            let probabilities = softmax(&logits);
            prop_assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let best = argmax(&logits);
            prop_assert_eq!(rank(&logits, best), 0);
            prop_assert!((cross_entropy(&logits, best) + probabilities[best].ln()).abs() < 1e-9);
        }
    }
}
