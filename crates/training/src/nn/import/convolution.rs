use super::Error;
use super::elementwise::per_channel;
use super::importer::Importer;
use super::node::{check_attributes, node_error};
use crate::graph::import::ModelNode;
use crate::graph::op::{Conv2d, MaxPool2d, Pad};
use crate::graph::{Constant, Op, Shape, Value, window_positions};
use crate::nn::{Mode, ParameterKind};

/// Window attributes of a convolution or pooling node.
struct Windows {
    kernel: [usize; 2],
    stride: [usize; 2],
    /// Padding before the first row and column.
    before: [usize; 2],
    /// Padding after the last row and column.
    after: [usize; 2],
}

impl Windows {
    /// Reads the attributes that convolutions and pools share, for an operand of shape `shape`.
    fn of(node: &ModelNode, shape: &Shape, kernel: Option<[usize; 2]>) -> Result<Self, Error> {
        let pair = |name: &str, default: [usize; 2]| match node.attributes.ints(name) {
            None => Ok(default),
            Some(numbers) => sizes(node, name, &numbers),
        };
        let [_, _, height, width] = **shape else {
            return Err(node_error(
                node,
                format!("its operand has shape {shape}, expected [N, C, H, W]"),
            ));
        };
        let kernel = match kernel {
            Some(kernel) => kernel,
            None => pair("kernel_shape", [0, 0])?,
        };
        if pair("dilations", [1, 1])? != [1, 1] {
            return Err(node_error(node, "dilations other than 1 are not supported"));
        }
        let stride = pair("strides", [1, 1])?;
        if kernel.contains(&0) || stride.contains(&0) {
            let reason = format!("its kernel is {kernel:?} and its stride {stride:?}, expected at least 1");
            return Err(node_error(node, reason));
        }
        let (before, after) = match node.attributes.text("auto_pad").as_deref() {
            None | Some("NOTSET") => {
                let pads = node.attributes.ints("pads").unwrap_or_else(|| vec![0; 4]);
                let [top, left, bottom, right] = sizes(node, "pads", &pads)?;
                ([top, left], [bottom, right])
            }
            Some("VALID") => ([0, 0], [0, 0]),
            Some(mode @ ("SAME_UPPER" | "SAME_LOWER")) => {
                let total = [0, 1].map(|axis| {
                    let extent = [height, width][axis];
                    // The last window starts inside, because extents are at least 1.
                    ((extent - 1) / stride[axis] * stride[axis] + kernel[axis]).saturating_sub(extent)
                });
                let less = total.map(|total| total / 2);
                let more = [total[0] - less[0], total[1] - less[1]];
                if mode == "SAME_UPPER" {
                    (less, more)
                } else {
                    (more, less)
                }
            }
            Some(other) => {
                return Err(node_error(
                    node,
                    format!("its auto_pad is `{other}`, expected NOTSET, VALID, SAME_UPPER or SAME_LOWER"),
                ));
            }
        };
        if (0..2).any(|axis| before[axis].max(after[axis]) >= kernel[axis]) {
            let reason =
                format!("its pads {before:?} and {after:?} are not smaller than its kernel {kernel:?}");
            return Err(node_error(node, reason));
        }
        if node.attributes.int("ceil_mode").unwrap_or(0) != 0 {
            let exact = [0, 1].into_iter().all(|axis| {
                let reach = [height, width][axis] + before[axis] + after[axis];
                reach >= kernel[axis] && (reach - kernel[axis]).is_multiple_of(stride[axis])
            });
            if !exact {
                return Err(node_error(
                    node,
                    "ceil_mode with partial windows at the border is not supported",
                ));
            }
        }
        Ok(Self {
            kernel,
            stride,
            before,
            after,
        })
    }

    fn is_even(&self) -> bool {
        self.before == self.after
    }
}

fn sizes<const COUNT: usize>(node: &ModelNode, name: &str, numbers: &[i64]) -> Result<[usize; COUNT], Error> {
    let size = |&number: &i64| u16::try_from(number).ok().map(usize::from);
    let sizes: Option<Vec<usize>> = numbers.iter().map(size).collect();
    sizes.and_then(|sizes| sizes.try_into().ok()).ok_or_else(|| {
        let reason = format!(
            "its {name} are {numbers:?}, expected {COUNT} numbers from 0 to {}",
            u16::MAX
        );
        node_error(node, reason)
    })
}

