//! Convolutions without bias and their gradients: dispatch to [`winograd`] or [`direct`].

use super::destination::Destination;
use super::direct::{self, Images};
use super::epilogue::{Epilogue, GradEpilogue, GradWriter, StatsWriter, Writer};
use super::exec_context::ExecContext;
use super::prologue::{Identity, Prologue, ScaleShiftRelu};
use super::unsafe_slice::UnsafeSlice;
use super::weight_gradient::WeightGradient;
use super::winograd;
use super::{Extent, Window};

/// Input of a convolution, by layout and fused prologue.
#[derive(Clone, Copy, Debug)]
pub enum ConvInput<'a> {
    /// Activations in NCHWc layout.
    NchwC(&'a [f32]),
    /// A batch norm and ReLU computed on load, of x in NCHWc layout.
    NchwCRelu(&'a [f32], ScaleShiftRelu<'a>),
    /// Images in NCHW layout, with fewer than sixteen channels.
    Nchw(&'a [f32]),
}

/// Shapes of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct ConvShape {
    /// N.
    pub images: usize,
    /// C and K, multiples of sixteen; C is less than sixteen for [`ConvInput::Nchw`].
    pub channels: [usize; 2],
    /// H and W.
    pub extent: [usize; 2],
    /// Kernel size, stride and padding.
    pub window: Window,
    /// Whether each channel is convolved with a kernel of its own: K = C, and weights are `[C, 1, R, S]`.
    pub is_depthwise: bool,
}

/// Most columns of the plane that the convolution of [`ConvShape::flattened`] gets.
const COLUMNS: usize = 112;

impl ConvShape {
    fn input(&self) -> Extent {
        self.blocks(0, self.extent)
    }

    /// Extent of the output.
    #[must_use]
    pub fn output(&self) -> Extent {
        self.blocks(1, self.window.positions(self.extent))
    }

    fn blocks(&self, side: usize, [rows, columns]: [usize; 2]) -> Extent {
        Extent {
            images: self.images,
            blocks: self.channels[side] / 16,
            rows,
            columns,
        }
    }

    fn weights(&self) -> usize {
        let inputs = if self.is_depthwise { 1 } else { self.channels[0] };
        inputs * self.channels[1] * self.window.taps()
    }

    /// For 1×1 convolutions, whose pixels are independent: the plane in rows of as many pixels as are computed at a time.
    fn flattened(mut self) -> Self {
        let Window {
            kernel,
            stride,
            pad,
            pad_after,
        } = self.window;
        if [kernel, stride] == [[1; 2]; 2] && [pad, pad_after] == [[0; 2]; 2] {
            let pixels = self.extent[0] * self.extent[1];
            let columns = (1..=COLUMNS).rfind(|columns| pixels.is_multiple_of(*columns));
            let columns = columns.unwrap_or(1);
            self.extent = [pixels / columns, columns];
        }
        self
    }

    fn check_operand(&self, x: ConvInput<'_>) {
        let (ConvInput::NchwC(x) | ConvInput::NchwCRelu(x, _) | ConvInput::Nchw(x)) = x;
        assert_eq!(
            x.len(),
            self.images * self.channels[0] * self.extent[0] * self.extent[1]
        );
        assert_eq!(self.channels[1] % 16, 0);
        assert!(!self.is_depthwise || self.channels[0] == self.channels[1]);
    }

    fn images<'a>(&self, x: &'a [f32]) -> Images<'a> {
        Images {
            x,
            channels: self.channels[0],
            extent: self.extent,
            window: self.window,
            output: self.output(),
        }
    }
}

/// `y = x ⋆ w`; returns the sum and the sum of squares of each channel of y.
///
/// # Shapes
/// `x: [N, C, H, W]`, `w: [K, C, R, S]` row-major, `y: [N, K, H′, W′]` in NCHWc layout.
///
/// # Panics
/// If a length is wrong.
pub fn forward(
    exec: &mut ExecContext<'_>,
    conv_shape: ConvShape,
    x: ConvInput<'_>,
    w: &[f32],
    y: &mut [f32],
) -> Vec<[f64; 2]> {
    assert_eq!(y.len(), conv_shape.output().elements());
    let y = Destination::new(y);
    forward_to(exec, conv_shape, x, w, StatsWriter { y })
}

