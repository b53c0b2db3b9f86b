use thiserror::Error;

use super::export::OPSETS;
use super::{ElementType, Shape};

/// Why an operand list cannot be wired to an operator.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InferError {
    /// Too few or too many operands.
    #[error("takes {expected} operands, not {found}")]
    Arity {
        /// What the operator takes.
        expected: usize,
        /// What it was given.
        found: usize,
    },
    /// An operand has the wrong element type.
    #[error("operand {operand} holds {found} instead of {expected}")]
    ElementType {
        /// Its position.
        operand: usize,
        /// What the operator takes there.
        expected: ElementType,
        /// What it was given.
        found: ElementType,
    },
    /// An operand has the wrong number of axes.
    #[error("operand {operand} has {found} axes instead of {expected}")]
    Rank {
        /// Its position.
        operand: usize,
        /// What the operator takes there.
        expected: usize,
        /// What it was given.
        found: usize,
    },
    /// An operand has the wrong shape.
    #[error("operand {operand} has shape {found} instead of {expected}")]
    Shape {
        /// Its position.
        operand: usize,
        /// What follows from the other operands and the attributes.
        expected: Shape,
        /// What it was given.
        found: Shape,
    },
    /// Two operands do not broadcast to one shape.
    #[error("shapes {left} and {right} do not broadcast")]
    Broadcast {
        /// The first.
        left: Shape,
        /// The second.
        right: Shape,
    },
    /// A result has more elements than any memory holds.
    #[error("its result has shape {shape}, of more than 2^36 elements")]
    Size {
        /// The result's shape.
        shape: Shape,
    },
    /// An attribute does not fit the operand it speaks of.
    #[error("attribute {name} does not fit shape {shape}")]
    Attribute {
        /// Which one.
        name: &'static str,
        /// The operand's shape.
        shape: Shape,
    },
}

/// What can go wrong while a graph is built or written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// An operator refuses its operands.
    #[error("cannot wire {operator} in `{scope}` to operands {operands:?}")]
    Wiring {
        /// Name of the operator.
        operator: &'static str,
        /// The scope it was to stand in.
        scope: String,
        /// The operands' types.
        operands: Vec<String>,
        /// What is wrong.
        #[source]
        source: InferError,
    },
    /// A constant's data does not fill its shape.
    #[error("constant of shape {shape} was given {elements} elements")]
    ConstantSize {
        /// The shape.
        shape: Shape,
        /// How many elements came.
        elements: usize,
    },
    /// Two inputs or two outputs share a name.
    #[error("two inputs or two outputs are named `{name}`")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A parameter that is fixed at export has another number of elements than its shape.
    #[error("parameter `{name}` of shape {shape} was given {elements} elements")]
    ParameterSize {
        /// Its name.
        name: String,
        /// Its shape in the graph.
        shape: Shape,
        /// How many elements came.
        elements: usize,
    },
    /// No such version of the operator set can be written.
    #[error("cannot write operator set {version}: only {} to {}", OPSETS.start(), OPSETS.end())]
    Opset {
        /// The version.
        version: i64,
    },
    /// A file for any batch size was asked for of a graph that depends on it.
    #[error("cannot leave the batch size open: {operator} in `{scope}` depends on it ({reason})")]
    DynamicBatch {
        /// Name of the operator.
        operator: &'static str,
        /// The scope it stands in.
        scope: String,
        /// How.
        reason: &'static str,
    },
    /// A composite operator reached the exporter.
    #[error("cannot write composite operator {operator}: lower the graph first")]
    NotLowered {
        /// Its name.
        operator: &'static str,
    },
}
