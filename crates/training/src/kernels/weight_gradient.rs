use super::unsafe_slice::UnsafeSlice;
use super::{Extent, Window};

/// Operands of the gradient of a convolution with respect to its weight.
pub(in crate::kernels) struct WeightGradient<'a, S> {
    /// `[N, C, H, W]` in NCHWc layout.
    pub(in crate::kernels) x: &'a [f32],
    pub(in crate::kernels) input: Extent,
    pub(in crate::kernels) prologue: S,
    /// `[N, K, H′, W′]` in NCHWc layout.
    pub(in crate::kernels) dy: &'a [f32],
    pub(in crate::kernels) output: Extent,
    pub(in crate::kernels) window: Window,
    /// Output, `[K, C, R, S]`.
    pub(in crate::kernels) dw: UnsafeSlice<'a>,
}
