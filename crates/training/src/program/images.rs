use crate::graph::{ElementType, Error, Graph, Value};
use crate::nn::Pixels;

/// Element type and layout of a program's image input.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Images {
    /// Normalised floats, `f32[N, 3, S, S]`.
    #[default]
    F32,
    /// Normalised half-precision floats, `f16[N, 3, S, S]`.
    F16,
    /// Bytes, normalised by the first nodes of the program.
    Pixels(Pixels),
}

impl Images {
    /// The element type.
    #[must_use]
    pub fn element_type(self) -> ElementType {
        match self {
            Self::F32 => ElementType::F32,
            Self::F16 => ElementType::F16,
            Self::Pixels(_) => ElementType::U8,
        }
    }

    /// Shape of `count` images of `size` × `size` pixels.
    #[must_use]
    pub fn shape(self, count: usize, size: usize) -> [usize; 4] {
        match self {
            Self::Pixels(Pixels { channels_last, .. }) if channels_last => [count, size, size, 3],
            _ => [count, 3, size, size],
        }
    }

    /// Converts the input to a network's `f32[N, 3, S, S]`.
    pub(super) fn normalised(self, g: &mut Graph, images: Value) -> Result<Value, Error> {
        match self {
            Self::F32 => Ok(images),
            Self::F16 => g.scoped("pixels", |g| g.cast(images, ElementType::F32)),
            Self::Pixels(pixels) => pixels.normalised(g, images),
        }
    }
}
