//! The gradient of a convolution with respect to its operand.

use crate::graph::op::{Conv2d, ConvTranspose2d};
use crate::graph::{Error, Graph, Value};

/// Equivalent spellings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    /// The transposed convolution: any stride.
    Transposed,
    /// A convolution of `dy` with the kernel turned by half a circle and its channel axes swapped: stride one only.
    Flipped,
}

/// Which spelling is the faster one on the CPU provider, by measurement.
fn choose(conv: Conv2d, _kernel: [usize; 2], extent: [usize; 2]) -> Spelling {
    // Flipped wins on wide images, where the extra copy of the kernel is nothing beside them.
    if conv.stride == [1, 1] && extent[0] >= 28 {
        Spelling::Flipped
    } else {
        Spelling::Transposed
    }
}

pub(super) fn spell(
    g: &mut Graph,
    w: Value,
    dy: Value,
    conv: Conv2d,
    extent: [usize; 2],
) -> Result<Value, Error> {
    let kernel = [g.shape(w)[2], g.shape(w)[3]];
    match choose(conv, kernel, extent) {
        Spelling::Transposed => transposed(g, w, dy, conv, extent),
        Spelling::Flipped => flipped(g, w, dy, conv, kernel),
    }
}

/// `output_padding` makes up for rows and columns that no window reached: `in − ((out − 1)·stride − 2·pad + kernel)`.
fn transposed(g: &mut Graph, w: Value, dy: Value, conv: Conv2d, extent: [usize; 2]) -> Result<Value, Error> {
    let reached = |axis: usize| {
        (g.shape(dy)[2 + axis] - 1) * conv.stride[axis] + g.shape(w)[2 + axis] - 2 * conv.pad[axis]
    };
    let output_padding = [extent[0] - reached(0), extent[1] - reached(1)];
    g.conv_transpose(dy, w, ConvTranspose2d { conv, output_padding })
}

/// With stride one, `dx[i] = Σ_t w[t]·dy[i + p − t] = Σ_u w[k−1−u]·dy[i + u − (k−1−p)]`: a convolution padded by `k − 1 − p`.
fn flipped(g: &mut Graph, w: Value, dy: Value, conv: Conv2d, kernel: [usize; 2]) -> Result<Value, Error> {
    let turned = if kernel == [1, 1] { w } else { g.flip(w, &[2, 3])? };
    let swapped = g.transpose(turned, &[1, 0, 2, 3])?;
    let pad = [kernel[0] - 1 - conv.pad[0], kernel[1] - 1 - conv.pad[1]];
    g.conv(dy, swapped, Conv2d { stride: [1, 1], pad })
}
