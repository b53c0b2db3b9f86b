use super::Shape;

/// Floats in row-major order, on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The extents.
    pub shape: Shape,
    /// The elements.
    pub data: Vec<f32>,
}

impl Tensor {
    /// A tensor of one repeated number.
    pub fn full(shape: impl Into<Shape>, number: f32) -> Self {
        let shape = shape.into();
        let data = vec![number; shape.elements()];
        Self { shape, data }
    }
}
