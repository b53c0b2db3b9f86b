use crate::graph::import::ModelNode;
use crate::nn::import::Error;
use crate::nn::import::node::node_error;

/// Most elements that constant folding may compute for one file: far more than shapes and masks need, 128 MiB of f32.
pub(in crate::nn::import) const MAX_FOLDED_ELEMENTS: usize = 1 << 25;

/// A node and the number of elements that it may still compute in constant folding.
pub(in crate::nn::import) struct FoldBudget<'n> {
    pub(in crate::nn::import) node: &'n ModelNode,
    left: usize,
}

impl<'n> FoldBudget<'n> {
    pub(in crate::nn::import) fn of(node: &'n ModelNode, left: usize) -> Self {
        Self { node, left }
    }

    /// Fails if `numbers` exceeds the budget.
    pub(in crate::nn::import) fn check(&self, numbers: usize) -> Result<(), Error> {
        if numbers <= self.left {
            return Ok(());
        }
        let reason = format!(
            "it makes a constant of {numbers} elements; all constants that a file computes may have {MAX_FOLDED_ELEMENTS} elements"
        );
        Err(node_error(self.node, reason))
    }
}
