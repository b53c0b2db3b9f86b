use super::{Builder, LayerGroup};
use crate::graph::op::MaxPool2d;
use crate::graph::{Error, Value};

/// What turns feature maps into logits: maximum and mean of every map side by side, then two linear layers, each behind batch norm and
/// dropout.
///
/// # Source
/// fastai's `create_head` with its defaults; layers are numbered as there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Head {
    /// Features between the two linear layers.
    pub hidden: usize,
    /// How likely a feature is dropped before the first and before the second linear layer.
    pub dropout: [f32; 2],
}

impl Default for Head {
    /// 512 features; dropout 0.5 before the last layer and half of it before the other.
    fn default() -> Self {
        Self {
            hidden: 512,
            dropout: [0.25, 0.5],
        }
    }
}

impl Head {
    /// Wires the head and returns the logits.
    ///
    /// # Shapes
    /// `x: f32[N, C, H, W] → f32[N, classes]`.
    ///
    /// # Errors
    /// None for a backbone's feature maps.
    pub fn build(&self, b: &mut Builder<'_>, x: Value, classes: usize) -> Result<Value, Error> {
        b.group = LayerGroup::Head;
        let extent = [b.graph.shape(x)[2], b.graph.shape(x)[3]];
        let pooled = b.layer("head.0", |g| {
            // One window over everything, whose indices the gradient needs.
            let [maximum, _] = g.max_pool(
                x,
                MaxPool2d {
                    kernel: extent,
                    stride: [1, 1],
                    pad: [0, 0],
                },
            )?;
            let mean = g.global_average_pool(x)?;
            g.concat(1, &[maximum, mean])
        })?;
        let features = b.layer("head.1", |g| g.flatten(pooled))?;
        let normal = b.batch_norm("head.2", features)?;
        let dropped = b.dropout("head.3", normal, self.dropout[0])?;
        let hidden = b.linear("head.4", dropped, self.hidden)?;
        let active = b.layer("head.5", |g| g.relu(hidden))?;
        let normal = b.batch_norm("head.6", active)?;
        let dropped = b.dropout("head.7", normal, self.dropout[1])?;
        b.linear("head.8", dropped, classes)
    }
}
