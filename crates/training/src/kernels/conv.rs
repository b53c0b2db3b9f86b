//! Convolutions without bias, and what they pass back: the choice between [`winograd`] and [`direct`].

use super::direct::{self, Images};
use super::machine::Machine;
use super::shared::Shared;
use super::sink::{Arrival, Arriving, Moments, Sink};
use super::source::{Raw, Rectified, Source};
use super::winograd;
use super::{Extent, Window};

/// The operand of a convolution.
#[derive(Clone, Copy, Debug)]
pub enum Operand<'a> {
    /// Activations in blocks, as they are.
    Blocks(&'a [f32]),
    /// `max(scale · x + shift, 0)` of activations in blocks, computed on the way: x, and `[2, C]`.
    Rectified(&'a [f32], &'a [f32]),
    /// Images in planes, of fewer channels than a block has.
    Images(&'a [f32]),
}

/// Extents of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// N.
    pub images: usize,
    /// C and K, multiples of sixteen; C may be less than sixteen where the operand is images.
    pub channels: [usize; 2],
    /// H and W.
    pub extent: [usize; 2],
    /// The kernel and how it slides.
    pub window: Window,
}

impl Sizes {
    fn input(&self) -> Extent {
        self.blocks(0, self.extent)
    }

    /// The extent of the result.
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
        self.channels[0] * self.channels[1] * self.window.taps()
    }

    fn check_operand(&self, x: Operand<'_>) {
        let (Operand::Blocks(x) | Operand::Rectified(x, _) | Operand::Images(x)) = x;
        assert_eq!(
            x.len(),
            self.images * self.channels[0] * self.extent[0] * self.extent[1]
        );
        assert_eq!(self.channels[1] % 16, 0);
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

/// `y = x ⋆ w`; returns sum and sum of squares of each channel of y.
///
/// # Shapes
/// `x: [N, C, H, W]`, `w: [K, C, R, S]` in plain order, `y: [N, K, H′, W′]` in blocks.
///
/// # Panics
/// Where a length is wrong.
pub fn forward(
    machine: &mut Machine<'_>,
    sizes: Sizes,
    x: Operand<'_>,
    w: &[f32],
    y: &mut [f32],
) -> Vec<[f64; 2]> {
    sizes.check_operand(x);
    assert!(w.len() == sizes.weights() && y.len() == sizes.output().elements());
    let sink = Moments { y: Shared::new(y) };
    match x {
        Operand::Blocks(x) => forward_blocks(machine, sizes, (x, Raw), w, sink),
        Operand::Rectified(x, affine) => {
            assert_eq!(affine.len(), 2 * sizes.channels[0]);
            forward_blocks(machine, sizes, (x, Rectified { affine }), w, sink)
        }
        Operand::Images(x) => {
            let images = sizes.images(x);
            let forward = direct::ImageForward { images, w, sink };
            direct::image_forward(machine.set, machine.pool, machine.workspace, &forward)
        }
    }
}

fn forward_blocks<S: Source>(
    machine: &mut Machine<'_>,
    sizes: Sizes,
    (x, source): (&[f32], S),
    w: &[f32],
    sink: impl Sink,
) -> Vec<[f64; 2]> {
    let Machine { set, pool, workspace } = machine;
    let (input, output, window) = (sizes.input(), sizes.output(), sizes.window);
    if window.is_three_by_three() {
        let convolution = winograd::Convolution {
            x,
            extent: input,
            source,
            w,
            order: winograd::Order::Straight,
            sink,
            blocks: output.blocks,
        };
        winograd::convolve(*set, *pool, workspace, &convolution)
    } else {
        let forward = direct::Forward {
            x,
            input,
            source,
            w,
            window,
            output,
            sink,
        };
        direct::forward(*set, *pool, workspace, &forward)
    }
}

/// `g = (wᵀ ⋆ dy + addend) · [gate]`; returns `Σ g` and `Σ g·(x − mean)` of each channel where the arrival has a centre.
///
/// # Shapes
/// `w: [K, C, R, S]` in plain order, `dy: [N, K, H′, W′]` and `g: [N, C, H, W]` in blocks.
///
/// # Panics
/// Where a length is wrong.
pub fn input_gradient(
    machine: &mut Machine<'_>,
    sizes: Sizes,
    [w, dy]: [&[f32]; 2],
    arrival: Arrival<'_>,
    g: &mut [f32],
) -> Vec<[f64; 2]> {
    let Machine { set, pool, workspace } = machine;
    let (input, output, window) = (sizes.input(), sizes.output(), sizes.window);
    assert!(w.len() == sizes.weights() && dy.len() == output.elements() && g.len() == input.elements());
    arrival.check(input);
    let sink = Arriving {
        arrival,
        g: Some(Shared::new(g)),
    };
    if window.is_three_by_three() {
        let convolution = winograd::Convolution {
            x: dy,
            extent: output,
            source: Raw,
            w,
            order: winograd::Order::Turned,
            sink,
            blocks: input.blocks,
        };
        winograd::convolve(*set, *pool, workspace, &convolution)
    } else {
        let backward = direct::Backward {
            dy,
            output,
            w,
            window,
            input,
            sink,
        };
        direct::backward(*set, *pool, workspace, &backward)
    }
}

/// `dw = Σ_n x ⋆ dy`.
///
/// # Shapes
/// `x: [N, C, H, W]`, `dy: [N, K, H′, W′]` in blocks, `dw: [K, C, R, S]` in plain order.
///
/// # Panics
/// Where a length is wrong.
pub fn weight_gradient(machine: &mut Machine<'_>, sizes: Sizes, x: Operand<'_>, dy: &[f32], dw: &mut [f32]) {
    sizes.check_operand(x);
    assert!(dw.len() == sizes.weights() && dy.len() == sizes.output().elements());
    match x {
        Operand::Blocks(x) => weight_gradient_blocks(machine, sizes, (x, Raw), dy, dw),
        Operand::Rectified(x, affine) => {
            assert_eq!(affine.len(), 2 * sizes.channels[0]);
            weight_gradient_blocks(machine, sizes, (x, Rectified { affine }), dy, dw);
        }
        Operand::Images(x) => {
            let images = sizes.images(x);
            let gradient = direct::ImageWeightGradient { images, dy, dw };
            direct::image_weight_gradient(machine.set, machine.pool, machine.workspace, gradient);
        }
    }
}

fn weight_gradient_blocks<S: Source>(
    machine: &mut Machine<'_>,
    sizes: Sizes,
    (x, source): (&[f32], S),
    dy: &[f32],
    dw: &mut [f32],
) {
    let Machine { set, pool, workspace } = machine;
    let (input, output, window) = (sizes.input(), sizes.output(), sizes.window);
    let dw = Shared::new(dw);
    if window.is_three_by_three() {
        let gradient = winograd::WeightGradient {
            x,
            extent: input,
            source,
            dy,
            blocks: output.blocks,
            dw,
        };
        winograd::weight_gradient(*set, *pool, workspace, &gradient);
    } else {
        let gradient = direct::WeightGradient {
            x,
            input,
            source,
            dy,
            output,
            window,
            dw,
        };
        direct::weight_gradient(*set, *pool, workspace, &gradient);
    }
}
