use equibatch_training::graph::op::{Conv2d, ConvTranspose2d, MaxPool2d};

use super::array::Array;

/// The row or column of the input under a kernel tap at a window position; `None` in the padding.
fn source(position: usize, tap: usize, axis: usize, conv: Conv2d, extent: usize) -> Option<usize> {
    (position * conv.stride[axis] + tap * conv.dilation[axis])
        .checked_sub(conv.pad[axis])
        .filter(|&source| source < extent)
}

/// Calls `product` for every product `x·w` that contributes to an output element, with `(x index, w index, y index)`.
fn products(
    x: &[usize],
    w: &[usize],
    y: &[usize],
    conv: Conv2d,
    mut product: impl FnMut([usize; 4], [usize; 4], [usize; 4]),
) {
    for n in 0..y[0] {
        for k in 0..y[1] {
            let first = k / (y[1] / conv.groups) * w[1];
            for row in 0..y[2] {
                for column in 0..y[3] {
                    for c in 0..w[1] {
                        for i in 0..w[2] {
                            let Some(from_row) = source(row, i, 0, conv, x[2]) else {
                                continue;
                            };
                            for j in 0..w[3] {
                                let Some(from_column) = source(column, j, 1, conv, x[3]) else {
                                    continue;
                                };
                                let at_x = [n, first + c, from_row, from_column];
                                product(at_x, [k, c, i, j], [n, k, row, column]);
                            }
                        }
                    }
                }
            }
        }
    }
}

fn positions(extent: usize, kernel: usize, axis: usize, conv: Conv2d) -> usize {
    let span = (kernel - 1) * conv.dilation[axis] + 1;
    (extent + conv.pad[axis] + conv.pad_after[axis] - span) / conv.stride[axis] + 1
}

pub(super) fn conv(operands: &[&Array], conv: Conv2d) -> Array {
    let (x, w) = (operands[0], operands[1]);
    let rows = positions(x.shape[2], w.shape[2], 0, conv);
    let columns = positions(x.shape[3], w.shape[3], 1, conv);
    let shape = [x.shape[0], w.shape[0], rows, columns];
    let mut y = match operands.get(2) {
        Some(bias) => Array::from_fn(&shape, |index| bias.data[index[1]]),
        None => Array::zeros(&shape),
    };
    products(&x.shape, &w.shape, &shape, conv, |at_x, at_w, at_y| {
        y.add(&at_y, x.at(&at_x) * w.at(&at_w));
    });
    y
}

pub(super) fn input_gradient(w: &Array, dy: &Array, conv: Conv2d, extent: [usize; 2]) -> Array {
    let shape = [dy.shape[0], w.shape[1] * conv.groups, extent[0], extent[1]];
    let mut dx = Array::zeros(&shape);
    products(&shape, &w.shape, &dy.shape, conv, |at_x, at_w, at_y| {
        dx.add(&at_x, w.at(&at_w) * dy.at(&at_y));
    });
    dx
}

pub(super) fn weight_gradient(x: &Array, dy: &Array, conv: Conv2d, kernel: [usize; 2]) -> Array {
    let shape = [dy.shape[1], x.shape[1] / conv.groups, kernel[0], kernel[1]];
    let mut dw = Array::zeros(&shape);
    products(&x.shape, &shape, &dy.shape, conv, |at_x, at_w, at_y| {
        dw.add(&at_w, x.at(&at_x) * dy.at(&at_y));
    });
    dw
}

pub(super) fn conv_transpose(operands: &[&Array], attributes: ConvTranspose2d) -> Array {
    let (x, w) = (operands[0], operands[1]);
    let ConvTranspose2d { conv, output_padding } = attributes;
    let extent = [0, 1].map(|axis| {
        let span = (w.shape[2 + axis] - 1) * conv.dilation[axis] + 1;
        let around = conv.pad[axis] + conv.pad_after[axis];
        (x.shape[2 + axis] - 1) * conv.stride[axis] + span + output_padding[axis] - around
    });
    input_gradient(w, x, conv, extent)
}

pub(super) fn max_pool(x: &Array, pool: MaxPool2d) -> Vec<Array> {
    let window = Conv2d {
        stride: pool.stride,
        pad: pool.pad,
        pad_after: pool.pad,
        ..Conv2d::default()
    };
    let rows = positions(x.shape[2], pool.kernel[0], 0, window);
    let columns = positions(x.shape[3], pool.kernel[1], 1, window);
    let shape = [x.shape[0], x.shape[1], rows, columns];
    let (mut maxima, mut indices) = (Vec::new(), Vec::new());
    for n in 0..shape[0] {
        for c in 0..shape[1] {
            for row in 0..rows {
                for column in 0..columns {
                    let mut best: Option<(f64, usize)> = None;
                    for i in 0..pool.kernel[0] {
                        for j in 0..pool.kernel[1] {
                            let from = source(row, i, 0, window, x.shape[2])
                                .zip(source(column, j, 1, window, x.shape[3]));
                            let Some((from_row, from_column)) = from else {
                                continue;
                            };
                            let flat =
                                ((n * shape[1] + c) * x.shape[2] + from_row) * x.shape[3] + from_column;
                            if best.is_none_or(|(maximum, _)| x.data[flat] > maximum) {
                                best = Some((x.data[flat], flat));
                            }
                        }
                    }
                    let (maximum, flat) = best.expect("no window lies wholly in the padding");
                    maxima.push(maximum);
                    indices.push(flat as f64);
                }
            }
        }
    }
    vec![Array::new(&shape, maxima), Array::new(&shape, indices)]
}

pub(super) fn global_average_pool(x: &Array) -> Array {
    let positions = x.shape[2] * x.shape[3];
    let means = x
        .data
        .chunks(positions)
        .map(|map| map.iter().sum::<f64>() / positions as f64);
    Array::new(&[x.shape[0], x.shape[1], 1, 1], means.collect())
}
