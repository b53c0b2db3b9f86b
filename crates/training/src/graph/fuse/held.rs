use crate::graph::Value;
use crate::graph::op::{Conv2d, MaxPool2d};

/// What is known of a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    /// It, in plain order.
    pub(super) plain: Option<Value>,
    /// It, in blocks.
    pub(super) blocks: Option<Value>,
    /// How it comes into being. Kept when it has, because readers may prefer what it is made from.
    pub(super) promise: Option<Promise>,
    /// Mean and variance of each channel.
    pub(super) statistics: Option<[Value; 2]>,
    /// Sums of a gradient, and the operand of the batch norm that they are for.
    pub(super) sums: Vec<(Value, Value)>,
    /// Where the indices of a maximum come from: the value that was pooled.
    pub(super) pooled: Option<(MaxPool2d, Value)>,
}

/// A value that is made when it is asked for, and where it stands in the model.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    pub(super) scope: String,
    pub(super) of: Promised,
}

/// Operands are values of the new graph where they exist there, and of the old one where they may still be promises.
#[derive(Clone, Debug)]
pub(super) enum Promised {
    /// A convolution of `x` (old) with `w`.
    Conv { conv: Conv2d, x: Value, w: Value },
    /// A normalised value.
    Normal(Normal),
    /// A gradient.
    Gradient(Gradient),
}

/// `scale · x + shift (+ shortcut)`, rectified or not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Normal {
    /// In blocks.
    pub(super) x: Value,
    pub(super) affine: Value,
    /// Of x.
    pub(super) mean: Value,
    /// In blocks, with its scale and shift if it has its own.
    pub(super) shortcut: Option<(Value, Option<Value>)>,
    pub(super) is_rectified: bool,
}

impl Normal {
    /// Whether a reader can compute it on the way in.
    pub(super) fn is_plain_rectifier(&self) -> bool {
        self.is_rectified && self.shortcut.is_none()
    }
}

/// `(arriving + addend) · [gate]`.
#[derive(Clone, Debug)]
pub(super) struct Gradient {
    pub(super) arriving: Arriving,
    /// In blocks.
    pub(super) addend: Option<Value>,
    pub(super) gate: Option<Rectifier>,
}

impl Gradient {
    pub(super) fn new(arriving: Arriving) -> Self {
        Self {
            arriving,
            addend: None,
            gate: None,
        }
    }
}

/// Where a gradient comes from.
#[derive(Clone, Debug)]
pub(super) enum Arriving {
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
    MaxPool { pool: MaxPool2d, of: Normal, dy: Value },
}

/// What a gate is closed by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rectifier {
    /// Its result, in blocks.
    Result(Value),
    /// The normalised value that it is applied to.
    Of(Normal),
}
