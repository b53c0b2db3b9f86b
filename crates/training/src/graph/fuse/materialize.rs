//! Adds deferred operations to the new graph.

use super::fusion::Fusion;
use super::value_state::{Deferred, DeferredOp, GradSource, Gradient, MaskSource, Normalized};
use crate::graph::fused::{ConvInput, GradEpilogue, ReluMask, Shortcut};
use crate::graph::{Error, Fused, Value};

impl Fusion<'_> {
    /// A value in NCHW layout.
    pub(super) fn nchw(&mut self, value: Value) -> Result<Value, Error> {
        if let Some(nchw) = self.states[value.index()].nchw {
            return Ok(nchw);
        }
        let nchwc = self.nchwc(value)?;
        let [nchw] = self.push("layout", Fused::FromBlocks, &[nchwc])?;
        self.set_sliced(value, nchw)
    }

    /// A value in NCHWc layout.
    pub(super) fn nchwc(&mut self, value: Value) -> Result<Value, Error> {
        let state = &self.states[value.index()];
        if let Some(nchwc) = state.nchwc {
            return Ok(nchwc);
        }
        let nchwc = match (state.deferred.clone(), state.nchw) {
            (Some(Deferred { scope, op }), _) => match op {
                DeferredOp::Conv { conv, x, w } => match self.expanded_conv(&scope, (conv, x, w))? {
                    Some(y) => y,
                    None => return self.materialize_conv(value).map(|[y, ..]| y),
                },
                DeferredOp::Normalized(normalized) => self.materialize_normalized(&scope, normalized)?,
                DeferredOp::Gradient(gradient) => {
                    let (nchwc, sums) = self.materialize_gradient(&scope, &gradient, None)?;
                    self.states[value.index()].sums.extend(sums);
                    nchwc
                }
            },
            (None, Some(nchw)) => {
                let nchw = self.with_padding(nchw, &[1])?;
                let [nchwc] = self.push("layout", Fused::ToBlocks, &[nchw])?;
                nchwc
            }
            (None, None) => unreachable!("a value is computed before it is used"),
        };
        self.states[value.index()].nchwc = Some(nchwc);
        Ok(nchwc)
    }

    /// Mean and variance per channel of a value; `None` if no deferred convolution computes it.
    pub(super) fn statistics(&mut self, value: Value) -> Result<Option<[Value; 2]>, Error> {
        match &self.states[value.index()].deferred {
            Some(Deferred {
                op: DeferredOp::Conv { .. },
                ..
            }) => self
                .materialize_conv(value)
                .map(|[_, mean, variance]| Some([mean, variance])),
            _ => Ok(None),
        }
    }

    /// Output and statistics of a deferred convolution.
    fn materialize_conv(&mut self, value: Value) -> Result<[Value; 3], Error> {
        let state = &self.states[value.index()];
        if let (Some(y), Some([mean, variance])) = (state.nchwc, state.statistics) {
            return Ok([y, mean, variance]);
        }
        let Some(Deferred {
            scope,
            op: DeferredOp::Conv { conv, x, w },
        }) = state.deferred.clone()
        else {
            unreachable!("the caller checked that it is a deferred convolution")
        };
        let (input, mut operands) = self.conv_input(x)?;
        operands.push(w);
        let [y, mean, variance] = self.push(&scope, Fused::Conv { conv, input }, &operands)?;
        let state = &mut self.states[value.index()];
        state.nchwc = Some(y);
        state.statistics = Some([mean, variance]);
        Ok([y, mean, variance])
    }

    /// Layout and prologue with which a convolution reads a value, and the operands for it.
    pub(super) fn conv_input(&mut self, x: Value) -> Result<(ConvInput, Vec<Value>), Error> {
        if self.is_image(x) {
            return Ok((ConvInput::Nchw, vec![self.nchw(x)?]));
        }
        let plain = |normalized: Normalized| Some((normalized, normalized.plain_relu()?));
        match self.normalized(x).and_then(plain) {
            Some((normalized, relu)) if self.states[x.index()].nchwc.is_none() => Ok((
                ConvInput::NchwCRelu(relu),
                vec![normalized.x, normalized.scale_shift],
            )),
            _ => Ok((ConvInput::NchwC, vec![self.nchwc(x)?])),
        }
    }

    fn materialize_normalized(&mut self, scope: &str, normalized: Normalized) -> Result<Value, Error> {
        let mut operands = vec![normalized.x, normalized.scale_shift];
        let shortcut = match normalized.shortcut {
            None => Shortcut::None,
            Some((value, None)) => {
                operands.push(value);
                Shortcut::Raw
            }
            Some((value, Some(scale_shift))) => {
                operands.extend([value, scale_shift]);
                Shortcut::ScaleShift
            }
        };
        let op = Fused::Normalize {
            shortcut,
            relu: normalized.relu,
        };
        self.push(scope, op, &operands).map(|[y]| y)
    }

    /// A gradient, and its sums for the backward pass of a batch norm; `batch_mean` holds that batch norm's input and mean.
    pub(super) fn gradient_with_sums(
        &mut self,
        value: Value,
        batch_mean: [Value; 2],
    ) -> Result<(Value, Value), Error> {
        let state = &self.states[value.index()];
        let known = |sums: &[(Value, Value)]| {
            let found = sums.iter().find(|(x, _)| *x == batch_mean[0]);
            found.map(|(_, sums)| *sums)
        };
        let deferred = state.deferred.clone().filter(|_| state.nchwc.is_none());
        if let Some(Deferred {
            scope,
            op: DeferredOp::Gradient(gradient),
        }) = deferred
        {
            let (g, sums) = self.materialize_gradient(&scope, &gradient, Some(batch_mean))?;
            let state = &mut self.states[value.index()];
            state.nchwc = Some(g);
            state.sums.extend(sums);
        }
        let g = self.nchwc(value)?;
        if let Some(sums) = known(&self.states[value.index()].sums) {
            return Ok((g, sums));
        }
        let epilogue = GradEpilogue {
            has_addend: false,
            mask: ReluMask::None,
            has_batch_mean: true,
        };
        let [sums, _] = self.push(
            "sums",
            Fused::GradEpilogue(epilogue),
            &[g, batch_mean[0], batch_mean[1]],
        )?;
        self.states[value.index()].sums.push((batch_mean[0], sums));
        Ok((g, sums))
    }

    /// Materialises a deferred gradient; returns it with its sums, if any, and the batch norm's input that these are for.
    fn materialize_gradient(
        &mut self,
        scope: &str,
        gradient: &Gradient,
        batch_mean: Option<[Value; 2]>,
    ) -> Result<(Value, Option<(Value, Value)>), Error> {
        let mut operands = Vec::new();
        operands.extend(gradient.addend);
        let (mask, batch_mean) = match gradient.mask {
            None => (ReluMask::None, batch_mean),
            Some((MaskSource::Output(y), relu)) => {
                operands.push(y);
                (ReluMask::Output(relu), batch_mean)
            }
            // The ReLU mask is recomputed from the batch norm's input, whether or not its sums are needed.
            Some((MaskSource::PreActivation(normalized), relu)) => {
                operands.push(normalized.scale_shift);
                (ReluMask::ScaleShift(relu), Some([normalized.x, normalized.mean]))
            }
        };
        operands.extend(batch_mean.into_iter().flatten());
        let epilogue = GradEpilogue {
            has_addend: gradient.addend.is_some(),
            mask,
            has_batch_mean: batch_mean.is_some(),
        };
        let (op, first) = match gradient.source {
            GradSource::Value(dy) => (Fused::GradEpilogue(epilogue), vec![dy]),
            GradSource::Conv { conv, extent, w, dy } => (
                Fused::ConvInputGradient {
                    conv,
                    extent,
                    epilogue,
                },
                vec![w, dy],
            ),
            GradSource::MaxPool { pool, input, dy } => {
                let operands = [input.x, input.scale_shift, dy, input.mean];
                let [sums, g] = self.push(scope, Fused::MaxPoolGradient(pool), &operands)?;
                return Ok((g, Some((input.x, sums))));
            }
        };
        let operands = [first, operands].concat();
        match batch_mean {
            None => self.push(scope, op, &operands).map(|[g]| (g, None)),
            Some([x, _]) => {
                let [sums, g] = self.push(scope, op, &operands)?;
                Ok((g, Some((x, sums))))
            }
        }
    }
}
