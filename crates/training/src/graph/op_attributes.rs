//! Attributes of operators.

use super::window_positions;

/// Attributes of [`Op::Clip`](super::Op::Clip).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clip {
    /// Lower bound; −∞ for none.
    pub low: f32,
    /// Upper bound, at least `low`; ∞ for none.
    pub high: f32,
}

/// A ReLU with an upper bound: `min(max(x, 0), high)`. Its gradient is zero at the bounds, as in PyTorch's ReLU and ReLU6.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Relu {
    /// The upper bound, above zero: 6 for ReLU6, ∞ for ReLU.
    pub high: f32,
}

impl Relu {
    /// ReLU.
    pub const UNBOUNDED: Self = Self { high: f32::INFINITY };
}

/// Attributes of a reduction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduce {
    /// The reduced axes, ascending.
    pub axes: Vec<usize>,
    /// Whether reduced axes are kept, with extent one.
    pub keep_axes: bool,
}

/// Attributes of [`Op::Slice`](super::Op::Slice): one entry per axis of the operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// First index, per axis.
    pub starts: Vec<usize>,
    /// End of the index range (exclusive), per axis.
    pub ends: Vec<usize>,
    /// Step between indices, at least one, per axis.
    pub steps: Vec<usize>,
}

impl Slice {
    /// The slice that keeps a whole operand.
    #[must_use]
    pub fn whole(shape: &[usize]) -> Self {
        Self {
            starts: vec![0; shape.len()],
            ends: shape.to_vec(),
            steps: vec![1; shape.len()],
        }
    }
}

/// Attributes of [`Op::Pad`](super::Op::Pad): number of zeros per axis of the operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pad {
    /// Before the first element.
    pub before: Vec<usize>,
    /// After the last element.
    pub after: Vec<usize>,
}

/// Attributes of [`Op::Gemm`](super::Op::Gemm).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gemm {
    /// Whether the first operand is transposed.
    pub transpose_a: bool,
    /// Whether the second operand is transposed.
    pub transpose_b: bool,
}

/// Attributes of a convolution and its gradients, each `[height, width]`. The kernel size is that of the weight `[K, C/groups, R, S]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2d {
    /// Step between windows.
    pub stride: [usize; 2],
    /// Zeros before the first row and column.
    pub pad: [usize; 2],
    /// Zeros after the last row and column.
    pub pad_after: [usize; 2],
    /// Step between the elements of a window, at least one.
    pub dilation: [usize; 2],
    /// Number of groups, at least one; divides the input and output channels.
    pub groups: usize,
}

impl Default for Conv2d {
    /// ONNX's defaults.
    fn default() -> Self {
        Self {
            stride: [1; 2],
            pad: [0; 2],
            pad_after: [0; 2],
            dilation: [1; 2],
            groups: 1,
        }
    }
}

impl Conv2d {
    /// The same stride and padding for height and width.
    #[must_use]
    pub fn square(stride: usize, pad: usize) -> Self {
        Self {
            stride: [stride; 2],
            pad: [pad; 2],
            pad_after: [pad; 2],
            ..Self::default()
        }
    }

    /// Whether it pads as much after as before.
    #[must_use]
    pub fn is_evenly_padded(&self) -> bool {
        self.pad == self.pad_after
    }

    /// Whether it has one group and no dilation.
    #[must_use]
    pub fn is_dense(&self) -> bool {
        self.groups == 1 && self.dilation == [1; 2]
    }

    /// Whether each of the channels is a group of its own, and there is no dilation.
    #[must_use]
    pub fn is_depthwise(&self, channels: [usize; 2]) -> bool {
        self.groups > 1 && channels == [self.groups; 2] && self.dilation == [1; 2]
    }

    /// Height and width that a window of a kernel covers: `(kernel − 1)·dilation + 1`.
    #[must_use]
    pub fn span(&self, kernel: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|axis| {
            let gaps = kernel[axis].saturating_sub(1);
            gaps.saturating_mul(self.dilation[axis]).saturating_add(1)
        })
    }

    /// Height and width of the output for an input of `extent`; `None` if no window fits.
    #[must_use]
    pub fn positions(&self, extent: [usize; 2], kernel: [usize; 2]) -> Option<[usize; 2]> {
        if kernel.contains(&0) || self.dilation.contains(&0) {
            return None;
        }
        let span = self.span(kernel);
        let along = |axis: usize| {
            let around = self.pad[axis].checked_add(self.pad_after[axis])?;
            window_positions(extent[axis].checked_add(around)?, span[axis], self.stride[axis])
        };
        Some([along(0)?, along(1)?])
    }
}

/// Attributes of [`Op::ConvTranspose`](super::Op::ConvTranspose).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvTranspose2d {
    /// The convolution this is the transpose of.
    pub conv: Conv2d,
    /// Rows and columns at the end of that convolution's input that no window covers.
    pub output_padding: [usize; 2],
}

/// Attributes of [`Op::MaxPool`](super::Op::MaxPool).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MaxPool2d {
    /// Height and width of a window.
    pub kernel: [usize; 2],
    /// Step between windows.
    pub stride: [usize; 2],
    /// Padding on both sides; padding elements are never the maximum.
    pub pad: [usize; 2],
}

impl MaxPool2d {
    /// Its windows as those of a convolution.
    #[must_use]
    pub fn window(&self) -> Conv2d {
        Conv2d {
            stride: self.stride,
            pad: self.pad,
            pad_after: self.pad,
            ..Conv2d::default()
        }
    }
}

/// Attributes of [`Op::BatchNormalization`](super::Op::BatchNormalization).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormalization {
    /// ε, added to the variance.
    pub epsilon: f32,
}

/// Attributes of [`Composite::LayerNorm`](super::Composite::LayerNorm).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNormalization {
    /// ε, added to the variance.
    pub epsilon: f32,
}

/// Attributes of [`Composite::AdamW`](super::Composite::AdamW).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// β₂.
    pub beta2: f32,
    /// ε.
    pub epsilon: f32,
}
