//! GELU, `x·Φ(x)`, and its gradient, in one pass.

use super::exec_context::ExecContext;
use super::instructions::Kernel;
use super::unsafe_slice::UnsafeSlice;
use super::vector::{LANES, Vector, load_first, store_first};

/// Elements per task.
const CHUNK: usize = 1 << 13;

/// `y = x·Φ(x)`, where `Φ(x) = (1 + erf(x/√2))/2`.
///
/// # Panics
/// If the lengths differ.
pub fn forward(exec: &ExecContext<'_>, x: &[f32], y: &mut [f32]) {
    run(exec, x, None, y);
}

/// `dx = dy·(Φ(x) + x·φ(x))`, where `φ(x) = e^(−x²/2)/√(2π)`.
///
/// # Panics
/// If the lengths differ.
pub fn gradient(exec: &ExecContext<'_>, [x, dy]: [&[f32]; 2], dx: &mut [f32]) {
    run(exec, x, Some(dy), dx);
}

fn run(exec: &ExecContext<'_>, x: &[f32], dy: Option<&[f32]>, to: &mut [f32]) {
    assert!(to.len() == x.len() && dy.is_none_or(|dy| dy.len() == x.len()));
    let work = Gelu {
        x,
        dy,
        to: UnsafeSlice::new(to),
    };
    exec.set.run(exec.pool, x.len().div_ceil(CHUNK), &work);
}

struct Gelu<'a> {
    x: &'a [f32],
    /// `None`: the function itself.
    dy: Option<&'a [f32]>,
    to: UnsafeSlice<'a>,
}

impl Kernel for Gelu<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let last = ((number + 1) * CHUNK).min(self.x.len());
        for at in (number * CHUNK..last).step_by(LANES) {
            // SAFETY: the caller guarantees the instruction set and that this task alone writes its chunk, which is a multiple of the lanes or
            // ends with the buffers; `run` found these to be equally long.
            unsafe {
                let x = load_first::<V>(self.x, at);
                let [below, bell] = normal(x);
                let result = match self.dy {
                    None => x.mul(below),
                    Some(dy) => {
                        let density = bell.mul(V::splat(FRAC_1_SQRT_2_PI));
                        x.mul_add(density, below).mul(load_first(dy, at))
                    }
                };
                store_first(result, self.to.at(at), last - at);
            }
        }
    }
}

/// `1/√(2π)`.
const FRAC_1_SQRT_2_PI: f32 = 0.398_942_3;

/// `Φ(x)` and `e^(−x²/2)`. The absolute error of Φ is below 2·10⁻⁷.
///
/// # Source
/// Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: `erfc(t) ≈ (a₁u + … + a₅u⁵)·e^(−t²)` with `u = 1/(1 + 0.3275911·t)`.
///
/// # Safety
/// The CPU supports the instruction set of `V`.
#[inline(always)]
unsafe fn normal<V: Vector>(x: V) -> [V; 2] {
    // SAFETY: the caller guarantees the instruction set, and nothing else is needed.
    unsafe {
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        let size = x.max(zero.sub(x));
        let bell = exp_negative(x.mul(x).mul(V::splat(-0.5)));
        // 0.3275911/√2, because t = |x|/√2.
        let u = one.div(size.mul_add(V::splat(0.231_641_9), one));
        // Half of the coefficients.
        let mut polynomial = V::splat(0.530_702_7);
        for coefficient in [-0.726_576, 0.710_706_9, -0.142_248_37, 0.127_414_8] {
            polynomial = polynomial.mul_add(u, V::splat(coefficient));
        }
        let tail = polynomial.mul(u).mul(bell);
        let rest = one.sub(tail.add(tail));
        // Infinity is positive, too.
        let finite = x.min(V::splat(f32::MAX));
        [tail.add(rest.mask_between(finite, V::splat(f32::INFINITY))), bell]
    }
}

/// `eˣ` of a number that is not positive; that of −87 for smaller ones.
///
/// # Source
/// Moshier's Cephes, `expf`: `x = n·ln 2 + r`, a polynomial of r, and a scaling by 2ⁿ.
///
/// # Safety
/// The CPU supports the instruction set of `V`.
#[inline(always)]
unsafe fn exp_negative<V: Vector>(x: V) -> V {
    // SAFETY: the caller guarantees the instruction set, and nothing else is needed.
    unsafe {
        let x = x.max(V::splat(-87.0));
        // Adding and subtracting 1.5·2²³ rounds to an integer.
        let shift = V::splat(12_582_912.0);
        let n = x.mul_add(V::splat(std::f32::consts::LOG2_E), shift).sub(shift);
        let r = n.mul_add(V::splat(-0.693_359_4), x);
        let r = n.mul_add(V::splat(2.121_944_4e-4), r);
        let mut polynomial = V::splat(1.987_569_1e-4);
        for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
            polynomial = polynomial.mul_add(r, V::splat(coefficient));
        }
        let one = V::splat(1.0);
        polynomial.mul_add(r.mul(r), r.add(one)).scale_by_power(n)
    }
}
