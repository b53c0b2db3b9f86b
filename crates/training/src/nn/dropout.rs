use super::{Builder, Dropout, Mode};
use crate::graph::{Error, TensorType, Value};

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
