//! Lowering: composites are decomposed into standard operators.

mod adamw;
mod algorithm;
mod batch_norm;
mod bf16;
mod conv;
mod conv_input;
mod conv_weight;
mod cross_entropy;
mod gelu;
mod im2col;
mod layer_norm;
mod padding;
mod pool;
mod relu;
mod softmax;

use super::value::Value;
use super::{Composite, Error, Fused, Graph, Op};

/// What computes a program. Of equivalent operators, those are chosen that it computes fastest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kernels {
    /// The standard operators of ONNX Runtime's CPU provider.
    #[default]
    Cpu,
    /// The same, with composites fused into operators of our own domain, which must be registered with the session. These have no half-precision
    /// kernels, so mixed-precision programs are not fused.
    CpuFused,
    /// The standard operators of ONNX Runtime's CUDA provider.
    Cuda,
    /// The same, with gradients of convolutions in single and in IEEE half precision by operators of our own domain, which call cuDNN and must be
    /// registered with the session.
    CudaFused,
}

impl Kernels {
    /// Whether a CUDA device computes the program.
    #[must_use]
    pub fn are_of_cuda(self) -> bool {
        matches!(self, Self::Cuda | Self::CudaFused)
    }
}

/// Replaces every composite by operators of ONNX's default domain, and convolutions by faster equivalents.
/// [`Fused`] operators are kept.
///
/// # Errors
/// Never for a valid graph: a rejected node is a defect of this module.
pub fn lower(graph: &Graph, kernels: Kernels) -> Result<Graph, Error> {
    graph.rewired(|lowered, node, inputs| rewire(lowered, &node.op, inputs, Some(kernels)))
}

/// [`lower`] for a model whose weights are fixed: a runtime prepacks them for its own convolutions, which are kept.
///
/// # Errors
/// Never for a valid graph: a rejected node is a defect of this module.
pub fn lower_inference(graph: &Graph) -> Result<Graph, Error> {
    graph.rewired(|lowered, node, inputs| rewire(lowered, &node.op, inputs, None))
}

/// `kernels`: `None` if the weights are fixed.
fn rewire(g: &mut Graph, op: &Op, inputs: &[Value], kernels: Option<Kernels>) -> Result<Vec<Value>, Error> {
    if let Some(results) = padding::explicit(g, op, inputs, kernels)? {
        return Ok(results);
    }
    let is_inference = kernels.is_none();
    let kernels = kernels.unwrap_or_default();
    match op {
        Op::Conv(conv) if conv.groups == 1 && (!is_inference || bf16::is_of(g, inputs[0])) => {
            conv::decompose(g, inputs, *conv, kernels).map(|y| vec![y])
        }
        // These add no scope of their own: their node's scope is specific enough.
        Op::Composite(composite @ Composite::AdamW(_)) => decompose(g, composite, inputs, kernels),
        Op::Composite(composite @ Composite::ConvInputGradient { conv, .. }) if conv.groups > 1 => {
            decompose(g, composite, inputs, kernels)
        }
        Op::Composite(composite) => g.scoped(composite.name(), |g| decompose(g, composite, inputs, kernels)),
        op => bf16::push(g, op, inputs),
    }
}

fn decompose(
    g: &mut Graph,
    composite: &Composite,
    inputs: &[Value],
    kernels: Kernels,
) -> Result<Vec<Value>, Error> {
    match (composite, inputs) {
        (Composite::BatchNorm(attributes), &[x, scale, bias]) => {
            batch_norm::forward(g, x, scale, bias, *attributes).map(Vec::from)
        }
        (Composite::BatchNormGradient(attributes), &[x, dy, scale, mean, variance]) => {
            let operands = batch_norm::Operands {
                x,
                dy,
                scale,
                mean,
                variance,
            };
            batch_norm::backward(g, &operands, *attributes).map(Vec::from)
        }
        (Composite::LayerNorm(attributes), &[x, scale, bias]) => {
            layer_norm::forward(g, [x, scale, bias], *attributes).map(|y| vec![y])
        }
        (Composite::LayerNormGradient(attributes), &[x, dy, scale]) => {
            layer_norm::backward(g, [x, dy, scale], *attributes).map(Vec::from)
        }
        (Composite::Gelu, &[x]) => gelu::forward(g, x).map(|y| vec![y]),
        (Composite::GeluGradient, &[x, dy]) => gelu::backward(g, x, dy).map(|dx| vec![dx]),
        (Composite::SoftmaxGradient, &[y, dy]) => softmax::gradient(g, y, dy).map(|dx| vec![dx]),
        (Composite::CrossEntropy, &[logits, targets]) => {
            cross_entropy::forward(g, logits, targets).map(|loss| vec![loss])
        }
        (&Composite::ConvInputGradient { conv, extent }, &[_, dy])
            if kernels == Kernels::CudaFused && !bf16::is_of(g, dy) =>
        {
            g.push(Op::Fused(Fused::CudnnInputGradient { conv, extent }), inputs)
        }
        (&Composite::ConvWeightGradient { conv, kernel }, &[_, dy])
            if kernels == Kernels::CudaFused && !bf16::is_of(g, dy) =>
        {
            g.push(Op::Fused(Fused::CudnnWeightGradient { conv, kernel }), inputs)
        }
        (Composite::ConvInputGradient { conv, extent }, &[w, dy]) => {
            conv_input::decompose(g, (w, dy), *conv, *extent, kernels).map(|dx| vec![dx])
        }
        (Composite::ConvWeightGradient { conv, kernel }, &[x, dy]) => {
            conv_weight::decompose(g, (x, dy), *conv, *kernel, kernels).map(|dw| vec![dw])
        }
        (Composite::MaxPoolGradient(shape), &[indices, dy]) => {
            pool::max_pool_gradient(g, indices, dy, shape).map(|dx| vec![dx])
        }
        (&Composite::ReluGradient(relu), &[y, dy]) => relu::gradient(g, y, dy, relu).map(|dx| vec![dx]),
        (Composite::AdamW(attributes), operands) => adamw::decompose(g, operands, *attributes).map(Vec::from),
        _ => unreachable!("type inference checked the number of operands"),
    }
}
