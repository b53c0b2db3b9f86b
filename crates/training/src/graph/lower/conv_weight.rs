//! Gradient of a convolution with respect to its weight.
//!
//! `dw[k, c, i, j] = Σ_n Σ_p dy[n, k, p] · x[n, c, p·stride + (i, j) − pad]`: for every kernel tap `(i, j)`, a matrix multiplication
//! of `dy` with the elements of `x` under that tap.

use super::Kernels;
use super::algorithm::{self, Sizes, Weight};
use super::bf16;
use super::im2col::{Layout, Order, Window, im2col, joined, tap_views};
use crate::graph::op::{Conv2d, Gemm, Reduce};
use crate::graph::{Error, Graph, Shape, Value};

pub(super) fn decompose(
    g: &mut Graph,
    (x, dy): (Value, Value),
    conv: Conv2d,
    kernel: [usize; 2],
    kernels: Kernels,
) -> Result<Value, Error> {
    let window = Window {
        conv,
        kernel,
        positions: [g.shape(dy)[2], g.shape(dy)[3]],
    };
    match algorithm::weight(Sizes {
        window,
        channels: g.shape(x)[1],
        filters: g.shape(dy)[1],
        kernels,
        has_conv_kernel: !bf16::is_of(g, x),
    }) {
        Weight::Im2col => by_im2col(g, x, dy, window),
        Weight::Im2colPerImage => per_image(g, x, dy, window),
        Weight::PerTap => per_tap(g, x, dy, window),
    }
}

/// `dyᵀ · im2col(x)`, both with a row for every position of every image.
fn by_im2col(g: &mut Graph, x: Value, dy: Value, window: Window) -> Result<Value, Error> {
    let (n, c, k) = (g.shape(x)[0], g.shape(x)[1], g.shape(dy)[1]);
    let [rows, cols] = window.positions;
    let patches = im2col(g, x, window, Order::RowMajor)?;
    let by_channel = g.transpose(dy, &[1, 0, 2, 3])?;
    let by_channel = g.reshape(by_channel, Shape::from([k, n * rows * cols]))?;
    let product = g.gemm(by_channel, patches, None, Gemm::default())?;
    channels_before_taps(g, product, c, window)
}

/// `[K, taps·C]` as `[K, C, R, S]`.
fn channels_before_taps(g: &mut Graph, product: Value, c: usize, window: Window) -> Result<Value, Error> {
    let k = g.shape(product)[0];
    let by_tap = g.reshape(product, Shape::from([k, window.kernel[0], window.kernel[1], c]))?;
    g.transpose(by_tap, &[0, 3, 1, 2])
}

fn per_image(g: &mut Graph, x: Value, dy: Value, window: Window) -> Result<Value, Error> {
    let c = g.shape(x)[1];
    let tap_views = tap_views(g, x, Layout::NCHW, window)?;
    let joined = joined(g, 1, &tap_views)?;
    let product = correlate(g, dy, joined, 1)?;
    channels_before_taps(g, product, c, window)
}

fn per_tap(g: &mut Graph, x: Value, dy: Value, window: Window) -> Result<Value, Error> {
    let groups = window.conv.groups;
    let (c, k) = (g.shape(x)[1], g.shape(dy)[1]);
    let inputs = c / groups;
    let tap_views = tap_views(g, x, Layout::NCHW, window)?;
    let products = tap_views.into_iter().map(|view| {
        let product = if groups > 1 && inputs == 1 && k == c {
            depthwise(g, dy, view)?
        } else {
            correlate(g, dy, view, groups)?
        };
        g.reshape(product, Shape::from([k, inputs, 1]))
    });
    let products = products.collect::<Result<Vec<_>, Error>>()?;
    let joined = joined(g, 2, &products)?;
    g.reshape(
        joined,
        Shape::from([k, inputs, window.kernel[0], window.kernel[1]]),
    )
}

/// `Σ_{n, p} dy · view` per channel: depthwise convolution, one filter per channel.
fn depthwise(g: &mut Graph, dy: Value, view: Value) -> Result<Value, Error> {
    let product = g.mul(dy, view)?;
    let reduce = Reduce {
        axes: vec![0, 2, 3],
        keep_axes: false,
    };
    g.sum_along(product, reduce)
}

/// `Σ_n dy[n] · view[n]ᵀ` per group: `[(G,) K/G, R/G]` for a view of `[N, R, H′, W′]`.
fn correlate(g: &mut Graph, dy: Value, view: Value, groups: usize) -> Result<Value, Error> {
    let [dy, view] = [flat(g, dy, groups)?, flat(g, view, groups)?];
    let swapped: &[usize] = if groups == 1 { &[0, 2, 1] } else { &[0, 1, 3, 2] };
    let transposed = g.transpose(view, swapped)?;
    let products = g.matmul(dy, transposed)?;
    let reduce = Reduce {
        axes: vec![0],
        keep_axes: false,
    };
    g.sum_along(products, reduce)
}

/// `[N, C, H, W]` as `[N, (G,) C/G, H·W]`; the axis G is left out if there is one group.
fn flat(g: &mut Graph, x: Value, groups: usize) -> Result<Value, Error> {
    let [n, c, rows, columns] = [0, 1, 2, 3].map(|axis| g.shape(x)[axis]);
    let shape = match groups {
        1 => Shape::from([n, c, rows * columns]),
        _ => Shape::from([n, groups, c / groups, rows * columns]),
    };
    g.reshape(x, shape)
}
