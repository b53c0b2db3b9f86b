use thiserror::Error;

use crate::graph;

/// Most nodes that one error lists.
const LISTED: usize = 20;

/// Error of importing a network.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Error {
    /// A node that is not supported: its operator, an attribute or an operand.
    #[error("node `{node}` ({operator}) is not supported: {reason}")]
    Node {
        /// Name of the node.
        node: String,
        /// Operator of the node.
        operator: String,
        /// Cause.
        reason: String,
    },
    /// Several nodes that are not supported.
    #[error("{} nodes are not supported: {}{hint}", errors.len(), listed(errors))]
    Nodes {
        /// One [`Error::Node`] for each.
        errors: Vec<Error>,
        /// The supported operators, if another is among the nodes.
        hint: String,
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

fn listed(errors: &[Error]) -> String {
    let mut lines: Vec<String> = errors.iter().take(LISTED).map(entry).collect();
    if let Some(more) = errors.len().checked_sub(LISTED).filter(|more| *more > 0) {
        lines.push(format!("and {more} more"));
    }
    lines.join("; ")
}

fn entry(error: &Error) -> String {
    match error {
        Error::Node {
            node,
            operator,
            reason,
        } => format!("`{node}` ({operator}: {reason})"),
        other => other.to_string(),
    }
}
