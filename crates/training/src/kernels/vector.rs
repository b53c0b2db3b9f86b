/// Lanes of a [`Vector`], and channels per block.
pub(super) const LANES: usize = 16;

/// A vector of sixteen floats; kernels are generic over it.
///
/// All operations are exact or rounded once, lane by lane, so that a kernel gives the same bits on every instruction set.
///
/// Values are created only by [`Vector::splat`] and [`Vector::load`], whose callers guarantee the instruction set; therefore the other
/// operations are safe.
pub(super) trait Vector: Copy {
    /// Whether there are thirty-two registers of sixteen floats, as with AVX-512.
    const IS_WIDE: bool;

    /// Broadcasts a number to all lanes.
    ///
    /// # Safety
    /// The CPU supports the instruction set.
    unsafe fn splat(number: f32) -> Self;

    /// Loads sixteen floats, at any alignment.
    ///
    /// # Safety
    /// The CPU supports the instruction set; sixteen floats can be read at `from`, and no other task writes them at the same time.
    unsafe fn load(from: *const f32) -> Self;

    /// Stores sixteen floats, at any alignment.
    ///
    /// # Safety
    /// Sixteen floats can be written at `to`, and no other task uses them at the same time.
    unsafe fn store(self, to: *mut f32);

    /// `self + other`.
    fn add(self, other: Self) -> Self;
    /// `self − other`.
    fn sub(self, other: Self) -> Self;
    /// `self · other`.
    fn mul(self, other: Self) -> Self;
    /// `self / other`.
    fn div(self, other: Self) -> Self;
    /// `√self`.
    fn sqrt(self) -> Self;
    /// `self · factor + addend`, rounded once.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// `self > other ? self : other`: `other` if either is NaN.
    fn max(self, other: Self) -> Self;
    /// `condition > 0 ? self : 0`.
    fn mask_positive(self, condition: Self) -> Self;
    /// `left = right ? self : 0`.
    fn mask_equal(self, left: Self, right: Self) -> Self;
}
