//! Grouped convolutions: each group is computed separately, then concatenated.

use equibatch_training::graph::op::{GroupConv2d, GroupConvTranspose2d, Slice};

use super::array::Array;
use super::{convolution, layout};

/// Part `group` of `groups` along an axis.
fn part(x: &Array, axis: usize, (group, groups): (usize, usize)) -> Array {
    let extent = x.shape[axis] / groups;
    let mut slice = Slice {
        starts: vec![0; x.shape.len()],
        ends: x.shape.clone(),
        steps: vec![1; x.shape.len()],
    };
    (slice.starts[axis], slice.ends[axis]) = (group * extent, (group + 1) * extent);
    layout::slice(x, &slice)
}

fn joined(axis: usize, parts: &[Array]) -> Array {
    layout::concat(&parts.iter().collect::<Vec<_>>(), axis)
}

pub(super) fn conv(operands: &[&Array], attributes: GroupConv2d) -> Array {
    let parts = (0..attributes.groups).map(|group| {
        let at = (group, attributes.groups);
        let mut own = vec![part(operands[0], 1, at), part(operands[1], 0, at)];
        own.extend(operands.get(2).map(|bias| part(bias, 0, at)));
        convolution::conv(&own.iter().collect::<Vec<_>>(), attributes.conv)
    });
    joined(1, &parts.collect::<Vec<_>>())
}

pub(super) fn conv_transpose(operands: &[&Array], attributes: GroupConvTranspose2d) -> Array {
    let parts = (0..attributes.groups).map(|group| {
        let at = (group, attributes.groups);
        let (x, w) = (part(operands[0], 1, at), part(operands[1], 0, at));
        convolution::conv_transpose(&[&x, &w], attributes.transpose)
    });
    joined(1, &parts.collect::<Vec<_>>())
}

pub(super) fn weight_gradient(x: &Array, dy: &Array, attributes: GroupConv2d, kernel: [usize; 2]) -> Array {
    let parts = (0..attributes.groups).map(|group| {
        let at = (group, attributes.groups);
        convolution::weight_gradient(&part(x, 1, at), &part(dy, 1, at), attributes.conv, kernel)
    });
    joined(0, &parts.collect::<Vec<_>>())
}
