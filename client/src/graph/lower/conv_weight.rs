//! The gradient of a convolution with respect to its kernel.
//!
//! `dw[k, c, i, j] = Σ_n Σ_p dy[n, k, p] · x[n, c, p·stride + (i, j) − pad]`: for every tap `(i, j)` of the kernel, a matrix product of
//! `dy` with a shifted, strided view of `x`.

use crate::graph::op::{Conv2d, Pad, Reduce, Slice};
use crate::graph::{Error, Graph, Shape, Value};

/// Equivalent spellings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    /// All taps' views of `x` side by side, then one product per image.
    Columns,
    /// One product per tap and image.
    Taps,
}

/// Which spelling is the faster one on the CPU provider, by measurement.
fn choose(conv: Conv2d, channels: usize, extent: [usize; 2]) -> Spelling {
    // Copying nine views of a large image costs more than nine smaller products.
    if conv.stride == [1, 1] && channels >= 32 && extent[0] >= 56 {
        Spelling::Taps
    } else {
        Spelling::Columns
    }
}

pub(super) fn spell(
    g: &mut Graph,
    x: Value,
    dy: Value,
    conv: Conv2d,
    kernel: [usize; 2],
) -> Result<Value, Error> {
    let (channels, extent) = (g.shape(x)[1], [g.shape(x)[2], g.shape(x)[3]]);
    let views = views(g, x, dy, conv, kernel)?;
    match choose(conv, channels, extent) {
        Spelling::Columns => columns(g, &views, dy, channels, kernel),
        Spelling::Taps => taps(g, &views, dy, channels, kernel),
    }
}

/// For every tap, in row-major order, what it sees of `x`: `[N, C, H′·W′]`.
fn views(g: &mut Graph, x: Value, dy: Value, conv: Conv2d, kernel: [usize; 2]) -> Result<Vec<Value>, Error> {
    let [vertical, horizontal] = conv.pad;
    let padded = if conv.pad == [0, 0] {
        x
    } else {
        let around = vec![0, 0, vertical, horizontal];
        g.pad(
            x,
            Pad {
                before: around.clone(),
                after: around,
            },
        )?
    };
    let (n, c) = (g.shape(x)[0], g.shape(x)[1]);
    let (rows, columns) = (g.shape(dy)[2], g.shape(dy)[3]);
    let taps = (0..kernel[0]).flat_map(|i| (0..kernel[1]).map(move |j| [i, j]));
    taps.map(|[i, j]| {
        let slice = Slice {
            starts: vec![0, 0, i, j],
            ends: vec![
                n,
                c,
                i + (rows - 1) * conv.stride[0] + 1,
                j + (columns - 1) * conv.stride[1] + 1,
            ],
            steps: vec![1, 1, conv.stride[0], conv.stride[1]],
        };
        let covers_all = slice.starts == [0; 4] && slice.steps == [1; 4] && slice.ends == **g.shape(padded);
        let view = if covers_all {
            padded
        } else {
            g.slice(padded, slice)?
        };
        g.reshape(view, Shape::from([n, c, rows * columns]))
    })
    .collect()
}

/// `dy` as `[N, K, H′·W′]`.
fn flat(g: &mut Graph, dy: Value) -> Result<Value, Error> {
    let [n, k, rows, columns] = [0, 1, 2, 3].map(|axis| g.shape(dy)[axis]);
    g.reshape(dy, Shape::from([n, k, rows * columns]))
}

/// `Σ_n dy[n] · view[n]ᵀ`: `[K, R]` for a view of `[N, R, H′·W′]`.
fn correlate(g: &mut Graph, dy: Value, view: Value) -> Result<Value, Error> {
    let turned = g.transpose(view, &[0, 2, 1])?;
    let products = g.matmul(dy, turned)?;
    g.reduce_sum(
        products,
        Reduce {
            axes: vec![0],
            keep_axes: false,
        },
    )
}

fn columns(g: &mut Graph, views: &[Value], dy: Value, c: usize, kernel: [usize; 2]) -> Result<Value, Error> {
    let dy = flat(g, dy)?;
    let k = g.shape(dy)[1];
    let joined = if let [only] = views {
        *only
    } else {
        g.concat(1, views)?
    };
    let product = correlate(g, dy, joined)?;
    let by_tap = g.reshape(product, Shape::from([k, kernel[0], kernel[1], c]))?;
    g.transpose(by_tap, &[0, 3, 1, 2])
}

fn taps(g: &mut Graph, views: &[Value], dy: Value, c: usize, kernel: [usize; 2]) -> Result<Value, Error> {
    let dy = flat(g, dy)?;
    let k = g.shape(dy)[1];
    let products = views
        .iter()
        .map(|&view| {
            let product = correlate(g, dy, view)?;
            g.reshape(product, Shape::from([k, c, 1]))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let joined = if let [only] = &*products {
        *only
    } else {
        g.concat(2, &products)?
    };
    g.reshape(joined, Shape::from([k, c, kernel[0], kernel[1]]))
}
