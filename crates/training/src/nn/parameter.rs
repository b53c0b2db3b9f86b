use crate::graph::{Shape, Value};

/// Layer groups, each with its own learning rate (discriminative learning rates).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LayerGroup {
    /// The stem and the first two stages.
    Early,
    /// The last two stages.
    Late,
    /// The classification head.
    Head,
}

impl LayerGroup {
    /// All groups, from input to logits.
    pub const ALL: [Self; 3] = [Self::Early, Self::Late, Self::Head];

    /// Index in [`LayerGroup::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Early => 0,
            Self::Late => 1,
            Self::Head => 2,
        }
    }
}

/// Kind of a parameter: selects its initialization and whether freezing a group freezes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParameterKind {
    /// Weight of a convolution, `[K, C, R, S]`.
    ConvWeight,
    /// Weight (scale) of a batch norm.
    NormWeight,
    /// Bias of a batch norm.
    NormBias,
    /// Weight of a linear layer, `[out, in]`.
    LinearWeight,
    /// Bias of a linear layer or a convolution.
    LinearBias,
    /// Weight or bias of a linear layer with PyTorch's default initialization.
    Uniform {
        /// Input features of the layer.
        inputs: usize,
    },
    /// Any other parameter of an imported network; its initial value is the file's.
    Other,
}

impl ParameterKind {
    /// Whether the parameter belongs to a norm layer: these are trained even in a frozen group.
    #[must_use]
    pub fn is_norm(self) -> bool {
        matches!(self, Self::NormWeight | Self::NormBias)
    }
}

/// A trainable tensor.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Name in the state dictionary.
    pub name: String,
    /// Value in the graph.
    pub value: Value,
    /// Its shape.
    pub shape: Shape,
    /// Layer group.
    pub group: LayerGroup,
    /// Kind.
    pub kind: ParameterKind,
}

impl Parameter {
    /// Whether the parameter is a bias. Of parameters whose kind does not say so, those with one axis are.
    #[must_use]
    pub fn is_bias(&self) -> bool {
        match self.kind {
            ParameterKind::NormBias | ParameterKind::LinearBias => true,
            ParameterKind::Uniform { .. } | ParameterKind::Other => self.shape.len() <= 1,
            ParameterKind::ConvWeight | ParameterKind::NormWeight | ParameterKind::LinearWeight => false,
        }
    }
}

/// A running statistic of a batch norm.
#[derive(Clone, Debug)]
pub struct Statistic {
    /// Name in the state dictionary.
    pub name: String,
    /// Value before the batch.
    pub value: Value,
    /// Value after the batch, in training.
    pub next: Option<Value>,
    /// Value after the previous micro-batch, for gradient accumulation whose steps may be rolled back.
    pub staged: Option<Value>,
    /// Whether it is a variance (initially one) or a mean (initially zero).
    pub is_variance: bool,
    /// Layer group of its batch norm.
    pub group: LayerGroup,
}

impl Statistic {
    /// All graph values of the statistic.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        [&mut self.value]
            .into_iter()
            .chain(&mut self.next)
            .chain(&mut self.staged)
    }
}

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
