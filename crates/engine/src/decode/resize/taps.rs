//! What each pixel of a shrunk line is made of.

/// Most pixels of the source that one of the result is made of, for what is computed here.
pub(super) const MAX_TAPS: usize = 6;

/// One direction of a shrinking, in fixed point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AxisKernel {
    /// A weight of 1 is `1 << precision`.
    pub(super) precision: u32,
    /// Weights of pixels that follow one another, in pairs: so many pairs have one that is not 0.
    pub(super) pairs: usize,
    pub(super) taps: Vec<Taps>,
}

/// Of which pixels of the source one of the result is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taps {
    /// The first of them.
    pub(super) start: usize,
    /// Theirs; what follows the last is 0.
    pub(super) weights: [i16; MAX_TAPS],
}

impl AxisKernel {
    /// The weights of a triangle whose half width is the scale, for the first `part` of `from` pixels made to `to`. `None` where one of the
    /// result is made of more than [`MAX_TAPS`], or nothing changes.
    ///
    /// # Source
    ///
    /// Pillow's resampling in 8 bits: weights normalised in double precision, then rounded to 16 bits with as many binary places as the
    /// largest of them leaves. Every operation is that of fast_image_resize, so that the rounded weights are, too.
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

/// A place before its weights are rounded.
struct ExactTaps {
    start: u32,
    /// One more than [`MAX_TAPS`] and one for each end, where the triangle may reach 0.
    weights: [f64; MAX_TAPS + 2],
}

impl ExactTaps {
    /// That of pixel `index`, of a source of `from` pixels.
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

    /// `None` where more than [`MAX_TAPS`] weights are left.
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

/// The most binary places, up to 21, with which `largest` is below 2^15.
fn precision(largest: f64) -> u32 {
    (0..21)
        .find(|&taps| (largest * f64::from(1u32 << (taps + 1))).round() >= f64::from(1 << 15))
        .unwrap_or(21)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_add_up_to_one_but_for_their_rounding() {
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
    fn enlarging_and_strong_shrinking_are_left_to_others() {
        for (from, to) in [(100, 100), (100, 130), (100, 33), (100, 1)] {
            assert_eq!(AxisKernel::new(from, f64::from(from), to), None, "{from} to {to}");
        }
    }
}
