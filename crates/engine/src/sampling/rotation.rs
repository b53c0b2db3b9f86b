//! A low-discrepancy order of `0..len` whose prefixes can be counted in logarithmic time.

/// The sequence `t_s = (stride * s + offset) mod len`, with a stride coprime to `len` and close to its golden section: each of `0..len` occurs
/// once, and any interval of the sequence is distributed about evenly over the range.
#[derive(Clone, Copy, Debug)]
pub struct GoldenRotation {
    len: u64,
    stride: u64,
    offset: u64,
}

impl GoldenRotation {
    /// # Panics
    ///
    /// If `len` is 0 or more than 2^31.
    #[must_use]
    pub fn new(len: u64, offset: u64) -> Self {
        assert!(len > 0 && len <= 1 << 31, "a rotation of {len} elements");
        let golden = (len as f64 * 0.618_033_988_749_895).round().max(1.0) as u64;
        let stride = (0..len)
            .flat_map(|away| [golden.saturating_sub(away), golden + away])
            .find(|&stride| stride > 0 && greatest_common_divisor(stride, len) == 1)
            .expect("1 is coprime to everything");
        Self {
            len,
            stride: stride % len,
            offset: offset % len,
        }
    }

    /// The element at index `step`.
    #[must_use]
    pub fn at(&self, step: u64) -> u64 {
        (self.stride * step + self.offset) % self.len
    }

    /// Number of the first `steps` elements in the arc of `width` elements from `start` on, which may wrap around the end of the range. Takes
    /// logarithmic time.
    ///
    /// # Panics
    ///
    /// If `start` is not below, or `width` above, the length.
    #[must_use]
    pub fn count_in_arc(&self, steps: u64, start: u64, width: u64) -> u64 {
        assert!(
            start < self.len && width <= self.len,
            "arc {start}+{width} of {}",
            self.len
        );
        let end = start + width;
        if end <= self.len {
            self.count_below(steps, end) - self.count_below(steps, start)
        } else {
            steps - (self.count_below(steps, start) - self.count_below(steps, end - self.len))
        }
    }

    /// Number of the first `steps` elements below `bound`.
    ///
    /// With `y = stride * s + offset`, `[y mod len < bound]` is `floor((y + len) / len) - floor((y + len - bound) / len)`.
    fn count_below(&self, steps: u64, bound: u64) -> u64 {
        let sum = |offset| floor_sum(steps, self.len, self.stride, offset);
        u64::try_from(sum(self.offset + self.len) - sum(self.offset + self.len - bound))
            .expect("a count of at most `steps` elements")
    }
}

/// `sum of floor((a i + b) / m) for i in 0..n`, by the Euclidean algorithm.
///
/// # Source
///
/// Graham, Knuth, Patashnik, *Concrete Mathematics*, section 3.5 (sums of floors of arithmetic progressions).
pub(super) fn floor_sum(n: u64, m: u64, a: u64, b: u64) -> u128 {
    let (mut n, mut m, mut a, mut b) = (u128::from(n), u128::from(m), u128::from(a), u128::from(b));
    let mut sum = 0;
    while n > 0 {
        // Adds whole multiples of m; the rest is the number of lattice points below a line of slope under one.
        sum += (n * (n - 1) / 2) * (a / m) + n * (b / m);
        (a, b) = (a % m, b % m);
        let top = a * n + b;
        if top < m {
            break;
        }
        // Counts the same points along the other axis.
        (n, b) = (top / m, top % m);
        (m, a) = (a, m);
    }
    sum
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn floor_sum_equals_the_plain_sum(n in 0_u64..200, m in 1_u64..1_000, a in 0_u64..3_000, b in 0_u64..3_000) {
            let plain: u128 = (0..n).map(|i| u128::from((a * i + b) / m)).sum();
            prop_assert_eq!(floor_sum(n, m, a, b), plain);
        }

        #[test]
        fn count_in_arc_equals_enumeration(len in 1_u64..500, offset: u64, steps in 0_u64..500, start in 0_u64..500, width in 0_u64..500) {
            let rotation = GoldenRotation::new(len, offset);
            let (steps, start, width) = (steps.min(len), start % len, width.min(len));
            let inside = |t: u64| (t + len - start) % len < width;
            let walked = (0..steps).filter(|&step| inside(rotation.at(step))).count() as u64;
            prop_assert_eq!(rotation.count_in_arc(steps, start, width), walked);
        }

        #[test]
        fn every_element_occurs_once(len in 1_u64..2_000, offset: u64) {
            let rotation = GoldenRotation::new(len, offset);
            let mut seen: Vec<u64> = (0..len).map(|step| rotation.at(step)).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..len).collect::<Vec<_>>());
        }
    }

    #[test]
    fn long_rotations_do_not_overflow() {
        let rotation = GoldenRotation::new(1 << 31, u64::MAX);
        assert_eq!(rotation.count_in_arc(1 << 31, 12, 345_678), 345_678);
    }
}
