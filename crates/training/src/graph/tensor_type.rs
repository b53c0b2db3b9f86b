use std::fmt;

use super::{ElementType, Shape};

/// Static type of a value: element type and shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// The element type.
    pub element_type: ElementType,
    /// The shape.
    pub shape: Shape,
}

impl TensorType {
    /// A tensor type.
    pub fn new(element_type: ElementType, shape: impl Into<Shape>) -> Self {
        Self {
            element_type,
            shape: shape.into(),
        }
    }

    /// The type of a float tensor.
    pub fn f32(shape: impl Into<Shape>) -> Self {
        Self::new(ElementType::F32, shape)
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.element_type, self.shape)
    }
}
