use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::graph::autocast::Format;

/// Precision of a training step. Parameters, moments and statistics are always in single precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Single precision, with TF32 (11-bit operands) for matrix multiplications and convolutions on devices that support it.
    Tf32,
    /// Mixed precision with bfloat16; see [`autocast`](crate::graph::autocast).
    Bf16,
    /// Mixed precision with IEEE half precision and dynamic loss scaling.
    F16,
}

impl Precision {
    const NAMED: [(&str, Self); 4] = [
        ("f32", Self::F32),
        ("tf32", Self::Tf32),
        ("bf16", Self::Bf16),
        ("f16", Self::F16),
    ];

    /// The 16-bit format of mixed precision, if it is used.
    #[must_use]
    pub fn format(self) -> Option<Format> {
        match self {
            Self::F32 | Self::Tf32 => None,
            Self::Bf16 => Some(Format::Bf16),
            Self::F16 => Some(Format::F16),
        }
    }

    /// Whether the loss is scaled: in half precision, gradients below 6e-8 would underflow. bfloat16 has the range of single precision.
    #[must_use]
    pub fn is_scaled(self) -> bool {
        self == Self::F16
    }

    /// Whether TF32 is enabled. With bfloat16 too: there, the multiplications left in single precision have operands of 8 bits and lose
    /// nothing.
    #[must_use]
    pub fn takes_tf32(self) -> bool {
        matches!(self, Self::Tf32 | Self::Bf16)
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMED.iter().find(|(_, precision)| precision == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

/// The text is not a precision.
#[derive(Debug, thiserror::Error)]
#[error("unknown precision `{0}`: expected f32, tf32, bf16 or f16")]
pub struct UnknownPrecision(String);

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::NAMED.iter().find(|(name, _)| *name == text);
        named
            .map(|&(_, precision)| precision)
            .ok_or_else(|| UnknownPrecision(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precisions_round_trip_as_text_and_json() {
        for (text, precision) in Precision::NAMED {
            assert_eq!(text.parse::<Precision>().expect("a precision"), precision);
            assert_eq!(precision.to_string(), text);
            let json = serde_json::to_string(&precision).expect("plain data");
            assert_eq!(json, format!("\"{text}\""));
        }
        let message = "fp16".parse::<Precision>().expect_err("none").to_string();
        assert!(message.contains("f32, tf32, bf16 or f16"), "{message}");
    }
}
