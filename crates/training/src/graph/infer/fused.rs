use super::super::error::InferError;
use super::super::fused::{ConvInput, Fused, GradEpilogue, ReluMask, Shortcut};
use super::super::op::{Conv2d, MaxPool2d};
use super::super::{ElementType, Shape, TensorType};
use super::operands::{Operands, Types, expect_elements, expect_shape, extents, float};

pub(super) fn infer(operands: &Operands<'_>, fused: &Fused) -> Types {
    let mut operands = Cursor::of(operands, fused)?;
    let operands = &mut operands;
    match *fused {
        Fused::ToBlocks | Fused::FromBlocks => float(operands.nchwc()?.0),
        Fused::Conv { conv, input } => convolution(operands, conv, input),
        Fused::ExpandedConv { conv, .. } => expanded_convolution(operands, conv),
        Fused::ConvInputGradient {
            conv,
            extent,
            epilogue,
        } => conv_input_gradient(operands, conv, (extent, epilogue)),
        Fused::ConvWeightGradient { conv, kernel, input } => {
            conv_weight_gradient(operands, conv, (kernel, input))
        }
        Fused::ScaleShift(_) => {
            let channels = operands.next()?.clone();
            for _ in 0..3 {
                operands.expect(channels.clone())?;
            }
            let [channels] = extents(0, &channels)?;
            float([2, channels])
        }
        Fused::Normalize { shortcut, .. } => {
            let (x, channels) = operands.nchwc()?;
            operands.expect([2, channels])?;
            if shortcut != Shortcut::None {
                operands.expect(x.clone())?;
            }
            if shortcut == Shortcut::ScaleShift {
                operands.expect([2, channels])?;
            }
            float(x)
        }
        Fused::GradEpilogue(epilogue) => {
            let (dy, channels) = operands.nchwc()?;
            grad_epilogue(operands, dy, channels, epilogue)
        }
        Fused::BatchNormGradient(_) => {
            let (g, channels) = operands.nchwc()?;
            operands.expect(g.clone())?;
            operands.expect([2, channels])?;
            for _ in 0..3 {
                operands.expect([channels])?;
            }
            Ok(vec![
                TensorType::f32([channels]),
                TensorType::f32([channels]),
                TensorType::f32(g),
            ])
        }
        Fused::MaxPool(pool) => {
            let (x, channels) = operands.nchwc()?;
            operands.expect([2, channels])?;
            float(pooled(&x, pool)?)
        }
        Fused::MaxPoolGradient(pool) => {
            let (x, channels) = operands.nchwc()?;
            operands.expect([2, channels])?;
            operands.expect(pooled(&x, pool)?)?;
            operands.expect([channels])?;
            Ok(vec![TensorType::f32([2, channels]), TensorType::f32(x)])
        }
        Fused::LayerNorm(_) => super::composite::layer_norm(operands.all),
        Fused::LayerNormGradient(_) => super::composite::layer_norm_gradient(operands.all),
        Fused::Gelu => super::composite::gelu(&Operands(&operands.all.0[..1])),
        Fused::GeluGradient | Fused::SoftmaxGradient => super::composite::pair(operands.all),
        Fused::AdamW(_) => adamw(operands.all),
        Fused::CudnnInputGradient { conv, extent } => {
            super::composite::conv_input_gradient(operands.all, conv, extent)
        }
        Fused::CudnnWeightGradient { conv, kernel } => {
            super::composite::conv_weight_gradient(operands.all, conv, kernel)
        }
    }
}

fn adamw(operands: &Operands<'_>) -> Types {
    let (update, conditions) = operands.0.split_at(9);
    for (condition, found) in conditions.iter().enumerate() {
        expect_elements(9 + condition, found, ElementType::F32)?;
        expect_shape(9 + condition, &found.shape, [])?;
    }
    super::composite::adamw(&Operands(update))
}

