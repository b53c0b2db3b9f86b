//! The vector kernel: does for several pixels at a time what [`scalar`] does for one.
//!
//! Its functions are generic over the instruction set and always inlined into one that is compiled for it. They use no closures: a closure
//! is a function of its own, compiled without the instruction set.

use super::curve::{Curve, GREY, Line, Quadratics};
use super::grid::{FRACTION_BITS, ONE, RowStart};
use super::job::RenderJob;
use super::scalar;
use super::simd::{Simd, Values};

/// As [`scalar::rows`].
pub(super) fn rows<S: Simd>(simd: S, job: &RenderJob<'_>, first_row: u32, planes: [&mut [f32]; 3]) {
    if !job.is_vectorizable || job.size < S::LANES {
        return scalar::rows(job, first_row, planes);
    }
    match (&job.curve, job.grid.is_projective) {
        (Curve::Line(line), true) => simd.rows::<_, true>(job, first_row, planes, line),
        (Curve::Line(line), false) => simd.rows::<_, false>(job, first_row, planes, line),
        (Curve::Quadratics(curve), true) => simd.rows::<_, true>(job, first_row, planes, &**curve),
        (Curve::Quadratics(curve), false) => simd.rows::<_, false>(job, first_row, planes, &**curve),
    }
}

impl Values for Line {
    const BIAS: i32 = 0;

    #[inline(always)]
    fn value<S: Simd>(&self, simd: S, channel: usize, sum: S::Integers) -> S::Floats {
        let scaled = simd.mul(simd.convert(sum), simd.floats(self.scale[channel]));
        simd.add(scaled, simd.floats(self.offset[channel]))
    }
}

impl Values for Quadratics {
    const BIAS: i32 = -GREY;

    #[inline(always)]
    fn value<S: Simd>(&self, simd: S, channel: usize, signed: S::Integers) -> S::Floats {
        let distance = simd.minus(simd.integers(GREY + self.bias), simd.abs(signed));
        let distance = simd.convert(distance);
        let [constant, linear, square] =
            simd.look_up(&self.coefficients[channel], distance, signed, self.shift);
        let value = simd.mul(square, distance);
        let value = simd.mul(simd.add(value, linear), distance);
        simd.add(value, constant)
    }
}

/// As [`scalar::rows`], of a vectorizable job of at least [`Simd::LANES`] columns.
#[inline(always)]
pub(super) fn rows_of<S: Simd, const PROJECTIVE: bool>(
    simd: S,
    job: &RenderJob<'_>,
    first_row: u32,
    planes: [&mut [f32]; 3],
    curve: &impl Values,
) {
    assert!(job.is_vectorizable, "positions of other images do not fit");
    let geometry = Geometry::new(simd, job);
    let [red, green, blue] = planes;
    let lines = red
        .chunks_exact_mut(job.size)
        .zip(green.chunks_exact_mut(job.size))
        .zip(blue.chunks_exact_mut(job.size));
    for (row, ((red, green), blue)) in (first_row..).zip(lines) {
        let line = [red, green, blue];
        if !job.one_reflection_suffices(row) {
            scalar::row(job, row, line);
            continue;
        }
        let (start, interior) = (job.grid.row(row), job.interior(row));
        let mut column = 0;
        loop {
            let (x, y) = geometry.position::<PROJECTIVE>(start, column);
            let (x, y) = if interior.start <= column && column + S::LANES <= interior.end {
                geometry.clamped(x, y)
            } else {
                geometry.reflected(x, y)
            };
            let sums = geometry.blend(job, x, y, curve);
            simd.store(line[0], column, curve.value(simd, 0, sums[0]));
            simd.store(line[1], column, curve.value(simd, 1, sums[1]));
            simd.store(line[2], column, curve.value(simd, 2, sums[2]));
            if column + S::LANES >= job.size {
                break;
            }
            // The last block overlaps the previous one, so that it ends with the row. A pixel's value depends only on its position.
            column = (column + S::LANES).min(job.size - S::LANES);
        }
    }
}

