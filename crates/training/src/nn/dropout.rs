use super::{Builder, LayerGroup, Mode};
use crate::graph::{Error, Shape, TensorType, Value};

/// A dropout mask that is an input of the training step: the step is a pure function of its inputs, and resumed runs are bit-identical.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropout {
    /// Name of the input.
    pub name: String,
    /// Shape, `[N, features]`.
    pub shape: Shape,
    /// Probability that an element is zero; other elements are `1 / (1 − probability)`.
    pub probability: f32,
    /// Layer group of its layer.
    pub group: LayerGroup,
}

impl Builder<'_> {
    /// `x · mask` in training, otherwise `x`.
    pub(super) fn dropout(&mut self, name: &str, x: Value, probability: f32) -> Result<Value, Error> {
        if self.mode != Mode::Train || probability == 0.0 {
            return Ok(x);
        }
        let shape = self.graph.shape(x).clone();
        let input = format!("{name}.mask");
        let mask = self.graph.input(&input, TensorType::f32(shape.clone()))?;
        self.dropouts.push(Dropout {
            name: input,
            shape,
            probability,
            group: self.group,
        });
        self.layer(name, |g| g.mul(x, mask))
    }
}
