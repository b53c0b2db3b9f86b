//! Convolution of one group whose weight is not fixed, so that a runtime cannot prepack it.

use super::Kernels;
use super::algorithm::{self, Forward, Sizes};
use super::bf16;
use super::im2col::{Order, Window, im2col, product};
use crate::graph::op::Conv2d;
use crate::graph::{Error, Graph, Op, Shape, Value};

/// `(x, w[, b])`.
pub(super) fn decompose(
    g: &mut Graph,
    inputs: &[Value],
    conv: Conv2d,
    kernels: Kernels,
) -> Result<Value, Error> {
    let (x, w) = (inputs[0], inputs[1]);
    let window = Window::of(g, conv, x, w);
    match algorithm::forward(Sizes {
        window,
        channels: g.shape(x)[1],
        filters: g.shape(w)[0],
        kernels,
        has_conv_kernel: !bf16::is_of(g, x),
    }) {
        Forward::Direct => g.single(Op::Conv(conv), inputs),
        Forward::Im2col => {
            let y = by_im2col(g, x, w, window)?;
            let Some(&bias) = inputs.get(2) else { return Ok(y) };
            let channels = g.shape(bias)[0];
            let per_channel = g.reshape(bias, Shape::from([channels, 1, 1]))?;
            g.add(y, per_channel)
        }
    }
}

/// `im2col(x) · Wᵀ`.
fn by_im2col(g: &mut Graph, x: Value, w: Value, window: Window) -> Result<Value, Error> {
    let [n, c, k] = [g.shape(x)[0], g.shape(x)[1], g.shape(w)[0]];
    let patches = im2col(g, x, window, Order::RowMajor)?;
    let channels_last = g.transpose(w, &[0, 2, 3, 1])?;
    let matrix = g.reshape(channels_last, Shape::from([k, window.taps() * c]))?;
    product(g, patches, matrix, n, window.positions)
}
