//! Type and shape inference: an operator's output types from its operand types.

mod composite;
mod convolution;
mod elementwise;
mod fused;
mod layout;
mod linear;
mod normalize;
mod reduce;

use super::error::InferError;
use super::{ElementType, Op, Shape, TensorType};

type Types = Result<Vec<TensorType>, InferError>;

/// The output types of `op` applied to `operands`.
pub(super) fn infer(op: &Op, operands: &[&TensorType]) -> Types {
    let operands = Operands(operands);
    match op {
        Op::Add | Op::Sub | Op::Mul | Op::Div => elementwise::arithmetic(&operands),
        Op::Neg
        | Op::Reciprocal
        | Op::Sqrt
        | Op::Exp
        | Op::Log
        | Op::Relu
        | Op::Sigmoid
        | Op::Tanh
        | Op::Erf
        | Op::Clip(_) => elementwise::unary(&operands),
        Op::Greater => elementwise::comparison(&operands),
        Op::Where => elementwise::select(&operands),
        Op::Cast(to) => elementwise::cast(&operands, *to),
        Op::Sum => elementwise::sum(&operands),
        Op::ReduceSum(reduce) | Op::ReduceMean(reduce) | Op::ReduceSumSquare(reduce) => {
            reduce::reduce(&operands, reduce)
        }
        Op::Reshape(shape) => layout::reshape(&operands, shape),
        Op::Flatten => layout::flatten(&operands),
        Op::Transpose(permutation) => layout::transpose(&operands, permutation),
        Op::Expand(shape) => layout::expand(&operands, shape),
        Op::Concat(axis) => layout::concat(&operands, *axis),
        Op::Slice(slice) => layout::slice(&operands, slice),
        Op::Flip(axes) => layout::flip(&operands, axes),
        Op::Pad(pad) => layout::pad(&operands, pad),
        Op::MatMul => linear::matmul(&operands),
        Op::Gemm(gemm) => linear::gemm(&operands, *gemm),
        Op::Conv(conv) => convolution::conv(&operands, *conv),
        Op::ConvTranspose(conv) => convolution::conv_transpose(&operands, *conv),
        Op::MaxPool(pool) => convolution::max_pool(&operands, *pool),
        Op::GlobalAveragePool => convolution::global_average_pool(&operands),
        Op::ScatterElementsAdd => layout::scatter(&operands),
        Op::BatchNormalization(_) => normalize::batch_normalization(&operands),
        Op::Softmax | Op::LogSoftmax => normalize::softmax(&operands),
        Op::OneHot(width) => normalize::one_hot(&operands, *width),
        Op::Composite(composite) => composite::infer(&operands, composite),
        Op::Fused(fused) => fused::infer(&operands, fused),
    }
}

/// The operand types of a node, with checks shared by most operators.
struct Operands<'a>(&'a [&'a TensorType]);

impl<'a> Operands<'a> {
    /// Exactly `COUNT` operands.
    fn exactly<const COUNT: usize>(&self) -> Result<[&'a TensorType; COUNT], InferError> {
        self.0.try_into().map_err(|_| InferError::Arity {
            expected: COUNT,
            found: self.0.len(),
        })
    }

    /// The shapes of exactly `COUNT` operands in single precision. Reductions accept no other precision.
    fn floats<const COUNT: usize>(&self) -> Result<[&'a Shape; COUNT], InferError> {
        let types = self.exactly::<COUNT>()?;
        for (operand, tensor_type) in types.iter().enumerate() {
            expect_elements(operand, tensor_type, ElementType::F32)?;
        }
        Ok(types.map(|tensor_type| &tensor_type.shape))
    }

    /// The shapes and the common element type of exactly `COUNT` floating-point operands.
    fn alike<const COUNT: usize>(&self) -> Result<([&'a Shape; COUNT], ElementType), InferError> {
        let types = self.exactly::<COUNT>()?;
        let precision = self.precision(0)?;
        for (operand, tensor_type) in types.iter().enumerate() {
            expect_elements(operand, tensor_type, precision)?;
        }
        Ok((types.map(|tensor_type| &tensor_type.shape), precision))
    }

    /// The element type of an operand, which must be floating-point.
    fn precision(&self, operand: usize) -> Result<ElementType, InferError> {
        let Some(found) = self.0.get(operand).map(|operand| operand.element_type) else {
            return Err(InferError::Arity {
                expected: operand + 1,
                found: self.0.len(),
            });
        };
        if found.is_float() {
            return Ok(found);
        }
        Err(InferError::ElementType {
            operand,
            expected: ElementType::F32,
            found,
        })
    }
}

fn expect_elements(operand: usize, found: &TensorType, expected: ElementType) -> Result<(), InferError> {
    if found.element_type == expected {
        return Ok(());
    }
    Err(InferError::ElementType {
        operand,
        expected,
        found: found.element_type,
    })
}

/// The extents of an operand of rank `RANK`.
fn extents<const RANK: usize>(operand: usize, shape: &Shape) -> Result<[usize; RANK], InferError> {
    (**shape).try_into().map_err(|_| InferError::Rank {
        operand,
        expected: RANK,
        found: shape.len(),
    })
}

fn expect_shape(operand: usize, found: &Shape, expected: impl Into<Shape>) -> Result<(), InferError> {
    let expected = expected.into();
    if *found == expected {
        return Ok(());
    }
    Err(InferError::Shape {
        operand,
        expected,
        found: found.clone(),
    })
}

fn broadcast(left: &Shape, right: &Shape) -> Result<Shape, InferError> {
    left.broadcast(right).ok_or_else(|| InferError::Broadcast {
        left: left.clone(),
        right: right.clone(),
    })
}

/// One output in single precision.
fn float(shape: impl Into<Shape>) -> Types {
    one(ElementType::F32, shape)
}

/// One output.
fn one(element_type: ElementType, shape: impl Into<Shape>) -> Types {
    Ok(vec![TensorType::new(element_type, shape)])
}
