//! im2col: rearranges an image so that a convolution becomes one matrix multiplication.

use super::padding::padded;
use crate::graph::op::{Conv2d, Gemm, Slice};
use crate::graph::{Error, Graph, Shape, Value};

/// Positions of the height and width axes in a layout of four axes.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    rows: usize,
    columns: usize,
}

impl Layout {
    /// Channels second.
    pub(super) const NCHW: Self = Self { rows: 2, columns: 3 };
    /// Channels last.
    pub(super) const NHWC: Self = Self { rows: 1, columns: 2 };

    pub(super) fn spatial(self, [rows, columns]: [usize; 2]) -> Vec<usize> {
        let mut list = vec![0; 4];
        (list[self.rows], list[self.columns]) = (rows, columns);
        list
    }
}

/// A sliding window.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) conv: Conv2d,
    pub(super) kernel: [usize; 2],
    /// Number of positions, `[H′, W′]`.
    pub(super) positions: [usize; 2],
}

impl Window {
    /// The window of a convolution of `x` with `w`.
    pub(super) fn of(g: &Graph, conv: Conv2d, x: Value, w: Value) -> Self {
        let [extent, kernel] = [x, w].map(|value| [g.shape(value)[2], g.shape(value)[3]]);
        let positions = conv.positions(extent, kernel);
        Self {
            conv,
            kernel,
            positions: positions.expect("type inference checked the window"),
        }
    }

    pub(super) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }
}

/// For each kernel tap, in row-major order, the elements of `x` under it at all window positions, with the layout of `x` and extents H′ and
/// W′.
///
/// With a stride, the padded image is first split into its phases (for example every second row and column); each tap's view is a contiguous
/// part of one phase. This makes one strided copy per phase instead of one per tap.
pub(super) fn tap_views(
    g: &mut Graph,
    x: Value,
    layout: Layout,
    window: Window,
) -> Result<Vec<Value>, Error> {
    let Window {
        conv,
        kernel,
        positions,
    } = window;
    let padded = padded(g, x, layout, conv)?;
    let mut phases = vec![None; conv.stride[0] * conv.stride[1]];
    let mut tap_views = Vec::with_capacity(window.taps());
    for tap in (0..kernel[0]).flat_map(|i| (0..kernel[1]).map(move |j| [i, j])) {
        let start = [0, 1].map(|axis| tap[axis] * conv.dilation[axis]);
        let phase = [0, 1].map(|axis| start[axis] % conv.stride[axis]);
        let offset = [0, 1].map(|axis| start[axis] / conv.stride[axis]);
        let slot = phase[0] * conv.stride[1] + phase[1];
        let image = match phases[slot] {
            Some(image) => image,
            None => *phases[slot].insert(part(g, padded, layout, phase, (None, conv.stride))?),
        };
        tap_views.push(part(g, image, layout, offset, (Some(positions), [1, 1]))?);
    }
    Ok(tap_views)
}

/// Slices height and width from `start` with a step; up to the end if `count` is `None`.
fn part(
    g: &mut Graph,
    x: Value,
    layout: Layout,
    start: [usize; 2],
    (count, step): (Option<[usize; 2]>, [usize; 2]),
) -> Result<Value, Error> {
    let shape = g.shape(x).clone();
    let mut slice = Slice::whole(&shape);
    slice.starts = layout.spatial(start);
    for (axis, which) in [(layout.rows, 0), (layout.columns, 1)] {
        slice.steps[axis] = step[which];
        if let Some(count) = count {
            slice.ends[axis] = start[which] + count[which];
        }
    }
    let is_all = slice.starts == [0; 4] && slice.ends == *shape && slice.steps == [1; 4];
    if is_all { Ok(x) } else { g.slice(x, slice) }
}

/// `[N·H′·W′, taps·C]` for `x: [N, C, H, W]`: one row per window position, which holds the channels under the first tap, then the second, …
///
/// Equal calls add equal nodes, which ONNX Runtime's common subexpression elimination merges.
pub(super) fn im2col(g: &mut Graph, x: Value, window: Window, order: Order) -> Result<Value, Error> {
    let (n, c) = (g.shape(x)[0], g.shape(x)[1]);
    let channels_last = g.transpose(x, &[0, 2, 3, 1])?;
    let mut tap_views = tap_views(g, channels_last, Layout::NHWC, window)?;
    if order == Order::Reversed {
        tap_views.reverse();
    }
    let joined = joined(g, 3, &tap_views)?;
    let [rows, columns] = window.positions;
    g.reshape(joined, Shape::from([n * rows * columns, window.taps() * c]))
}

/// Parts concatenated along an axis; one part is returned as it is.
pub(super) fn joined(g: &mut Graph, axis: usize, parts: &[Value]) -> Result<Value, Error> {
    match *parts {
        [only] => Ok(only),
        _ => g.concat(axis, parts),
    }
}

/// Order of the kernel taps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// As in the kernel.
    RowMajor,
    /// As in the flipped kernel.
    Reversed,
}

/// `patches · matrixᵀ` for [`im2col`] patches `[N·H·W, M]` and a weight `[C, M]`, as `[N, C, H, W]`.
pub(super) fn product(
    g: &mut Graph,
    patches: Value,
    matrix: Value,
    n: usize,
    [height, width]: [usize; 2],
) -> Result<Value, Error> {
    let gemm = Gemm {
        transpose_a: false,
        transpose_b: true,
    };
    let rows = g.gemm(patches, matrix, None, gemm)?;
    let c = g.shape(rows)[1];
    let channels_last = g.reshape(rows, Shape::from([n, height, width, c]))?;
    g.transpose(channels_last, &[0, 3, 1, 2])
}
