//! Filter weights of each output pixel along one axis.

/// Maximum source pixels per output pixel in the AVX-512 kernel.
pub(super) const MAX_TAPS: usize = 6;

/// The filter weights of one axis, in fixed point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AxisKernel {
    /// A weight of 1 is `1 << precision`.
    pub(super) precision: u32,
    /// Number of pairs of consecutive weights with a nonzero weight, at most.
    pub(super) pairs: usize,
    /// By output pixel.
    pub(super) taps: Vec<Taps>,
}

/// Source pixels and weights of one output pixel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taps {
    /// The first source pixel.
    pub(super) start: usize,
    /// Weights of consecutive source pixels, padded with 0.
    pub(super) weights: [i16; MAX_TAPS],
}

impl AxisKernel {
    /// The weights of a triangle filter whose half width is the scale, for resizing the first `part` of `from` pixels to `to`. `None` if an
    /// output pixel needs more than [`MAX_TAPS`] source pixels or the scale is 1 or less.
    ///
    /// # Source
    ///
    /// Pillow's 8-bit resampling: weights normalised in double precision, then rounded to 16 bits with as many fractional bits as the
    /// largest weight allows. The operations are those of fast_image_resize, so that the rounded weights are equal.
    pub(super) fn new(from: u32, part: f64, to: u32) -> Option<Self> {
        let scale = part / f64::from(to);
        if scale <= 1.0 || scale >= (MAX_TAPS / 2) as f64 {
            return None;
        }
        let exact: Vec<ExactTaps> = (0..to).map(|index| ExactTaps::new(index, scale, from)).collect();
        let all = exact.iter().flat_map(|one| one.weights);
        let precision = precision(all.fold(0.0, f64::max));
        let taps = exact.iter().map(|one| one.rounded(precision));
        let taps = taps.collect::<Option<Vec<Taps>>>()?;
        let used = |one: &Taps| one.weights.iter().rposition(|&weight| weight != 0).unwrap_or(0) + 1;
        let pairs = taps.iter().map(used).max()?.div_ceil(2);
        Some(Self {
            precision,
            pairs,
            taps,
        })
    }
}

/// [`Taps`] before rounding.
struct ExactTaps {
    start: u32,
    /// One more than [`MAX_TAPS`] at each end, where the triangle may be 0.
    weights: [f64; MAX_TAPS + 2],
}

impl ExactTaps {
    /// The weights of output pixel `index`, for a source of `from` pixels.
    fn new(index: u32, scale: f64, from: u32) -> Self {
        let narrowing = 1.0 / scale;
        let centre = (f64::from(index) + 0.5) * scale;
        let first = (centre - scale).floor().max(0.0) as u32;
        let end = (centre + scale).ceil().min(f64::from(from)) as u32;
        let middle = centre - 0.5;
        let triangle = |at: u32| (1.0 - ((f64::from(at) - middle) * narrowing).abs()).max(0.0);
        let start = (first..end).find(|&at| triangle(at) > 0.0).unwrap_or(first);
        let mut weights = [0.0; MAX_TAPS + 2];
        let mut total = 0.0;
        for (weight, at) in weights.iter_mut().zip(start..end) {
            *weight = triangle(at);
            total += *weight;
        }
        for weight in &mut weights {
            *weight /= total;
        }
        Self { start, weights }
    }

    /// `None` if more than [`MAX_TAPS`] weights are not 0.
    fn rounded(&self, precision: u32) -> Option<Taps> {
        let one = f64::from(1u32 << precision);
        let rounded = self.weights.map(|weight| (weight * one).round() as i16);
        let (weights, rest) = rounded.split_at(MAX_TAPS);
        rest.iter().all(|&weight| weight == 0).then(|| Taps {
            start: self.start as usize,
            weights: weights.try_into().expect("as many as were split off"),
        })
    }
}

/// The most fractional bits, up to 21, with which `largest` is below 2^15.
fn precision(largest: f64) -> u32 {
    (0..21)
        .find(|&taps| (largest * f64::from(1u32 << (taps + 1))).round() >= f64::from(1 << 15))
        .unwrap_or(21)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_up_to_rounding() {
        for (from, to) in [(500, 341), (375, 256), (640, 256), (9, 8), (1000, 401)] {
            let axis = AxisKernel::new(from, f64::from(from), to).unwrap();
            assert_eq!(axis.taps.len(), to as usize);
            for one in &axis.taps {
                let total: i32 = one.weights.iter().map(|&weight| i32::from(weight)).sum();
                assert!(
                    (total - (1 << axis.precision)).abs() <= 3,
                    "{from} to {to}: {one:?}"
                );
                let used = one.weights.iter().rposition(|&weight| weight != 0).unwrap() + 1;
                assert!(one.start + used <= from as usize && used <= 2 * axis.pairs);
            }
        }
    }

    #[test]
    fn enlarging_and_strong_downscaling_are_not_supported() {
        for (from, to) in [(100, 100), (100, 130), (100, 33), (100, 1)] {
            assert_eq!(AxisKernel::new(from, f64::from(from), to), None, "{from} to {to}");
        }
    }
}