/// Makes asymmetric padding explicit with a Pad operator; symmetric padding stays an attribute.
fn padded(
    importer: &mut Importer<'_, '_>,
    node: &ModelNode,
    x: Value,
    windows: &Windows,
) -> Result<(Value, Conv2d), Error> {
    let mut conv = Conv2d {
        stride: windows.stride,
        ..Conv2d::default()
    };
    if windows.is_even() {
        conv.pad = windows.before;
        return Ok((x, conv));
    }
    let around = |[rows, columns]: [usize; 2]| vec![0, 0, rows, columns];
    let pad = Pad {
        before: around(windows.before),
        after: around(windows.after),
    };
    let x = importer.single(node, Op::Pad(pad), &[x])?;
    Ok((x, conv))
}

/// Convolution, grouped or not, with or without bias.
pub(super) fn conv(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    check_attributes(
        node,
        &[
            "auto_pad",
            "dilations",
            "group",
            "kernel_shape",
            "pads",
            "strides",
        ],
    )?;
    let x = importer.value(node, 0)?;
    let w = importer.parameter(node, 1, ParameterKind::ConvWeight)?;
    let bias = if importer.has(node, 2) {
        Some(importer.parameter(node, 2, ParameterKind::LinearBias)?)
    } else {
        None
    };
    let [_, _, rows, columns] = **importer.shape(w) else {
        return Err(node_error(node, "only two-dimensional windows are supported"));
    };
    let windows = Windows::of(node, importer.shape(x), Some([rows, columns]))?;
    let (x, mut conv) = padded(importer, node, x, &windows)?;
    conv.groups = usize::try_from(node.attributes.int("group").unwrap_or(1)).unwrap_or(0);
    match (bias, importer.mode()) {
        // A convolution without bias can be fused.
        (Some(bias), Mode::Train) if conv.groups == 1 => importer.wire(node, |g| {
            let y = g.conv(x, w, conv)?;
            let bias = per_channel(g, bias)?;
            g.add(y, bias)
        }),
        _ => {
            let operands: Vec<Value> = [x, w].into_iter().chain(bias).collect();
            importer.single(node, Op::Conv(conv), &operands)
        }
    }
}

pub(super) fn max_pool(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    check_attributes(
        node,
        &[
            "auto_pad",
            "ceil_mode",
            "dilations",
            "kernel_shape",
            "pads",
            "storage_order",
            "strides",
        ],
    )?;
    let x = importer.value(node, 0)?;
    let windows = Windows::of(node, importer.shape(x), None)?;
    if !windows.is_even() {
        return Err(node_error(node, "asymmetric padding is not supported"));
    }
    let pool = MaxPool2d {
        kernel: windows.kernel,
        stride: windows.stride,
        pad: windows.before,
    };
    importer
        .wire(node, |g| g.max_pool(x, pool))
        .map(|[maxima, _]| maxima)
}

/// Global max pooling as one window of the operand's size.
pub(super) fn global_max_pool(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    check_attributes(node, &[])?;
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
pub(super) fn average_pool(importer: &mut Importer<'_, '_>, node: &ModelNode) -> Result<Value, Error> {
    check_attributes(
        node,
        &[
            "auto_pad",
            "ceil_mode",
            "count_include_pad",
            "dilations",
            "kernel_shape",
            "pads",
            "strides",
        ],
    )?;
    let x = importer.value(node, 0)?;
    let shape = importer.shape(x).clone();
    let windows = Windows::of(node, &shape, None)?;
    let counts_border = node.attributes.int("count_include_pad").unwrap_or(0) != 0;
    let ([rows, columns], channels) = (windows.kernel, shape[1]);
    let size = (rows * columns) as f32;
    let (x, mut conv) = padded(importer, node, x, &windows)?;
    conv.groups = channels;
    importer.reserve(node, Shape::from([channels, rows, columns]).elements())?;
    let pooled = importer.wire(node, |g| {
        let weights = Constant::F32(vec![1.0 / size; channels * rows * columns]);
        let weights = g.constant([channels, 1, rows, columns], weights)?;
        g.conv(x, weights, conv)
    })?;
    let has_border = windows.before != [0, 0] || windows.after != [0, 0];
    if counts_border || !has_border {
        return Ok(pooled);
    }
    let inside = [0, 1].map(|axis| inside(&windows, shape[2 + axis], axis));
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

/// How many rows (or columns) of each window are inside the operand.
fn inside(windows: &Windows, extent: usize, axis: usize) -> Vec<usize> {
    let (kernel, stride) = (windows.kernel[axis], windows.stride[axis]);
    let (before, after) = (windows.before[axis], windows.after[axis]);
    let positions = window_positions(extent + before + after, kernel, stride, 0).unwrap_or(0);
    (0..positions)
        .map(|position| {
            let start = position * stride;
            (start + kernel).min(before + extent) - start.max(before)
        })
        .collect()
}
