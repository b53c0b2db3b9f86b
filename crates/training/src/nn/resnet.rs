use std::fmt;
use std::str::FromStr;

use super::conv::Conv;
use super::{Builder, LayerGroup};
use crate::graph::op::MaxPool2d;
use crate::graph::{Error, Value};

/// Residual block type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Block {
    /// `BasicBlock`: two 3×3 convolutions.
    Basic,
    /// `Bottleneck`: 1×1, 3×3, 1×1 convolutions, the last one four times as wide.
    Bottleneck,
}

impl Block {
    /// Ratio of output channels to the width of the stage.
    #[must_use]
    pub fn expansion(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }
}

/// A ResNet without its head.
///
/// # Source
/// torchvision's `resnet.py` (ResNet v1.5: a bottleneck's stride is in its 3×3 convolution); parameter names are its state dictionary's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backbone {
    /// Block type.
    pub block: Block,
    /// Blocks per stage.
    pub depths: [usize; 4],
    /// Channels of the stem and the first stage; each further stage doubles them.
    pub width: usize,
}

impl Backbone {
    /// 18 layers.
    pub const RESNET18: Self = Self {
        block: Block::Basic,
        depths: [2, 2, 2, 2],
        width: 64,
    };
    /// 34 layers.
    pub const RESNET34: Self = Self {
        block: Block::Basic,
        depths: [3, 4, 6, 3],
        width: 64,
    };
    /// 50 layers.
    pub const RESNET50: Self = Self {
        block: Block::Bottleneck,
        depths: [3, 4, 6, 3],
        width: 64,
    };
    /// 101 layers.
    pub const RESNET101: Self = Self {
        block: Block::Bottleneck,
        depths: [3, 4, 23, 3],
        width: 64,
    };

    const NAMED: [(&str, Self); 4] = [
        ("resnet18", Self::RESNET18),
        ("resnet34", Self::RESNET34),
        ("resnet50", Self::RESNET50),
        ("resnet101", Self::RESNET101),
    ];

    /// Names accepted by [`Backbone::from_str`].
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::NAMED.iter().map(|(name, _)| *name)
    }

    /// Builds the network up to its last feature maps.
    ///
    /// # Shapes
    /// `images: f32[N, 3, S, S] → f32[N, 8·width·expansion, ⌈S/32⌉, ⌈S/32⌉]`.
    ///
    /// # Errors
    /// None for images of at least one pixel.
    pub fn build(&self, b: &mut Builder<'_>, images: Value) -> Result<Value, Error> {
        b.group = LayerGroup::Early;
        let x = b.conv(
            "conv1",
            images,
            Conv {
                channels: self.width,
                kernel: 7,
                stride: 2,
            },
        )?;
        let x = b.batch_norm("bn1", x)?;
        let x = b.layer("relu", |g| g.relu(x))?;
        let pool = MaxPool2d {
            kernel: [3, 3],
            stride: [2, 2],
            pad: [1, 1],
        };
        let [mut x, _] = b.layer("maxpool", |g| g.max_pool(x, pool))?;
        for (stage, depth) in self.depths.into_iter().enumerate() {
            b.group = if stage < 2 {
                LayerGroup::Early
            } else {
                LayerGroup::Late
            };
            for position in 0..depth {
                let name = format!("layer{}.{position}", stage + 1);
                let stride = if stage > 0 && position == 0 { 2 } else { 1 };
                x = self.residual(
                    b,
                    &name,
                    x,
                    Stage {
                        width: self.width << stage,
                        stride,
                    },
                )?;
            }
        }
        Ok(x)
    }

    /// `relu(branch(x) + shortcut(x))`.
    fn residual(&self, b: &mut Builder<'_>, name: &str, x: Value, stage: Stage) -> Result<Value, Error> {
        let Stage { width, stride } = stage;
        let wide = width * self.block.expansion();
        let convs: &[Conv] = match self.block {
            Block::Basic => &[
                Conv {
                    channels: width,
                    kernel: 3,
                    stride,
                },
                Conv {
                    channels: width,
                    kernel: 3,
                    stride: 1,
                },
            ],
            Block::Bottleneck => &[
                Conv {
                    channels: width,
                    kernel: 1,
                    stride: 1,
                },
                Conv {
                    channels: width,
                    kernel: 3,
                    stride,
                },
                Conv {
                    channels: wide,
                    kernel: 1,
                    stride: 1,
                },
            ],
        };
        let mut branch = x;
        for (index, &conv) in convs.iter().enumerate() {
            let number = index + 1;
            branch = b.conv(&format!("{name}.conv{number}"), branch, conv)?;
            branch = b.batch_norm(&format!("{name}.bn{number}"), branch)?;
            if number < convs.len() {
                branch = b.layer(&format!("{name}.relu{number}"), |g| g.relu(branch))?;
            }
        }
        let shortcut = if stride == 1 && b.graph.shape(x)[1] == wide {
            x
        } else {
            let conv = Conv {
                channels: wide,
                kernel: 1,
                stride,
            };
            let projected = b.conv(&format!("{name}.downsample.0"), x, conv)?;
            b.batch_norm(&format!("{name}.downsample.1"), projected)?
        };
        b.layer(name, |g| {
            let sum = g.add(branch, shortcut)?;
            g.relu(sum)
        })
    }
}

/// Width and stride of a block.
#[derive(Clone, Copy)]
struct Stage {
    width: usize,
    stride: usize,
}

/// Unknown name of an architecture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown architecture `{name}`: expected resnet18, resnet34, resnet50 or resnet101")]
pub struct UnknownBackbone {
    /// The given name.
    pub name: String,
}

impl FromStr for Backbone {
    type Err = UnknownBackbone;

    fn from_str(name: &str) -> Result<Self, UnknownBackbone> {
        let known = Self::NAMED.iter().find(|(known, _)| *known == name);
        known
            .map(|(_, backbone)| *backbone)
            .ok_or_else(|| UnknownBackbone {
                name: name.to_owned(),
            })
    }
}

impl fmt::Display for Backbone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.iter().find(|(_, known)| known == self) {
            Some((name, _)) => formatter.write_str(name),
            None => write!(
                formatter,
                "{:?} x {:?}, width {}",
                self.block, self.depths, self.width
            ),
        }
    }
}
