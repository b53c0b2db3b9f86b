use super::band::Band;
use super::{rows_of_band, signed};
use crate::kernels::instructions::{InstructionSet, Kernel};
use crate::kernels::pool::Pool;
use crate::kernels::prologue::Prologue;
use crate::kernels::scratch::{self, Workspace};
use crate::kernels::unsafe_slice::UnsafeSlice;
use crate::kernels::vector::{LANES, Vector};
use crate::kernels::weight_gradient::WeightGradient;

/// Computes the weight gradient.
pub(in crate::kernels) fn weight_gradient<S: Prologue>(
    set: InstructionSet,
    pool: &dyn Pool,
    workspace: &mut Workspace,
    gradient: &WeightGradient<'_, S>,
) {
    let &WeightGradient {
        input,
        output,
        window,
        ..
    } = gradient;
    // Enough tasks to occupy several cores; slices with their own sums only if these are small.
    let slices = (16 / input.blocks).clamp(1, input.images);
    let length = output.blocks * input.blocks * window.taps() * LANES * LANES;
    let sums = workspace.sums.slice(slices * length);
    let work = Sums {
        gradient,
        rows: rows_of_band(output.columns).min(output.rows),
        slices,
        length,
        sums: UnsafeSlice::new(sums),
    };
    set.run(pool, slices * input.blocks, &work);
    set.run(pool, output.blocks * input.blocks, &ReduceSlices(&work));
}

/// First pass: sums per slice of the batch, `[slice][block of dy][block of x][tap][channel of x][16]`.
struct Sums<'a, S> {
    gradient: &'a WeightGradient<'a, S>,
    /// Output rows processed at a time.
    rows: usize,
    slices: usize,
    length: usize,
    sums: UnsafeSlice<'a>,
}

impl<S> Sums<'_, S> {
    fn at(&self, slice: usize, result: usize, block: usize) -> usize {
        let WeightGradient { input, window, .. } = self.gradient;
        slice * self.length + (result * input.blocks + block) * window.taps() * LANES * LANES
    }
}

impl<S: Prologue> Kernel for Sums<'_, S> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let &WeightGradient {
            x,
            input,
            prologue,
            output,
            window,
            ..
        } = self.gradient;
        let (slice, block) = (number / input.blocks, number % input.blocks);
        let [from, to] = [slice, slice + 1].map(|slice| slice * input.images / self.slices);
        let step = window.stride[1];
        let mut scratch = scratch::acquire();
        let mut is_first = true;
        for image in from..to {
            let plane = image * input.image() + block * input.plane();
            let mut first_row = 0;
            while first_row < output.rows {
                let rows = self.rows.min(output.rows - first_row);
                let band = Band {
                    plane: [input.rows, input.columns],
                    start: [
                        signed(first_row * window.stride[0]) - signed(window.pad[0]),
                        -signed(window.pad[1]),
                    ],
                    rows: (rows - 1) * window.stride[0] + window.kernel[0],
                    step,
                    columns: output.columns + (window.kernel[1] - 1) / step,
                };
                let copied = scratch.slice(band.pixels() * LANES).as_mut_ptr();
                // SAFETY: the caller guarantees the instruction set and a valid task number. x and dy were found to have all planes, `copied` has
                // room for the band, and the window moves within it. The sums have sixteen vectors for each slice, pair of blocks and tap,
                // and this task alone uses those of its slice and block of x.
                unsafe {
                    let registers = prologue.block::<V>(block);
                    band.fill::<V, S>(&registers, x.as_ptr().add(plane), copied);
                    for result in 0..output.blocks {
                        let dy = image * output.image() + result * output.plane();
                        let dy = dy + first_row * output.columns * LANES;
                        let sums = self.sums.at(self.at(slice, result, block));
                        for tap in 0..window.taps() {
                            let (row, column) = (tap / window.kernel[1], tap % window.kernel[1]);
                            let tap_window = TapWindow {
                                x: copied.add(band.at(row, column) * LANES),
                                x_row: window.stride[0] * band.row() * LANES,
                                dy: self.gradient.dy.as_ptr().add(dy),
                                extent: [rows, output.columns],
                            };
                            tap_window.correlate::<V>(sums.add(tap * LANES * LANES), is_first);
                        }
                    }
                }
                is_first = false;
                first_row += rows;
            }
        }
    }
}

