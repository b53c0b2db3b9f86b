use super::fusion::Fusion;
use super::value_state::{DeferredOp, Normalized};
use crate::graph::{Error, Fused, Node, Op};

impl Fusion<'_> {
    /// A batch norm with running statistics: deferred as a scale and shift per channel, like one with the statistics of the batch.
    pub(super) fn fixed_batch_norm(&mut self, node: &Node) -> Result<bool, Error> {
        let (&Op::BatchNormalization(norm), &[x, scale, bias, mean, variance]) = (&node.op, &*node.inputs)
        else {
            return Ok(false);
        };
        if !self.is_nchwc(x) {
            return Ok(false);
        }
        let x = self.nchwc(x)?;
        let [scale, bias] = [self.nchw(scale)?, self.nchw(bias)?];
        let [mean, variance] = [self.nchw(mean)?, self.nchw(variance)?];
        let operands = [scale, bias, mean, variance];
        let [scale_shift] = self.push(&node.scope, Fused::ScaleShift(norm), &operands)?;
        self.defer(
            node,
            DeferredOp::Normalized(Normalized {
                x,
                scale_shift,
                mean,
                shortcut: None,
                has_relu: false,
            }),
        );
        Ok(true)
    }
}
