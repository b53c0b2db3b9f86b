use serde::Serialize;

/// McNemar's test of whether two models have the same accuracy on the same images.
///
/// Only images that exactly one model classifies correctly count. If the models were equally good, each of these would be equally likely to
/// be either model's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct McNemar {
    /// Images that only the first model classifies correctly.
    pub only_first: u64,
    /// Images that only the second model classifies correctly.
    pub only_second: u64,
    /// Two-sided exact p-value.
    pub p: f64,
}

impl McNemar {
    /// From pairs: whether the first and the second model classify an image correctly.
    pub fn of(right: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let (mut only_first, mut only_second) = (0, 0);
        for pair in right {
            match pair {
                (true, false) => only_first += 1,
                (false, true) => only_second += 1,
                _ => {}
            }
        }
        let p = two_sided(only_first, only_second);
        Self {
            only_first,
            only_second,
            p,
        }
    }
}

/// `min(1, 2 · P(X ≤ min(b, c)))` for `X` from the binomial distribution B(b + c, 1/2).
///
/// # Source
///
/// The exact form of McNemar, Note on the sampling error of the difference between correlated proportions or percentages, Psychometrika 12,
/// 1947.
fn two_sided(b: u64, c: u64) -> f64 {
    let tosses = b + c;
    // Terms are summed relative to the largest, the last, so that neither 2⁻ⁿ nor a binomial coefficient overflows or underflows.
    let fewer = b.min(c);
    let (mut share, mut sum) = (1.0, 0.0);
    for heads in (0..=fewer).rev() {
        sum += share;
        share *= heads as f64 / (tosses - heads + 1) as f64;
    }
    let last = ln_choose(tosses, fewer) - tosses as f64 * std::f64::consts::LN_2;
    (2.0 * sum * last.exp()).min(1.0)
}

fn ln_choose(of: u64, some: u64) -> f64 {
    (1..=some)
        .map(|place| ((of - some + place) as f64 / place as f64).ln())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By integer arithmetic, without logarithms.
    fn counted(b: u64, c: u64) -> f64 {
        let tosses = b + c;
        let mut row = vec![1_u128];
        for _ in 0..tosses {
            let next = row.windows(2).map(|pair| pair[0] + pair[1]);
            row = std::iter::once(1).chain(next).chain(std::iter::once(1)).collect();
        }
        let fewer: u128 = row[..=usize::try_from(b.min(c)).expect("small")].iter().sum();
        (2.0 * fewer as f64 / 2.0_f64.powi(i32::try_from(tosses).expect("small"))).min(1.0)
    }

    #[test]
    fn p_values_equal_those_of_integer_arithmetic() {
        for b in 0..40 {
            for c in 0..40 {
                let (found, expected) = (two_sided(b, c), counted(b, c));
                assert!(
                    (found - expected).abs() <= 1e-12 * expected,
                    "{b} {c}: {found} {expected}"
                );
            }
        }
    }

    /// In exact fractions: `min(1, Fraction(2 * sum(math.comb(b + c, i) for i in range(min(b, c) + 1)), 2 ** (b + c)))` in Python.
    #[test]
    fn p_values_equal_those_of_exact_fractions() {
        for ((b, c), expected) in [
            ((1, 8), 0.0390625),
            ((10, 25), 0.016_673_847_800_120_71),
            ((400, 520), 8.549_170_923_883_778e-5),
            ((3000, 3000), 1.0),
        ] {
            let found = two_sided(b, c);
            assert!((found - expected).abs() < 1e-9 * expected, "{b} {c}: {found}");
        }
        assert!(two_sided(100, 3000) < 1e-300 || two_sided(100, 3000) == 0.0);
    }

    #[test]
    fn only_images_that_exactly_one_model_gets_right_count() {
        let right = [
            (true, true),
            (true, false),
            (false, true),
            (false, true),
            (false, false),
        ];
        let test = McNemar::of(right);
        assert_eq!((test.only_first, test.only_second), (1, 2));
        assert!((test.p - 1.0).abs() < 1e-12);
        assert_eq!(McNemar::of([]).p, 1.0);
    }
}
