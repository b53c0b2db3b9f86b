use std::borrow::Cow;

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

    /// A tensor of the elements whose little-endian bytes are `bytes`, at any alignment; bytes after the last whole element are ignored.
    pub fn of_bytes(shape: Shape, bytes: &[u8]) -> Self {
        let (elements, _) = bytes.as_chunks();
        Self {
            shape,
            data: elements.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
        }
    }

    /// The elements as little-endian bytes, without a copy where the machine stores them so.
    #[must_use]
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        little_endian(&self.data)
    }
}

/// Little-endian bytes of `data`.
pub(super) fn little_endian(data: &[f32]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        return Cow::Borrowed(bytemuck::cast_slice(data));
    }
    Cow::Owned(data.iter().flat_map(|number| number.to_le_bytes()).collect())
}
