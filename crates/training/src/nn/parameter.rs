use crate::graph::Value;

/// The three groups of layers that may have learning rates of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LayerGroup {
    /// The stem and the first two stages.
    Early,
    /// The last two stages.
    Late,
    /// What was put on the body.
    Head,
}

impl LayerGroup {
    /// All groups, from the image to the logits.
    pub const ALL: [Self; 3] = [Self::Early, Self::Late, Self::Head];

    /// Position in [`LayerGroup::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Early => 0,
            Self::Late => 1,
            Self::Head => 2,
        }
    }
}

/// What a parameter is, which decides how it starts and whether freezing concerns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParameterKind {
    /// Kernel of a convolution, `[K, C, R, S]`.
    ConvWeight,
    /// Scale of a batch norm.
    NormWeight,
    /// Shift of a batch norm.
    NormBias,
    /// Matrix of a linear layer, `[out, in]`.
    LinearWeight,
    /// Shift of a linear layer or of a convolution.
    LinearBias,
    /// Matrix or shift of a linear layer that starts as PyTorch's does.
    Uniform {
        /// Features that the layer reads.
        inputs: usize,
    },
    /// Anything else in a network that was read from a file, which is where it starts.
    Other,
}

impl ParameterKind {
    /// Whether it belongs to a batch norm: these are trained even in a frozen group.
    #[must_use]
    pub fn is_norm(self) -> bool {
        matches!(self, Self::NormWeight | Self::NormBias)
    }
}

/// A tensor that is learnt.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name in a state dictionary.
    pub name: String,
    /// Its value in the graph.
    pub value: Value,
    /// Where in the network it stands.
    pub group: LayerGroup,
    /// What it is.
    pub kind: ParameterKind,
}
