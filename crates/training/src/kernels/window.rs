/// Kernel size, stride and padding of a convolution or pooling, `[rows, columns]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Kernel size.
    pub kernel: [usize; 2],
    /// Stride.
    pub stride: [usize; 2],
    /// Zeros before the first row and column.
    pub pad: [usize; 2],
    /// Zeros after the last row and column.
    pub pad_after: [usize; 2],
}

impl Window {
    /// Elements of the kernel (R·S).
    #[must_use]
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Output rows and columns for a plane of `extent`.
    ///
    /// # Panics
    /// If the kernel is larger than the padded plane.
    #[must_use]
    pub fn positions(&self, extent: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|axis| {
            let padded = extent[axis] + self.pad[axis] + self.pad_after[axis];
            (padded - self.kernel[axis]) / self.stride[axis] + 1
        })
    }

    /// Whether this is the window that [`winograd`](super::winograd) supports.
    pub(super) fn is_three_by_three(&self) -> bool {
        *self
            == Self {
                kernel: [3, 3],
                stride: [1, 1],
                pad: [1, 1],
                pad_after: [1, 1],
            }
    }
}
