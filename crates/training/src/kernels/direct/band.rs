//! Rows of a plane, padded and sorted by column.

use crate::kernels::vector::{LANES, Vector};

/// Which part of a plane a band holds, and in what order: `[row][remainder][column][lanes]`.
#[derive(Clone, Copy)]
pub(super) struct Band {
    /// Rows and columns of the plane.
    pub(super) plane: [usize; 2],
    /// Row and column of the plane that the band starts with; beyond the border there are zeros.
    pub(super) start: [isize; 2],
    /// Rows of the band.
    pub(super) rows: usize,
    /// Distance between columns that stand side by side, and number of remainders.
    pub(super) step: usize,
    /// Columns of each remainder.
    pub(super) columns: usize,
}

impl Band {
    /// Pixels of a row, all remainders together.
    pub(super) fn row(&self) -> usize {
        self.step * self.columns
    }

    /// Pixels of all rows.
    pub(super) fn pixels(&self) -> usize {
        self.rows * self.row()
    }

    /// Where the pixel stands, of a row and column counted from the start.
    pub(super) fn at(&self, row: usize, column: usize) -> usize {
        row * self.row() + column % self.step * self.columns + column / self.step
    }

    /// The pixel of the plane that stands at a row, remainder and column, if it is inside.
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

    /// Copies one block of channels.
    ///
    /// # Safety
    /// The machine has the instructions of `V`; from `from` on stand all vectors of a plane, and at `to` there is room for
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
                for column in 0..self.columns {
                    // SAFETY: the caller guarantees the instructions and the plane, and `pixel` gives pixels of it only; one vector is
                    // written for each pixel of the band, for which the caller guarantees room.
                    unsafe {
                        let value = match self.pixel([row, remainder, column]) {
                            Some(pixel) => S::get(registers, from.add(pixel * LANES)),
                            None => V::splat(0.0),
                        };
                        value.store(to);
                        to = to.add(LANES);
                    }
                }
            }
        }
    }

    /// Copies one channel of an image.
    pub(super) fn fill_plain(&self, from: &[f32], to: &mut [f32]) {
        let mut to = to.iter_mut();
        for row in 0..self.rows {
            for remainder in 0..self.step {
                for column in 0..self.columns {
                    if let Some(to) = to.next() {
                        *to = self
                            .pixel([row, remainder, column])
                            .map_or(0.0, |pixel| from[pixel]);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_one_remainder_stand_side_by_side_between_zeros() {
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
