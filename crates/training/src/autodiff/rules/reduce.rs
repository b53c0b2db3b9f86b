//! Reductions.

use crate::autodiff::Error;
use crate::autodiff::backward::{Backward, Gradients};
use crate::graph::op::Reduce;
use crate::graph::{Op, Shape, Value};

/// `y = Σ x` ⟹ `dx = dy`, broadcast along the reduced axes.
pub(super) fn sum(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let dy = kept(b)?;
    let shape = b.shape(b.input(0)).clone();
    Ok(vec![Some(b.expand(dy, shape)?)])
}

/// `y = Σ x / M` ⟹ `dx = dy / M`, broadcast along the reduced axes.
#[expect(
    clippy::cast_precision_loss,
    reason = "rounded once, like any other constant of the graph"
)]
pub(super) fn mean(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let dy = kept(b)?;
    let shape = b.shape(b.input(0)).clone();
    let share = b.shape(dy).elements() as f32 / shape.elements() as f32;
    let share = b.scalar(share);
    let scaled = b.mul(dy, share)?;
    Ok(vec![Some(b.expand(scaled, shape)?)])
}

/// `y = Σ x²` ⟹ `dx = 2·dy·x`.
pub(super) fn sum_square(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (x, dy) = (b.input(0), kept(b)?);
    let twice = b.add(dy, dy)?;
    Ok(vec![Some(b.mul(twice, x)?)])
}

/// `y = max x` ⟹ `dx = dy / M` for the M elements that are the maximum, and 0 for the others, as PyTorch's `amax`.
pub(super) fn max(b: &mut Backward<'_>) -> Result<Gradients, Error> {
    let (x, dy) = (b.input(0), kept(b)?);
    let Op::ReduceMax(reduce) = b.node.op.clone() else {
        unreachable!("the table gives this rule to ReduceMax only");
    };
    let (y, shape, keep_axes) = (b.output(0), b.shape(dy).clone(), true);
    let y = b.reshape(y, shape)?;
    let is_largest = b.equal(x, y)?;
    let precision = b.tensor_type(x).element_type;
    let largest = b.cast(is_largest, precision)?;
    let count = b.reduce_sum(largest, Reduce { keep_axes, ..reduce })?;
    let share = b.div(dy, count)?;
    Ok(vec![Some(b.mul(largest, share)?)])
}

/// The upstream gradient with every reduced axis kept with extent one.
fn kept(b: &mut Backward<'_>) -> Result<Value, Error> {
    let dy = b.upstream()?;
    let (Op::ReduceSum(reduce)
    | Op::ReduceMean(reduce)
    | Op::ReduceSumSquare(reduce)
    | Op::ReduceMax(reduce)) = &b.node.op
    else {
        unreachable!("the table gives these rules to reductions only");
    };
    if reduce.keep_axes {
        return Ok(dy);
    }
    let shape = with_ones(b.shape(b.input(0)), reduce);
    Ok(b.reshape(dy, shape)?)
}

fn with_ones(shape: &Shape, reduce: &Reduce) -> Shape {
    shape
        .iter()
        .enumerate()
        .map(|(axis, &extent)| if reduce.axes.contains(&axis) { 1 } else { extent })
        .collect()
}
