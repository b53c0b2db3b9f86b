//! Upsampling of subsampled components to the size of the image.
//!
//! # Source
//!
//! libjpeg's "fancy upsampling" (triangle filter), and libjpeg-turbo's for factors of 1x2: samples are centred among the pixels that they
//! cover; in each direction, a pixel gets 3/4 of the nearer sample and 1/4 of the farther one. Halves are rounded up and down alternately.

use super::row_ring::RowRing;

/// Upsamples the rows of a component.
#[derive(Debug)]
pub(super) struct Upsampler {
    /// Width and height of the component, in samples.
    size: (usize, usize),
    /// Pixels per sample, horizontally and vertically.
    factors: (usize, usize),
    /// Whether the horizontal triangle filter is applied.
    is_smooth: bool,
    /// Vertically weighted sums of a row, with the first and the last repeated.
    sums: Vec<u16>,
    /// The upsampled row.
    line: Vec<u8>,
}

impl Upsampler {
    /// For an image of `size` pixels, width and height, and `factors` pixels per sample.
    pub(super) fn new(size: (usize, usize), factors: (usize, usize)) -> Self {
        let own = (size.0.div_ceil(factors.0), size.1.div_ceil(factors.1));
        // For components of up to two samples per row, libjpeg replicates instead.
        let is_smooth = matches!(factors, (2, 1 | 2)) && own.0 > 2;
        let is_full_size = factors == (1, 1);
        Self {
            size: own,
            factors,
            is_smooth,
            sums: vec![0; if is_smooth { own.0 + 2 } else { 0 }],
            line: vec![0; if is_full_size { 0 } else { own.0 * factors.0 }],
        }
    }

    /// Computes row `y` of the image.
    #[inline(always)]
    pub(super) fn upsample(&mut self, row_ring: &RowRing, y: usize) {
        let near = y / self.factors.1;
        let row = &row_ring.row(near)[..self.size.0];
        match self.factors {
            (1, 1) => {}
            (1, 2) => {
                let (far, bias) = self.far(y);
                let far = &row_ring.row(far)[..self.size.0];
                for ((pixel, &near), &far) in self.line.iter_mut().zip(row).zip(far) {
                    *pixel = narrow((weighted(near, far) + bias) >> 2);
                }
            }
            (2, 1) if self.is_smooth => {
                for (sum, &near) in self.sums[1..].iter_mut().zip(row) {
                    *sum = near.into();
                }
                self.double::<1, 2, 2>();
            }
            (2, 2) if self.is_smooth => {
                let (far, _) = self.far(y);
                let far = &row_ring.row(far)[..self.size.0];
                for ((sum, &near), &far) in self.sums[1..].iter_mut().zip(row).zip(far) {
                    *sum = weighted(near, far);
                }
                self.double::<8, 7, 4>();
            }
            (across, _) => {
                for (pixels, &sample) in self.line.chunks_exact_mut(across).zip(row) {
                    pixels.fill(sample);
                }
            }
        }
    }

    /// The second nearest row of the component for row `y` of the image, and the rounding bias added before the division by four: halves
    /// are rounded down if that row is above, up if it is below.
    #[inline(always)]
    fn far(&self, y: usize) -> (usize, u16) {
        let near = y / 2;
        if y.is_multiple_of(2) {
            (near.saturating_sub(1), 1)
        } else {
            ((near + 1).min(self.size.1 - 1), 2)
        }
    }

    /// Computes two pixels from each sum and its neighbours, with different rounding biases for left and right.
    #[inline(always)]
    fn double<const LEFT: u16, const RIGHT: u16, const SHIFT: u32>(&mut self) {
        let width = self.size.0;
        self.sums[0] = self.sums[1];
        self.sums[width + 1] = self.sums[width];
        let (before, here, after) = (&self.sums[..width], &self.sums[1..=width], &self.sums[2..]);
        let pixels = self.line.as_chunks_mut::<2>().0;
        for (((pair, &before), &here), &after) in pixels.iter_mut().zip(before).zip(here).zip(after) {
            let near = 3 * here;
            *pair = [
                narrow((near + before + LEFT) >> SHIFT),
                narrow((near + after + RIGHT) >> SHIFT),
            ];
        }
    }

    /// Row `y` of the image, which must be the last one computed.
    #[inline(always)]
    pub(super) fn line<'a>(&'a self, row_ring: &'a RowRing, y: usize) -> &'a [u8] {
        if self.factors == (1, 1) {
            row_ring.row(y)
        } else {
            &self.line
        }
    }
}

#[inline(always)]
fn weighted(near: u8, far: u8) -> u16 {
    3 * u16::from(near) + u16::from(far)
}

#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "a weighted mean of bytes")]
fn narrow(value: u16) -> u8 {
    value as u8
}
