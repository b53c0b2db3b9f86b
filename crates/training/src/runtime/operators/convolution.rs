use super::attributes::{Attributes, extent, unknown};
use super::normalization::{GradEpilogueKind, grad_epilogue_kind, split_sums};
use super::operator::{Compute, Operand};
use crate::graph::fused::attribute;
use crate::kernels::conv::{self, ConvInput, ConvShape};
use crate::kernels::{ExecContext, Window, norm};

/// Kind of a [`ConvInput`].
#[derive(Clone, Copy, PartialEq)]
enum InputKind {
    Nchw,
    NchwC,
    NchwCRelu,
}

impl InputKind {
    fn read(attributes: &Attributes<'_, '_>) -> ort::Result<Self> {
        match &*attributes.string(attribute::CONV_INPUT)? {
            attribute::NCHW => Ok(Self::Nchw),
            attribute::NCHWC => Ok(Self::NchwC),
            attribute::RELU => Ok(Self::NchwCRelu),
            value => Err(unknown(attribute::CONV_INPUT, value)),
        }
    }

    /// Splits operands into the convolution's input, its shape, and the remaining operands.
    fn split<'a, 'o>(
        self,
        operands: &'o [Operand<'a>],
    ) -> ort::Result<(ConvInput<'a>, &'a [i64], &'o [Operand<'a>])> {
        match (self, operands) {
            (Self::Nchw, [x, rest @ ..]) => Ok((ConvInput::Nchw(x.data), x.shape, rest)),
            (Self::NchwC, [x, rest @ ..]) => Ok((ConvInput::NchwC(x.data), x.shape, rest)),
            (Self::NchwCRelu, [x, scale_shift, rest @ ..]) => {
                let operand = ConvInput::NchwCRelu(x.data, scale_shift.data);
                Ok((operand, x.shape, rest))
            }
            _ => Err(wrong_arity()),
        }
    }
}

pub(super) fn wrong_arity() -> ort::Error {
    ort::Error::new("wrong number of inputs or outputs")
}

/// Stride and padding; the kernel size is that of the weight.
fn stride_and_pad(attributes: &Attributes<'_, '_>) -> ort::Result<Window> {
    attributes.window([0, 0])
}

/// Shapes of a convolution of `[N, C, H, W]` with `[K, C, R, S]`.
fn conv_shape(stride_and_pad: Window, x: &[i64], w: &[i64]) -> ort::Result<ConvShape> {
    let (&[n, c, height, width], &[k, _, rows, columns]) = (x, w) else {
        return Err(ort::Error::new("a convolution's operands have four axes"));
    };
    Ok(ConvShape {
        images: extent(n)?,
        channels: [extent(c)?, extent(k)?],
        extent: [extent(height)?, extent(width)?],
        window: Window {
            kernel: [extent(rows)?, extent(columns)?],
            ..stride_and_pad
        },
    })
}

pub(super) fn forward(attributes: &Attributes<'_, '_>) -> ort::Result<Box<dyn Compute>> {
    Ok(Box::new(Forward {
        stride_and_pad: stride_and_pad(attributes)?,
        kind: InputKind::read(attributes)?,
    }))
}

struct Forward {
    stride_and_pad: Window,
    kind: InputKind,
}

impl Compute for Forward {
    fn compute(
        &self,
        exec: &mut ExecContext<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let (x, shape, rest) = self.kind.split(operands)?;
        let ([w], [y, statistics @ ..]) = (rest, results) else {
            return Err(wrong_arity());
        };
        let conv_shape = conv_shape(self.stride_and_pad, shape, w.shape)?;
        let sums = conv::forward(exec, conv_shape, x, w.data, y);
        if let [mean, variance] = statistics {
            norm::mean_and_variance(&sums, conv_shape.output().pixels(), mean, variance);
        }
        Ok(())
    }
}

pub(super) fn input_gradient(attributes: &Attributes<'_, '_>) -> ort::Result<Box<dyn Compute>> {
    let shape: Vec<i64> = [0, 1]
        .iter()
        .filter_map(|&result| attributes.shape(result))
        .find(|shape| shape.len() == 4)
        .ok_or_else(wrong_arity)?;
    Ok(Box::new(InputGradient {
        stride_and_pad: stride_and_pad(attributes)?,
        grad_epilogue: grad_epilogue_kind(attributes)?,
        shape,
    }))
}

struct InputGradient {
    stride_and_pad: Window,
    grad_epilogue: GradEpilogueKind,
    /// Shape of the output.
    shape: Vec<i64>,
}

impl Compute for InputGradient {
    fn compute(
        &self,
        exec: &mut ExecContext<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let [w, dy, rest @ ..] = operands else {
            return Err(wrong_arity());
        };
        let conv_shape = conv_shape(self.stride_and_pad, &self.shape, w.shape)?;
        let (sums, g) = split_sums(self.grad_epilogue, results)?;
        let g = g.ok_or_else(wrong_arity)?;
        let grad_epilogue = self.grad_epilogue.split(rest)?;
        let channel_sums = conv::input_gradient(exec, conv_shape, [w.data, dy.data], grad_epilogue, g);
        if let Some(sums) = sums {
            norm::write_sums(&channel_sums, sums);
        }
        Ok(())
    }
}

pub(super) fn weight_gradient(attributes: &Attributes<'_, '_>) -> ort::Result<Box<dyn Compute>> {
    Ok(Box::new(WeightGradient {
        stride_and_pad: stride_and_pad(attributes)?,
        kind: InputKind::read(attributes)?,
        shape: attributes.shape(0).ok_or_else(wrong_arity)?,
    }))
}

struct WeightGradient {
    stride_and_pad: Window,
    kind: InputKind,
    /// Shape of the output.
    shape: Vec<i64>,
}

impl Compute for WeightGradient {
    fn compute(
        &self,
        exec: &mut ExecContext<'_>,
        operands: &[Operand<'_>],
        results: &mut [&mut [f32]],
    ) -> ort::Result<()> {
        let (x, shape, rest) = self.kind.split(operands)?;
        let ([dy], [dw]) = (rest, results) else {
            return Err(wrong_arity());
        };
        let conv_shape = conv_shape(self.stride_and_pad, shape, &self.shape)?;
        conv::weight_gradient(exec, conv_shape, x, dy.data, dw);
        Ok(())
    }
}
