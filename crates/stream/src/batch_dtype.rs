//! The element type of batches.

use std::{fmt, str::FromStr};

use equibatch_proto::v1;
use serde::{Deserialize, Serialize};

/// Element type of batches on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchDtype {
    /// f32, normalised by the server.
    #[default]
    F32,
    /// f16, normalised by the server: half of the bytes.
    F16,
    /// u8 pixels, normalised by the client: a quarter of the bytes.
    U8,
}

impl BatchDtype {
    const NAMED: [(&str, Self); 3] = [("f32", Self::F32), ("f16", Self::F16), ("u8", Self::U8)];

    /// Bytes of one element.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::U8 => 1,
        }
    }

    pub(super) fn to_wire(self) -> v1::ElementType {
        match self {
            Self::F32 => v1::ElementType::F32,
            Self::F16 => v1::ElementType::F16,
            Self::U8 => v1::ElementType::U8,
        }
    }
}

impl fmt::Display for BatchDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMED.iter().find(|(_, wire)| wire == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

/// Unknown element type.
#[derive(Debug, thiserror::Error)]
#[error("unknown element type `{0}`: expected f32, f16 or u8")]
pub struct ParseBatchDtypeError(String);

impl FromStr for BatchDtype {
    type Err = ParseBatchDtypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::NAMED.iter().find(|(name, _)| *name == text);
        named
            .map(|(_, wire)| *wire)
            .ok_or_else(|| ParseBatchDtypeError(text.to_owned()))
    }
}
