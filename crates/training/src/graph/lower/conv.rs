//! Convolution with a trained weight.

use super::algorithm::{self, Forward, Sizes};
use super::bf16;
use super::im2col::{Order, Window, channels_first, im2col};
use crate::graph::op::{Conv2d, Gemm};
use crate::graph::{Error, Graph, Shape, Value, window_positions};

pub(super) fn decompose(g: &mut Graph, x: Value, w: Value, conv: Conv2d) -> Result<Value, Error> {
    let kernel = [g.shape(w)[2], g.shape(w)[3]];
    let positions = [0, 1].map(|axis| {
        window_positions(
            g.shape(x)[2 + axis],
            kernel[axis],
            conv.stride[axis],
            conv.pad[axis],
        )
        .expect("type inference checked the window")
    });
    let window = Window {
        conv,
        kernel,
        positions,
    };
    match algorithm::forward(Sizes {
        window,
        channels: g.shape(x)[1],
        has_conv_kernel: !bf16::is_of(g, x),
    }) {
        Forward::Direct => g.conv(x, w, conv),
        Forward::Im2col => by_im2col(g, x, w, window),
    }
}

/// `im2col(x) · Wᵀ`.
fn by_im2col(g: &mut Graph, x: Value, w: Value, window: Window) -> Result<Value, Error> {
    let [n, c, k] = [g.shape(x)[0], g.shape(x)[1], g.shape(w)[0]];
    let patches = im2col(g, x, window, Order::RowMajor)?;
    let channels_last = g.transpose(w, &[0, 2, 3, 1])?;
    let matrix = g.reshape(channels_last, Shape::from([k, window.taps() * c]))?;
    let rows = g.gemm(
        patches,
        matrix,
        None,
        Gemm {
            transpose_a: false,
            transpose_b: true,
        },
    )?;
    channels_first(g, rows, n, window.positions)
}
