use thiserror::Error;

use crate::graph::{self, Origin, TensorType};

/// What can go wrong while a graph is differentiated.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Error {
    /// Only a scalar float can be differentiated.
    #[error("cannot differentiate a value of type {found}: only f32[] has a gradient")]
    NotScalar {
        /// The type of what was given as the loss.
        found: TensorType,
    },
    /// The loss does not depend on a wanted value.
    #[error("the loss does not depend on {origin:?}")]
    Unreachable {
        /// What the value is.
        origin: Origin,
    },
    /// An operator on the way has no derivative here, on purpose.
    #[error("cannot differentiate {operator} in `{scope}`: {reason}")]
    Unsupported {
        /// The operator.
        operator: &'static str,
        /// Where it stands.
        scope: String,
        /// Why, and what to use instead.
        reason: &'static str,
    },
    /// A rule returned a gradient of the wrong type: a defect of that rule.
    #[error("the rule of {operator} in `{scope}` returned {found} for an operand of type {expected}")]
    RuleType {
        /// The operator.
        operator: &'static str,
        /// Where it stands.
        scope: String,
        /// The operand's type.
        expected: TensorType,
        /// The gradient's type.
        found: TensorType,
    },
    /// A rule wired something that does not fit: a defect of that rule.
    #[error("cannot wire a gradient")]
    Graph(#[from] graph::Error),
}
