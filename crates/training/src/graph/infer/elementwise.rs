use super::super::ElementType;
use super::super::error::InferError;
use super::operands::{Operands, Types, broadcast, expect_elements, expect_shape, one};

pub(super) fn arithmetic(operands: &Operands<'_>) -> Types {
    let ([left, right], precision) = operands.alike()?;
    one(precision, broadcast(left, right)?)
}

pub(super) fn unary(operands: &Operands<'_>) -> Types {
    let ([x], precision) = operands.alike()?;
    one(precision, x.clone())
}

/// Of two operands of one element type other than bool.
pub(super) fn comparison(operands: &Operands<'_>) -> Types {
    let [left, right] = operands.exactly()?;
    if left.element_type == ElementType::Bool {
        expect_elements(0, left, ElementType::F32)?;
    }
    expect_elements(1, right, left.element_type)?;
    one(ElementType::Bool, broadcast(&left.shape, &right.shape)?)
}

pub(super) fn logic(operands: &Operands<'_>) -> Types {
    let [left, right] = operands.exactly()?;
    expect_elements(0, left, ElementType::Bool)?;
    expect_elements(1, right, ElementType::Bool)?;
    one(ElementType::Bool, broadcast(&left.shape, &right.shape)?)
}

pub(super) fn not(operands: &Operands<'_>) -> Types {
    let [x] = operands.exactly()?;
    expect_elements(0, x, ElementType::Bool)?;
    one(ElementType::Bool, x.shape.clone())
}

pub(super) fn select(operands: &Operands<'_>) -> Types {
    let [condition, left, right] = operands.exactly()?;
    expect_elements(0, condition, ElementType::Bool)?;
    let precision = operands.precision(1)?;
    expect_elements(2, right, precision)?;
    let shape = broadcast(&condition.shape, &broadcast(&left.shape, &right.shape)?)?;
    one(precision, shape)
}

pub(super) fn cast(operands: &Operands<'_>, to: ElementType) -> Types {
    let [x] = operands.exactly()?;
    one(to, x.shape.clone())
}

pub(super) fn sum(operands: &Operands<'_>) -> Types {
    let [first, rest @ ..] = operands.0 else {
        return Err(InferError::Arity {
            expected: 1,
            found: 0,
        });
    };
    let precision = operands.precision(0)?;
    for (operand, tensor_type) in rest.iter().enumerate() {
        expect_elements(operand + 1, tensor_type, precision)?;
        expect_shape(operand + 1, &tensor_type.shape, first.shape.clone())?;
    }
    one(precision, first.shape.clone())
}
