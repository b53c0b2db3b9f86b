use super::band::Band;
use super::planes::{Activation, Planes};
use super::rows::{Computed, Row, height};
use super::weights::Packed;
use super::{depthwise, rows_of_band, signed};
use crate::kernels::epilogue::Epilogue;
use crate::kernels::instructions::{InstructionSet, Kernel};
use crate::kernels::partial_sums::{PartialSumTable, reduce};
use crate::kernels::pool::Pool;
use crate::kernels::prologue::{Identity, Prologue};
use crate::kernels::scratch::{self, Workspace};
use crate::kernels::unsafe_slice::UnsafeSlice;
use crate::kernels::vector::{LANES, Vector};
use crate::kernels::{Extent, Window};

/// Operands of the gradient of a convolution with respect to its input.
pub(in crate::kernels) struct Backward<'a, K> {
    /// `[N, K, H′, W′]` in NCHWc layout.
    pub(in crate::kernels) dy: &'a [f32],
    pub(in crate::kernels) output: Extent,
    /// `[K, C, R, S]`, or `[C, 1, R, S]` if depthwise.
    pub(in crate::kernels) w: &'a [f32],
    pub(in crate::kernels) window: Window,
    pub(in crate::kernels) is_depthwise: bool,
    pub(in crate::kernels) input: Extent,
    pub(in crate::kernels) epilogue: K,
}

/// Computes the input gradient of a convolution; returns the epilogue's sums per channel.
pub(in crate::kernels) fn backward<K: Epilogue>(
    set: InstructionSet,
    pool: &dyn Pool,
    workspace: &mut Workspace,
    backward: &Backward<'_, K>,
) -> Vec<[f64; 2]> {
    let &Backward {
        window,
        is_depthwise,
        input,
        output,
        ..
    } = backward;
    let tap_offsets = [0, 1].map(|axis| TapOffsets::of(window, axis));
    let most = [0, 1].map(|axis| [input.rows, input.columns][axis].div_ceil(window.stride[axis]));
    let rows = rows_of_task(is_depthwise, most[1]).min(most[0]);
    let band = Band {
        plane: [output.rows, output.columns],
        start: [0, tap_offsets[1].first],
        rows: rows + tap_offsets[0].more(),
        step: 1,
        columns: most[1] + tap_offsets[1].more(),
    };
    let weights = workspace.weights.slice(backward.w.len());
    let mut phases = Vec::new();
    let mut used = 0;
    for a in 0..window.stride[0] {
        for b in 0..window.stride[1] {
            let mut chosen = Vec::new();
            let mut taps = Vec::new();
            for (r, row) in tap_offsets[0].taps(a) {
                for (s, column) in tap_offsets[1].taps(b) {
                    chosen.push(r * window.kernel[1] + s);
                    taps.push(band.at(row, column) * LANES);
                }
            }
            let length = chosen.len() * backward.w.len() / window.taps();
            Packed {
                w: backward.w,
                blocks: [output.blocks, input.blocks],
                is_backward: true,
                is_depthwise,
                all: window.taps(),
                taps: &chosen,
                to: UnsafeSlice::new(&mut weights[used..used + length]),
            }
            .fill(set, pool);
            let pixels = [(input.rows, a, 0), (input.columns, b, 1)]
                .map(|(extent, start, axis)| extent.saturating_sub(start).div_ceil(window.stride[axis]));
            phases.push(Phase {
                taps,
                weights: used,
                start: [a, b],
                pixels,
            });
            used += length;
        }
    }
    let conv = TiledConv {
        x: backward.dy,
        input: output,
        prologue: Identity,
        band,
        rows,
        row_step: 1,
        before: -tap_offsets[0].first,
        phases,
        is_depthwise,
        weights,
        output: input,
        output_step: window.stride,
        epilogue: backward.epilogue,
    };
    conv.run(set, pool, &mut workspace.sums)
}

pub(super) fn rows_of_task(is_depthwise: bool, columns: usize) -> usize {
    if is_depthwise {
        depthwise::rows_of_band::<Activation<'_>>(columns)
    } else {
        rows_of_band(columns)
    }
}

/// Output positions that depend on an input pixel, along one axis: through tap `t`, pixel `stride·i + a` contributes to position
/// `i + (a + pad − t)/stride`, if that is an integer.
struct TapOffsets {
    /// Per tap: the remainder `a` that it applies to, and the offset from `i` to the position.
    distances: Vec<(usize, isize)>,
    first: isize,
    last: isize,
}