/// Constants of the position computation, broadcast to all lanes.
struct Geometry<S: Simd> {
    simd: S,
    step: [S::Floats; 3],
    origin: [S::Integers; 2],
    /// Position of the last pixel on each axis.
    span: [S::Integers; 2],
    /// The last row that has a row below it.
    last_row: S::Integers,
}

impl<S: Simd> Geometry<S> {
    #[inline(always)]
    fn new(simd: S, job: &RenderJob<'_>) -> Self {
        let [du, dv, dw] = job.grid.step;
        let [column, row] = job.grid.origin;
        let (width, height) = (job.image.width() as i32, job.image.height() as i32);
        Self {
            simd,
            step: [simd.floats(du), simd.floats(dv), simd.floats(dw)],
            origin: [
                simd.integers(column << FRACTION_BITS),
                simd.integers(row << FRACTION_BITS),
            ],
            span: [
                simd.integers((width - 1) << FRACTION_BITS),
                simd.integers((height - 1) << FRACTION_BITS),
            ],
            last_row: simd.integers(height - 2),
        }
    }

    /// Positions of the pixels from `column` on.
    #[inline(always)]
    fn position<const PROJECTIVE: bool>(&self, start: RowStart, column: usize) -> (S::Integers, S::Integers) {
        let simd = self.simd;
        let column = simd.convert(simd.ascending(column as i32));
        let [du, dv, dw] = self.step;
        let mut x = simd.add(simd.mul(du, column), simd.floats(start.u));
        let mut y = simd.add(simd.mul(dv, column), simd.floats(start.v));
        if PROJECTIVE {
            let w = simd.add(simd.mul(dw, column), simd.floats(start.w));
            let reciprocal = simd.div(simd.floats(1.0), w);
            x = simd.mul(x, reciprocal);
            y = simd.mul(y, reciprocal);
        }
        (
            simd.plus(simd.truncate(x), self.origin[0]),
            simd.plus(simd.truncate(y), self.origin[1]),
        )
    }

    /// Clamps positions that need no reflection, so that addresses derived from them are inside the image for any input.
    #[inline(always)]
    fn clamped(&self, x: S::Integers, y: S::Integers) -> (S::Integers, S::Integers) {
        let [across, down] = self.span;
        (self.simd.min_unsigned(x, across), self.simd.min_unsigned(y, down))
    }

    /// Reflects once at either end, which suffices if [`RenderJob::one_reflection_suffices`]. The result is inside the image for any input.
    #[inline(always)]
    fn reflected(&self, x: S::Integers, y: S::Integers) -> (S::Integers, S::Integers) {
        let (simd, [across, down]) = (self.simd, self.span);
        // Compared as unsigned numbers, so that negative ones are large.
        let (x, y) = (simd.abs(x), simd.abs(y));
        self.clamped(
            simd.min_unsigned(x, simd.minus(simd.plus(across, across), x)),
            simd.min_unsigned(y, simd.minus(simd.plus(down, down), y)),
        )
    }

    /// The weighted sums of the pixels around positions that [`Geometry::clamped`] or [`Geometry::reflected`] returned.
    #[inline(always)]
    fn blend<V: Values>(
        &self,
        job: &RenderJob<'_>,
        x: S::Integers,
        y: S::Integers,
        _: &V,
    ) -> [S::Integers; 3] {
        let simd = self.simd;
        let row = simd.min_unsigned(simd.shift_right(y), self.last_row);
        let fx = simd.and(x, simd.integers(ONE - 1));
        let fy = simd.minus(y, simd.shift_left(row));
        let bottom_right = simd.shift_right(simd.plus(simd.times(fx, fy), simd.integers(ONE / 2)));
        let top_right = simd.minus(fx, bottom_right);
        let bottom_left = simd.minus(fy, bottom_right);
        let top_left = simd.minus(simd.minus(simd.integers(ONE), fy), top_right);
        let weights = [top_left, top_right, bottom_left, bottom_right];
        // SAFETY: `rows_of` asserts that the job is vectorizable; `clamped`, which `reflected` ends with, keeps columns below the image's width,
        // and `last_row` keeps rows below its height less one.
        unsafe { simd.blend(job, x, row, weights, V::BIAS) }
    }
}
