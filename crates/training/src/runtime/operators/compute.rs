//! Calls the kernel of a fused operator.

use super::operand::Operand;
use super::{convolution, normalization, other};
use crate::graph::Fused;
use crate::kernels::{ExecContext, layout};

/// Computes the outputs of an operator from its operands.
pub(super) fn compute(
    fused: &Fused,
    exec: &mut ExecContext<'_>,
    operands: &[Operand<'_>],
    results: &mut [&mut [f32]],
) -> ort::Result<()> {
    match *fused {
        Fused::ToBlocks => other::reorder(layout::to_blocks, exec, operands, results),
        Fused::FromBlocks => other::reorder(layout::from_blocks, exec, operands, results),
        Fused::Conv { conv, input } => convolution::forward((conv, input), exec, operands, results),
        Fused::ExpandedConv { conv, relu } => {
            convolution::expanded_forward((conv, relu), exec, operands, results)
        }
        Fused::ConvInputGradient {
            conv,
            extent,
            epilogue,
        } => convolution::input_gradient((conv, extent, epilogue), exec, operands, results),
        Fused::ConvWeightGradient { conv, kernel, input } => {
            convolution::weight_gradient((conv, kernel, input), exec, operands, results)
        }
        Fused::ScaleShift(norm) => normalization::scale_shift(norm, operands, results),
        Fused::Normalize { shortcut, relu } => {
            normalization::normalize((shortcut, relu), exec, operands, results)
        }
        Fused::GradEpilogue(epilogue) => {
            normalization::apply_grad_epilogue(epilogue, exec, operands, results)
        }
        Fused::BatchNormGradient(norm) => normalization::gradient(norm, exec, operands, results),
        Fused::MaxPool(pool) => other::max_pool(pool, exec, operands, results),
        Fused::MaxPoolGradient(pool) => other::max_pool_gradient(pool, exec, operands, results),
        Fused::LayerNorm(norm) => normalization::layer_norm(norm, exec, operands, results),
        Fused::LayerNormGradient(norm) => normalization::layer_norm_gradient(norm, exec, operands, results),
        Fused::Gelu => other::gelu(exec, operands, results),
        Fused::GeluGradient => other::gelu_gradient(exec, operands, results),
        Fused::SoftmaxGradient => other::softmax_gradient(exec, operands, results),
        Fused::CudnnInputGradient { .. } | Fused::CudnnWeightGradient { .. } => {
            Err(ort::Error::new("operators of cuDNN run on CUDA devices"))
        }
        Fused::AdamW(attributes) => other::adamw(attributes, exec, operands, results),
    }
}
