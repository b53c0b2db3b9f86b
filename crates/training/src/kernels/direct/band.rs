//! Rows of a plane, zero-padded, with columns grouped by their remainder modulo the stride.

use crate::kernels::vector::{LANES, Vector};

/// The part of a plane that a band holds, in the layout `[row][remainder][column][lanes]`.
#[derive(Clone, Copy)]
pub(super) struct Band {
    /// Rows and columns of the plane.
    pub(super) plane: [usize; 2],
    /// First row and column in the plane; pixels outside the plane are zero.
    pub(super) start: [isize; 2],
    /// Rows of the band.
    pub(super) rows: usize,
    /// Stride between contiguous columns, and number of remainders.
    pub(super) step: usize,
    /// Columns per remainder.
    pub(super) columns: usize,
}

impl Band {
    /// Pixels per row, over all remainders.
    pub(super) fn row(&self) -> usize {
        self.step * self.columns
    }

    /// Pixels of all rows.
    pub(super) fn pixels(&self) -> usize {
        self.rows * self.row()
    }

    /// Index of the pixel at a row and column relative to the start.
    pub(super) fn at(&self, row: usize, column: usize) -> usize {
        row * self.row() + column % self.step * self.columns + column / self.step
    }

    /// Index in the plane of the pixel at a row, remainder and column, if it is inside.
    #[inline(always)]
    fn pixel(&self, [row, remainder, column]: [usize; 3]) -> Option<usize> {
        let row = self.start[0].wrapping_add_unsigned(row) as usize;
        let column = self.start[1].wrapping_add_unsigned(column * self.step + remainder) as usize;
        if row < self.plane[0] && column < self.plane[1] {
            Some(row * self.plane[1] + column)
        } else {
            None
        }
    }

    /// Copies one block of channels, through the prologue.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`; all vectors of a plane can be read at `from`, and at `to` there is room for
    /// [`Band::pixels`] vectors, which no other task uses.
    #[inline(always)]
    pub(super) unsafe fn fill<V: Vector, S: crate::kernels::prologue::Prologue>(
        &self,
        registers: &S::Block<V>,
        from: *const f32,
        mut to: *mut f32,
    ) {
        for row in 0..self.rows {
            for remainder in 0..self.step {
                let [first, last] = self.inside(row, remainder);
                // SAFETY: the caller guarantees the instruction set and the plane; columns from `first` to `last` are inside it, `step` pixels
                // apart. One vector is written for each pixel of the band, for which the caller guarantees room.
                unsafe {
                    for column in 0..first {
                        V::splat(0.0).store(to.add(column * LANES));
                    }
                    if let Some(pixel) = self.pixel([row, remainder, first]) {
                        let mut from = from.add(pixel * LANES);
                        for column in first..last {
                            S::get::<V>(registers, from).store(to.add(column * LANES));
                            from = from.wrapping_add(self.step * LANES);
                        }
                    }
                    for column in last..self.columns {
                        V::splat(0.0).store(to.add(column * LANES));
                    }
                    to = to.add(self.columns * LANES);
                }
            }
        }
    }

    /// First column inside the plane, and the end of these columns, of a row and remainder; equal if there are none.
    #[inline(always)]
    fn inside(&self, row: usize, remainder: usize) -> [usize; 2] {
        let row = self.start[0].wrapping_add_unsigned(row) as usize;
        let start = self.start[1].wrapping_add_unsigned(remainder);
        if row >= self.plane[0] {
            return [0, 0];
        }
        let up_to = |column: isize| {
            let distance = column.wrapping_sub(start).max(0) as usize;
            distance.div_ceil(self.step).min(self.columns)
        };
        [up_to(0), up_to(self.plane[1].cast_signed())]
    }

    /// Copies one channel of an NCHW image.
    pub(super) fn fill_plain(&self, from: &[f32], to: &mut [f32]) {
        for (line, to) in to.chunks_exact_mut(self.columns).enumerate() {
            let (row, remainder) = (line / self.step, line % self.step);
            let [first, last] = self.inside(row, remainder);
            to[..first].fill(0.0);
            to[last..].fill(0.0);
            if let Some(pixel) = self.pixel([row, remainder, first]) {
                let pixels = from[pixel..].iter().step_by(self.step);
                for (to, from) in to[first..last].iter_mut().zip(pixels) {
                    *to = *from;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_equal_remainder_are_contiguous_and_zero_padded() {
        let band = Band {
            plane: [2, 5],
            start: [-1, -1],
            rows: 2,
            step: 2,
            columns: 4,
        };
        let plane: Vec<f32> = (1..=10).map(|number| number as f32).collect();
        let mut copied = vec![9.0; band.pixels()];
        band.fill_plain(&plane, &mut copied);
        let expected = [[0.0; 8], [0.0, 2.0, 4.0, 0.0, 1.0, 3.0, 5.0, 0.0]];
        assert_eq!(copied, expected.concat());
        assert_eq!(copied[band.at(1, 3)], 3.0);
    }
}
