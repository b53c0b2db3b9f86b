//! Direct convolution of images in NCHW layout with few channels: the first layer of a network.

use super::band::Band;
use super::rows::{Computed, Row, height};
use super::{rows_of_band, signed};
use crate::kernels::epilogue::Epilogue;
use crate::kernels::instructions::{InstructionSet, Kernel};
use crate::kernels::partial_sums::{PartialSumTable, reduce};
use crate::kernels::pool::Pool;
use crate::kernels::scratch::{self, Workspace};
use crate::kernels::unsafe_slice::UnsafeSlice;
use crate::kernels::vector::{LANES, Vector};
use crate::kernels::{Extent, Window};

/// Images `[N, C, H, W]` in NCHW layout, and the window.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Images<'a> {
    pub(in crate::kernels) x: &'a [f32],
    pub(in crate::kernels) channels: usize,
    /// H and W.
    pub(in crate::kernels) extent: [usize; 2],
    pub(in crate::kernels) window: Window,
    /// Extent of the output, in NCHWc layout.
    pub(in crate::kernels) output: Extent,
}

impl Images<'_> {
    /// The band of one channel for `rows` output rows; the start row is set by [`Images::fill`].
    fn band(&self, rows: usize) -> Band {
        let (window, step) = (self.window, self.window.stride[1]);
        Band {
            plane: self.extent,
            start: [0, -signed(window.pad[1])],
            rows: (rows - 1) * window.stride[0] + window.kernel[0],
            step,
            columns: self.output.columns + (window.kernel[1] - 1) / step,
        }
    }

    /// Copies the bands of all channels for output rows from `first_row` on.
    fn fill(&self, mut band: Band, image: usize, first_row: usize, to: &mut [f32]) {
        band.start[0] = signed(first_row * self.window.stride[0]) - signed(self.window.pad[0]);
        let plane = self.extent[0] * self.extent[1];
        // Behind the bands, `to` may have room for more.
        let bands = to.chunks_exact_mut(band.pixels()).take(self.channels);
        for (channel, to) in bands.enumerate() {
            let from = (image * self.channels + channel) * plane;
            band.fill_plain(&self.x[from..from + plane], to);
        }
    }

    fn taps(&self) -> usize {
        self.channels * self.window.taps()
    }
}

/// Operands of a forward convolution of images.
pub(in crate::kernels) struct ImageForward<'a, K> {
    pub(in crate::kernels) images: Images<'a>,
    /// `[K, C, R, S]`.
    pub(in crate::kernels) w: &'a [f32],
    pub(in crate::kernels) epilogue: K,
}

/// Computes the convolution; returns the epilogue's sums per channel.
pub(in crate::kernels) fn image_forward<K: Epilogue>(
    set: InstructionSet,
    pool: &dyn Pool,
    workspace: &mut Workspace,
    forward: &ImageForward<'_, K>,
) -> Vec<[f64; 2]> {
    let images = &forward.images;
    let (output, window) = (images.output, images.window);
    let rows = rows_of_band(output.columns).min(output.rows);
    let band = images.band(rows);
    let [kernel_rows, kernel_columns] = window.kernel;
    let mut taps = Vec::with_capacity(images.taps());
    for channel in 0..images.channels {
        for row in 0..kernel_rows {
            for column in 0..kernel_columns {
                taps.push(channel * band.pixels() + band.at(row, column));
            }
        }
    }
    // `[block][tap][16]`.
    let weights = workspace.weights.slice(forward.w.len());
    for (k, kernel) in forward.w.chunks_exact(taps.len()).enumerate() {
        for (tap, &weight) in kernel.iter().enumerate() {
            weights[(k / LANES * taps.len() + tap) * LANES + k % LANES] = weight;
        }
    }
    let bands = output.rows.div_ceil(rows);
    let count = output.images * bands;
    let sums = workspace.sums.slice(K::sums(count, output.blocks));
    let work = Work {
        forward,
        band,
        rows,
        bands,
        taps: &taps,
        weights,
        partial_sums: PartialSumTable::new(UnsafeSlice::new(sums), output.blocks),
    };
    set.run(pool, count, &work);
    reduce(sums, output.blocks)
}

