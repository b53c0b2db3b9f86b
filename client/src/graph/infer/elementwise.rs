use super::super::error::Refusal;
use super::super::{ElementType, TensorType};
use super::{Operands, Types, broadcast, expect_elements, expect_shape, float};

pub(super) fn arithmetic(operands: &Operands<'_>) -> Types {
    let [left, right] = operands.floats()?;
    float(broadcast(left, right)?)
}

pub(super) fn unary(operands: &Operands<'_>) -> Types {
    let [x] = operands.floats()?;
    float(x.clone())
}

pub(super) fn comparison(operands: &Operands<'_>) -> Types {
    let [left, right] = operands.floats()?;
    Ok(vec![TensorType::new(ElementType::Bool, broadcast(left, right)?)])
}

pub(super) fn select(operands: &Operands<'_>) -> Types {
    let [condition, left, right] = operands.exactly()?;
    expect_elements(0, condition, ElementType::Bool)?;
    expect_elements(1, left, ElementType::F32)?;
    expect_elements(2, right, ElementType::F32)?;
    float(broadcast(
        &condition.shape,
        &broadcast(&left.shape, &right.shape)?,
    )?)
}

pub(super) fn cast(operands: &Operands<'_>, to: ElementType) -> Types {
    let [x] = operands.exactly()?;
    Ok(vec![TensorType::new(to, x.shape.clone())])
}

pub(super) fn sum(operands: &Operands<'_>) -> Types {
    let [first, rest @ ..] = operands.0 else {
        return Err(Refusal::Arity {
            expected: 1,
            found: 0,
        });
    };
    expect_elements(0, first, ElementType::F32)?;
    for (operand, tensor_type) in rest.iter().enumerate() {
        expect_elements(operand + 1, tensor_type, ElementType::F32)?;
        expect_shape(operand + 1, &tensor_type.shape, first.shape.clone())?;
    }
    float(first.shape.clone())
}
