use super::Error;
use super::importer::Importer;
use super::node::node_error;
use crate::graph::import::ModelNode;
use crate::graph::op::{Conv2d, Pad};
use crate::graph::{Shape, Value};

/// Window attributes of a convolution or pooling node.
pub(super) struct Windows {
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) dilation: [usize; 2],
    /// Padding before the first row and column.
    pub(super) before: [usize; 2],
    /// Padding after the last row and column.
    pub(super) after: [usize; 2],
    /// The part of `after` that only `ceil_mode` adds, so that the last window fits.
    pub(super) ceil: [usize; 2],
}

impl Windows {
    /// Reads the attributes that convolutions and pools share, for an operand of shape `shape`.
    pub(super) fn of(node: &ModelNode, shape: &Shape, kernel: Option<[usize; 2]>) -> Result<Self, Error> {
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
        let (stride, dilation) = (pair("strides", [1, 1])?, pair("dilations", [1, 1])?);
        if kernel.contains(&0) || stride.contains(&0) || dilation.contains(&0) {
            let reason = format!(
                "its kernel is {kernel:?}, its stride {stride:?} and its dilation {dilation:?}, expected at least 1"
            );
            return Err(node_error(node, reason));
        }
        let window = Conv2d {
            dilation,
            ..Conv2d::default()
        };
        let span = window.span(kernel);
        let (before, mut after) = match node.attributes.text("auto_pad").as_deref() {
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
                    ((extent - 1) / stride[axis] * stride[axis] + span[axis]).saturating_sub(extent)
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
        if (0..2).any(|axis| before[axis].max(after[axis]) >= span[axis]) {
            let reason =
                format!("its pads {before:?} and {after:?} are not smaller than its kernel {span:?}");
            return Err(node_error(node, reason));
        }
        let mut ceil = [0, 0];
        if node.attributes.int("ceil_mode").unwrap_or(0) != 0 {
            for axis in 0..2 {
                let reach = [height, width][axis] + before[axis] + after[axis];
                let left_over = reach.saturating_sub(span[axis]) % stride[axis];
                // As in PyTorch, the last window starts inside the operand or its padding before it.
                let start = reach.saturating_sub(span[axis]) + stride[axis] - left_over;
                if left_over > 0 && start < [height, width][axis] + before[axis] {
                    ceil[axis] = stride[axis] - left_over;
                    after[axis] += ceil[axis];
                }
            }
        }
        Ok(Self {
            kernel,
            stride,
            dilation,
            before,
            after,
            ceil,
        })
    }

    pub(super) fn is_even(&self) -> bool {
        self.before == self.after
    }

    /// The padding of a `[N, C, H, W]` operand.
    pub(super) fn around(&self) -> Pad {
        let around = |[rows, columns]: [usize; 2]| vec![0, 0, rows, columns];
        Pad {
            before: around(self.before),
            after: around(self.after),
        }
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

/// The operand and the attributes of a convolution; zeros that a Pad adds before it become its own.
pub(super) fn convolution(
    importer: &Importer<'_, '_>,
    x: Value,
    windows: &Windows,
    kernel: [usize; 2],
) -> (Value, Conv2d) {
    let conv = Conv2d {
        stride: windows.stride,
        pad: windows.before,
        pad_after: windows.after,
        dilation: windows.dilation,
        groups: 1,
    };
    let Some((from, Pad { before, after })) = importer.padding_of(x) else {
        return (x, conv);
    };
    let (&[0, 0, top, left], &[0, 0, bottom, right]) = (&**before, &**after) else {
        return (x, conv);
    };
    let sum = |one: [usize; 2], other: [usize; 2]| [one[0] + other[0], one[1] + other[1]];
    let joined = Conv2d {
        pad: sum(conv.pad, [top, left]),
        pad_after: sum(conv.pad_after, [bottom, right]),
        ..conv
    };
    let span = conv.span(kernel);
    let fits = (0..2).all(|axis| joined.pad[axis].max(joined.pad_after[axis]) < span[axis]);
    if fits { (from, joined) } else { (x, conv) }
}
