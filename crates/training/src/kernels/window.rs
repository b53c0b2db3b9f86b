/// How a kernel slides over a plane: rows first, then columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Distance between positions.
    pub stride: [usize; 2],
    /// Zeros on both sides.
    pub pad: [usize; 2],
}

impl Window {
    /// Elements of the kernel.
    #[must_use]
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Positions in a plane of that many rows and columns, at least one of each.
    ///
    /// # Panics
    /// Where the kernel does not fit.
    #[must_use]
    pub fn positions(&self, extent: [usize; 2]) -> [usize; 2] {
        let [rows, columns] = [0, 1]
            .map(|axis| (extent[axis] + 2 * self.pad[axis] - self.kernel[axis]) / self.stride[axis] + 1);
        [rows, columns]
    }

    /// Whether this is the window that [`winograd`](super::winograd) is for.
    pub(super) fn is_three_by_three(&self) -> bool {
        *self
            == Self {
                kernel: [3, 3],
                stride: [1, 1],
                pad: [1, 1],
            }
    }
}
