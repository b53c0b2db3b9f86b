/// Area under the receiver operating characteristic: the probability that a random image of the positive class has a higher score than one
/// of the other class, ties counting half. `None` if either class has no images.
///
/// `scores`: one per image, with whether the image is of the positive class. For two classes, either may be the positive one if its score
/// increases with its probability.
///
/// # Source
///
/// Mann and Whitney, On a test of whether one of two random variables is stochastically larger than the other, 1947. Counted in integers,
/// so that the result does not depend on the order of the images.
#[must_use]
pub fn auroc(scores: &[(f64, bool)]) -> Option<f64> {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|left, right| left.0.total_cmp(&right.0));
    let (mut below, mut won_twice) = (0_u128, 0_u128);
    for equal in sorted.chunk_by(|left, right| left.0 == right.0) {
        let positive = equal.iter().filter(|(_, is_positive)| *is_positive).count() as u128;
        let negative = equal.len() as u128 - positive;
        won_twice += positive * (2 * below + negative);
        below += negative;
    }
    let positive = sorted.len() as u128 - below;
    (positive > 0 && below > 0).then(|| won_twice as f64 / (2 * positive * below) as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn perfect_reversed_and_equal_scores_are_one_zero_and_a_half() {
        let of = |scores: [f64; 4]| auroc(&[0, 1, 2, 3].map(|image| (scores[image], image >= 2)));
        assert_eq!(of([1.0, 2.0, 3.0, 4.0]), Some(1.0));
        assert_eq!(of([4.0, 3.0, 2.0, 1.0]), Some(0.0));
        assert_eq!(of([0.5; 4]), Some(0.5));
    }

    #[test]
    fn a_single_class_has_no_auroc() {
        assert_eq!(auroc(&[]), None);
        assert_eq!(auroc(&[(0.1, true), (0.2, true)]), None);
        assert_eq!(auroc(&[(0.1, false)]), None);
    }

    proptest! {
        /// Few distinct scores, so that there are many ties.
        #[test]
        fn auroc_equals_the_share_of_correctly_ordered_pairs(images in prop::collection::vec((0_i8..6, any::<bool>()), 0..60)) {
            let scores: Vec<(f64, bool)> = images.iter().map(|&(score, positive)| (f64::from(score), positive)).collect();
            let (mut won, mut pairs) = (0.0, 0.0);
            for (score, _) in scores.iter().filter(|image| image.1) {
                for (other, _) in scores.iter().filter(|image| !image.1) {
                    pairs += 1.0;
                    won += if score > other { 1.0 } else if score == other { 0.5 } else { 0.0 };
                }
            }
            match auroc(&scores) {
                None => prop_assert_eq!(pairs, 0.0),
                Some(area) => prop_assert!((area - won / pairs).abs() < 1e-12),
            }
        }

        #[test]
        fn either_class_may_be_called_positive(images in prop::collection::vec((-3.0_f64..3.0, any::<bool>()), 0..60)) {
            let turned: Vec<(f64, bool)> = images.iter().map(|&(score, positive)| (-score, !positive)).collect();
            prop_assert_eq!(auroc(&images), auroc(&turned));
        }
    }
}
