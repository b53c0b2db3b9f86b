/// Lanes of a [`Vector`], and channels of a block.
pub(super) const LANES: usize = 16;

/// Sixteen floats side by side: what every kernel is written in.
///
/// An instruction set implements these few operations. All of them are exact or rounded once, lane by lane, so a kernel gives the same
/// bits on every instruction set. Kernels are generic functions that are compiled once for each.
///
/// A value can only be made by [`Vector::splat`] and [`Vector::load`], whose callers have made sure of the instructions; that is why
/// everything else is safe.
pub(super) trait Vector: Copy {
    /// Whether there are thirty-two registers of sixteen floats, and not half or a quarter of them.
    const IS_WIDE: bool;

    /// The same number in all lanes.
    ///
    /// # Safety
    /// The machine has the instruction set.
    unsafe fn splat(number: f32) -> Self;

    /// Sixteen numbers from memory, at any alignment.
    ///
    /// # Safety
    /// The machine has the instruction set; sixteen floats can be read at `from`, and no other task writes them at the same time.
    unsafe fn load(from: *const f32) -> Self;

    /// Sixteen numbers to memory, at any alignment.
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
    /// `self > other ? self : other`: where one is no number, the other operand.
    fn max(self, other: Self) -> Self;
    /// `condition > 0 ? self : 0`.
    fn mask_positive(self, condition: Self) -> Self;
    /// `left = right ? self : 0`.
    fn mask_equal(self, left: Self, right: Self) -> Self;
}
