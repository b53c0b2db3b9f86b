use crate::graph::Value;
use crate::graph::op::{Conv2d, MaxPool2d};

/// What is known of a value.
#[derive(Clone, Debug, Default)]
pub(super) struct ValueState {
    /// It, in plain order.
    pub(super) nchw: Option<Value>,
    /// It, in blocks.
    pub(super) nchwc: Option<Value>,
    /// How it comes into being. Kept when it has, because readers may prefer what it is made from.
    pub(super) deferred: Option<Deferred>,
    /// Mean and variance of each channel.
    pub(super) statistics: Option<[Value; 2]>,
    /// Sums of a gradient, and the operand of the batch norm that they are for.
    pub(super) sums: Vec<(Value, Value)>,
    /// Where the indices of a maximum come from: the value that was pooled.
    pub(super) pooled: Option<(MaxPool2d, Value)>,
}

/// A value that is made when it is asked for, and where it stands in the model.
#[derive(Clone, Debug)]
pub(super) struct Deferred {
    pub(super) scope: String,
    pub(super) op: DeferredOp,
}

/// Operands are values of the new graph where they exist there, and of the old one where they may still be promises.
#[derive(Clone, Debug)]
pub(super) enum DeferredOp {
    /// A convolution of `x` (old) with `w`.
    Conv { conv: Conv2d, x: Value, w: Value },
    /// A normalised value.
    Normalized(Normalized),
    /// A gradient.
    Gradient(Gradient),
}

/// `scale · x + shift (+ shortcut)`, rectified or not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Normalized {
    /// In blocks.
    pub(super) x: Value,
    pub(super) scale_shift: Value,
    /// Of x.
    pub(super) mean: Value,
    /// In blocks, with its scale and shift if it has its own.
    pub(super) shortcut: Option<(Value, Option<Value>)>,
    pub(super) has_relu: bool,
}

impl Normalized {
    /// Whether a reader can compute it on the way in.
    pub(super) fn is_plain_relu(&self) -> bool {
        self.has_relu && self.shortcut.is_none()
    }
}

/// `(source + addend) · [mask]`.
#[derive(Clone, Debug)]
pub(super) struct Gradient {
    pub(super) source: GradSource,
    /// In blocks.
    pub(super) addend: Option<Value>,
    pub(super) mask: Option<MaskSource>,
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

/// Where a gradient comes from.
#[derive(Clone, Debug)]
pub(super) enum GradSource {
    /// It exists, in blocks.
    Value(Value),
    /// A convolution passes it back: `dy` in blocks.
    Conv {
        conv: Conv2d,
        extent: [usize; 2],
        w: Value,
        dy: Value,
    },
    /// Max pooling of a rectified value passes it back: `dy` in blocks. Its gate is always closed by that rectifier.
    MaxPool {
        pool: MaxPool2d,
        input: Normalized,
        dy: Value,
    },
}

/// What a gate is closed by.
#[derive(Clone, Copy, Debug)]
pub(super) enum MaskSource {
    /// Its result, in blocks.
    Output(Value),
    /// The normalised value that it is applied to.
    PreActivation(Normalized),
}
