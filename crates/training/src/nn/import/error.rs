use thiserror::Error;

use super::supported::SUPPORTED;
use crate::graph;

/// Error of importing a network.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Error {
    /// Unsupported operator.
    #[error(
        "node `{node}` is a {operator}, which is not among the supported operators{}: {}",
        nor(others),
        SUPPORTED.join(" ")
    )]
    Operator {
        /// Name of the node.
        node: String,
        /// Operator of the node.
        operator: String,
        /// Other unsupported operators, of later nodes.
        others: Vec<String>,
    },
    /// A supported operator with unsupported attributes or operands.
    #[error("node `{node}` ({operator}) is not supported: {reason}")]
    Node {
        /// Name of the node.
        node: String,
        /// Operator of the node.
        operator: String,
        /// Cause.
        reason: String,
    },
    /// The model is not an image classifier of the supported form.
    #[error("the network cannot be used: {reason}")]
    Network {
        /// Cause.
        reason: String,
    },
    /// The file's shapes are inconsistent at the given image and batch size.
    #[error("cannot build the network")]
    Graph(#[from] graph::Error),
}

fn nor(others: &[String]) -> String {
    match others {
        [] => String::new(),
        [one] => format!(" (nor is {one})"),
        several => format!(" (nor are {})", several.join(", ")),
    }
}
