use thiserror::Error;

use crate::graph::{self, Origin, TensorType};

/// An error of differentiating a graph.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Error {
    /// The loss is not an f32 scalar.
    #[error("cannot differentiate a value of type {found}: the loss must be a scalar, f32[]")]
    NotScalar {
        /// Type of the given loss.
        found: TensorType,
    },
    /// The loss does not depend on a requested value.
    #[error("the loss does not depend on {origin:?}")]
    Unreachable {
        /// Definition of the value.
        origin: Origin,
    },
    /// An operator between the loss and a requested value is not differentiable.
    #[error("cannot differentiate {operator} in `{scope}`: {reason}")]
    Unsupported {
        /// Name of the operator.
        operator: &'static str,
        /// Scope of the node.
        scope: String,
        /// The reason.
        reason: &'static str,
    },
    /// A rule returned a gradient of the wrong type, which is a defect of the rule.
    #[error("the rule of {operator} in `{scope}` returned {found} for an operand of type {expected}")]
    RuleType {
        /// Name of the operator.
        operator: &'static str,
        /// Scope of the node.
        scope: String,
        /// Type of the operand.
        expected: TensorType,
        /// Type of the gradient.
        found: TensorType,
    },
    /// A rule added an invalid node, which is a defect of the rule.
    #[error("cannot wire a gradient")]
    Graph(#[from] graph::Error),
}
