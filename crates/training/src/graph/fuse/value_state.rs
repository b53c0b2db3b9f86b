use crate::graph::Value;
use crate::graph::op::{Conv2d, MaxPool2d, Relu};

/// Fusion state of a value of the original graph.
#[derive(Clone, Debug, Default)]
pub(super) struct ValueState {
    /// The value in NCHW layout, if it was added to the new graph.
    pub(super) nchw: Option<Value>,
    /// The value in NCHWc layout, if it was added to the new graph.
    pub(super) nchwc: Option<Value>,
    /// For a parameter or statistic of channels: padded to a multiple of sixteen channels.
    pub(super) padded: Option<Value>,
    /// The deferred operation that computes it. Kept after it is materialised, because consumers may fuse with its operands instead.
    pub(super) deferred: Option<Deferred>,
    /// Mean and variance per channel, each `[C]`.
    pub(super) statistics: Option<[Value; 2]>,
    /// For a gradient: pairs of a batch norm's input and the sums (`[2, C]`) that its backward pass needs.
    pub(super) sums: Vec<(Value, Value)>,
    /// For the indices of a max pooling: its attributes and the value that was pooled.
    pub(super) pooled: Option<(MaxPool2d, Value)>,
}

/// An operation that has not been added to the new graph yet, and its scope.
#[derive(Clone, Debug)]
pub(super) struct Deferred {
    pub(super) scope: String,
    pub(super) op: DeferredOp,
}

/// A deferred operation. Operands are values of the new graph, unless they may be deferred themselves (marked *old*).
#[derive(Clone, Debug)]
pub(super) enum DeferredOp {
    /// Convolution of `x` (old) with `w`.
    Conv { conv: Conv2d, x: Value, w: Value },
    /// A batch norm with what follows it.
    Normalized(Normalized),
    /// A gradient.
    Gradient(Gradient),
}

/// `scale · x + shift (+ shortcut)`, optionally followed by ReLU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Normalized {
    /// In NCHWc layout.
    pub(super) x: Value,
    pub(super) scale_shift: Value,
    /// Mean of `x` per channel.
    pub(super) mean: Value,
    /// In NCHWc layout, with a scale and shift of its own if it is a batch norm's output.
    pub(super) shortcut: Option<(Value, Option<Value>)>,
    pub(super) relu: Option<Relu>,
}

impl Normalized {
    /// The ReLU if there is no shortcut, so that a consumer can compute it in its prologue.
    pub(super) fn plain_relu(&self) -> Option<Relu> {
        self.relu.filter(|_| self.shortcut.is_none())
    }
}

/// `(source + addend) · [mask]`.
#[derive(Clone, Debug)]
pub(super) struct Gradient {
    pub(super) source: GradSource,
    /// In NCHWc layout.
    pub(super) addend: Option<Value>,
    pub(super) mask: Option<(MaskSource, Relu)>,
}

impl Gradient {
    pub(super) fn new(source: GradSource) -> Self {
        Self {
            source,
            addend: None,
            mask: None,
        }
    }
}

/// The operation that computes a gradient.
#[derive(Clone, Debug)]
pub(super) enum GradSource {
    /// A value that exists, in NCHWc layout.
    Value(Value),
    /// The input gradient of a convolution; `dy` in NCHWc layout.
    Conv {
        conv: Conv2d,
        extent: [usize; 2],
        w: Value,
        dy: Value,
    },
    /// The gradient of max pooling after ReLU; `dy` in NCHWc layout. Always masked by that ReLU.
    MaxPool {
        pool: MaxPool2d,
        input: Normalized,
        dy: Value,
    },
}

/// The value that gives the ReLU mask.
#[derive(Clone, Copy, Debug)]
pub(super) enum MaskSource {
    /// The ReLU's output, in NCHWc layout.
    Output(Value),
    /// The ReLU's input, which is recomputed.
    PreActivation(Normalized),
}
