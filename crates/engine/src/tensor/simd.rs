//! The operations that an instruction set has to offer to [`super::kernel`].

use super::curve::SEGMENTS;
use super::job::RenderJob;

/// An instruction set. A value is a proof that the CPU has it, so the operations are safe unless they read memory by address.
///
/// Operations act lane by lane. Those on floats are rounded once, to nearest even; integers have 32 bits.
pub(super) trait Simd: Copy {
    /// Pixels computed at a time.
    const LANES: usize;
    /// A register of [`Simd::LANES`] floats.
    type Floats: Copy;
    /// A register of [`Simd::LANES`] integers.
    type Integers: Copy;

    /// Calls [`kernel::rows_of`](super::kernel::rows_of), compiled for the instruction set.
    fn rows<V: Values, const PROJECTIVE: bool>(
        self,
        job: &RenderJob<'_>,
        first_row: u32,
        planes: [&mut [f32]; 3],
        curve: &V,
    );

    /// `number` in every lane.
    fn floats(self, number: f32) -> Self::Floats;
    /// `number` in every lane.
    fn integers(self, number: i32) -> Self::Integers;
    /// `first`, `first + 1`, ...
    fn ascending(self, first: i32) -> Self::Integers;
    /// `a + b`.
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a * b`.
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a / b`.
    fn div(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// Rounded towards zero; anything if the result has no 32 bits.
    fn truncate(self, a: Self::Floats) -> Self::Integers;
    /// As floats.
    fn convert(self, a: Self::Integers) -> Self::Floats;
    /// `a + b`, wrapping.
    fn plus(self, a: Self::Integers, b: Self::Integers) -> Self::Integers;
    /// `a - b`, wrapping.
    fn minus(self, a: Self::Integers, b: Self::Integers) -> Self::Integers;
    /// `a * b`, of integers 0..=[`ONE`](super::grid::ONE).
    fn times(self, a: Self::Integers, b: Self::Integers) -> Self::Integers;
    /// `a & b`.
    fn and(self, a: Self::Integers, b: Self::Integers) -> Self::Integers;
    /// `|a|`, wrapping.
    fn abs(self, a: Self::Integers) -> Self::Integers;
    /// The smaller of both as unsigned integers.
    fn min_unsigned(self, a: Self::Integers, b: Self::Integers) -> Self::Integers;
    /// `a << FRACTION_BITS`.
    fn shift_left(self, a: Self::Integers) -> Self::Integers;
    /// `a >> FRACTION_BITS` of unsigned integers.
    fn shift_right(self, a: Self::Integers) -> Self::Integers;

    /// From each of three tables of 32 floats, the one numbered by the lowest four bits of `distance >> shift`, as bits, plus
    /// [`SEGMENTS`] if `signed` is negative.
    fn look_up(
        self,
        tables: &[[f32; 2 * SEGMENTS]; 3],
        distance: Self::Floats,
        signed: Self::Integers,
        shift: u32,
    ) -> [Self::Floats; 3];

    /// Writes `values` to `line[column..][..LANES]`.
    fn store(self, line: &mut [f32], column: usize, values: Self::Floats);

    /// For each channel, the sum of `bias` and the four pixels at column `x >> FRACTION_BITS` and the next one, in rows `row` and `row + 1`,
    /// times `weights`: upper left, upper right, lower left, lower right, which are 0..=[`ONE`](super::grid::ONE).
    ///
    /// # Safety
    ///
    /// The job is vectorizable, columns are below the image's width and rows below its height less one.
    unsafe fn blend(
        self,
        job: &RenderJob<'_>,
        x: Self::Integers,
        row: Self::Integers,
        weights: [Self::Integers; 4],
        bias: i32,
    ) -> [Self::Integers; 3];
}

/// A [`Curve`](super::curve::Curve) of one kind.
pub(super) trait Values {
    /// What [`Values::value`] expects to be added to a sum.
    const BIAS: i32;

    /// As [`Curve::value`](super::curve::Curve::value), of sums plus [`Values::BIAS`].
    fn value<S: Simd>(&self, simd: S, channel: usize, sum: S::Integers) -> S::Floats;
}
