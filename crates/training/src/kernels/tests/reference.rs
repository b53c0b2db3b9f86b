//! Reference convolutions in double precision, by their definition.

use crate::kernels::Window;

/// Shapes of a convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) images: usize,
    /// C and K.
    pub(super) channels: [usize; 2],
    /// H and W.
    pub(super) extent: [usize; 2],
    pub(super) window: Window,
    pub(super) is_depthwise: bool,
}

impl Case {
    pub(super) fn new(images: usize, channels: [usize; 2], extent: [usize; 2], window: [usize; 3]) -> Self {
        let [kernel, stride, pad] = window.map(|both| [both; 2]);
        Self {
            images,
            channels,
            extent,
            window: Window {
                kernel,
                stride,
                pad,
                pad_after: pad,
            },
            is_depthwise: false,
        }
    }

    pub(super) fn padded_after(mut self, pad: usize) -> Self {
        self.window.pad_after = [pad; 2];
        self
    }

    pub(super) fn depthwise(images: usize, channels: usize, extent: [usize; 2], window: [usize; 3]) -> Self {
        Self {
            is_depthwise: true,
            ..Self::new(images, [channels; 2], extent, window)
        }
    }

    /// Input channels that an output channel depends on.
    pub(super) fn inputs(&self, output: usize) -> std::ops::Range<usize> {
        if self.is_depthwise {
            output..output + 1
        } else {
            0..self.channels[0]
        }
    }

    /// Elements of the weight.
    pub(super) fn weights(&self) -> usize {
        self.inputs(0).len() * self.channels[1] * self.window.taps()
    }

    /// Calls `meet` with every triple of indices into x, w and y with `y += x · w`.
    fn meetings(&self, mut meet: impl FnMut(usize, usize, usize)) {
        let Self {
            window,
            extent: [height, width],
            channels: [c, k],
            ..
        } = *self;
        let [rows, columns] = window.positions(self.extent);
        for n in 0..self.images {
            for result in 0..k {
                for position in 0..rows * columns {
                    let (row, column) = (position / columns, position % columns);
                    let y = (n * k + result) * rows * columns + position;
                    let inputs = self.inputs(result);
                    for (place, channel) in inputs.clone().enumerate() {
                        for tap in 0..window.taps() {
                            let (i, j) = (tap / window.kernel[1], tap % window.kernel[1]);
                            let i = (row * window.stride[0] + i).wrapping_sub(window.pad[0]);
                            let j = (column * window.stride[1] + j).wrapping_sub(window.pad[1]);
                            if i < height && j < width {
                                let x = ((n * c + channel) * height + i) * width + j;
                                meet(x, (result * inputs.len() + place) * window.taps() + tap, y);
                            }
                        }
                    }
                }
            }
        }
    }

    pub(super) fn forward(&self, x: &[f64], w: &[f64]) -> Vec<f64> {
        let [rows, columns] = self.window.positions(self.extent);
        let mut y = vec![0.0; self.images * self.channels[1] * rows * columns];
        self.meetings(|at_x, at_w, at_y| y[at_y] += x[at_x] * w[at_w]);
        y
    }

    pub(super) fn input_gradient(&self, w: &[f64], dy: &[f64]) -> Vec<f64> {
        let mut dx = vec![0.0; self.images * self.channels[0] * self.extent[0] * self.extent[1]];
        self.meetings(|at_x, at_w, at_y| dx[at_x] += w[at_w] * dy[at_y]);
        dx
    }

    pub(super) fn weight_gradient(&self, x: &[f64], dy: &[f64]) -> Vec<f64> {
        let mut dw = vec![0.0; self.weights()];
        self.meetings(|at_x, at_w, at_y| dw[at_w] += x[at_x] * dy[at_y]);
        dw
    }
}
