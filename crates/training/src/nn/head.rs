use std::{fmt, str::FromStr};

use super::{Builder, LayerGroup};
use crate::graph::op::MaxPool2d;
use crate::graph::{Error, Value};

/// Classification head: feature maps to logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Head {
    /// Concatenated global max and average pooling, then two linear layers, each after batch norm and dropout.
    ///
    /// # Source
    /// fastai's `create_head` with its defaults; layers are numbered as there.
    Fastai {
        /// Output features of the first linear layer.
        hidden: usize,
        /// Dropout probability before the first and the second linear layer.
        dropout: [f32; 2],
    },
    /// Global average pooling, then one linear layer, `fc`.
    ///
    /// # Source
    /// torchvision's `resnet.py`.
    Plain,
    /// Global average pooling, then [`cosine`](super::cosine()) with the weight `fc`.
    Cosine {
        /// Factor of the cosines.
        scale: f32,
    },
}

/// Default scale of [`Head::Cosine`], that of Cao et al., NeurIPS 2019.
const SCALE: f32 = 30.0;

impl Default for Head {
    /// fastai's: 512 features; dropout 0.5 before the last layer and 0.25 before the first.
    fn default() -> Self {
        Self::Fastai {
            hidden: 512,
            dropout: [0.25, 0.5],
        }
    }
}

/// The linear layer that computes a classifier's logits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastLayer {
    /// Name of the weight, `f32[classes, in]` or `f32[in, classes]`.
    pub weight: String,
    /// The weight's axis of the classes.
    pub axis: usize,
    /// Name of the bias.
    pub bias: Option<String>,
}

/// Unknown name of a head.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown head `{0}`: expected fastai, plain, cosine or cosine:SCALE with SCALE above 0")]
pub struct UnknownHead(String);

impl FromStr for Head {
    type Err = UnknownHead;

    fn from_str(name: &str) -> Result<Self, UnknownHead> {
        match name {
            "fastai" => Ok(Self::default()),
            "plain" => Ok(Self::Plain),
            "cosine" => Ok(Self::Cosine { scale: SCALE }),
            _ => {
                let scale = name.strip_prefix("cosine:").and_then(|scale| scale.parse().ok());
                let scale = scale.filter(|scale: &f32| *scale > 0.0 && scale.is_finite());
                let cosine = scale.map(|scale| Self::Cosine { scale });
                cosine.ok_or_else(|| UnknownHead(name.to_owned()))
            }
        }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fastai { .. } => f.write_str("fastai"),
            Self::Plain => f.write_str("plain"),
            Self::Cosine { scale: SCALE } => f.write_str("cosine"),
            Self::Cosine { scale } => write!(f, "cosine:{scale}"),
        }
    }
}

impl Head {
    /// Its last layer.
    #[must_use]
    pub fn last_layer(&self) -> LastLayer {
        let (name, has_bias) = match self {
            Self::Fastai { .. } => ("head.8", true),
            Self::Plain => ("fc", true),
            Self::Cosine { .. } => ("fc", false),
        };
        LastLayer {
            weight: format!("{name}.weight"),
            axis: 0,
            bias: has_bias.then(|| format!("{name}.bias")),
        }
    }

    /// Builds the head and returns the logits.
    ///
    /// # Shapes
    /// `x: f32[N, C, H, W] → f32[N, classes]`.
    ///
    /// # Errors
    /// None for a backbone's feature maps.
    pub fn build(&self, b: &mut Builder<'_>, x: Value, classes: usize) -> Result<Value, Error> {
        b.group = LayerGroup::Head;
        match *self {
            Self::Fastai { hidden, dropout } => fastai(b, x, (hidden, dropout), classes),
            Self::Plain => {
                let features = pooled(b, x)?;
                b.plain_linear("fc", features, classes)
            }
            Self::Cosine { scale } => {
                let features = pooled(b, x)?;
                b.cosine_linear("fc", features, classes, scale)
            }
        }
    }
}

fn fastai(
    b: &mut Builder<'_>,
    x: Value,
    (hidden, dropout): (usize, [f32; 2]),
    classes: usize,
) -> Result<Value, Error> {
    let extent = [b.graph.shape(x)[2], b.graph.shape(x)[3]];
    let pooled = b.layer("head.0", |g| {
        // Global max pooling as one window: the gradient needs the indices.
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
    let dropped = b.dropout("head.3", normal, dropout[0])?;
    let hidden = b.linear("head.4", dropped, hidden)?;
    let active = b.layer("head.5", |g| g.relu(hidden))?;
    let normal = b.batch_norm("head.6", active)?;
    let dropped = b.dropout("head.7", normal, dropout[1])?;
    b.linear("head.8", dropped, classes)
}

fn pooled(b: &mut Builder<'_>, x: Value) -> Result<Value, Error> {
    b.layer("avgpool", |g| {
        let mean = g.global_average_pool(x)?;
        g.flatten(mean)
    })
}
