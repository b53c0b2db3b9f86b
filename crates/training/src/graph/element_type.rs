use std::fmt;

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ElementType {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// bfloat16: the upper half of a single precision number: same range, 8 bits of precision.
    Bf16,
    /// Unsigned byte: pixels.
    U8,
    /// Signed 64-bit integer: labels and indices.
    I64,
    /// Boolean: the result of a comparison.
    Bool,
}

impl fmt::Display for ElementType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::U8 => "u8",
            Self::I64 => "i64",
            Self::Bool => "bool",
        })
    }
}

impl ElementType {
    /// Whether it is a floating-point type.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::Bf16)
    }

    /// Whether it is a floating-point type whose values are all exactly representable in `other`.
    #[must_use]
    pub fn is_within(self, other: Self) -> bool {
        self.is_float() && (self == other || other == Self::F32)
    }

    /// Size of one element in bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::I64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::U8 | Self::Bool => 1,
        }
    }
}
