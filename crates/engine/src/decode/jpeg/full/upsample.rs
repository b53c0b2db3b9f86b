//! Components that are sampled less often than others to rows of the image's width.
//!
//! # Source
//!
//! The filters are libjpeg's ("fancy upsampling"), and libjpeg-turbo's where rows alone are doubled: a sample lies in the middle of the
//! pixels that it stands for, and those get three quarters of the nearer sample and a quarter of the farther one, in each direction.
//! Halves are rounded up and down by turns.

use super::row_ring::RowRing;

/// Makes rows of the image's width.
#[derive(Debug)]
pub(super) struct Upsampler {
    /// Samples in a row of the component, and rows.
    size: (usize, usize),
    /// Pixels that a sample stands for, across and down.
    factors: (usize, usize),
    /// Whether neighbours in a row play a part.
    is_smooth: bool,
    /// Sums of near and far rows, with the first and the last one twice.
    sums: Vec<u16>,
    line: Vec<u8>,
}

impl Upsampler {
    /// For an image of `size` pixels, width and height, of whose component a sample stands for so many pixels.
    pub(super) fn new(size: (usize, usize), factors: (usize, usize)) -> Self {
        let own = (size.0.div_ceil(factors.0), size.1.div_ceil(factors.1));
        // libjpeg repeats the samples of the narrowest images.
        let is_smooth = matches!(factors, (2, 1 | 2)) && own.0 > 2;
        let is_as_it_is = factors == (1, 1);
        Self {
            size: own,
            factors,
            is_smooth,
            sums: vec![0; if is_smooth { own.0 + 2 } else { 0 }],
            line: vec![0; if is_as_it_is { 0 } else { own.0 * factors.0 }],
        }
    }

    /// Makes row `y` of the image.
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

    /// The row of the component that is second nearest to row `y` of the image, and what is added before division by four: rows
    /// above are rounded down, rows below up.
    #[inline(always)]
    fn far(&self, y: usize) -> (usize, u16) {
        let near = y / 2;
        if y.is_multiple_of(2) {
            (near.saturating_sub(1), 1)
        } else {
            ((near + 1).min(self.size.1 - 1), 2)
        }
    }

    /// Makes two pixels of each sum and its neighbours, which are added to different biases and divided by a power of two.
    #[inline(always)]
    fn double<const LEFT: u16, const RIGHT: u16, const SHIFT: u32>(&mut self) {
        let width = self.size.0;
        self.sums[0] = self.sums[1];
        self.sums[width + 1] = self.sums[width];
        let (before, here, behind) = (&self.sums[..width], &self.sums[1..=width], &self.sums[2..]);
        let pixels = self.line.as_chunks_mut::<2>().0;
        for (((pair, &before), &here), &behind) in pixels.iter_mut().zip(before).zip(here).zip(behind) {
            let near = 3 * here;
            *pair = [
                narrow((near + before + LEFT) >> SHIFT),
                narrow((near + behind + RIGHT) >> SHIFT),
            ];
        }
    }

    /// Row `y` of the image, which was the last one made.
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
#[allow(clippy::cast_possible_truncation, reason = "weights add up to 1")]
fn narrow(value: u16) -> u8 {
    value as u8
}
