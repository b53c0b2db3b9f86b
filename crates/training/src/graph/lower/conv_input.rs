//! Gradient of a convolution with respect to its input.

use super::Kernels;
use super::algorithm::{self, Input, Sizes};
use super::bf16;
use super::im2col::{Order, Window, im2col, product};
use crate::graph::op::{Conv2d, ConvTranspose2d};
use crate::graph::{Error, Graph, Op, Shape, Value};

pub(super) fn decompose(
    g: &mut Graph,
    (w, dy): (Value, Value),
    conv: Conv2d,
    extent: [usize; 2],
    kernels: Kernels,
) -> Result<Value, Error> {
    let [channels, kernel_rows, kernel_columns] = [1, 2, 3].map(|axis| g.shape(w)[axis]);
    let kernel = [kernel_rows, kernel_columns];
    let positions = [g.shape(dy)[2], g.shape(dy)[3]];
    // If `pad > span − 1`, the flipped convolution would need negative padding.
    let span = conv.span(kernel);
    let can_flip = conv.pad[0] < span[0] && conv.pad[1] < span[1];
    match algorithm::input(Sizes {
        window: Window {
            conv,
            kernel,
            positions,
        },
        channels,
        filters: g.shape(w)[0],
        kernels,
        has_conv_kernel: !bf16::is_of(g, dy),
    }) {
        Input::Im2col if can_flip => by_im2col(g, w, dy, flipped_window(conv, kernel, extent)),
        Input::Flipped if can_flip => flipped(g, w, dy, flipped_window(conv, kernel, extent)),
        Input::Im2col | Input::Flipped | Input::Transposed => transposed(g, w, dy, conv, extent),
    }
}

/// With stride one, `dx[i] = Σ_t w[t]·dy[i + p − t] = Σ_u w[k−1−u]·dy[i + u − (k−1−p)]`: a convolution of `dy`, padded by `k − 1 − p`, with
/// the flipped kernel. With dilation, `k` is the span of the window.
fn flipped_window(conv: Conv2d, kernel: [usize; 2], extent: [usize; 2]) -> Window {
    let span = conv.span(kernel);
    let pad = [span[0] - 1 - conv.pad[0], span[1] - 1 - conv.pad[1]];
    Window {
        conv: Conv2d {
            stride: [1, 1],
            pad,
            pad_after: pad,
            ..conv
        },
        kernel,
        positions: extent,
    }
}

/// `output_padding` accounts for rows and columns of the input that no window covers: `in − ((out − 1)·stride − 2·pad + kernel)`.
fn transposed(g: &mut Graph, w: Value, dy: Value, conv: Conv2d, extent: [usize; 2]) -> Result<Value, Error> {
    let span = conv.span([g.shape(w)[2], g.shape(w)[3]]);
    let reached =
        |axis: usize| (g.shape(dy)[2 + axis] - 1) * conv.stride[axis] + span[axis] - 2 * conv.pad[axis];
    let output_padding = [extent[0] - reached(0), extent[1] - reached(1)];
    let op = Op::ConvTranspose(ConvTranspose2d { conv, output_padding });
    Ok(bf16::push(g, &op, &[dy, w])?[0])
}

fn flipped(g: &mut Graph, w: Value, dy: Value, window: Window) -> Result<Value, Error> {
    let kernel = if window.kernel == [1, 1] {
        w
    } else {
        g.flip(w, &[2, 3])?
    };
    let swapped = g.transpose(kernel, &[1, 0, 2, 3])?;
    g.conv(dy, swapped, window.conv)
}

/// The taps are taken in reversed order instead of flipping the kernel.
fn by_im2col(g: &mut Graph, w: Value, dy: Value, window: Window) -> Result<Value, Error> {
    let [n, k, c] = [g.shape(dy)[0], g.shape(w)[0], g.shape(w)[1]];
    let patches = im2col(g, dy, window, Order::Reversed)?;
    let by_channel = g.transpose(w, &[1, 2, 3, 0])?;
    let matrix = g.reshape(by_channel, Shape::from([c, window.taps() * k]))?;
    product(g, patches, matrix, n, window.positions)
}
