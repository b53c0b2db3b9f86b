use super::Shape;

/// A host tensor of floats in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The shape.
    pub shape: Shape,
    /// The elements.
    pub data: Vec<f32>,
}

impl Tensor {
    /// A tensor filled with one number.
    pub fn full(shape: impl Into<Shape>, number: f32) -> Self {
        let shape = shape.into();
        let data = vec![number; shape.elements()];
        Self { shape, data }
    }
}
