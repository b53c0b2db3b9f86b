use super::{Builder, Mode};
use crate::graph::{Error, Shape, TensorType, Value};

/// A mask that a training step is given, so that a step is a function of its inputs and a resumed run repeats it.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropout {
    /// Name of the input.
    pub name: String,
    /// Its extents, `[N, features]`.
    pub shape: Shape,
    /// How likely an element is zero; the others are `1 / (1 − probability)`.
    pub probability: f32,
}

impl Builder<'_> {
    /// `x · mask` while training, `x` otherwise.
    pub(super) fn dropout(&mut self, name: &str, x: Value, probability: f32) -> Result<Value, Error> {
        if self.mode == Mode::Inference || probability == 0.0 {
            return Ok(x);
        }
        let shape = self.graph.shape(x).clone();
        let input = format!("{name}.mask");
        let mask = self.graph.input(&input, TensorType::f32(shape.clone()))?;
        self.dropouts.push(Dropout {
            name: input,
            shape,
            probability,
        });
        self.layer(name, |g| g.mul(x, mask))
    }
}
