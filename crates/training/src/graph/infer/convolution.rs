use super::super::error::InferError;
use super::super::op::{Conv2d, ConvTranspose2d, GroupConv2d, GroupConvTranspose2d, MaxPool2d};
use super::super::shape::window_positions;
use super::super::{ElementType, Shape, TensorType};
use super::{Operands, Types, expect_shape, extents, float, one};

/// Height and width of a convolution's output.
pub(super) fn positions(
    shape: &Shape,
    extent: [usize; 2],
    kernel: [usize; 2],
    conv: Conv2d,
) -> Result<[usize; 2], InferError> {
    let along = |axis: usize| {
        window_positions(extent[axis], kernel[axis], conv.stride[axis], conv.pad[axis]).ok_or_else(|| {
            InferError::Attribute {
                name: "kernel, stride, pad",
                shape: shape.clone(),
            }
        })
    };
    Ok([along(0)?, along(1)?])
}

pub(super) fn conv(operands: &Operands<'_>, conv: Conv2d) -> Types {
    let (x, w, bias) = match operands.0.len() {
        3 => operands.alike().map(|([x, w, bias], _)| (x, w, Some(bias)))?,
        _ => operands.alike().map(|([x, w], _)| (x, w, None))?,
    };
    let [n, c, h, width] = extents(0, x)?;
    let [k, w_channels, kh, kw] = extents(1, w)?;
    if w_channels != c {
        expect_shape(1, w, [k, c, kh, kw])?;
    }
    if let Some(bias) = bias {
        expect_shape(2, bias, [k])?;
    }
    let [rows, columns] = positions(x, [h, width], [kh, kw], conv)?;
    one(operands.precision(0)?, [n, k, rows, columns])
}

/// Rejects a number of channels that is not divisible by the number of groups.
pub(super) fn divided(shape: &Shape, channels: usize, groups: usize) -> Result<(), InferError> {
    if groups > 0 && channels.is_multiple_of(groups) {
        return Ok(());
    }
    Err(InferError::Attribute {
        name: "groups",
        shape: shape.clone(),
    })
}

pub(super) fn group_conv(operands: &Operands<'_>, attributes: GroupConv2d) -> Types {
    let (x, w, bias) = match operands.0.len() {
        3 => operands.alike().map(|([x, w, bias], _)| (x, w, Some(bias)))?,
        _ => operands.alike().map(|([x, w], _)| (x, w, None))?,
    };
    let [n, c, h, width] = extents(0, x)?;
    let [k, w_channels, kh, kw] = extents(1, w)?;
    divided(x, c, attributes.groups)?;
    divided(w, k, attributes.groups)?;
    if w_channels * attributes.groups != c {
        expect_shape(1, w, [k, c / attributes.groups, kh, kw])?;
    }
    if let Some(bias) = bias {
        expect_shape(2, bias, [k])?;
    }
    let [rows, columns] = positions(x, [h, width], [kh, kw], attributes.conv)?;
    one(operands.precision(0)?, [n, k, rows, columns])
}

pub(super) fn group_conv_transpose(operands: &Operands<'_>, attributes: GroupConvTranspose2d) -> Types {
    let ([x, w], precision) = operands.alike()?;
    let [n, k, ..] = extents::<4>(0, x)?;
    let [_, c, ..] = extents::<4>(1, w)?;
    divided(x, k, attributes.groups)?;
    // The output height and width are the same for every group.
    let [rows, columns] = transposed_positions(x, w, attributes.transpose)?;
    one(precision, [n, c * attributes.groups, rows, columns])
}

pub(super) fn conv_transpose(operands: &Operands<'_>, attributes: ConvTranspose2d) -> Types {
    let ([x, w], precision) = operands.alike()?;
    let [n, c] = [extents::<4>(0, x)?[0], extents::<4>(1, w)?[1]];
    let [rows, columns] = transposed_positions(x, w, attributes)?;
    one(precision, [n, c, rows, columns])
}

/// Height and width of a transposed convolution's output.
fn transposed_positions(x: &Shape, w: &Shape, attributes: ConvTranspose2d) -> Result<[usize; 2], InferError> {
    let [_, k, h, width] = extents(0, x)?;
    let [w_channels, c, kh, kw] = extents(1, w)?;
    if w_channels != k {
        expect_shape(1, w, [k, c, kh, kw])?;
    }
    let along = |axis: usize, extent: usize, kernel: usize| {
        let conv = attributes.conv;
        let full = extent
            .checked_sub(1)
            .map(|gaps| gaps * conv.stride[axis] + kernel + attributes.output_padding[axis]);
        full.and_then(|full| full.checked_sub(2 * conv.pad[axis]))
            .filter(|_| attributes.output_padding[axis] < conv.stride[axis])
            .ok_or_else(|| InferError::Attribute {
                name: "stride, pad, output_padding",
                shape: x.clone(),
            })
    };
    Ok([along(0, h, kh)?, along(1, width, kw)?])
}

pub(super) fn max_pool(operands: &Operands<'_>, pool: MaxPool2d) -> Types {
    let ([x], precision) = operands.alike()?;
    let [n, c, h, w] = extents(0, x)?;
    // A window that lies wholly in the padding would have no maximum.
    if pool.pad[0] >= pool.kernel[0] || pool.pad[1] >= pool.kernel[1] {
        return Err(InferError::Attribute {
            name: "pad",
            shape: x.clone(),
        });
    }
    let [rows, columns] = positions(
        x,
        [h, w],
        pool.kernel,
        Conv2d {
            stride: pool.stride,
            pad: pool.pad,
        },
    )?;
    let shape = [n, c, rows, columns];
    Ok(vec![
        TensorType::new(precision, shape),
        TensorType::new(ElementType::I64, shape),
    ])
}

pub(super) fn global_average_pool(operands: &Operands<'_>) -> Types {
    let [x] = operands.floats()?;
    let [n, c, _, _] = extents(0, x)?;
    float([n, c, 1, 1])
}