fn convolution(operands: &mut Cursor<'_>, conv: Conv2d, input: ConvInput) -> Types {
    let (x, channels) = operands.conv_input(input)?;
    let w = operands.next()?.clone();
    let [k, _, kh, kw] = extents(1, &w)?;
    let [n, _, height, width] = extents(0, &x)?;
    let [rows, columns] = positions(&x, ([height, width], [kh, kw]), conv, [channels, k])?;
    expect_shape(operands.position - 1, &w, [k, channels / conv.groups, kh, kw])?;
    let y = nchwc(0, Shape::from([n, k, rows, columns]))?;
    Ok(vec![
        TensorType::f32(y),
        TensorType::f32([k]),
        TensorType::f32([k]),
    ])
}

fn expanded_convolution(operands: &mut Cursor<'_>, conv: Conv2d) -> Types {
    let (x, inputs) = operands.nchwc()?;
    let [n, _, height, width] = extents(0, &x)?;
    operands.expect([conv.groups, inputs, 1, 1])?;
    operands.expect([2, conv.groups])?;
    let w = operands.next()?.clone();
    let [_, _, kh, kw] = extents(3, &w)?;
    let [rows, columns] = positions(&x, ([height, width], [kh, kw]), conv, [conv.groups; 2])?;
    expect_shape(3, &w, [conv.groups, 1, kh, kw])?;
    float(nchwc(0, Shape::from([n, conv.groups, rows, columns]))?)
}

fn conv_input_gradient(
    operands: &mut Cursor<'_>,
    conv: Conv2d,
    (extent, epilogue): ([usize; 2], GradEpilogue),
) -> Types {
    let w = operands.next()?.clone();
    let (dy, _) = operands.nchwc()?;
    let [k, c, kh, kw] = extents(0, &w)?;
    let [n, _, _, _] = extents(1, &dy)?;
    let c = c * conv.groups;
    let [rows, columns] = positions(&dy, (extent, [kh, kw]), conv, [c, k])?;
    expect_shape(1, &dy, [n, k, rows, columns])?;
    let dx = nchwc(0, Shape::from([n, c, extent[0], extent[1]]))?;
    grad_epilogue(operands, dx, c, epilogue)
}

fn conv_weight_gradient(
    operands: &mut Cursor<'_>,
    conv: Conv2d,
    (kernel, input): ([usize; 2], ConvInput),
) -> Types {
    let (x, c) = operands.conv_input(input)?;
    let (dy, k) = operands.nchwc()?;
    let [n, _, height, width] = extents(0, &x)?;
    let [rows, columns] = positions(&x, ([height, width], kernel), conv, [c, k])?;
    expect_shape(operands.position - 1, &dy, [n, k, rows, columns])?;
    float([k, c / conv.groups, kernel[0], kernel[1]])
}

/// Checks the operands of an epilogue and returns its outputs.
fn grad_epilogue(operands: &mut Cursor<'_>, dy: Shape, channels: usize, epilogue: GradEpilogue) -> Types {
    if epilogue.has_addend {
        operands.expect(dy.clone())?;
    }
    match epilogue.mask {
        ReluMask::None => {}
        ReluMask::Output(_) => operands.expect(dy.clone())?,
        ReluMask::ScaleShift(_) => operands.expect([2, channels])?,
    }
    if !epilogue.has_batch_mean {
        return float(dy);
    }
    operands.expect(dy.clone())?;
    operands.expect([channels])?;
    Ok(vec![TensorType::f32([2, channels]), TensorType::f32(dy)])
}

/// Height and width of a convolution's output. Fused convolutions have one group or are depthwise, and have no dilation.
fn positions(
    shape: &Shape,
    (extent, kernel): ([usize; 2], [usize; 2]),
    conv: Conv2d,
    channels: [usize; 2],
) -> Result<[usize; 2], InferError> {
    if !conv.is_dense() && !conv.is_depthwise(channels) {
        return Err(InferError::Attribute {
            name: "groups, dilation",
            shape: shape.clone(),
        });
    }
    super::convolution::positions(shape, extent, kernel, conv)
}

