//! Every n-th batch of a stream.

/// Every `of`-th batch: those whose number over all epochs, modulo `of`, is `index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stride {
    /// At least 1.
    pub of: u32,
    /// Below `of`.
    pub index: u32,
}

impl Stride {
    /// Every batch.
    pub const ALL: Self = Self { of: 1, index: 0 };

    /// The first of these batches at or after `(epoch, step)`, in epochs of `steps` batches.
    #[must_use]
    pub fn first_from(self, (epoch, step): (u64, u64), steps: u64) -> (u64, u64) {
        let (of, steps) = (u128::from(self.of.max(1)), u128::from(steps.max(1)));
        let number = u128::from(epoch) * steps + u128::from(step);
        let found = number + (u128::from(self.index) + of - number % of) % of;
        let epoch = u64::try_from(found / steps).unwrap_or(u64::MAX);
        (epoch, (found % steps) as u64)
    }

    /// The first of these batches after `(epoch, step)`.
    #[must_use]
    pub fn following(self, (epoch, step): (u64, u64), steps: u64) -> (u64, u64) {
        self.first_from((epoch, step + 1), steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_partition_the_batches() {
        let steps = 3;
        for of in 1..=5 {
            let walk = |index| {
                let stride = Stride { of, index };
                std::iter::successors(Some(stride.first_from((0, 1), steps)), move |at| {
                    Some(stride.following(*at, steps))
                })
                .take_while(|at| at.0 < 4)
            };
            let mut shared: Vec<_> = (0..of).flat_map(walk).collect();
            shared.sort_unstable();
            let all: Vec<_> = (1..12).map(|number| (number / 3, number % 3)).collect();
            assert_eq!(shared, all, "{of}");
        }
    }
}
