use super::operand::{Operand, grad_epilogue, split_sums, wrong_arity};
use crate::graph::fused::{ConvInput as Input, GradEpilogue};
use crate::graph::op::{Conv2d, Relu};
use crate::kernels::conv::{self, ConvInput, ConvShape};
use crate::kernels::{ExecContext, ScaleShiftRelu, Window, norm};

/// Splits operands into the convolution's input, its extents, and the remaining operands.
fn split<'a, 'o>(
    input: Input,
    operands: &'o [Operand<'a>],
) -> ort::Result<(ConvInput<'a>, [usize; 4], &'o [Operand<'a>])> {
    let (x, input, rest) = match (input, operands) {
        (Input::Nchw, [x, rest @ ..]) => (x, ConvInput::Nchw(x.data), rest),
        (Input::NchwC, [x, rest @ ..]) => (x, ConvInput::NchwC(x.data), rest),
        (Input::NchwCRelu(relu), [x, scale_shift, rest @ ..]) => {
            let prologue = ScaleShiftRelu {
                scale_shift: scale_shift.data,
                high: relu.high,
            };
            (x, ConvInput::NchwCRelu(x.data, prologue), rest)
        }
        _ => return Err(wrong_arity()),
    };
    Ok((input, x.extents()?, rest))
}

fn window(conv: Conv2d, kernel: [usize; 2]) -> Window {
    Window {
        kernel,
        stride: conv.stride,
        pad: conv.pad,
        pad_after: conv.pad_after,
    }
}

pub(super) fn forward(
    (conv, input): (Conv2d, Input),
    exec: &mut ExecContext<'_>,
    operands: &[Operand<'_>],
    results: &mut [&mut [f32]],
) -> ort::Result<()> {
    let (x, [images, inputs, height, width], rest) = split(input, operands)?;
    let ([w], [y, statistics @ ..]) = (rest, results) else {
        return Err(wrong_arity());
    };
    let [outputs, _, rows, columns] = w.extents()?;
    let shape = ConvShape {
        images,
        channels: [inputs, outputs],
        extent: [height, width],
        window: window(conv, [rows, columns]),
        is_depthwise: conv.groups > 1,
    };
    if let [mean, variance] = statistics {
        let sums = conv::forward(exec, shape, x, w.data, y);
        norm::mean_and_variance(&sums, shape.output().pixels(), mean, variance);
    } else {
        conv::forward_only(exec, shape, x, w.data, y);
    }
    Ok(())
}

pub(super) fn expanded_forward(
    (conv, relu): (Conv2d, Relu),
    exec: &mut ExecContext<'_>,
    operands: &[Operand<'_>],
    results: &mut [&mut [f32]],
) -> ort::Result<()> {
    let ([x, e, scale_shift, w], [y]) = (operands, results) else {
        return Err(wrong_arity());
    };
    let ([images, _, height, width], [channels, _, rows, columns]) = (x.extents()?, w.extents()?);
    let shape = ConvShape {
        images,
        channels: [channels; 2],
        extent: [height, width],
        window: window(conv, [rows, columns]),
        is_depthwise: true,
    };
    let relu = ScaleShiftRelu {
        scale_shift: scale_shift.data,
        high: relu.high,
    };
    conv::forward_expanded(exec, shape, ([x.data, e.data], relu), w.data, y);
    Ok(())
}

pub(super) fn input_gradient(
    (conv, extent, epilogue): (Conv2d, [usize; 2], GradEpilogue),
    exec: &mut ExecContext<'_>,
    operands: &[Operand<'_>],
    results: &mut [&mut [f32]],
) -> ort::Result<()> {
    let [w, dy, rest @ ..] = operands else {
        return Err(wrong_arity());
    };
    let ([outputs, inputs, rows, columns], [images, ..]) = (w.extents()?, dy.extents()?);
    let shape = ConvShape {
        images,
        channels: [inputs * conv.groups, outputs],
        extent,
        window: window(conv, [rows, columns]),
        is_depthwise: conv.groups > 1,
    };
    let (sums, g) = split_sums(epilogue, results)?;
    let g = g.ok_or_else(wrong_arity)?;
    let grad_epilogue = grad_epilogue(epilogue, rest)?;
    let channel_sums = conv::input_gradient(exec, shape, [w.data, dy.data], grad_epilogue, g);
    if let Some(sums) = sums {
        norm::write_sums(&channel_sums, sums);
    }
    Ok(())
}

pub(super) fn weight_gradient(
    (conv, kernel, input): (Conv2d, [usize; 2], Input),
    exec: &mut ExecContext<'_>,
    operands: &[Operand<'_>],
    results: &mut [&mut [f32]],
) -> ort::Result<()> {
    let (x, [images, inputs, height, width], rest) = split(input, operands)?;
    let ([dy], [dw]) = (rest, results) else {
        return Err(wrong_arity());
    };
    let shape = ConvShape {
        images,
        channels: [inputs, dy.extents()?[1]],
        extent: [height, width],
        window: window(conv, kernel),
        is_depthwise: conv.groups > 1,
    };
    conv::weight_gradient(exec, shape, x, dy.data, dw);
    Ok(())
}
