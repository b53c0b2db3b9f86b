use std::borrow::Cow;

use half::f16;

use crate::graph::{ElementType, Tensor};

/// An array of a batch: elements of one type in row-major order. The program has the shape.
pub trait Array {
    /// The type of the elements.
    fn element_type(&self) -> ElementType;

    /// The elements, little-endian.
    fn bytes(&self) -> Cow<'_, [u8]>;
}

macro_rules! arrays {
    ($($element:ty => $element_type:expr),*) => {$(
        impl Array for &[$element] {
            fn element_type(&self) -> ElementType {
                $element_type
            }

            fn bytes(&self) -> Cow<'_, [u8]> {
                if cfg!(target_endian = "little") {
                    return Cow::Borrowed(bytemuck::cast_slice(self));
                }
                Cow::Owned(self.iter().flat_map(|element| element.to_le_bytes()).collect())
            }
        }

        impl Array for Vec<$element> {
            fn element_type(&self) -> ElementType {
                $element_type
            }

            fn bytes(&self) -> Cow<'_, [u8]> {
                if cfg!(target_endian = "little") {
                    return Cow::Borrowed(bytemuck::cast_slice(self));
                }
                Cow::Owned(self.iter().flat_map(|element| element.to_le_bytes()).collect())
            }
        }
    )*};
}

arrays!(f32 => ElementType::F32, f16 => ElementType::F16, i64 => ElementType::I64, u8 => ElementType::U8);

impl Array for Tensor {
    fn element_type(&self) -> ElementType {
        ElementType::F32
    }

    fn bytes(&self) -> Cow<'_, [u8]> {
        self.data.bytes()
    }
}