impl TapOffsets {
    fn of(window: Window, axis: usize) -> Self {
        let (stride, pad) = (signed(window.stride[axis]), signed(window.pad[axis]));
        let distance = |tap: usize| {
            let remainder = (signed(tap) - pad).rem_euclid(stride);
            (remainder.unsigned_abs(), (remainder + pad - signed(tap)) / stride)
        };
        let distances: Vec<_> = (0..window.kernel[axis]).map(distance).collect();
        let all = || distances.iter().map(|&(_, distance)| distance);
        let (first, last) = (all().min().unwrap_or(0), all().max().unwrap_or(0));
        Self {
            distances,
            first,
            last,
        }
    }

    /// Additional band rows or columns beyond those of the pixels.
    fn more(&self) -> usize {
        (self.last - self.first).unsigned_abs()
    }

    /// The taps of a remainder, each with its offset from the band's start.
    fn taps(&self, of: usize) -> impl Iterator<Item = (usize, usize)> {
        let first = self.first;
        let taps = self.distances.iter().enumerate();
        taps.filter(move |&(_, &(remainder, _))| remainder == of)
            .map(move |(tap, &(_, distance))| (tap, (distance - first).unsigned_abs()))
    }
}

/// Output pixels that are summed over the same taps (equal remainder modulo the stride).
pub(super) struct Phase {
    /// Offsets of the taps in the band, in floats.
    pub(super) taps: Vec<usize>,
    /// Offset of its weights.
    pub(super) weights: usize,
    /// First output row and column.
    pub(super) start: [usize; 2],
    /// Number of rows and columns.
    pub(super) pixels: [usize; 2],
}

/// A convolution, split into tasks of several rows each.
pub(super) struct TiledConv<'a, S, K> {
    pub(super) x: &'a [f32],
    pub(super) input: Extent,
    pub(super) prologue: S,
    /// A task's band; the start row is set per task.
    pub(super) band: Band,
    /// Rows of each phase per task.
    pub(super) rows: usize,
    /// Stride between rows of a phase, in rows of the band.
    pub(super) row_step: usize,
    /// Rows of the band before the row of the first pixel.
    pub(super) before: isize,
    pub(super) phases: Vec<Phase>,
    pub(super) is_depthwise: bool,
    pub(super) weights: &'a [f32],
    pub(super) output: Extent,
    /// Stride between pixels of a phase in the output.
    pub(super) output_step: [usize; 2],
    pub(super) epilogue: K,
}

struct Work<'a, S, K> {
    conv: &'a TiledConv<'a, S, K>,
    /// Tasks per image.
    bands: usize,
    partial_sums: PartialSumTable<'a>,
}

impl<S: Prologue, K: Epilogue> TiledConv<'_, S, K> {
    pub(super) fn run(
        &self,
        set: InstructionSet,
        pool: &dyn Pool,
        sums: &mut scratch::AlignedBuffer,
    ) -> Vec<[f64; 2]> {
        if self.is_depthwise {
            let planes = Activation {
                x: self.x,
                extent: self.input,
            };
            return self.run_depthwise((set, pool), sums, planes);
        }
        let bands = self.bands();
        let count = self.output.images * bands;
        let sums = sums.slice(K::sums(count, self.output.blocks));
        let partial_sums = PartialSumTable::new(UnsafeSlice::new(sums), self.output.blocks);
        let work = Work {
            conv: self,
            bands,
            partial_sums,
        };
        set.run(pool, count, &work);
        reduce(sums, self.output.blocks)
    }

    pub(super) fn run_depthwise(
        &self,
        (set, pool): (InstructionSet, &dyn Pool),
        sums: &mut scratch::AlignedBuffer,
        planes: impl Planes,
    ) -> Vec<[f64; 2]> {
        let bands = self.bands();
        let sums = sums.slice(K::sums(self.output.images * bands, self.output.blocks));
        let partial_sums = PartialSumTable::new(UnsafeSlice::new(sums), self.output.blocks);
        depthwise::run(set, pool, (self, planes), (bands, partial_sums));
        reduce(sums, self.output.blocks)
    }

    /// Tasks or bands per image.
    fn bands(&self) -> usize {
        let rows = self.phases.iter().map(|phase| phase.pixels[0]).max().unwrap_or(0);
        rows.div_ceil(self.rows)
    }
}

