use crate::graph::{ElementType, InferError, Shape, TensorType};

/// The output types of a node.
pub(super) type Types = Result<Vec<TensorType>, InferError>;

/// The operand types of a node, with checks shared by most operators.
pub(super) struct Operands<'a>(pub(super) &'a [&'a TensorType]);

impl<'a> Operands<'a> {
    /// Exactly `COUNT` operands.
    pub(super) fn exactly<const COUNT: usize>(&self) -> Result<[&'a TensorType; COUNT], InferError> {
        self.0.try_into().map_err(|_| InferError::Arity {
            expected: COUNT,
            found: self.0.len(),
        })
    }

    /// The shapes of exactly `COUNT` operands in single precision. Reductions accept no other precision.
    pub(super) fn floats<const COUNT: usize>(&self) -> Result<[&'a Shape; COUNT], InferError> {
        let types = self.exactly::<COUNT>()?;
        for (operand, tensor_type) in types.iter().enumerate() {
            expect_elements(operand, tensor_type, ElementType::F32)?;
        }
        Ok(types.map(|tensor_type| &tensor_type.shape))
    }

    /// The shapes and the common element type of exactly `COUNT` floating-point operands.
    pub(super) fn alike<const COUNT: usize>(&self) -> Result<([&'a Shape; COUNT], ElementType), InferError> {
        let types = self.exactly::<COUNT>()?;
        let precision = self.precision(0)?;
        for (operand, tensor_type) in types.iter().enumerate() {
            expect_elements(operand, tensor_type, precision)?;
        }
        Ok((types.map(|tensor_type| &tensor_type.shape), precision))
    }

    /// The element type of an operand, which must be floating-point.
    pub(super) fn precision(&self, operand: usize) -> Result<ElementType, InferError> {
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

pub(super) fn expect_elements(
    operand: usize,
    found: &TensorType,
    expected: ElementType,
) -> Result<(), InferError> {
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
pub(super) fn extents<const RANK: usize>(operand: usize, shape: &Shape) -> Result<[usize; RANK], InferError> {
    (**shape).try_into().map_err(|_| InferError::Rank {
        operand,
        expected: RANK,
        found: shape.len(),
    })
}

pub(super) fn expect_shape(
    operand: usize,
    found: &Shape,
    expected: impl Into<Shape>,
) -> Result<(), InferError> {
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

pub(super) fn broadcast(left: &Shape, right: &Shape) -> Result<Shape, InferError> {
    left.broadcast(right).ok_or_else(|| InferError::Broadcast {
        left: left.clone(),
        right: right.clone(),
    })
}

/// One output in single precision.
pub(super) fn float(shape: impl Into<Shape>) -> Types {
    one(ElementType::F32, shape)
}

/// One output.
pub(super) fn one(element_type: ElementType, shape: impl Into<Shape>) -> Types {
    Ok(vec![TensorType::new(element_type, shape)])
}
