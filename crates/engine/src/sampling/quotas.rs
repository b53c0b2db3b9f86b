//! Draws per class of every epoch, which a schedule changes.

use super::rotation::floor_sum;

/// How often each class is drawn in each epoch, over all batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quotas {
    from: Vec<u64>,
    change: Option<QuotaChange>,
}

/// A change of the draws per class by epoch. The sum of the draws stays the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaChange {
    /// Draws per class from epoch `last` on.
    pub to: Vec<u64>,
    /// Last epoch with the draws of before the change.
    pub first: u64,
    /// First epoch with the draws `to`; after `first`.
    pub last: u64,
}

impl Quotas {
    /// # Panics
    ///
    /// If a change is for another number of classes or of images, or ends before it begins.
    pub(super) fn new(from: Vec<u64>, change: Option<QuotaChange>) -> Self {
        if let Some(change) = &change {
            let sum = |draws: &[u64]| draws.iter().sum::<u64>();
            assert_eq!(
                (from.len(), sum(&from)),
                (change.to.len(), sum(&change.to)),
                "classes and images of an epoch"
            );
            assert!(change.first < change.last, "a change takes at least an epoch");
        }
        Self { from, change }
    }

    /// Draws per class of all epochs, or of those before the change.
    #[must_use]
    pub fn first(&self) -> &[u64] {
        &self.from
    }

    /// How the draws change; `None` if they are the same in all epochs.
    #[must_use]
    pub fn change(&self) -> Option<&QuotaChange> {
        self.change.as_ref()
    }

    /// Draws per class in `epoch`.
    ///
    /// Between the draws `a` and `b` of before and after the change, class `c` is drawn `a_c + floor(D_(c+1) u / m) - floor(D_c u / m)` times, where
    /// `u` of the `m` epochs of the change have passed and `D_c` is the sum of `b_k - a_k` over the classes `k < c`. That is the linear
    /// interpolation, rounded up or down, and adds up to the same sum in each epoch.
    #[must_use]
    pub fn in_epoch(&self, epoch: u64) -> Vec<u64> {
        let Some(change) = &self.change else {
            return self.from.clone();
        };
        let length = i128::from(change.last - change.first);
        let passed = i128::from(epoch.clamp(change.first, change.last) - change.first);
        let mut rise = 0;
        let draws = self.from.iter().zip(&change.to).map(|(&from, &to)| {
            let before = (rise * passed).div_euclid(length);
            rise += i128::from(to) - i128::from(from);
            (i128::from(from) + (rise * passed).div_euclid(length) - before) as u64
        });
        draws.collect()
    }

    /// Draws of each class in all epochs before `epoch`. Takes logarithmic time per class.
    #[must_use]
    pub fn before_epoch(&self, epoch: u64) -> Vec<u128> {
        let constant = self
            .from
            .iter()
            .map(|&draws| u128::from(epoch) * u128::from(draws));
        let Some(change) = &self.change else {
            return constant.collect();
        };
        let mut rise = 0;
        let draws = constant.zip(self.from.iter().zip(&change.to));
        let draws = draws.map(|(constant, (&from, &to))| {
            let before = change.sum_of_rises(rise, epoch);
            rise += i128::from(to) - i128::from(from);
            constant.wrapping_add_signed(change.sum_of_rises(rise, epoch) - before)
        });
        draws.collect()
    }
}

impl QuotaChange {
    /// The sum of `floor(rise u / m)` over the epochs before `epoch`.
    fn sum_of_rises(&self, rise: i128, epoch: u64) -> i128 {
        let length = self.last - self.first;
        let passed = epoch.saturating_sub(self.first);
        let within = passed.min(length);
        let after = i128::from(passed - within) * rise;
        // floor_sum is for slopes that are not negative.
        let (whole, rest) = (
            rise.div_euclid(length.into()),
            rise.rem_euclid(length.into()) as u64,
        );
        let pairs = i128::from(within) * (i128::from(within) - 1) / 2;
        after + whole * pairs + floor_sum(within, length, rest, 0) as i128
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn changes() -> impl Strategy<Value = Quotas> {
        let classes = prop::collection::vec((0_u64..300, 0_u64..300), 1..9);
        (classes, 0_u64..6, 1_u64..40).prop_map(|(classes, first, length)| {
            let (mut from, mut to): (Vec<u64>, Vec<u64>) = classes.into_iter().unzip();
            let [a, b] = [&from, &to].map(|draws| draws.iter().sum::<u64>());
            // A class of its own makes the sums equal.
            from.push(b.saturating_sub(a));
            to.push(a.saturating_sub(b));
            let last = first + length;
            Quotas::new(from, Some(QuotaChange { to, first, last }))
        })
    }

    proptest! {
        #[test]
        fn every_epoch_is_the_interpolation_rounded_up_or_down_and_the_sums_are_exact(quotas in changes(), epochs in 0_u64..60) {
            let change = quotas.change().unwrap();
            let mut before = vec![0_u128; quotas.first().len()];
            for epoch in 0..epochs {
                let draws = quotas.in_epoch(epoch);
                prop_assert_eq!(draws.iter().sum::<u64>(), quotas.first().iter().sum::<u64>());
                prop_assert_eq!(quotas.before_epoch(epoch), before.clone(), "before epoch {}", epoch);
                let passed = epoch.clamp(change.first, change.last) - change.first;
                let share = passed as f64 / (change.last - change.first) as f64;
                for (class, &drawn) in draws.iter().enumerate() {
                    let (from, to) = (quotas.first()[class] as f64, change.to[class] as f64);
                    let exact = from + (to - from) * share;
                    prop_assert!((drawn as f64 - exact).abs() < 1.0, "{} draws for {}", drawn, exact);
                    before[class] += u128::from(drawn);
                }
            }
            prop_assert_eq!(&quotas.in_epoch(change.first)[..], quotas.first());
            prop_assert_eq!(&quotas.in_epoch(change.last), &change.to);
        }
    }
}
