use std::fmt;

/// What one element of a tensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ElementType {
    /// IEEE single precision.
    F32,
    /// Signed 64-bit integer: labels and indices.
    I64,
    /// Truth value: the result of a comparison.
    Bool,
}

impl fmt::Display for ElementType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::F32 => "f32",
            Self::I64 => "i64",
            Self::Bool => "bool",
        })
    }
}
