//! Pooling.

use super::Error;
use super::elementwise::unary;
use super::importer::Importer;
use super::node::node_error;
use super::operator::Operator;
use super::pad::padded_with;
use super::windows::{self, Windows};
use crate::graph::import::ModelNode;
use crate::graph::op::MaxPool2d;
use crate::graph::{Constant, Op, Shape, Value, window_positions};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new(
        "MaxPool",
        &[
            "auto_pad",
            "ceil_mode",
            "dilations",
            "kernel_shape",
            "pads",
            "storage_order",
            "strides",
        ],
        max_pool,
    ),
    Operator::new(
        "AveragePool",
        &[
            "auto_pad",
            "ceil_mode",
            "count_include_pad",
            "dilations",
            "kernel_shape",
            "pads",
            "strides",
        ],
        average_pool,
    ),
    Operator::new("GlobalAveragePool", &[], |importer, node| {
        unary(importer, node, Op::GlobalAveragePool)
    }),
    Operator::new("GlobalMaxPool", &[], global_max_pool),
];

fn max_pool(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let x = importer.value(node, 0)?;
    let windows = Windows::of(node, importer.shape(x), None)?;
    if windows.dilation != [1, 1] {
        return Err(node_error(node, "dilations of a pool are not supported"));
    }
    let mut pool = MaxPool2d {
        kernel: windows.kernel,
        stride: windows.stride,
        pad: windows.before,
    };
    let mut x = x;
    if !windows.is_even() {
        x = padded_with(importer, node, x, windows.around(), f32::NEG_INFINITY)?;
        pool.pad = [0, 0];
    }
    importer
        .wire(node, |g| g.max_pool(x, pool))
        .map(|[maxima, _]| maxima)
}

/// Global max pooling as one window of the operand's size.
fn global_max_pool(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let x = importer.value(node, 0)?;
    let [_, _, rows, columns] = **importer.shape(x) else {
        return Err(node_error(node, "only two-dimensional windows are supported"));
    };
    let pool = MaxPool2d {
        kernel: [rows, columns],
        stride: [1, 1],
        pad: [0, 0],
    };
    importer
        .wire(node, |g| g.max_pool(x, pool))
        .map(|[maxima, _]| maxima)
}

/// Average pooling as a depthwise convolution with equal weights, rescaled at the border if padding is not counted.
#[expect(
    clippy::cast_precision_loss,
    reason = "windows have far fewer than 2^24 elements"
)]
fn average_pool(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    let x = importer.value(node, 0)?;
    let shape = importer.shape(x).clone();
    let windows = Windows::of(node, &shape, None)?;
    let counts_border = node.attributes.int("count_include_pad").unwrap_or(0) != 0;
    if windows.dilation != [1, 1] {
        return Err(node_error(node, "dilations of a pool are not supported"));
    }
    let ([rows, columns], channels) = (windows.kernel, shape[1]);
    let size = (rows * columns) as f32;
    let (x, mut conv) = windows::convolution(importer, x, &windows, [rows, columns]);
    conv.groups = channels;
    importer.reserve(node, Shape::from([channels, rows, columns]).elements())?;
    let pooled = importer.wire(node, |g| {
        let weights = Constant::F32(vec![1.0 / size; channels * rows * columns]);
        let weights = g.constant([channels, 1, rows, columns], weights)?;
        g.conv(x, weights, conv)
    })?;
    let has_border = windows.before != [0, 0] || windows.after != [0, 0];
    if !has_border || counts_border && windows.ceil == [0, 0] {
        return Ok(pooled);
    }
    let inside = [0, 1].map(|axis| inside(&windows, shape[2 + axis], axis, counts_border));
    importer.reserve(node, inside[0].len() * inside[1].len())?;
    let factors = inside[0].iter().flat_map(|rows| {
        inside[1]
            .iter()
            .map(move |columns| size / (rows * columns) as f32)
    });
    let factors = Constant::F32(factors.collect());
    importer.wire(node, |g| {
        let factors = g.constant([1, 1, inside[0].len(), inside[1].len()], factors)?;
        g.mul(pooled, factors)
    })
}

/// How many counted rows (or columns) each window has: those inside the operand and, if it is counted, its padding. What `ceil_mode` adds
/// is never counted.
fn inside(windows: &Windows, extent: usize, axis: usize, counts_border: bool) -> Vec<usize> {
    let (kernel, stride) = (windows.kernel[axis], windows.stride[axis]);
    let (before, after) = (windows.before[axis], windows.after[axis]);
    let positions = window_positions(extent + before + after, kernel, stride).unwrap_or(0);
    let counted = match counts_border {
        true => 0..before + extent + after - windows.ceil[axis],
        false => before..before + extent,
    };
    (0..positions)
        .map(|position| {
            let start = position * stride;
            (start + kernel).min(counted.end) - start.max(counted.start)
        })
        .collect()
}
