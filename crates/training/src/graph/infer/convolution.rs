use super::super::error::InferError;
use super::super::op::{Conv2d, ConvTranspose2d, MaxPool2d};
use super::super::{ElementType, Shape, TensorType};
use super::operands::{Operands, Types, expect_shape, extents, float, one};

/// Height and width of a convolution's output.
pub(super) fn positions(
    shape: &Shape,
    extent: [usize; 2],
    kernel: [usize; 2],
    conv: Conv2d,
) -> Result<[usize; 2], InferError> {
    conv.positions(extent, kernel)
        .ok_or_else(|| InferError::Attribute {
            name: "kernel, stride, pad, dilation",
            shape: shape.clone(),
        })
}

/// Rejects a number of channels that is not divisible by the number of groups.
pub(super) fn divided(shape: &Shape, channels: usize, conv: Conv2d) -> Result<(), InferError> {
    if conv.groups > 0 && channels.is_multiple_of(conv.groups) {
        return Ok(());
    }
    Err(InferError::Attribute {
        name: "groups",
        shape: shape.clone(),
    })
}

pub(super) fn conv(operands: &Operands<'_>, conv: Conv2d) -> Types {
    let (x, w, bias) = match operands.0.len() {
        3 => operands.alike().map(|([x, w, bias], _)| (x, w, Some(bias)))?,
        _ => operands.alike().map(|([x, w], _)| (x, w, None))?,
    };
    let [n, c, h, width] = extents(0, x)?;
    let [k, _, kh, kw] = extents(1, w)?;
    divided(x, c, conv)?;
    divided(w, k, conv)?;
    expect_shape(1, w, [k, c / conv.groups, kh, kw])?;
    if let Some(bias) = bias {
        expect_shape(2, bias, [k])?;
    }
    let [rows, columns] = positions(x, [h, width], [kh, kw], conv)?;
    one(operands.precision(0)?, [n, k, rows, columns])
}

pub(super) fn conv_transpose(operands: &Operands<'_>, attributes: ConvTranspose2d) -> Types {
    let ([x, w], precision) = operands.alike()?;
    let [n, k, h, width] = extents(0, x)?;
    let [_, c, kh, kw] = extents(1, w)?;
    let ConvTranspose2d { conv, output_padding } = attributes;
    divided(x, k, conv)?;
    expect_shape(1, w, [k, c, kh, kw])?;
    let (extent, span) = ([h, width], conv.span([kh, kw]));
    let along = |axis: usize| {
        let full = extent[axis]
            .checked_sub(1)
            .map(|gaps| gaps * conv.stride[axis] + span[axis] + output_padding[axis]);
        full.and_then(|full| full.checked_sub(conv.pad[axis] + conv.pad_after[axis]))
            .filter(|_| output_padding[axis] < conv.stride[axis])
            .ok_or_else(|| InferError::Attribute {
                name: "stride, pad, output_padding",
                shape: x.clone(),
            })
    };
    one(precision, [n, c * conv.groups, along(0)?, along(1)?])
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
    let [rows, columns] = positions(x, [h, w], pool.kernel, pool.window())?;
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
