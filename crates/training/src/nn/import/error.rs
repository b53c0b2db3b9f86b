use thiserror::Error;

use super::SUPPORTED;
use crate::graph;

/// Why a network from a file cannot be built.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Error {
    /// An operator that is not supported.
    #[error(
        "node `{node}` is a {operator}, which is not among the supported operators{}: {}",
        nor(others),
        SUPPORTED.join(" ")
    )]
    Operator {
        /// The node.
        node: String,
        /// Its operator.
        operator: String,
        /// Operators of later nodes that are not supported either.
        others: Vec<String>,
    },
    /// A node that uses a supported operator in a way that is not.
    #[error("node `{node}` ({operator}) is not supported: {reason}")]
    Node {
        /// The node.
        node: String,
        /// Its operator.
        operator: String,
        /// What of it.
        reason: String,
    },
    /// The model as a whole is not what is trained here.
    #[error("the network cannot be used: {reason}")]
    Network {
        /// Why not.
        reason: String,
    },
    /// The shapes in the file do not fit, at the size and batch asked for.
    #[error("cannot wire the network")]
    Graph(#[from] graph::Error),
}

fn nor(others: &[String]) -> String {
    match others {
        [] => String::new(),
        [one] => format!(" (nor is {one})"),
        several => format!(" (nor are {})", several.join(", ")),
    }
}
