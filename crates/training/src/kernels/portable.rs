//! Sixteen floats in plain Rust: the reference for the other instruction sets.

use super::vector::{LANES, Vector};

#[derive(Clone, Copy)]
pub(super) struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn both(self, other: Self, operation: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| operation(self.0[lane], other.0[lane])))
    }
}

impl Vector for Portable {
    const IS_WIDE: bool = false;

    #[inline(always)]
    unsafe fn splat(number: f32) -> Self {
        Self([number; LANES])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller guarantees that sixteen floats can be read at `from`, and the read asks for no alignment.
        Self(unsafe { from.cast::<[f32; LANES]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller guarantees that sixteen floats can be written at `to`, and the write asks for no alignment.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.both(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.both(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.both(other, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.both(other, |a, b| a / b)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.map(f32::sqrt))
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(std::array::from_fn(|lane| {
            self.0[lane].mul_add(factor.0[lane], addend.0[lane])
        }))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.both(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.both(other, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn mask_between(self, condition: Self, high: Self) -> Self {
        Self(std::array::from_fn(|lane| {
            if condition.0[lane] > 0.0 && condition.0[lane] < high.0[lane] {
                self.0[lane]
            } else {
                0.0
            }
        }))
    }

    #[inline(always)]
    fn scale_by_power(self, n: Self) -> Self {
        self.both(n, |a, n| a * f32::from_bits(((n as i32 + 127) as u32) << 23))
    }

    #[inline(always)]
    fn mask_equal(self, left: Self, right: Self) -> Self {
        Self(std::array::from_fn(|lane| {
            if left.0[lane] == right.0[lane] {
                self.0[lane]
            } else {
                0.0
            }
        }))
    }
}
