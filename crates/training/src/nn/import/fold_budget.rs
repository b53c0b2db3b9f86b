use super::Error;
use super::node::node_error;
use crate::graph::import::ModelNode;

/// Most elements that constant folding may compute for one file: far more than shapes and masks need, 128 MiB of f32.
pub(super) const MAX_FOLDED_ELEMENTS: usize = 1 << 25;

/// A node and the number of elements that it may still compute in constant folding.
pub(super) struct FoldBudget<'n> {
    pub(super) node: &'n ModelNode,
    left: usize,
}

impl<'n> FoldBudget<'n> {
    pub(super) fn of(node: &'n ModelNode, left: usize) -> Self {
        Self { node, left }
    }

    /// Fails if `numbers` exceeds the budget.
    pub(super) fn check(&self, numbers: usize) -> Result<(), Error> {
        if numbers <= self.left {
            return Ok(());
        }
        let reason = format!(
            "it makes a constant of {numbers} elements; all constants that a file computes may have {MAX_FOLDED_ELEMENTS} elements"
        );
        Err(node_error(self.node, reason))
    }
}
