//! Apportionment: integer shares in proportion to weights.

/// Divides `total` in proportion to `weights` by the method of largest remainders.
///
/// Each share is the floor or the ceiling of the exact proportion; the shares add up to `total`. Of equal remainders, the one with the larger
/// weight comes first, then the one with the lower index. Integer weights whose product with `total` is below 2^53 are exact.
///
/// # Panics
///
/// If a weight is negative or not finite, or all are zero.
///
/// # Source
///
/// Hamilton's method of apportionment.
#[must_use]
pub fn largest_remainder(total: u64, weights: &[f64]) -> Vec<u64> {
    assert!(
        weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0),
        "weights are finite and not negative"
    );
    let sum: f64 = weights.iter().sum();
    assert!(sum > 0.0, "at least one weight is positive");
    let exact: Vec<f64> = weights.iter().map(|weight| total as f64 * weight / sum).collect();
    let mut shares: Vec<u64> = exact.iter().map(|share| share.floor() as u64).collect();
    let mut by_remainder: Vec<usize> = (0..weights.len()).filter(|&index| weights[index] > 0.0).collect();
    by_remainder.sort_by(|&a, &b| {
        let remainder = |index: usize| exact[index] - exact[index].floor();
        remainder(b)
            .total_cmp(&remainder(a))
            .then(weights[b].total_cmp(&weights[a]))
            .then(a.cmp(&b))
    });
    let mut missing = total - shares.iter().sum::<u64>().min(total);
    for index in by_remainder {
        if missing == 0 {
            break;
        }
        shares[index] += 1;
        missing -= 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_textbook_case() {
        let votes = [47_000.0, 16_000.0, 15_800.0, 12_000.0, 6_100.0, 3_100.0];
        assert_eq!(largest_remainder(10, &votes), [5, 2, 1, 1, 1, 0]);
    }

    proptest! {
        #[test]
        fn shares_add_up_and_are_floor_or_ceiling(
            total in 0_u64..100_000,
            weights in prop::collection::vec(0_u32..10_000, 1..60).prop_filter("positive sum", |w| w.iter().any(|w| *w > 0)),
        ) {
            let weights: Vec<f64> = weights.into_iter().map(f64::from).collect();
            let sum: f64 = weights.iter().sum();
            let shares = largest_remainder(total, &weights);
            prop_assert_eq!(shares.iter().sum::<u64>(), total);
            for (share, weight) in shares.iter().zip(&weights) {
                prop_assert!((*share as f64 - total as f64 * weight / sum).abs() < 1.0);
                prop_assert!(*weight > 0.0 || *share == 0);
            }
        }
    }
}
