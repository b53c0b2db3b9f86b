//! The vector-Jacobian product (VJP) of each operator. Read the table [`vjp`] first.

mod convolution;
mod elementwise;
mod layout;
mod linear;
mod normalize;
mod reduce;

use crate::autodiff::Error;
use crate::autodiff::backward::{Backward, Gradients};
use crate::graph::{Composite, Op};

/// How an operator is differentiated.
pub(super) enum Vjp {
    /// A function from the gradients of the outputs to those of the operands.
    Rule(fn(&mut Backward<'_>) -> Result<Gradients, Error>),
    /// The gradient is zero: the operator is piecewise constant or has integer outputs.
    Zero,
    /// Not differentiable, with the reason.
    NotDifferentiable(&'static str),
}

const FIRST_ORDER: &str = "it is itself a gradient, and only first derivatives are supported";

/// One line per operator, in the order of [`Op`].
pub(super) fn vjp(op: &Op) -> Vjp {
    use Vjp::{NotDifferentiable, Rule, Zero};
    match op {
        Op::Add => Rule(elementwise::add),
        Op::Sub => Rule(elementwise::sub),
        Op::Mul => Rule(elementwise::mul),
        Op::Div => Rule(elementwise::div),
        Op::Neg => Rule(elementwise::neg),
        Op::Reciprocal => Rule(elementwise::reciprocal),
        Op::Sqrt => Rule(elementwise::sqrt),
        Op::Exp => Rule(elementwise::exp),
        Op::Log => Rule(elementwise::log),
        Op::Relu => Rule(elementwise::relu),
        Op::Sigmoid => Rule(elementwise::sigmoid),
        Op::Tanh => Rule(elementwise::tanh),
        Op::Erf => Rule(elementwise::erf),
        Op::Clip(_) => Rule(elementwise::clip),
        Op::Softplus => Rule(elementwise::softplus),
        Op::Greater | Op::Equal | Op::And | Op::Or | Op::Not => Zero,
        Op::Max | Op::Min => Rule(elementwise::extreme),
        Op::Where => Rule(elementwise::select),
        Op::Cast(_) => Rule(elementwise::cast),
        Op::Sum => Rule(elementwise::sum),
        Op::ReduceSum(_) => Rule(reduce::sum),
        Op::ReduceMean(_) => Rule(reduce::mean),
        Op::ReduceSumSquare(_) => Rule(reduce::sum_square),
        Op::ReduceMax(_) => Rule(reduce::max),
        Op::Reshape(_) | Op::Flatten => Rule(layout::reshape),
        Op::Transpose(_) => Rule(layout::transpose),
        Op::Expand(_) => Rule(layout::expand),
        Op::Concat(_) => Rule(layout::concat),
        Op::Split(_) => Rule(layout::split),
        Op::Slice(_) => Rule(layout::slice),
        Op::Gather(_) => Rule(layout::gather),
        Op::Flip(_) => Rule(layout::flip),
        Op::Pad(_) => Rule(layout::pad),
        Op::MatMul => Rule(linear::matmul),
        Op::Gemm(_) => Rule(linear::gemm),
        Op::Conv(_) => Rule(convolution::conv),
        Op::ConvTranspose(_) => Rule(convolution::conv_transpose),
        Op::MaxPool(_) => Rule(convolution::max_pool),
        Op::GlobalAveragePool => Rule(convolution::global_average_pool),
        Op::ScatterElementsAdd => NotDifferentiable("it is used only in gradients"),
        Op::BatchNormalization(_) => Rule(normalize::batch_normalization),
        Op::Softmax => Rule(normalize::softmax),
        Op::LogSoftmax => Rule(normalize::log_softmax),
        Op::OneHot(_) => Zero,
        Op::Composite(composite) => match composite {
            Composite::BatchNorm(_) => Rule(normalize::batch_norm),
            Composite::CrossEntropy => Rule(normalize::cross_entropy),
            Composite::LayerNorm(_) => Rule(normalize::layer_norm),
            Composite::Gelu => Rule(elementwise::gelu),
            Composite::BatchNormGradient(_)
            | Composite::LayerNormGradient(_)
            | Composite::GeluGradient
            | Composite::SoftmaxGradient
            | Composite::ConvInputGradient { .. }
            | Composite::ConvWeightGradient { .. }
            | Composite::MaxPoolGradient(_)
            | Composite::ReluGradient(_) => NotDifferentiable(FIRST_ORDER),
            Composite::AdamW(_) => NotDifferentiable("it is an optimizer update, not part of the model"),
        },
        Op::Fused(_) => NotDifferentiable("differentiate the graph before fusing it"),
    }
}
