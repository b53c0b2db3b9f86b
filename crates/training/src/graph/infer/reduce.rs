use super::super::error::InferError;
use super::super::op::Reduce;
use super::operands::{Operands, Types, float};

pub(super) fn reduce(operands: &Operands<'_>, reduce: &Reduce) -> Types {
    let [x] = operands.floats()?;
    let ascending = reduce.axes.is_sorted_by(|left, right| left < right);
    if !ascending || reduce.axes.is_empty() || reduce.axes.iter().any(|&axis| axis >= x.len()) {
        return Err(InferError::Attribute {
            name: "axes",
            shape: x.clone(),
        });
    }
    let kept = x
        .iter()
        .enumerate()
        .filter_map(|(axis, &extent)| match reduce.axes.contains(&axis) {
            false => Some(extent),
            true => reduce.keep_axes.then_some(1),
        });
    float(kept.collect::<Vec<_>>())
}