/// Band pixels of one tap, and the output pixels that they belong to.
#[derive(Clone, Copy)]
struct TapWindow {
    x: *const f32,
    /// Stride between rows, in floats.
    x_row: usize,
    dy: *const f32,
    /// Rows and columns of dy.
    extent: [usize; 2],
}

impl TapWindow {
    /// `sums[c] (+)= Σ x[pixel][c] · dy[pixel]`, a vector over the channels of dy for each channel of x.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`. Vectors of `extent` can be read at `x`, in rows that start `x_row` floats apart, and at `dy`,
    /// one behind the other; at `sums` there are sixteen vectors that no other task uses.
    #[inline(always)]
    unsafe fn correlate<V: Vector>(&self, sums: *mut f32, is_first: bool) {
        // SAFETY: the caller guarantees all that `channels` requires, and no channel is beyond the sixteen.
        unsafe {
            if V::IS_WIDE {
                self.channels::<V, 16>(0, sums, is_first);
            } else {
                for c in [0, 4, 8, 12] {
                    self.channels::<V, 4>(c, sums, is_first);
                }
            }
        }
    }

    /// # Safety
    /// As in [`TapWindow::correlate`], and `c + CHANNELS` is at most sixteen.
    #[inline(always)]
    unsafe fn channels<V: Vector, const CHANNELS: usize>(&self, c: usize, sums: *mut f32, is_first: bool) {
        // SAFETY: the caller guarantees the instruction set, sixteen vectors of sums, and vectors of `extent` at x and dy, of which channels
        // `c` to `c + CHANNELS` are used.
        unsafe {
            let sums = sums.add(c * LANES);
            let mut registers = [V::splat(0.0); CHANNELS];
            if !is_first {
                for (c, register) in registers.iter_mut().enumerate() {
                    *register = V::load(sums.add(c * LANES));
                }
            }
            let mut dy = self.dy;
            for row in 0..self.extent[0] {
                let mut x = self.x.add(row * self.x_row + c);
                for _ in 0..self.extent[1] {
                    let vector = V::load(dy);
                    for (c, register) in registers.iter_mut().enumerate() {
                        *register = V::splat(*x.add(c)).mul_add(vector, *register);
                    }
                    x = x.add(LANES);
                    dy = dy.add(LANES);
                }
            }
            for (c, register) in registers.into_iter().enumerate() {
                register.store(sums.add(c * LANES));
            }
        }
    }
}

/// Second pass: adds up the slices, in the layout of the weight.
struct ReduceSlices<'a, S>(&'a Sums<'a, S>);

impl<S: Prologue> Kernel for ReduceSlices<'_, S> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let Self(work) = self;
        let WeightGradient {
            input, window, dw, ..
        } = work.gradient;
        let (result, block) = (number / input.blocks, number % input.blocks);
        let taps = window.taps();
        for k in 0..LANES {
            let to = ((result * LANES + k) * input.blocks + block) * LANES * taps;
            for c in 0..LANES {
                for tap in 0..taps {
                    let mut sum = 0.0;
                    for slice in 0..work.slices {
                        let at = work.at(slice, result, block) + (tap * LANES + c) * LANES + k;
                        // SAFETY: the first pass has ended, so that no task writes sums any more; they have all slices and pairs of blocks.
                        sum += unsafe { *work.sums.at(at) };
                    }
                    // SAFETY: `dw` was found to be as long as the weight, and this task alone uses the kernels of its pair of blocks.
                    unsafe { *dw.at(to + c * taps + tap) = sum };
                }
            }
        }
    }
}