fn pooled(x: &Shape, pool: MaxPool2d) -> Result<Shape, InferError> {
    let x = TensorType::f32(x.clone());
    let pooled = super::convolution::max_pool(&Operands(&[&x]), pool)?;
    Ok(pooled[0].shape.clone())
}

/// Rejects shapes that cannot have NCHWc layout.
fn nchwc(operand: usize, shape: Shape) -> Result<Shape, InferError> {
    let [_, channels, _, _] = extents(operand, &shape)?;
    if channels % 16 == 0 {
        return Ok(shape);
    }
    Err(InferError::Attribute {
        name: "NCHWc layout (channels must be a multiple of 16)",
        shape,
    })
}

/// Iterates over the operands of a node; all that it returns are in single precision.
struct Cursor<'a> {
    all: &'a Operands<'a>,
    position: usize,
}

impl<'a> Cursor<'a> {
    /// Checks the number of operands.
    fn of(all: &'a Operands<'a>, fused: &Fused) -> Result<Self, InferError> {
        let read = |input: ConvInput| 2 + usize::from(matches!(input, ConvInput::NchwCRelu(_)));
        let expected = match *fused {
            Fused::ToBlocks | Fused::FromBlocks => 1,
            Fused::Conv { input, .. } | Fused::ConvWeightGradient { input, .. } => read(input),
            Fused::ConvInputGradient { epilogue, .. } => 2 + epilogue.operands(),
            Fused::ScaleShift(_) | Fused::MaxPoolGradient(_) | Fused::ExpandedConv { .. } => 4,
            Fused::Normalize { shortcut, .. } => match shortcut {
                Shortcut::None => 2,
                Shortcut::Raw => 3,
                Shortcut::ScaleShift => 4,
            },
            Fused::GradEpilogue(epilogue) => 1 + epilogue.operands(),
            Fused::BatchNormGradient(_) => 6,
            Fused::MaxPool(_) => 2,
            Fused::LayerNorm(_) | Fused::LayerNormGradient(_) => 3,
            Fused::Gelu => all.0.len().clamp(1, 2),
            Fused::GeluGradient | Fused::SoftmaxGradient => 2,
            Fused::AdamW(_) => {
                if all.0.len() == 11 {
                    11
                } else {
                    9
                }
            }
            Fused::CudnnInputGradient { .. } | Fused::CudnnWeightGradient { .. } => 2,
        };
        let found = all.0.len();
        if found != expected {
            return Err(InferError::Arity { expected, found });
        }
        Ok(Self { all, position: 0 })
    }

    fn next(&mut self) -> Result<&'a Shape, InferError> {
        let position = self.position;
        let operand = self.all.0.get(position).ok_or(InferError::Arity {
            expected: position + 1,
            found: position,
        })?;
        expect_elements(position, operand, ElementType::F32)?;
        self.position += 1;
        Ok(&operand.shape)
    }

    /// An operand in NCHWc layout, and its number of channels.
    fn nchwc(&mut self) -> Result<(Shape, usize), InferError> {
        let shape = nchwc(self.position, self.next()?.clone())?;
        let channels = shape[1];
        Ok((shape, channels))
    }

    /// The input of a convolution with its prologue, and its number of channels.
    fn conv_input(&mut self, input: ConvInput) -> Result<(Shape, usize), InferError> {
        if input == ConvInput::Nchw {
            let x = self.next()?.clone();
            let [_, channels, _, _] = extents(0, &x)?;
            return Ok((x, channels));
        }
        let (x, channels) = self.nchwc()?;
        if let ConvInput::NchwCRelu(_) = input {
            self.expect([2, channels])?;
        }
        Ok((x, channels))
    }

    fn expect(&mut self, shape: impl Into<Shape>) -> Result<(), InferError> {
        let position = self.position;
        expect_shape(position, self.next()?, shape)
    }
}
