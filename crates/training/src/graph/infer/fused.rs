use super::super::error::Refusal;
use super::super::fused::{Arrival, Fused, Gate, Operand, Shortcut};
use super::super::op::{Conv2d, MaxPool2d};
use super::super::{Shape, TensorType};
use super::convolution::positions;
use super::{Operands, Types, expect_shape, extents, float};

pub(super) fn infer(operands: &Operands<'_>, fused: &Fused) -> Types {
    let mut operands = Cursor::of(operands, fused)?;
    let operands = &mut operands;
    match *fused {
        Fused::ToBlocks | Fused::FromBlocks => float(operands.blocks()?.0),
        Fused::Conv { conv, operand } => convolution(operands, conv, operand),
        Fused::ConvInputGradient {
            conv,
            extent,
            arrival,
        } => conv_input_gradient(operands, conv, (extent, arrival)),
        Fused::ConvWeightGradient {
            conv,
            kernel,
            operand,
        } => conv_weight_gradient(operands, conv, (kernel, operand)),
        Fused::Affine(_) => {
            let channels = operands.next()?.clone();
            for _ in 0..3 {
                operands.expect(channels.clone())?;
            }
            let [channels] = extents(0, &channels)?;
            float([2, channels])
        }
        Fused::Normalize { shortcut, .. } => {
            let (x, channels) = operands.blocks()?;
            operands.expect([2, channels])?;
            if shortcut != Shortcut::None {
                operands.expect(x.clone())?;
            }
            if shortcut == Shortcut::Affine {
                operands.expect([2, channels])?;
            }
            float(x)
        }
        Fused::Arrive(arrival) => {
            let (dy, channels) = operands.blocks()?;
            arrive(operands, dy, channels, arrival)
        }
        Fused::BatchNormGradient(_) => {
            let (g, channels) = operands.blocks()?;
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
            let (x, channels) = operands.blocks()?;
            operands.expect([2, channels])?;
            float(pooled(&x, pool)?)
        }
        Fused::MaxPoolGradient(pool) => {
            let (x, channels) = operands.blocks()?;
            operands.expect([2, channels])?;
            operands.expect(pooled(&x, pool)?)?;
            operands.expect([channels])?;
            Ok(vec![TensorType::f32([2, channels]), TensorType::f32(x)])
        }
        Fused::AdamW(_) => super::composite::adamw(operands.all),
    }
}

fn convolution(operands: &mut Cursor<'_>, conv: Conv2d, operand: Operand) -> Types {
    let (x, channels) = operands.convolved(operand)?;
    let w = operands.next()?.clone();
    let [k, c, kh, kw] = extents(1, &w)?;
    if c != channels {
        expect_shape(operands.position - 1, &w, [k, channels, kh, kw])?;
    }
    let [n, _, height, width] = extents(0, &x)?;
    let [rows, columns] = positions(&x, [height, width], [kh, kw], conv)?;
    let y = in_blocks(0, Shape::from([n, k, rows, columns]))?;
    Ok(vec![
        TensorType::f32(y),
        TensorType::f32([k]),
        TensorType::f32([k]),
    ])
}

fn conv_input_gradient(
    operands: &mut Cursor<'_>,
    conv: Conv2d,
    (extent, arrival): ([usize; 2], Arrival),
) -> Types {
    let w = operands.next()?.clone();
    let (dy, _) = operands.blocks()?;
    let [k, c, kh, kw] = extents(0, &w)?;
    let [n, _, _, _] = extents(1, &dy)?;
    let [rows, columns] = positions(&dy, extent, [kh, kw], conv)?;
    expect_shape(1, &dy, [n, k, rows, columns])?;
    let dx = in_blocks(0, Shape::from([n, c, extent[0], extent[1]]))?;
    arrive(operands, dx, c, arrival)
}

fn conv_weight_gradient(
    operands: &mut Cursor<'_>,
    conv: Conv2d,
    (kernel, operand): ([usize; 2], Operand),
) -> Types {
    let (x, c) = operands.convolved(operand)?;
    let (dy, k) = operands.blocks()?;
    let [n, _, height, width] = extents(0, &x)?;
    let [rows, columns] = positions(&x, [height, width], kernel, conv)?;
    expect_shape(operands.position - 1, &dy, [n, k, rows, columns])?;
    float([k, c, kernel[0], kernel[1]])
}

