//! AVX2 and FMA: sixteen floats in two registers.

use std::arch::x86_64::*;

use super::vector::Vector;

#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256, __m256);

impl Avx2 {
    #[inline(always)]
    fn both(self, other: Self, operation: impl Fn(__m256, __m256) -> __m256) -> Self {
        Self(operation(self.0, other.0), operation(self.1, other.1))
    }
}

impl Vector for Avx2 {
    const IS_WIDE: bool = false;

    #[inline(always)]
    unsafe fn splat(number: f32) -> Self {
        // SAFETY: the caller guarantees AVX2 and FMA; no memory is touched.
        let half = unsafe { _mm256_set1_ps(number) };
        Self(half, half)
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller guarantees AVX2 and FMA, and sixteen floats at `from`: eight for each half, at any alignment.
        unsafe { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller guarantees room for sixteen floats at `to`: eight for each half, at any alignment. `self` was made by
        // `splat` or `load`, whose callers guaranteed AVX2 and FMA.
        unsafe {
            _mm256_storeu_ps(to, self.0);
            _mm256_storeu_ps(to.add(8), self.1);
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: `self` was made by `splat` or `load`, whose callers guaranteed AVX2 and FMA; no memory is touched.
        self.both(other, |a, b| unsafe { _mm256_add_ps(a, b) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: as in `add`.
        self.both(other, |a, b| unsafe { _mm256_sub_ps(a, b) })
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: as in `add`.
        self.both(other, |a, b| unsafe { _mm256_mul_ps(a, b) })
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        // SAFETY: as in `add`.
        self.both(other, |a, b| unsafe { _mm256_div_ps(a, b) })
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        // SAFETY: as in `add`.
        unsafe { Self(_mm256_sqrt_ps(self.0), _mm256_sqrt_ps(self.1)) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: as in `add`.
        unsafe {
            Self(
                _mm256_fmadd_ps(self.0, factor.0, addend.0),
                _mm256_fmadd_ps(self.1, factor.1, addend.1),
            )
        }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: as in `add`.
        self.both(other, |a, b| unsafe { _mm256_max_ps(a, b) })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: as in `add`.
        self.both(other, |a, b| unsafe { _mm256_min_ps(a, b) })
    }

    #[inline(always)]
    fn mask_between(self, condition: Self, high: Self) -> Self {
        // SAFETY: as in `add`.
        let below = condition.both(high, |c, h| unsafe { _mm256_cmp_ps::<_CMP_LT_OQ>(c, h) });
        // SAFETY: as in `add`.
        let masked = self.both(below, |a, mask| unsafe { _mm256_and_ps(a, mask) });
        // SAFETY: as in `add`.
        masked.both(condition, |a, c| unsafe {
            _mm256_and_ps(a, _mm256_cmp_ps::<_CMP_GT_OQ>(c, _mm256_setzero_ps()))
        })
    }

    #[inline(always)]
    fn scale_by_power(self, n: Self) -> Self {
        // SAFETY: as in `add`.
        self.both(n, |a, n| unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        })
    }

    #[inline(always)]
    fn mask_equal(self, left: Self, right: Self) -> Self {
        // SAFETY: as in `add`.
        let equal = left.both(right, |a, b| unsafe { _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b) });
        // SAFETY: as in `add`.
        self.both(equal, |a, mask| unsafe { _mm256_and_ps(a, mask) })
    }
}
