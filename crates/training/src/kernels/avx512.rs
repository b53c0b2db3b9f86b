//! AVX-512F: sixteen floats in one register.

use std::arch::x86_64::*;

use super::vector::Vector;

#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

impl Vector for Avx512 {
    const IS_WIDE: bool = true;

    #[inline(always)]
    unsafe fn splat(number: f32) -> Self {
        // SAFETY: the caller guarantees AVX-512F; no memory is touched.
        Self(unsafe { _mm512_set1_ps(number) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller guarantees AVX-512F, and sixteen floats at `from`, at any alignment.
        Self(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller guarantees room for sixteen floats at `to`, at any alignment. `self` was made by `splat` or `load`,
        // whose callers guaranteed AVX-512F.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn stream(self, to: *mut f32) {
        // SAFETY: the caller guarantees room for sixteen floats at `to`, a multiple of 64 bytes. The rest as in `store`.
        unsafe { _mm512_stream_ps(to, self.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: `self` was made by `splat` or `load`, whose callers guaranteed AVX-512F; no memory is touched.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: as in `add`.
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: as in `add`.
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        // SAFETY: as in `add`.
        Self(unsafe { _mm512_div_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        // SAFETY: as in `add`.
        Self(unsafe { _mm512_sqrt_ps(self.0) })
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: as in `add`.
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: as in `add`.
        Self(unsafe { _mm512_max_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: as in `add`.
        Self(unsafe { _mm512_min_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mask_between(self, condition: Self, high: Self) -> Self {
        // SAFETY: as in `add`.
        Self(unsafe {
            let positive = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(condition.0, _mm512_setzero_ps());
            let between = _mm512_mask_cmp_ps_mask::<_CMP_LT_OQ>(positive, condition.0, high.0);
            _mm512_maskz_mov_ps(between, self.0)
        })
    }

    #[inline(always)]
    fn scale_by_power(self, n: Self) -> Self {
        // SAFETY: as in `add`.
        Self(unsafe {
            let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(n.0), _mm512_set1_epi32(127));
            _mm512_mul_ps(self.0, _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent)))
        })
    }

    #[inline(always)]
    fn mask_equal(self, left: Self, right: Self) -> Self {
        // SAFETY: as in `add`.
        Self(unsafe {
            let equal = _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(left.0, right.0);
            _mm512_maskz_mov_ps(equal, self.0)
        })
    }

    #[inline(always)]
    fn transpose(lines: [Self; 16]) -> [Self; 16] {
        // SAFETY: as in `add`.
        unsafe {
            // Within each four lines, quarters of 4 × 4: lane 4q + j of line 4g + i becomes lane 4q + i of line 4g + j.
            let mut quarters = lines;
            for g in [0, 4, 8, 12] {
                let [a, b, c, d] = [lines[g].0, lines[g + 1].0, lines[g + 2].0, lines[g + 3].0];
                let low = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
                let low_next = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
                let high = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
                let high_next = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
                quarters[g].0 = _mm512_castpd_ps(_mm512_unpacklo_pd(low, low_next));
                quarters[g + 1].0 = _mm512_castpd_ps(_mm512_unpackhi_pd(low, low_next));
                quarters[g + 2].0 = _mm512_castpd_ps(_mm512_unpacklo_pd(high, high_next));
                quarters[g + 3].0 = _mm512_castpd_ps(_mm512_unpackhi_pd(high, high_next));
            }
            // Then the quarters themselves: quarter q of line 4g + j becomes quarter g of line 4q + j.
            const FIRST_AND_THIRD: i32 = 0b10_00_10_00;
            const SECOND_AND_FOURTH: i32 = 0b11_01_11_01;
            let mut columns = quarters;
            for j in 0..4 {
                let [a, b, c, d] = [
                    quarters[j].0,
                    quarters[4 + j].0,
                    quarters[8 + j].0,
                    quarters[12 + j].0,
                ];
                let even = _mm512_shuffle_f32x4::<FIRST_AND_THIRD>(a, b);
                let even_next = _mm512_shuffle_f32x4::<FIRST_AND_THIRD>(c, d);
                let odd = _mm512_shuffle_f32x4::<SECOND_AND_FOURTH>(a, b);
                let odd_next = _mm512_shuffle_f32x4::<SECOND_AND_FOURTH>(c, d);
                columns[j].0 = _mm512_shuffle_f32x4::<FIRST_AND_THIRD>(even, even_next);
                columns[4 + j].0 = _mm512_shuffle_f32x4::<FIRST_AND_THIRD>(odd, odd_next);
                columns[8 + j].0 = _mm512_shuffle_f32x4::<SECOND_AND_FOURTH>(even, even_next);
                columns[12 + j].0 = _mm512_shuffle_f32x4::<SECOND_AND_FOURTH>(odd, odd_next);
            }
            columns
        }
    }
}
