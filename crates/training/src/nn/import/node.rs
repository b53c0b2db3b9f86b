//! Names, attributes and errors of nodes.

use super::Error;
use crate::graph::import::ModelNode;

/// The scope of a node: `layer1/conv1` for `/layer1/conv1/Conv`.
pub(super) fn scope(node: &ModelNode) -> String {
    let name = node.name.trim_matches('/');
    let last = name
        .strip_suffix(&*node.operator)
        .and_then(|rest| rest.strip_suffix('/'));
    last.unwrap_or(name).to_owned()
}

pub(super) fn node_error(node: &ModelNode, reason: impl Into<String>) -> Error {
    Error::Node {
        node: node.name.clone(),
        operator: node.operator.clone(),
        reason: reason.into(),
    }
}

/// Normalizes a negative axis.
pub(super) fn axis_of(node: &ModelNode, axis: i64, rank: usize) -> Result<usize, Error> {
    let rank_signed = i64::try_from(rank).unwrap_or(i64::MAX);
    let from_first = if axis < 0 { axis + rank_signed } else { axis };
    usize::try_from(from_first)
        .ok()
        .filter(|&axis| axis < rank)
        .ok_or_else(|| node_error(node, format!("axis or index {axis} is out of range for {rank}")))
}
