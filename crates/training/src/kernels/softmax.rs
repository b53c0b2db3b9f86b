//! The gradient of softmax along the last axis, one row after the other.

use super::exec_context::ExecContext;
use super::instructions::Kernel;
use super::unsafe_slice::UnsafeSlice;
use super::vector::{LANES, Vector, load_first, store_first, total};

/// Rows per task.
const ROWS: usize = 32;

/// `dx = y·(dy − Σ dy·y)` for each row of `width` elements.
///
/// # Panics
/// If the lengths differ, or are no multiples of `width`.
pub fn gradient(exec: &ExecContext<'_>, width: usize, [y, dy]: [&[f32]; 2], dx: &mut [f32]) {
    assert!(dy.len() == y.len() && dx.len() == y.len() && y.len().is_multiple_of(width));
    let rows = y.len() / width;
    let work = Gradient {
        y,
        dy,
        width,
        rows,
        dx: UnsafeSlice::new(dx),
    };
    exec.set.run(exec.pool, rows.div_ceil(ROWS), &work);
}

struct Gradient<'a> {
    y: &'a [f32],
    dy: &'a [f32],
    width: usize,
    rows: usize,
    dx: UnsafeSlice<'a>,
}

impl Kernel for Gradient<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        for row in number * ROWS..((number + 1) * ROWS).min(self.rows) {
            let y = &self.y[row * self.width..][..self.width];
            let dy = &self.dy[row * self.width..][..self.width];
            // SAFETY: the caller guarantees the instruction set and that this task alone writes its rows; accesses lie within one row.
            unsafe {
                let mut product = V::splat(0.0);
                for at in (0..self.width).step_by(LANES) {
                    product = load_first::<V>(y, at).mul_add(load_first(dy, at), product);
                }
                let product = V::splat(total(product));
                for at in (0..self.width).step_by(LANES) {
                    let dx = load_first::<V>(y, at).mul(load_first::<V>(dy, at).sub(product));
                    store_first(dx, self.dx.at(row * self.width + at), self.width - at);
                }
            }
        }
    }
}
