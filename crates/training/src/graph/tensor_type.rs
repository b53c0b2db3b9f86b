use std::fmt;

use super::{ElementType, Shape};

/// What is known of a value before anything runs: its elements and its extents.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// What one element is.
    pub element_type: ElementType,
    /// The extents.
    pub shape: Shape,
}

impl TensorType {
    /// The type of a tensor.
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
