//! Gradient of a grouped convolution with respect to its weight.

use super::im2col::{Layout, Window, tap_views};
use crate::graph::op::{GroupConv2d, Reduce};
use crate::graph::{Error, Graph, Shape, Value};

/// For every kernel tap, the products of `dy` with that tap's view of `x`, summed per group.
pub(super) fn decompose(
    g: &mut Graph,
    x: Value,
    dy: Value,
    attributes: GroupConv2d,
    kernel: [usize; 2],
) -> Result<Value, Error> {
    let (c, k) = (g.shape(x)[1], g.shape(dy)[1]);
    let window = Window {
        conv: attributes.conv,
        kernel,
        positions: [g.shape(dy)[2], g.shape(dy)[3]],
    };
    let inputs = c / attributes.groups;
    let tap_views = tap_views(g, x, Layout::NCHW, window)?;
    let taps = tap_views.into_iter().map(|view| {
        let tap = if inputs == 1 && k == c {
            depthwise(g, dy, view)?
        } else {
            correlate(g, dy, view, attributes.groups)?
        };
        g.reshape(tap, Shape::from([k, inputs, 1]))
    });
    let taps = taps.collect::<Result<Vec<_>, Error>>()?;
    let joined = if let [only] = *taps {
        only
    } else {
        g.concat(2, &taps)?
    };
    g.reshape(joined, Shape::from([k, inputs, kernel[0], kernel[1]]))
}

/// `Σ_{n, p} dy · view` per channel: depthwise convolution, one filter per channel.
fn depthwise(g: &mut Graph, dy: Value, view: Value) -> Result<Value, Error> {
    let product = g.mul(dy, view)?;
    g.sum_along(
        product,
        Reduce {
            axes: vec![0, 2, 3],
            keep_axes: false,
        },
    )
}

/// `Σ_n dy[n, g] · view[n, g]ᵀ` per group g.
fn correlate(g: &mut Graph, dy: Value, view: Value, groups: usize) -> Result<Value, Error> {
    let [dy, view] = [grouped(g, dy, groups)?, grouped(g, view, groups)?];
    let transposed = g.transpose(view, &[0, 1, 3, 2])?;
    let products = g.matmul(dy, transposed)?;
    g.sum_along(
        products,
        Reduce {
            axes: vec![0],
            keep_axes: false,
        },
    )
}

/// `[N, C, H, W]` as `[N, G, C/G, H·W]`.
fn grouped(g: &mut Graph, x: Value, groups: usize) -> Result<Value, Error> {
    let [n, c, rows, columns] = [0, 1, 2, 3].map(|axis| g.shape(x)[axis]);
    g.reshape(x, Shape::from([n, groups, c / groups, rows * columns]))
}
