//! Weight gradient of depthwise convolutions.

use super::band::Band;
use super::depthwise::rows_of_band;
use super::planes::Activation;
use super::signed;
use crate::kernels::instructions::{InstructionSet, Kernel};
use crate::kernels::pool::Pool;
use crate::kernels::prologue::Prologue;
use crate::kernels::scratch::{self, Workspace};
use crate::kernels::unsafe_slice::UnsafeSlice;
use crate::kernels::vector::{LANES, Vector};
use crate::kernels::weight_gradient::WeightGradient;

/// Computes the weight gradient of a depthwise convolution.
pub(in crate::kernels) fn depthwise_weight_gradient<S: Prologue>(
    set: InstructionSet,
    pool: &dyn Pool,
    workspace: &mut Workspace,
    gradient: &WeightGradient<'_, S>,
) {
    let &WeightGradient {
        input,
        output,
        window,
        dw,
        ..
    } = gradient;
    // Enough tasks to occupy several cores.
    let slices = (16 / input.blocks).clamp(1, input.images);
    let (taps, length) = (window.taps(), input.channels() * window.taps());
    let sums = workspace.sums.slice(slices * length);
    let work = Sums {
        gradient,
        rows: rows_of_band::<Activation<'_>>(output.columns).min(output.rows),
        slices,
        length,
        sums: UnsafeSlice::new(sums),
    };
    set.run(pool, slices * input.blocks, &work);
    for channel in 0..input.channels() {
        let (block, lane) = (channel / LANES, channel % LANES);
        for tap in 0..taps {
            let mut sum = 0.0;
            for slice in 0..slices {
                sum += sums[slice * length + (block * taps + tap) * LANES + lane];
            }
            // SAFETY: `dw` was found to have the taps of all channels, and the tasks have ended.
            unsafe { *dw.at(channel * taps + tap) = sum };
        }
    }
}

/// Sums per slice of the batch, `[slice][block][tap][16]`.
struct Sums<'a, S> {
    gradient: &'a WeightGradient<'a, S>,
    /// Output rows processed at a time.
    rows: usize,
    slices: usize,
    length: usize,
    sums: UnsafeSlice<'a>,
}

impl<S: Prologue> Kernel for Sums<'_, S> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let &WeightGradient {
            x,
            input,
            prologue,
            dy,
            output,
            window,
            ..
        } = self.gradient;
        let (slice, block) = (number / input.blocks, number % input.blocks);
        let [from, to] = [slice, slice + 1].map(|slice| slice * input.images / self.slices);
        let (step, taps) = (window.stride[1], window.taps());
        let mut band = Band {
            plane: [input.rows, input.columns],
            start: [0, -signed(window.pad[1])],
            rows: (self.rows - 1) * window.stride[0] + window.kernel[0],
            step,
            columns: output.columns + (window.kernel[1] - 1) / step,
        };
        let mut scratch = scratch::acquire();
        let copied = scratch.slice(band.pixels() * LANES).as_mut_ptr();
        let mut is_first = true;
        for image in from..to {
            let plane = image * input.blocks + block;
            for first_row in (0..output.rows).step_by(self.rows) {
                band.start[0] = signed(first_row * window.stride[0]) - signed(window.pad[0]);
                let rows = self.rows.min(output.rows - first_row);
                // SAFETY: the caller guarantees the instruction set and a valid task number. x and dy were found to have all planes, `copied` has
                // room for the band, and the window moves within it. The sums have a vector for each slice, block and tap, and this task alone
                // uses those of its slice and block.
                unsafe {
                    let registers = prologue.block::<V>(block);
                    band.fill::<V, S>(&registers, x.as_ptr().add(plane * input.plane()), copied);
                    let dy = dy
                        .as_ptr()
                        .add(plane * output.plane() + first_row * output.columns * LANES);
                    let sums = self.sums.at(slice * self.length + block * taps * LANES);
                    let windows = Windows {
                        x: copied,
                        x_row: window.stride[0] * band.row() * LANES,
                        dy,
                        extent: [rows, output.columns],
                    };
                    let mut tap = 0;
                    while tap < taps {
                        let mut offsets = [0; MOST_TAPS];
                        for (place, offset) in offsets.iter_mut().enumerate() {
                            let tap = (tap + place).min(taps - 1);
                            *offset = band.at(tap / window.kernel[1], tap % window.kernel[1]) * LANES;
                        }
                        let sums = sums.add(tap * LANES);
                        tap += windows.correlate::<V>(offsets, taps - tap, sums, is_first);
                    }
                }
                is_first = false;
            }
        }
    }
}

/// Most taps summed at a time, with AVX-512.
const MOST_TAPS: usize = 9;

/// The windows of several rows of pixels.
struct Windows {
    /// The band.
    x: *const f32,
    /// Stride between rows of windows, in floats.
    x_row: usize,
    dy: *const f32,
    /// Rows and columns of dy.
    extent: [usize; 2],
}

impl Windows {
    /// `sums[tap] (+)= Σ x[pixel + tap] · dy[pixel]` for as many taps as fit into registers, of `left`; returns their number.
    ///
    /// # Safety
    /// As in [`Windows::taps`], for the first `left` offsets.
    #[inline(always)]
    unsafe fn correlate<V: Vector>(
        &self,
        offsets: [usize; MOST_TAPS],
        left: usize,
        sums: *mut f32,
        is_first: bool,
    ) -> usize {
        // SAFETY: the caller guarantees all that `taps` requires, for `left` offsets, of which at most as many are used.
        unsafe {
            match left {
                9 if V::IS_WIDE => self.taps::<V, 9>(offsets, sums, is_first),
                5.. if V::IS_WIDE => self.taps::<V, 5>(offsets, sums, is_first),
                3.. => self.taps::<V, 3>(offsets, sums, is_first),
                _ => self.taps::<V, 1>(offsets, sums, is_first),
            }
        }
    }

    /// Sums `TAPS` taps, and returns their number.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`. Vectors of `extent` can be read at each of the first `TAPS` offsets from x, in rows `x_row` floats
    /// apart, and at `dy`, one behind the other; at `sums` there are `TAPS` vectors that no other task uses.
    #[inline(always)]
    unsafe fn taps<V: Vector, const TAPS: usize>(
        &self,
        offsets: [usize; MOST_TAPS],
        sums: *mut f32,
        is_first: bool,
    ) -> usize {
        // SAFETY: the caller guarantees the instruction set, and vectors of `extent` at the offsets and at dy, and `TAPS` sums.
        unsafe {
            let mut registers = [V::splat(0.0); TAPS];
            if !is_first {
                for (tap, register) in registers.iter_mut().enumerate() {
                    *register = V::load(sums.add(tap * LANES));
                }
            }
            let mut dy = self.dy;
            for row in 0..self.extent[0] {
                let mut x = self.x.add(row * self.x_row);
                for _ in 0..self.extent[1] {
                    let vector = V::load(dy);
                    for (tap, register) in registers.iter_mut().enumerate() {
                        *register = V::load(x.add(offsets[tap])).mul_add(vector, *register);
                    }
                    x = x.add(LANES);
                    dy = dy.add(LANES);
                }
            }
            for (tap, register) in registers.into_iter().enumerate() {
                register.store(sums.add(tap * LANES));
            }
        }
        TAPS
    }
}
