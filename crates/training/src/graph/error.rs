use thiserror::Error;

use super::onnx::OPSETS;
use super::{ElementType, Shape};

/// Why type inference rejects an operator's operands.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InferError {
    /// Wrong number of operands.
    #[error("expected {expected} operands, found {found}")]
    Arity {
        /// Operands the operator takes.
        expected: usize,
        /// Operands given.
        found: usize,
    },
    /// An operand has the wrong element type.
    #[error("operand {operand} has element type {found}, expected {expected}")]
    ElementType {
        /// Position of the operand.
        operand: usize,
        /// Element type the operator takes there.
        expected: ElementType,
        /// Element type given.
        found: ElementType,
    },
    /// An operand has the wrong rank.
    #[error("operand {operand} has rank {found}, expected {expected}")]
    Rank {
        /// Position of the operand.
        operand: usize,
        /// Rank the operator takes there.
        expected: usize,
        /// Rank given.
        found: usize,
    },
    /// An operand has the wrong shape.
    #[error("operand {operand} has shape {found}, expected {expected}")]
    Shape {
        /// Position of the operand.
        operand: usize,
        /// Shape that follows from the other operands and the attributes.
        expected: Shape,
        /// Shape given.
        found: Shape,
    },
    /// Two operands cannot be broadcast to one shape.
    #[error("shapes {left} and {right} cannot be broadcast together")]
    Broadcast {
        /// The first.
        left: Shape,
        /// The second.
        right: Shape,
    },
    /// An output exceeds the limit on elements.
    #[error("the output of shape {shape} has more than 2^36 elements")]
    Size {
        /// Shape of the output.
        shape: Shape,
    },
    /// An attribute is invalid for the operand's shape.
    #[error("attribute {name} does not fit shape {shape}")]
    Attribute {
        /// The attribute's name.
        name: &'static str,
        /// Shape of the operand.
        shape: Shape,
    },
}

/// An error of building or exporting a graph.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// An operator does not accept its operands.
    #[error("cannot wire {operator} in `{scope}` to operands {operands:?}")]
    Wiring {
        /// Name of the operator.
        operator: &'static str,
        /// Scope of the node.
        scope: String,
        /// Types of the operands.
        operands: Vec<String>,
        /// The reason.
        #[source]
        source: InferError,
    },
    /// The number of a constant's elements differs from its shape's.
    #[error("constant of shape {shape} has {elements} elements")]
    ConstantSize {
        /// The shape.
        shape: Shape,
        /// Elements given.
        elements: usize,
    },
    /// Two inputs or two outputs share a name.
    #[error("two inputs or two outputs are named `{name}`")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// The values given for a parameter at export do not match its shape.
    #[error("parameter `{name}` of shape {shape} has {elements} elements")]
    ParameterSize {
        /// Its name.
        name: String,
        /// Its shape in the graph.
        shape: Shape,
        /// Elements given.
        elements: usize,
    },
    /// The operator set version is not supported for export.
    #[error("cannot export operator set {version}: supported are {} to {}", OPSETS.start(), OPSETS.end())]
    Opset {
        /// The version.
        version: i64,
    },
    /// A dynamic batch size was requested for a graph whose operators depend on the batch size.
    #[error("cannot export a dynamic batch size: {operator} in `{scope}` depends on it ({reason})")]
    DynamicBatch {
        /// Name of the operator.
        operator: &'static str,
        /// Scope of the node.
        scope: String,
        /// In which way it depends on the batch size.
        reason: &'static str,
    },
    /// The graph contains a composite operator.
    #[error("cannot export composite operator {operator}: lower the graph first")]
    NotLowered {
        /// Its name.
        operator: &'static str,
    },
}