impl<S: Prologue, K: Epilogue> Kernel for Work<'_, S, K> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let conv = self.conv;
        let (image, first_row) = (number / self.bands, number % self.bands * conv.rows);
        let mut band = conv.band;
        band.start[0] = signed(first_row * conv.row_step) - conv.before;
        let band_block = band.pixels() * LANES;
        let results = height::<V>() * conv.rows * conv.output_step[0] * conv.output.columns * LANES;
        let mut scratch = scratch::acquire();
        let scratch = scratch.slice(conv.input.blocks * band_block + results);
        let (copied, results) = scratch.split_at_mut(conv.input.blocks * band_block);
        let copied = copied.as_mut_ptr();
        // SAFETY: the caller guarantees the instruction set and a valid task number. x was found to have all planes of the input, and the scratch
        // memory is this task's, with room for the bands of all blocks.
        unsafe {
            for block in 0..conv.input.blocks {
                let registers = conv.prologue.block::<V>(block);
                let plane = image * conv.input.image() + block * conv.input.plane();
                let from = conv.x.as_ptr().add(plane);
                band.fill::<V, S>(&registers, from, copied.add(block * band_block));
            }
        }
        let part = RowTask {
            number,
            image,
            first_row,
            band: copied,
            band_block,
            results: results.as_mut_ptr(),
        };
        let mut block = 0;
        while block < conv.output.blocks {
            let height = height::<V>().min(conv.output.blocks - block);
            // SAFETY: the caller guarantees the instruction set; `part` was made above, with all bands filled and room for the results of
            // `height` blocks, and the result has as many blocks from `block` on.
            unsafe {
                if height == 2 {
                    self.blocks::<V, 2>(part, block);
                } else {
                    self.blocks::<V, 1>(part, block);
                }
            }
            block += height;
        }
    }
}

/// Output rows and buffers of a task.
#[derive(Clone, Copy)]
struct RowTask {
    number: usize,
    image: usize,
    first_row: usize,
    band: *const f32,
    band_block: usize,
    /// Room for the output rows of two blocks.
    results: *mut f32,
}

impl<S: Prologue, K: Epilogue> Work<'_, S, K> {
    /// Computes `BLOCKS` output blocks of a task.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`. `part` is that of the running task, its bands are filled, and its results have room for
    /// `BLOCKS` blocks; the result has as many from `block` on.
    #[inline(always)]
    unsafe fn blocks<V: Vector, const BLOCKS: usize>(&self, part: RowTask, block: usize) {
        let conv = self.conv;
        let summed = conv.input.blocks * LANES * LANES;
        let line = conv.output.columns * LANES;
        let plane = conv.rows * conv.output_step[0] * line;
        // SAFETY: the caller guarantees the instruction set, the bands and the room. Taps are offsets in a band, rows of a phase move within
        // it, and weights has those of all phases. The rows that the epilogue gets are those of this task alone, and so are the partial sums.
        unsafe {
            for phase in &conv.phases {
                let weights = phase.weights + block * summed * phase.taps.len();
                let last_row = (part.first_row + conv.rows).min(phase.pixels[0]);
                for row in part.first_row..last_row {
                    let row = row - part.first_row;
                    let band = row * conv.row_step * conv.band.row() * LANES;
                    let to = (phase.start[0] + row * conv.output_step[0]) * line + phase.start[1] * LANES;
                    let row = Row {
                        band: part.band.add(band),
                        band_block: part.band_block,
                        blocks: conv.input.blocks,
                        taps: &phase.taps,
                        weights: conv.weights.as_ptr().add(weights),
                        count: phase.pixels[1],
                        to: part.results.add(to),
                        step: conv.output_step[1] * LANES,
                        plane,
                    };
                    row.compute::<V, BLOCKS, LANES>();
                }
            }
            let first = part.first_row * conv.output_step[0];
            let rows = (conv.rows * conv.output_step[0]).min(conv.output.rows - first);
            let computed = Computed {
                start: part.results,
                plane,
                count: rows * conv.output.columns,
            };
            for k in 0..BLOCKS {
                let plane = part.image * conv.output.image() + (block + k) * conv.output.plane();
                let partial_sums = computed.put::<V, K>(&conv.epilogue, [k, block + k], plane + first * line);
                self.partial_sums.put(part.number, block + k, partial_sums);
            }
        }
    }
}
