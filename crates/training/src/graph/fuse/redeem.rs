//! Promises become nodes.

use super::Fusion;
use super::held::{Arriving, Gradient, Normal, Promise, Promised, Rectifier};
use crate::graph::fused::{Arrival, Gate, Operand, Shortcut};
use crate::graph::{Error, Fused, Value};

impl Fusion<'_> {
    /// A value in plain order.
    pub(super) fn plain(&mut self, value: Value) -> Result<Value, Error> {
        if let Some(plain) = self.held[value.index()].plain {
            return Ok(plain);
        }
        let blocks = self.blocks(value)?;
        let [plain] = self.push("layout", Fused::FromBlocks, &[blocks])?;
        self.held[value.index()].plain = Some(plain);
        Ok(plain)
    }

    /// A value in blocks.
    pub(super) fn blocks(&mut self, value: Value) -> Result<Value, Error> {
        let held = &self.held[value.index()];
        if let Some(blocks) = held.blocks {
            return Ok(blocks);
        }
        let blocks = match (held.promise.clone(), held.plain) {
            (Some(Promise { scope, of }), _) => match of {
                Promised::Conv { .. } => return self.convolved(value).map(|[y, ..]| y),
                Promised::Normal(normal) => self.normalized(&scope, normal)?,
                Promised::Gradient(gradient) => {
                    let (blocks, sums) = self.arrive(&scope, &gradient, None)?;
                    self.held[value.index()].sums.extend(sums);
                    blocks
                }
            },
            (None, Some(plain)) => {
                let [blocks] = self.push("layout", Fused::ToBlocks, &[plain])?;
                blocks
            }
            (None, None) => unreachable!("a value is read after it was made"),
        };
        self.held[value.index()].blocks = Some(blocks);
        Ok(blocks)
    }

    /// Mean and variance of each channel of a convolution's result.
    pub(super) fn statistics(&mut self, value: Value) -> Result<Option<[Value; 2]>, Error> {
        match &self.held[value.index()].promise {
            Some(Promise {
                of: Promised::Conv { .. },
                ..
            }) => self
                .convolved(value)
                .map(|[_, mean, variance]| Some([mean, variance])),
            _ => Ok(None),
        }
    }

    /// A promised convolution's result and statistics.
    fn convolved(&mut self, value: Value) -> Result<[Value; 3], Error> {
        let held = &self.held[value.index()];
        if let (Some(y), Some([mean, variance])) = (held.blocks, held.statistics) {
            return Ok([y, mean, variance]);
        }
        let Some(Promise {
            scope,
            of: Promised::Conv { conv, x, w },
        }) = held.promise.clone()
        else {
            unreachable!("the caller saw the promise")
        };
        let (operand, mut operands) = self.operand(x)?;
        operands.push(w);
        let [y, mean, variance] = self.push(&scope, Fused::Conv { conv, operand }, &operands)?;
        let held = &mut self.held[value.index()];
        held.blocks = Some(y);
        held.statistics = Some([mean, variance]);
        Ok([y, mean, variance])
    }

    /// How a convolution reads a value.
    pub(super) fn operand(&mut self, x: Value) -> Result<(Operand, Vec<Value>), Error> {
        if self.is_image(x) {
            return Ok((Operand::Images, vec![self.plain(x)?]));
        }
        match self.normal(x).filter(Normal::is_plain_rectifier) {
            Some(normal) if self.held[x.index()].blocks.is_none() => {
                Ok((Operand::Rectified, vec![normal.x, normal.affine]))
            }
            _ => Ok((Operand::Blocks, vec![self.blocks(x)?])),
        }
    }

    fn normalized(&mut self, scope: &str, normal: Normal) -> Result<Value, Error> {
        let mut operands = vec![normal.x, normal.affine];
        let shortcut = match normal.shortcut {
            None => Shortcut::None,
            Some((value, None)) => {
                operands.push(value);
                Shortcut::Raw
            }
            Some((value, Some(affine))) => {
                operands.extend([value, affine]);
                Shortcut::Affine
            }
        };
        let op = Fused::Normalize {
            shortcut,
            is_rectified: normal.is_rectified,
        };
        self.push(scope, op, &operands).map(|[y]| y)
    }

    /// A gradient, and its sums for the batch norm with operand and mean `centre`.
    pub(super) fn arrived(&mut self, value: Value, centre: [Value; 2]) -> Result<(Value, Value), Error> {
        let held = &self.held[value.index()];
        let known = |sums: &[(Value, Value)]| {
            let found = sums.iter().find(|(x, _)| *x == centre[0]);
            found.map(|(_, sums)| *sums)
        };
        let promise = held.promise.clone().filter(|_| held.blocks.is_none());
        if let Some(Promise {
            scope,
            of: Promised::Gradient(gradient),
        }) = promise
        {
            let (g, sums) = self.arrive(&scope, &gradient, Some(centre))?;
            let held = &mut self.held[value.index()];
            held.blocks = Some(g);
            held.sums.extend(sums);
        }
        let g = self.blocks(value)?;
        if let Some(sums) = known(&self.held[value.index()].sums) {
            return Ok((g, sums));
        }
        let arrival = Arrival {
            has_addend: false,
            gate: Gate::Open,
            has_centre: true,
        };
        let [sums, _] = self.push("sums", Fused::Arrive(arrival), &[g, centre[0], centre[1]])?;
        self.held[value.index()].sums.push((centre[0], sums));
        Ok((g, sums))
    }

    /// Redeems the promise of a gradient. Sums come with the operand of the batch norm that they are for.
    fn arrive(
        &mut self,
        scope: &str,
        gradient: &Gradient,
        centre: Option<[Value; 2]>,
    ) -> Result<(Value, Option<(Value, Value)>), Error> {
        let mut operands = Vec::new();
        operands.extend(gradient.addend);
        let (gate, centre) = match gradient.gate {
            None => (Gate::Open, centre),
            Some(Rectifier::Result(y)) => {
                operands.push(y);
                (Gate::Result, centre)
            }
            // The rectifier is computed again from the operand of its batch norm, whether that wants sums or not.
            Some(Rectifier::Of(normal)) => {
                operands.push(normal.affine);
                (Gate::Affine, Some([normal.x, normal.mean]))
            }
        };
        operands.extend(centre.into_iter().flatten());
        let arrival = Arrival {
            has_addend: gradient.addend.is_some(),
            gate,
            has_centre: centre.is_some(),
        };
        let (op, first) = match gradient.arriving {
            Arriving::Value(dy) => (Fused::Arrive(arrival), vec![dy]),
            Arriving::Conv { conv, extent, w, dy } => (
                Fused::ConvInputGradient {
                    conv,
                    extent,
                    arrival,
                },
                vec![w, dy],
            ),
            Arriving::MaxPool { pool, of, dy } => {
                let operands = [of.x, of.affine, dy, of.mean];
                let [sums, g] = self.push(scope, Fused::MaxPoolGradient(pool), &operands)?;
                return Ok((g, Some((of.x, sums))));
            }
        };
        let operands = [first, operands].concat();
        match centre {
            None => self.push(scope, op, &operands).map(|[g]| (g, None)),
            Some([x, _]) => {
                let [sums, g] = self.push(scope, op, &operands)?;
                Ok((g, Some((x, sums))))
            }
        }
    }
}
