//! Max pooling of a batch norm and ReLU that are computed on load: neither their output nor the indices are stored.

use super::exec_context::ExecContext;
use super::instructions::Kernel;
use super::partial_sums::{PartialSumTable, PartialSums, reduce};
use super::prologue::{Prologue, ScaleShiftRelu};
use super::unsafe_slice::UnsafeSlice;
use super::vector::{LANES, Vector};
use super::{Extent, Window};

/// Input of a max pooling: `max(scale · x + shift, 0)` with x in NCHWc layout, and the window. Padding is smaller than the kernel.
#[derive(Clone, Copy, Debug)]
pub struct PoolInput<'a> {
    /// Input of the batch norm.
    pub x: &'a [f32],
    /// Scale and shift, `[2, C]`.
    pub scale_shift: &'a [f32],
    /// Extent of x.
    pub input: Extent,
    /// The window.
    pub window: Window,
}

impl PoolInput<'_> {
    /// Extent of the output.
    #[must_use]
    pub fn output(&self) -> Extent {
        let [rows, columns] = self.window.positions([self.input.rows, self.input.columns]);
        Extent {
            rows,
            columns,
            ..self.input
        }
    }

    fn relu(&self) -> ScaleShiftRelu<'_> {
        ScaleShiftRelu {
            scale_shift: self.scale_shift,
            high: f32::INFINITY,
        }
    }

    fn check(&self) {
        assert_eq!(self.x.len(), self.input.elements());
        assert_eq!(self.scale_shift.len(), 2 * self.input.channels());
        assert!((0..2).all(|axis| self.window.pad[axis] < self.window.kernel[axis]));
    }

    /// Pixel range of the window at an output position, clipped to the plane, per axis.
    #[inline(always)]
    fn window_bounds(&self, position: [usize; 2]) -> [[usize; 2]; 2] {
        let extent = [self.input.rows, self.input.columns];
        let mut window_bounds = [[0; 2]; 2];
        for (axis, window_bounds) in window_bounds.iter_mut().enumerate() {
            let start = position[axis] * self.window.stride[axis];
            *window_bounds = [
                start.saturating_sub(self.window.pad[axis]),
                (start + self.window.kernel[axis] - self.window.pad[axis]).min(extent[axis]),
            ];
        }
        window_bounds
    }

    /// Maximum of a window.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`; a plane of the input starts at `plane`, and rows and columns come from [`PoolInput::window_bounds`].
    #[inline(always)]
    unsafe fn largest<V: Vector>(
        &self,
        registers: &<ScaleShiftRelu<'_> as Prologue>::Block<V>,
        plane: *const f32,
        [rows, columns]: [[usize; 2]; 2],
    ) -> V {
        // SAFETY: the caller guarantees the instruction set and a whole plane; `window_bounds` ends windows at its border, so that every pixel that is
        // read is one of the plane.
        unsafe {
            // The ReLU's outputs are at least zero.
            let mut largest = V::splat(0.0);
            for row in rows[0]..rows[1] {
                for column in columns[0]..columns[1] {
                    let at = (row * self.input.columns + column) * LANES;
                    largest = largest.max(ScaleShiftRelu::get::<V>(registers, plane.add(at)));
                }
            }
            largest
        }
    }
}

/// Computes the maximum of each window.
///
/// # Panics
/// If a length is wrong.
pub fn forward(exec: &ExecContext<'_>, pool_input: &PoolInput<'_>, y: &mut [f32]) {
    pool_input.check();
    assert_eq!(y.len(), pool_input.output().elements());
    let work = Forward {
        pool_input,
        output: pool_input.output(),
        y: UnsafeSlice::new(y),
    };
    let tasks = pool_input.input.images * pool_input.input.blocks;
    exec.set.run(exec.pool, tasks, &work);
}

struct Forward<'a> {
    pool_input: &'a PoolInput<'a>,
    output: Extent,
    y: UnsafeSlice<'a>,
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let &PoolInput { x, input, .. } = self.pool_input;
        // SAFETY: the caller guarantees the instruction set and a number below that of the planes. `forward` found x, scale_shift and y to
        // have all planes and channels; this task alone writes its plane of y, one vector for each window.
        unsafe {
            let registers = self.pool_input.relu().block::<V>(number % input.blocks);
            let plane = x.as_ptr().add(number * input.plane());
            let mut to = self.y.at(number * self.output.plane());
            for row in 0..self.output.rows {
                for column in 0..self.output.columns {
                    let window_bounds = self.pool_input.window_bounds([row, column]);
                    self.pool_input
                        .largest(&registers, plane, window_bounds)
                        .store(to);
                    to = to.add(LANES);
                }
            }
        }
    }
}

/// Gradient `g` of pooling and ReLU with respect to the output of the batch norm; returns `Σ g` and `Σ g·(x − mean)` of each channel.
///
/// The first maximum of a window gets all of its gradient.
///
/// # Panics
/// If a length is wrong.
pub fn backward(
    exec: &mut ExecContext<'_>,
    pool_input: &PoolInput<'_>,
    [dy, mean]: [&[f32]; 2],
    g: &mut [f32],
) -> Vec<[f64; 2]> {
    pool_input.check();
    let (input, output) = (pool_input.input, pool_input.output());
    assert!(dy.len() == output.elements() && g.len() == input.elements() && mean.len() == input.channels());
    let sums = exec
        .workspace
        .sums
        .slice(PartialSumTable::length(input.images, input.blocks));
    let work = Backward {
        pool_input,
        output,
        dy,
        mean,
        g: UnsafeSlice::new(g),
        partial_sums: PartialSumTable::new(UnsafeSlice::new(sums), input.blocks),
    };
    exec.set.run(exec.pool, input.images * input.blocks, &work);
    reduce(sums, input.blocks)
}

struct Backward<'a> {
    pool_input: &'a PoolInput<'a>,
    output: Extent,
    dy: &'a [f32],
    mean: &'a [f32],
    g: UnsafeSlice<'a>,
    partial_sums: PartialSumTable<'a>,
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let &PoolInput { x, input, .. } = self.pool_input;
        let (image, block) = (number / input.blocks, number % input.blocks);
        // SAFETY: the caller guarantees the instruction set and a number below that of the planes. `backward` found x, scale_shift, dy, mean
        // and g to have all planes and channels, and windows end at the border; this task alone uses its plane of g, and writes the partial sums
        // of its image and block.
        unsafe {
            let registers = self.pool_input.relu().block::<V>(block);
            let plane = x.as_ptr().add(number * input.plane());
            let g = self.g.at(number * input.plane());
            for pixel in 0..input.rows * input.columns {
                V::splat(0.0).store(g.add(pixel * LANES));
            }
            let mut dy = self.dy.as_ptr().add(number * self.output.plane());
            for row in 0..self.output.rows {
                for column in 0..self.output.columns {
                    let [rows, columns] = self.pool_input.window_bounds([row, column]);
                    let largest = self.pool_input.largest::<V>(&registers, plane, [rows, columns]);
                    // Zero after the first maximum has taken it, and if the maximum is zero, where the ReLU's gradient is zero.
                    let mut left = V::load(dy).mask_between(largest, V::splat(f32::INFINITY));
                    for row in rows[0]..rows[1] {
                        for column in columns[0]..columns[1] {
                            let at = (row * input.columns + column) * LANES;
                            let value = ScaleShiftRelu::get::<V>(&registers, plane.add(at));
                            let taken = left.mask_equal(value, largest);
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
            self.partial_sums.put(image, block, PartialSums { sums, shift });
        }
    }
}