/// [`forward`] without the sums.
///
/// # Panics
/// If a length is wrong.
pub fn forward_only(
    exec: &mut ExecContext<'_>,
    conv_shape: ConvShape,
    x: ConvInput<'_>,
    w: &[f32],
    y: &mut [f32],
) {
    assert_eq!(y.len(), conv_shape.output().elements());
    let y = Destination::new(y);
    forward_to(exec, conv_shape, x, w, Writer { y });
}

/// `y = relu(scale · (e ⋆ x) + shift) ⋆ w`, a depthwise convolution of what a 1×1 convolution and a batch norm of known statistics expand x to. What is
/// between the two convolutions is computed a few rows at a time, and not kept.
///
/// # Shapes
/// Those of the depthwise convolution, with `x: [N, C′, H, W]` in NCHWc layout and `e: [C, C′, 1, 1]`.
///
/// # Panics
/// If a length is wrong, or the convolution is not depthwise.
pub fn forward_expanded(
    exec: &mut ExecContext<'_>,
    conv_shape: ConvShape,
    ([x, e], relu): ([&[f32]; 2], ScaleShiftRelu<'_>),
    w: &[f32],
    y: &mut [f32],
) {
    let (input, output) = (conv_shape.input(), conv_shape.output());
    let channels = e.len() / input.channels();
    assert!(conv_shape.is_depthwise && conv_shape.channels[0] == conv_shape.channels[1]);
    assert!(channels.is_multiple_of(16) && e.len() == channels * input.channels());
    assert!(x.len() == channels * input.pixels() && relu.scale_shift.len() == 2 * input.channels());
    assert!(w.len() == conv_shape.weights() && y.len() == output.elements());
    let forward = direct::Forward {
        x,
        input,
        prologue: relu,
        w,
        window: conv_shape.window,
        is_depthwise: true,
        output,
        epilogue: Writer {
            y: Destination::new(y),
        },
    };
    let ExecContext { set, pool, workspace } = exec;
    direct::expanded_forward(*set, *pool, workspace, (&forward, e));
}

fn forward_to(
    exec: &mut ExecContext<'_>,
    conv_shape: ConvShape,
    x: ConvInput<'_>,
    w: &[f32],
    epilogue: impl Epilogue,
) -> Vec<[f64; 2]> {
    conv_shape.check_operand(x);
    assert_eq!(w.len(), conv_shape.weights());
    match x {
        ConvInput::NchwC(x) => forward_blocks(exec, conv_shape, (x, Identity), w, epilogue),
        ConvInput::NchwCRelu(x, relu) => {
            assert_eq!(relu.scale_shift.len(), 2 * conv_shape.channels[0]);
            forward_blocks(exec, conv_shape, (x, relu), w, epilogue)
        }
        ConvInput::Nchw(x) => {
            let images = conv_shape.images(x);
            let forward = direct::ImageForward { images, w, epilogue };
            direct::image_forward(exec.set, exec.pool, exec.workspace, &forward)
        }
    }
}

fn forward_blocks<S: Prologue>(
    exec: &mut ExecContext<'_>,
    conv_shape: ConvShape,
    (x, prologue): (&[f32], S),
    w: &[f32],
    epilogue: impl Epilogue,
) -> Vec<[f64; 2]> {
    let ExecContext { set, pool, workspace } = exec;
    let conv_shape = conv_shape.flattened();
    let (input, output) = (conv_shape.input(), conv_shape.output());
    let ConvShape {
        window, is_depthwise, ..
    } = conv_shape;
    if window.is_three_by_three() && !is_depthwise {
        let convolution = winograd::Convolution {
            x,
            extent: input,
            prologue,
            w,
            order: winograd::WeightOrder::Forward,
            epilogue,
            blocks: output.blocks,
        };
        winograd::convolve(*set, *pool, workspace, &convolution)
    } else {
        let forward = direct::Forward {
            x,
            input,
            prologue,
            w,
            window,
            is_depthwise,
            output,
            epilogue,
        };
        direct::forward(*set, *pool, workspace, &forward)
    }
}

/// `g = (wᵀ ⋆ dy + addend) · mask`; returns `Σ g` and `Σ g·(x − mean)` of each channel if the epilogue has a
/// [`BatchMean`](super::BatchMean), and zeros otherwise.
///
/// # Shapes
/// `w: [K, C, R, S]` row-major, `dy: [N, K, H′, W′]` and `g: [N, C, H, W]` in NCHWc layout.
///
/// # Panics
/// If a length is wrong.
pub fn input_gradient(
    exec: &mut ExecContext<'_>,
    conv_shape: ConvShape,
    [w, dy]: [&[f32]; 2],
    grad_epilogue: GradEpilogue<'_>,
    g: &mut [f32],
) -> Vec<[f64; 2]> {
    let ExecContext { set, pool, workspace } = exec;
    let conv_shape = conv_shape.flattened();
    let (input, output) = (conv_shape.input(), conv_shape.output());
    let ConvShape {
        window, is_depthwise, ..
    } = conv_shape;
    assert!(w.len() == conv_shape.weights() && dy.len() == output.elements() && g.len() == input.elements());
    grad_epilogue.check(input);
    let epilogue = GradWriter {
        grad_epilogue,
        g: Some(Destination::new(g)),
    };
    if window.is_three_by_three() && !is_depthwise {
        let convolution = winograd::Convolution {
            x: dy,
            extent: output,
            prologue: Identity,
            w,
            order: winograd::WeightOrder::Backward,
            epilogue,
            blocks: input.blocks,
        };
        winograd::convolve(*set, *pool, workspace, &convolution)
    } else {
        let backward = direct::Backward {
            dy,
            output,
            w,
            window,
            is_depthwise,
            input,
            epilogue,
        };
        direct::backward(*set, *pool, workspace, &backward)
    }
}

/// `dw = Σ_n x ⋆ dy`.
///
/// # Shapes
/// `x: [N, C, H, W]`, `dy: [N, K, H′, W′]` in NCHWc layout, `dw: [K, C, R, S]` row-major.
///
/// # Panics
/// If a length is wrong.
pub fn weight_gradient(
    exec: &mut ExecContext<'_>,
    conv_shape: ConvShape,
    x: ConvInput<'_>,
    dy: &[f32],
    dw: &mut [f32],
) {
    conv_shape.check_operand(x);
    assert!(dw.len() == conv_shape.weights() && dy.len() == conv_shape.output().elements());
    match x {
        ConvInput::NchwC(x) => weight_gradient_blocks(exec, conv_shape, (x, Identity), dy, dw),
        ConvInput::NchwCRelu(x, relu) => {
            assert_eq!(relu.scale_shift.len(), 2 * conv_shape.channels[0]);
            weight_gradient_blocks(exec, conv_shape, (x, relu), dy, dw);
        }
        ConvInput::Nchw(x) => {
            let images = conv_shape.images(x);
            let gradient = direct::ImageWeightGradient { images, dy, dw };
            direct::image_weight_gradient(exec.set, exec.pool, exec.workspace, gradient);
        }
    }
}

fn weight_gradient_blocks<S: Prologue>(
    exec: &mut ExecContext<'_>,
    conv_shape: ConvShape,
    (x, prologue): (&[f32], S),
    dy: &[f32],
    dw: &mut [f32],
) {
    let ExecContext { set, pool, workspace } = exec;
    let conv_shape = conv_shape.flattened();
    let (input, output) = (conv_shape.input(), conv_shape.output());
    let ConvShape {
        window, is_depthwise, ..
    } = conv_shape;
    let gradient = WeightGradient {
        x,
        input,
        prologue,
        dy,
        output,
        window,
        dw: UnsafeSlice::new(dw),
    };
    if window.is_three_by_three() && !is_depthwise {
        winograd::weight_gradient(*set, *pool, workspace, &gradient);
    } else if is_depthwise {
        direct::depthwise_weight_gradient(*set, *pool, workspace, &gradient);
    } else {
        direct::weight_gradient(*set, *pool, workspace, &gradient);
    }
}
