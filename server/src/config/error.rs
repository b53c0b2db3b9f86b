//! Usage errors.

use equibatch_engine::augment;

use crate::telemetry;

/// A usage error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An invalid value.
    #[error("{option} {value:?}: {reason}")]
    Value {
        /// The flag, such as `--listen`.
        option: &'static str,
        /// The value as given.
        value: String,
        /// What is accepted.
        reason: &'static str,
    },
    /// An invalid recipe.
    #[error("--recipe")]
    Recipe(#[source] augment::Error),
    /// Two datasets of the same name.
    #[error("--data: two datasets are named {0:?}; give them different names with NAME=DIR")]
    DuplicateName(String),
    /// An invalid log filter.
    #[error(transparent)]
    Log(Box<telemetry::Error>),
    /// `--classes` and `--counts` differ in length.
    #[error("--classes has {classes} names, but --counts has {counts} numbers: give one number per class")]
    Counts {
        /// Number of names.
        classes: usize,
        /// Number of counts.
        counts: usize,
    },
}

impl Error {
    /// The flag at fault.
    #[must_use]
    pub fn option(&self) -> &'static str {
        match self {
            Self::Value { option, .. } => option,
            Self::DuplicateName(_) => "--data",
            Self::Counts { .. } => "--counts",
            Self::Recipe(_) => "--recipe",
            Self::Log(_) => "--log",
        }
    }
}

pub(super) fn invalid(option: &'static str, value: &dyn ToString, reason: &'static str) -> Error {
    Error::Value {
        option,
        value: value.to_string(),
        reason,
    }
}
