use std::{fmt, str::FromStr, time::SystemTime};

/// The use of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Split {
    /// Training.
    Train,
    /// Evaluation during training.
    Valid,
    /// Evaluation after training.
    Test,
}

impl Split {
    /// Every split, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::Train, Self::Valid, Self::Test];

    /// `train`, `valid` or `test`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        }
    }

    /// The split of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|split| split.name() == name)
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Unknown split.
#[derive(Debug, thiserror::Error)]
#[error("unknown split `{0}`: expected train, valid or test")]
pub struct ParseSplitError(String);

impl FromStr for Split {
    type Err = ParseSplitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_name(text).ok_or_else(|| ParseSplitError(text.to_owned()))
    }
}

/// A usable image file. Takes 56 bytes and those of the path; there may be millions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Relative to the root, with `/` between components.
    pub path: Box<str>,
    /// Index into [`Dataset::classes`](super::Dataset::classes).
    pub class: u32,
    /// Its split.
    pub split: Split,
    /// Size of the file when it was scanned.
    pub bytes: u64,
    /// Modification time of the file when it was scanned, to detect later changes; not part of the fingerprint, since a copy of the folders is the
    /// same dataset.
    pub modified: SystemTime,
    /// Width in pixels, from the header, before EXIF orientation is applied.
    pub width: u32,
    /// Height in pixels, likewise.
    pub height: u32,
}

/// A file that is not used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quarantined {
    /// Relative to the root, with `/` between components; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// Reason, as one clause.
    pub reason: String,
}