struct Work<'a, K> {
    forward: &'a ImageForward<'a, K>,
    band: Band,
    rows: usize,
    bands: usize,
    taps: &'a [usize],
    weights: &'a [f32],
    partial_sums: PartialSumTable<'a>,
}

impl<K: Epilogue> Kernel for Work<'_, K> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let images = &self.forward.images;
        let (image, first_row) = (number / self.bands, number % self.bands * self.rows);
        let output = images.output;
        let plane = self.rows * output.columns * LANES;
        let mut scratch = scratch::acquire();
        let copied = (images.channels * self.band.pixels()).next_multiple_of(LANES);
        let (copied, results) = scratch.slice(copied + height::<V>() * plane).split_at_mut(copied);
        images.fill(self.band, image, first_row, copied);
        let rows = self.rows.min(output.rows - first_row);
        let mut block = 0;
        while block < output.blocks {
            let height = height::<V>().min(output.blocks - block);
            // SAFETY: the caller guarantees the instruction set and a valid task number. The taps are offsets in the bands of all channels,
            // which `copied` holds; weights has a vector for each block and tap, and `results` room for the rows of `height` blocks. The
            // rows that the epilogue gets are those of this task alone, and so are the partial sums.
            unsafe {
                for row in 0..rows {
                    let band = row * images.window.stride[0] * self.band.row();
                    let row = Row {
                        band: copied.as_ptr().add(band),
                        band_block: 0,
                        blocks: 1,
                        taps: self.taps,
                        weights: self.weights.as_ptr().add(block * self.taps.len() * LANES),
                        count: output.columns,
                        to: results.as_mut_ptr().add(row * output.columns * LANES),
                        step: LANES,
                        plane,
                    };
                    if height == 2 {
                        row.compute::<V, 2, 1>();
                    } else {
                        row.compute::<V, 1, 1>();
                    }
                }
                let computed = Computed {
                    start: results.as_ptr(),
                    plane,
                    count: rows * output.columns,
                };
                for k in 0..height {
                    let offset = image * output.image()
                        + (block + k) * output.plane()
                        + first_row * output.columns * LANES;
                    let partial_sums = computed.put::<V, K>(&self.forward.epilogue, [k, block + k], offset);
                    self.partial_sums.put(number, block + k, partial_sums);
                }
            }
            block += height;
        }
    }
}

/// The gradient of a convolution of images with respect to its weight.
pub(in crate::kernels) struct ImageWeightGradient<'a> {
    pub(in crate::kernels) images: Images<'a>,
    /// `[N, K, H′, W′]` in NCHWc layout.
    pub(in crate::kernels) dy: &'a [f32],
    /// Output, `[K, C, R, S]`.
    pub(in crate::kernels) dw: &'a mut [f32],
}

/// Number of slices of the batch with their own sums.
const SLICES: usize = 16;

/// Computes the weight gradient.
pub(in crate::kernels) fn image_weight_gradient(
    set: InstructionSet,
    pool: &dyn Pool,
    workspace: &mut Workspace,
    gradient: ImageWeightGradient<'_>,
) {
    let ImageWeightGradient { images, dy, dw } = gradient;
    let taps = images.taps();
    let slices = SLICES.min(images.output.images);
    let length = images.output.channels() * taps;
    let sums = workspace.sums.slice(slices * length);
    sums.fill(0.0);
    let work = Sums {
        images,
        dy,
        slices,
        length,
        sums: UnsafeSlice::new(sums),
    };
    set.run(pool, slices, &work);
    for (k, kernel) in dw.chunks_exact_mut(taps).enumerate() {
        for (tap, to) in kernel.iter_mut().enumerate() {
            let at = (k / LANES * taps + tap) * LANES + k % LANES;
            *to = sums.chunks_exact(length).map(|slice| slice[at]).sum();
        }
    }
}

/// Computes sums per slice of the batch, `[slice][block][tap][16]`.
struct Sums<'a> {
    images: Images<'a>,
    dy: &'a [f32],
    slices: usize,
    length: usize,
    sums: UnsafeSlice<'a>,
}

