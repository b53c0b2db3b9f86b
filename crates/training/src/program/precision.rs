use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::graph::autocast::Format;

/// What a training step computes in. Parameters, moments and statistics are in single precision with all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Single precision, but products on operands of 11 bits, where a device has units for these.
    Tf32,
    /// Products, and what is safe after them, in bfloat16.
    Bf16,
    /// The same in half precision, with a loss that is scaled up as far as gradients stay finite.
    F16,
}

impl Precision {
    const NAMED: [(&str, Self); 4] = [
        ("f32", Self::F32),
        ("tf32", Self::Tf32),
        ("bf16", Self::Bf16),
        ("f16", Self::F16),
    ];

    /// The floats of sixteen bits that parts of the step are computed in, where any are.
    #[must_use]
    pub fn format(self) -> Option<Format> {
        match self {
            Self::F32 | Self::Tf32 => None,
            Self::Bf16 => Some(Format::Bf16),
            Self::F16 => Some(Format::F16),
        }
    }

    /// Whether the loss is scaled. Gradients smaller than 6e-8 are nothing in half precision, and many of them are; bfloat16 has the
    /// range of single precision.
    #[must_use]
    pub fn is_scaled(self) -> bool {
        self == Self::F16
    }

    /// Whether single precision may be multiplied in 11 bits. With bfloat16 as well: what is left in single precision there multiplies
    /// numbers of 8 bits, and loses nothing.
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

/// The text names no precision.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no precision: use f32, tf32, bf16 or f16")]
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
    fn precisions_are_read_and_written_alike() {
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
