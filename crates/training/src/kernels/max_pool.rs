//! Max pooling of a rectified batch norm that is computed on the way, so that neither its result nor indices need be kept.

use super::instructions::Kernel;
use super::machine::Machine;
use super::shared::Shared;
use super::source::{Rectified, Source};
use super::totals::{Total, Totals, gathered};
use super::vector::{LANES, Vector};
use super::{Extent, Window};

/// `max(scale · x + shift, 0)` of x in blocks, and the window that slides over it. No window lies beyond the border.
#[derive(Clone, Copy, Debug)]
pub struct Pooled<'a> {
    /// The operand of the batch norm.
    pub x: &'a [f32],
    /// `[2, C]`.
    pub affine: &'a [f32],
    /// Of x.
    pub input: Extent,
    /// The window.
    pub window: Window,
}

impl Pooled<'_> {
    /// The extent of the result.
    #[must_use]
    pub fn output(&self) -> Extent {
        let [rows, columns] = self.window.positions([self.input.rows, self.input.columns]);
        Extent {
            rows,
            columns,
            ..self.input
        }
    }

    fn check(&self) {
        assert_eq!(self.x.len(), self.input.elements());
        assert_eq!(self.affine.len(), 2 * self.input.channels());
        assert!((0..2).all(|axis| self.window.pad[axis] < self.window.kernel[axis]));
    }

    /// First and last pixel, along both axes, of the window at a position.
    #[inline(always)]
    fn seen(&self, position: [usize; 2]) -> [[usize; 2]; 2] {
        let extent = [self.input.rows, self.input.columns];
        let mut seen = [[0; 2]; 2];
        for (axis, seen) in seen.iter_mut().enumerate() {
            let start = position[axis] * self.window.stride[axis];
            *seen = [
                start.saturating_sub(self.window.pad[axis]),
                (start + self.window.kernel[axis] - self.window.pad[axis]).min(extent[axis]),
            ];
        }
        seen
    }

    /// The largest value that a window sees.
    ///
    /// # Safety
    /// The machine has the instructions of `V`; a plane of the input starts at `plane`, and rows and columns come from [`Pooled::seen`].
    #[inline(always)]
    unsafe fn largest<V: Vector>(
        &self,
        registers: &<Rectified<'_> as Source>::Block<V>,
        plane: *const f32,
        [rows, columns]: [[usize; 2]; 2],
    ) -> V {
        // SAFETY: the caller guarantees the instructions and a whole plane; `seen` ends windows at its border, so that every pixel that is
        // read is one of the plane.
        unsafe {
            // Nothing that was rectified is smaller.
            let mut largest = V::splat(0.0);
            for row in rows[0]..rows[1] {
                for column in columns[0]..columns[1] {
                    let at = (row * self.input.columns + column) * LANES;
                    largest = largest.max(Rectified::get::<V>(registers, plane.add(at)));
                }
            }
            largest
        }
    }
}

/// Computes the largest value of each window.
///
/// # Panics
/// Where a length is wrong.
pub fn forward(machine: &Machine<'_>, pooled: &Pooled<'_>, y: &mut [f32]) {
    pooled.check();
    assert_eq!(y.len(), pooled.output().elements());
    let work = Forward {
        pooled,
        output: pooled.output(),
        y: Shared::new(y),
    };
    let tasks = pooled.input.images * pooled.input.blocks;
    machine.set.run(machine.pool, tasks, &work);
}

struct Forward<'a> {
    pooled: &'a Pooled<'a>,
    output: Extent,
    y: Shared<'a>,
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let &Pooled { x, affine, input, .. } = self.pooled;
        // SAFETY: the caller guarantees the instructions and one of as many numbers as there are planes. `forward` found x, affine and y to
        // have all planes and channels; this task alone writes its plane of y, one vector for each window.
        unsafe {
            let registers = Rectified { affine }.block::<V>(number % input.blocks);
            let plane = x.as_ptr().add(number * input.plane());
            let mut to = self.y.at(number * self.output.plane());
            for row in 0..self.output.rows {
                for column in 0..self.output.columns {
                    let seen = self.pooled.seen([row, column]);
                    self.pooled.largest(&registers, plane, seen).store(to);
                    to = to.add(LANES);
                }
            }
        }
    }
}

/// What pooling and rectifier pass back to the result of the batch norm, `g`; returns `Σ g` and `Σ g·(x − mean)` of each channel.
///
/// Of equal values of a window the first one takes all.
///
/// # Panics
/// Where a length is wrong.
pub fn backward(
    machine: &mut Machine<'_>,
    pooled: &Pooled<'_>,
    [dy, mean]: [&[f32]; 2],
    g: &mut [f32],
) -> Vec<[f64; 2]> {
    pooled.check();
    let (input, output) = (pooled.input, pooled.output());
    assert!(dy.len() == output.elements() && g.len() == input.elements() && mean.len() == input.channels());
    let sums = machine
        .workspace
        .sums
        .of(Totals::length(input.images, input.blocks));
    let work = Backward {
        pooled,
        output,
        dy,
        mean,
        g: Shared::new(g),
        totals: Totals::new(Shared::new(sums), input.blocks),
    };
    machine.set.run(machine.pool, input.images * input.blocks, &work);
    gathered(sums, input.blocks)
}

struct Backward<'a> {
    pooled: &'a Pooled<'a>,
    output: Extent,
    dy: &'a [f32],
    mean: &'a [f32],
    g: Shared<'a>,
    totals: Totals<'a>,
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let &Pooled { x, affine, input, .. } = self.pooled;
        let (image, block) = (number / input.blocks, number % input.blocks);
        // SAFETY: the caller guarantees the instructions and one of as many numbers as there are planes. `backward` found x, affine, dy, mean
        // and g to have all planes and channels, and windows end at the border; this task alone uses its plane of g, and writes the totals
        // of its image and block.
        unsafe {
            let registers = Rectified { affine }.block::<V>(block);
            let plane = x.as_ptr().add(number * input.plane());
            let g = self.g.at(number * input.plane());
            for pixel in 0..input.rows * input.columns {
                V::splat(0.0).store(g.add(pixel * LANES));
            }
            let mut dy = self.dy.as_ptr().add(number * self.output.plane());
            for row in 0..self.output.rows {
                for column in 0..self.output.columns {
                    let [rows, columns] = self.pooled.seen([row, column]);
                    let largest = self.pooled.largest::<V>(&registers, plane, [rows, columns]);
                    // What is left to be given away; a largest value of zero was rectified, and passes nothing.
                    let mut left = V::load(dy).where_positive(largest);
                    for row in rows[0]..rows[1] {
                        for column in columns[0]..columns[1] {
                            let at = (row * input.columns + column) * LANES;
                            let value = Rectified::get::<V>(&registers, plane.add(at));
                            let taken = left.where_equal(value, largest);
                            V::load(g.add(at)).add(taken).store(g.add(at));
                            left = left.sub(taken);
                        }
                    }
                    dy = dy.add(LANES);
                }
            }
            let mean = V::load(self.mean.as_ptr().add(block * LANES));
            let mut sums = [V::splat(0.0); 2];
            for pixel in 0..input.rows * input.columns {
                let g = V::load(g.add(pixel * LANES));
                let x = V::load(plane.add(pixel * LANES));
                sums[0] = sums[0].add(g);
                sums[1] = g.mul_add(x.sub(mean), sums[1]);
            }
            let shift = None;
            self.totals.put(image, block, Total { sums, shift });
        }
    }
}