impl Kernel for Sums<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, slice: usize) {
        let images = &self.images;
        let (output, window) = (images.output, images.window);
        let [from, to] = [slice, slice + 1].map(|slice| slice * output.images / self.slices);
        let band = images.band(1);
        let mut scratch = scratch::acquire();
        let copied = scratch.slice(images.channels * band.pixels());
        for image in from..to {
            for row in 0..output.rows {
                images.fill(band, image, row, copied);
                for line in 0..images.channels * window.kernel[0] {
                    let (channel, kernel_row) = (line / window.kernel[0], line % window.kernel[0]);
                    for block in 0..output.blocks {
                        let mut column = 0;
                        while column < window.kernel[1] {
                            let taps = TAPS.min(window.kernel[1] - column);
                            let tap = line * window.kernel[1] + column;
                            let dy = image * output.image()
                                + block * output.plane()
                                + row * output.columns * LANES;
                            let sums = slice * self.length + (block * images.taps() + tap) * LANES;
                            // SAFETY: the caller guarantees the instruction set and a valid slice. `copied` holds the bands of all
                            // channels, the window was moved within them, and `dy` has all rows of the output. The sums have a vector for
                            // each block and tap, and this task alone uses those of its slice.
                            unsafe {
                                let tap_row = TapRow {
                                    x: copied.as_ptr().add(channel * band.pixels()),
                                    at: column_places(band, kernel_row, column),
                                    dy: self.dy.as_ptr().add(dy),
                                    count: output.columns,
                                };
                                tap_row.add::<V>(taps, self.sums.at(sums));
                            }
                            column += taps;
                        }
                    }
                }
            }
        }
    }
}

/// Taps of a kernel row that are summed at a time.
const TAPS: usize = 7;

/// Offsets of the pixels of consecutive taps in a band.
fn column_places(band: Band, row: usize, column: usize) -> [usize; TAPS] {
    let mut places = [0; TAPS];
    for (tap, place) in places.iter_mut().enumerate() {
        *place = band.at(row, column + tap);
    }
    places
}

/// Band pixels of several taps of a kernel row, and the output pixels that they belong to.
#[derive(Clone, Copy)]
struct TapRow {
    x: *const f32,
    at: [usize; TAPS],
    dy: *const f32,
    count: usize,
}

impl TapRow {
    /// `sums[tap] += Σ x[tap][pixel] · dy[pixel]`.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`, and `taps` is 1 to [`TAPS`]. `count` floats can be read from each of the first `taps` places
    /// on, and `count` vectors at `dy`; at `sums` there are `taps` vectors that no other task uses.
    #[inline(always)]
    unsafe fn add<V: Vector>(&self, taps: usize, sums: *mut f32) {
        // SAFETY: the caller guarantees all that `add_taps` requires, for `taps` taps.
        unsafe {
            match taps {
                1 => self.add_taps::<V, 1>(sums),
                2 => self.add_taps::<V, 2>(sums),
                3 => self.add_taps::<V, 3>(sums),
                4 => self.add_taps::<V, 4>(sums),
                5 => self.add_taps::<V, 5>(sums),
                6 => self.add_taps::<V, 6>(sums),
                _ => self.add_taps::<V, 7>(sums),
            }
        }
    }

    /// # Safety
    /// As in [`TapRow::add`], for `COUNT` taps.
    #[inline(always)]
    unsafe fn add_taps<V: Vector, const COUNT: usize>(&self, sums: *mut f32) {
        // SAFETY: the caller guarantees the instruction set, `COUNT` vectors of sums, and `count` pixels of dy and behind each of the `COUNT`
        // places that are used.
        unsafe {
            let mut registers = [V::splat(0.0); COUNT];
            for (tap, register) in registers.iter_mut().enumerate() {
                *register = V::load(sums.add(tap * LANES));
            }
            for pixel in 0..self.count {
                let dy = V::load(self.dy.add(pixel * LANES));
                for (tap, register) in registers.iter_mut().enumerate() {
                    let x = V::splat(*self.x.add(self.at[tap] + pixel));
                    *register = x.mul_add(dy, *register);
                }
            }
            for (tap, register) in registers.into_iter().enumerate() {
                register.store(sums.add(tap * LANES));
            }
        }
    }
}
