//! Forward convolutions.

use super::band::Band;
use super::convolve::{Phase, TiledConv, rows_of_task};
use super::planes::Expansion;
use super::weights::Packed;
use super::{depthwise, signed};
use crate::kernels::epilogue::Epilogue;
use crate::kernels::instructions::InstructionSet;
use crate::kernels::pool::Pool;
use crate::kernels::prologue::Prologue;
use crate::kernels::scratch::Workspace;
use crate::kernels::unsafe_slice::UnsafeSlice;
use crate::kernels::vector::LANES;
use crate::kernels::{Extent, Window};

/// Operands of a forward convolution.
pub(in crate::kernels) struct Forward<'a, S, K> {
    /// `[N, C, H, W]` in NCHWc layout.
    pub(in crate::kernels) x: &'a [f32],
    pub(in crate::kernels) input: Extent,
    pub(in crate::kernels) prologue: S,
    /// `[K, C, R, S]`, or `[C, 1, R, S]` if depthwise.
    pub(in crate::kernels) w: &'a [f32],
    pub(in crate::kernels) window: Window,
    pub(in crate::kernels) is_depthwise: bool,
    pub(in crate::kernels) output: Extent,
    pub(in crate::kernels) epilogue: K,
}

/// Computes a convolution; returns the epilogue's sums per channel.
pub(in crate::kernels) fn forward<S: Prologue, K: Epilogue>(
    set: InstructionSet,
    pool: &dyn Pool,
    workspace: &mut Workspace,
    forward: &Forward<'_, S, K>,
) -> Vec<[f64; 2]> {
    let rows = rows_of_task(forward.is_depthwise, forward.output.columns);
    let weights = workspace.weights.slice(forward.w.len());
    let conv = forward.tiled((set, pool), rows, weights);
    conv.run(set, pool, &mut workspace.sums)
}

/// Computes a depthwise convolution of a 1×1 convolution `[C, C′, 1, 1]` of x, which has C′ channels; returns the epilogue's sums per channel.
pub(in crate::kernels) fn expanded_forward<S: Prologue, K: Epilogue>(
    set: InstructionSet,
    pool: &dyn Pool,
    workspace: &mut Workspace,
    (forward, expansion): (&Forward<'_, S, K>, &[f32]),
) -> Vec<[f64; 2]> {
    let (input, x) = (forward.input, forward.x);
    let blocks = expansion.len() / input.channels() / LANES;
    let weights = workspace.weights.slice(expansion.len() + forward.w.len());
    let (expanding, weights) = weights.split_at_mut(expansion.len());
    Packed {
        w: expansion,
        blocks: [input.blocks, blocks],
        is_backward: false,
        is_depthwise: false,
        all: 1,
        taps: &[0],
        to: UnsafeSlice::new(expanding),
    }
    .fill(set, pool);
    let planes = Expansion {
        x,
        extent: Extent { blocks, ..input },
        weights: expanding,
    };
    let rows = depthwise::rows_of_band::<Expansion<'_>>(forward.output.columns);
    let conv = forward.tiled((set, pool), rows, weights);
    conv.run_depthwise((set, pool), &mut workspace.sums, planes)
}

impl<S: Prologue, K: Epilogue> Forward<'_, S, K> {
    /// The convolution in tasks or bands of so many rows, if there are as many; packs the weight.
    fn tiled<'a>(
        &'a self,
        (set, pool): (InstructionSet, &dyn Pool),
        rows: usize,
        weights: &'a mut [f32],
    ) -> TiledConv<'a, S, K> {
        let &Forward {
            window,
            input,
            output,
            ..
        } = self;
        let [kernel_rows, kernel_columns] = window.kernel;
        let rows = rows.min(output.rows);
        let step = window.stride[1];
        let band = Band {
            plane: [input.rows, input.columns],
            start: [0, -signed(window.pad[1])],
            rows: (rows - 1) * window.stride[0] + kernel_rows,
            step,
            columns: output.columns + (kernel_columns - 1) / step,
        };
        let taps = (0..window.taps()).map(|tap| band.at(tap / kernel_columns, tap % kernel_columns) * LANES);
        let phase = Phase {
            taps: taps.collect(),
            weights: 0,
            start: [0, 0],
            pixels: [output.rows, output.columns],
        };
        let all: Vec<usize> = (0..window.taps()).collect();
        Packed {
            w: self.w,
            blocks: [output.blocks, input.blocks],
            is_backward: false,
            is_depthwise: self.is_depthwise,
            all: all.len(),
            taps: &all,
            to: UnsafeSlice::new(weights),
        }
        .fill(set, pool);
        TiledConv {
            x: self.x,
            input,
            prologue: self.prologue,
            band,
            rows,
            row_step: window.stride[0],
            before: signed(window.pad[0]),
            phases: vec![phase],
            is_depthwise: self.is_depthwise,
            weights,
            output,
            output_step: [1, 1],
            epilogue: self.epilogue,
        }
    }
}
