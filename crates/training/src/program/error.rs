use thiserror::Error;

use crate::graph::Shape;
use crate::{autodiff, graph, nn};

/// An error of compiling a program.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Error {
    /// A field of the specification is invalid.
    #[error("cannot compile a program: {field} is {found}, but must be {expected}")]
    Spec {
        /// The field.
        field: &'static str,
        /// Its value.
        found: usize,
        /// The accepted values.
        expected: &'static str,
    },
    /// A parameter group's regular expression is invalid or matches nothing.
    #[error("parameter group `{pattern}`: {reason}")]
    Group {
        /// The regular expression.
        pattern: String,
        /// Cause.
        reason: String,
    },
    /// The loss reads a value that the model does not have.
    #[error("the loss reads `{name}`, but the model's inputs and outputs are {values:?}")]
    LossValue {
        /// The name.
        name: String,
        /// Names of the model's inputs and outputs.
        values: Vec<String>,
    },
    /// The loss, or a value that it reads, has another shape.
    #[error("the {name} of the training step has shape {found}, expected {expected}")]
    LossShape {
        /// The value.
        name: &'static str,
        /// Its shape.
        found: Shape,
        /// The accepted shape.
        expected: &'static str,
    },
    /// The given state lacks a tensor of the model.
    #[error("the model's state lacks tensor `{name}`")]
    MissingState {
        /// The tensor's name.
        name: String,
    },
    /// An imported network cannot be built.
    #[error(transparent)]
    Network(#[from] nn::import::Error),
    /// The model cannot be built or exported.
    #[error("cannot build the graph")]
    Graph(#[from] graph::Error),
    /// The model cannot be differentiated.
    #[error("cannot differentiate the model")]
    Gradient(#[from] autodiff::Error),
}