/// The operands of an arrival, and its results.
fn arrive(operands: &mut Cursor<'_>, dy: Shape, channels: usize, arrival: Arrival) -> Types {
    if arrival.has_addend {
        operands.expect(dy.clone())?;
    }
    match arrival.gate {
        Gate::Open => {}
        Gate::Result => operands.expect(dy.clone())?,
        Gate::Affine => operands.expect([2, channels])?,
    }
    if !arrival.has_centre {
        return float(dy);
    }
    operands.expect(dy.clone())?;
    operands.expect([channels])?;
    Ok(vec![TensorType::f32([2, channels]), TensorType::f32(dy)])
}

fn pooled(x: &Shape, pool: MaxPool2d) -> Result<Shape, Refusal> {
    let x = TensorType::f32(x.clone());
    let pooled = super::convolution::max_pool(&Operands(&[&x]), pool)?;
    Ok(pooled[0].shape.clone())
}

/// Refuses what cannot stand in blocks of sixteen channels.
fn in_blocks(operand: usize, shape: Shape) -> Result<Shape, Refusal> {
    let [_, channels, _, _] = extents(operand, &shape)?;
    if channels % 16 == 0 {
        return Ok(shape);
    }
    Err(Refusal::Attribute {
        name: "blocks of sixteen channels",
        shape,
    })
}

/// The operands of one node, one after the other; all float.
struct Cursor<'a> {
    all: &'a Operands<'a>,
    position: usize,
}

impl<'a> Cursor<'a> {
    /// Checks that there are as many as the operator takes.
    fn of(all: &'a Operands<'a>, fused: &Fused) -> Result<Self, Refusal> {
        let read = |operand: Operand| if operand == Operand::Rectified { 3 } else { 2 };
        let expected = match *fused {
            Fused::ToBlocks | Fused::FromBlocks => 1,
            Fused::Conv { operand, .. } | Fused::ConvWeightGradient { operand, .. } => read(operand),
            Fused::ConvInputGradient { arrival, .. } => 2 + arrival.operands(),
            Fused::Affine(_) | Fused::MaxPoolGradient(_) => 4,
            Fused::Normalize { shortcut, .. } => match shortcut {
                Shortcut::None => 2,
                Shortcut::Raw => 3,
                Shortcut::Affine => 4,
            },
            Fused::Arrive(arrival) => 1 + arrival.operands(),
            Fused::BatchNormGradient(_) => 6,
            Fused::MaxPool(_) => 2,
            Fused::AdamW(_) => 9,
        };
        let found = all.0.len();
        if found != expected {
            return Err(Refusal::Arity { expected, found });
        }
        Ok(Self { all, position: 0 })
    }

    fn next(&mut self) -> Result<&'a Shape, Refusal> {
        let position = self.position;
        let operand = self.all.0.get(position).ok_or(Refusal::Arity {
            expected: position + 1,
            found: position,
        })?;
        super::expect_elements(position, operand, super::ElementType::F32)?;
        self.position += 1;
        Ok(&operand.shape)
    }

    /// An operand in blocks, with the number of its channels.
    fn blocks(&mut self) -> Result<(Shape, usize), Refusal> {
        let shape = in_blocks(self.position, self.next()?.clone())?;
        let channels = shape[1];
        Ok((shape, channels))
    }

    /// What a convolution reads, with the number of its channels.
    fn convolved(&mut self, operand: Operand) -> Result<(Shape, usize), Refusal> {
        if operand == Operand::Images {
            let x = self.next()?.clone();
            let [_, channels, _, _] = extents(0, &x)?;
            return Ok((x, channels));
        }
        let (x, channels) = self.blocks()?;
        if operand == Operand::Rectified {
            self.expect([2, channels])?;
        }
        Ok((x, channels))
    }

    fn expect(&mut self, shape: impl Into<Shape>) -> Result<(), Refusal> {
        let position = self.position;
        expect_shape(position, self.next()?, shape)
    }
}
