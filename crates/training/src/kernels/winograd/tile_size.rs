//! Tile sizes and their transforms.

use crate::kernels::vector::Vector;

/// A line of a tile, of which the first pixels are used: as many as the transform has inputs or results.
pub(super) type Line<V> = [V; 6];

/// A tile size with the transforms of one line.
pub(super) trait TileSize: Copy + Sync {
    /// Output pixels per axis.
    const OUTPUTS: usize;
    /// Input pixels, and so places, per axis.
    const INPUTS: usize = Self::OUTPUTS + 2;
    /// Elements (places) of a transformed tile.
    const PLACES: usize = Self::INPUTS * Self::INPUTS;

    /// `Bᵀ` times input pixels.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`.
    unsafe fn input<V: Vector>(d: Line<V>) -> Line<V>;

    /// `Aᵀ` times products.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`.
    unsafe fn output<V: Vector>(m: Line<V>) -> Line<V>;

    /// `A` times output gradients.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`.
    unsafe fn output_gradient<V: Vector>(dy: Line<V>) -> Line<V>;

    /// `G` times weights.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`.
    unsafe fn weight<V: Vector>(g: [V; 3]) -> Line<V>;

    /// `Gᵀ` times sums of products.
    ///
    /// # Safety
    /// The CPU supports the instruction set of `V`.
    unsafe fn weight_gradient<V: Vector>(m: Line<V>) -> [V; 3];
}

/// F(2×2, 3×3), with the points 0, 1, −1 and ∞.
#[derive(Clone, Copy)]
pub(super) struct Two;

impl TileSize for Two {
    const OUTPUTS: usize = 2;

    #[inline(always)]
    unsafe fn input<V: Vector>(d: Line<V>) -> Line<V> {
        let results = [d[0].sub(d[2]), d[1].add(d[2]), d[2].sub(d[1]), d[1].sub(d[3])];
        line(results, d[0])
    }

    #[inline(always)]
    unsafe fn output<V: Vector>(m: Line<V>) -> Line<V> {
        line([m[0].add(m[1]).add(m[2]), m[1].sub(m[2]).sub(m[3])], m[0])
    }

    #[inline(always)]
    unsafe fn output_gradient<V: Vector>(dy: Line<V>) -> Line<V> {
        // SAFETY: the caller guarantees the instruction set.
        let zero = unsafe { V::splat(0.0) };
        let results = [dy[0], dy[0].add(dy[1]), dy[0].sub(dy[1]), zero.sub(dy[1])];
        line(results, zero)
    }

    #[inline(always)]
    unsafe fn weight<V: Vector>(g: [V; 3]) -> Line<V> {
        // SAFETY: the caller guarantees the instruction set.
        let half = unsafe { V::splat(0.5) };
        let ends = g[0].add(g[2]);
        let results = [g[0], ends.add(g[1]).mul(half), ends.sub(g[1]).mul(half), g[2]];
        line(results, g[0])
    }

    #[inline(always)]
    unsafe fn weight_gradient<V: Vector>(m: Line<V>) -> [V; 3] {
        // SAFETY: the caller guarantees the instruction set.
        let half = unsafe { V::splat(0.5) };
        let (sum, difference) = (m[1].add(m[2]).mul(half), m[1].sub(m[2]).mul(half));
        [m[0].add(sum), difference, sum.add(m[3])]
    }
}

/// F(4×4, 3×3), with the points 0, ±`P`, ±`Q` and ∞.
#[derive(Clone, Copy)]
pub(super) struct Four;

const P: f32 = 0.625;
const Q: f32 = 1.5;
/// Squares, their sum and their product are exact.
const P2: f32 = P * P;
const Q2: f32 = Q * Q;
/// `G` divides the rows of the points 0, ±P and ±Q by the products of their distances from the other points.
const AT_ZERO: f32 = (1.0 / (P as f64 * P as f64 * Q as f64 * Q as f64)) as f32;
const AT_P: f32 = (1.0 / (2.0 * P2 as f64 * (P2 as f64 - Q2 as f64))) as f32;
const AT_Q: f32 = (1.0 / (2.0 * Q2 as f64 * (Q2 as f64 - P2 as f64))) as f32;

impl TileSize for Four {
    const OUTPUTS: usize = 4;

    #[inline(always)]
    unsafe fn input<V: Vector>(d: Line<V>) -> Line<V> {
        // SAFETY: the caller guarantees the instruction set.
        let [p, q, p2, q2] = unsafe { [V::splat(P), V::splat(Q), V::splat(-P2), V::splat(-Q2)] };
        // SAFETY: as above.
        let [sum, product] = unsafe { [V::splat(-(P2 + Q2)), V::splat(P2 * Q2)] };
        let even = [d[2].mul_add(q2, d[4]), d[2].mul_add(p2, d[4])];
        let odd = [d[1].mul_add(q2, d[3]).mul(p), d[1].mul_add(p2, d[3]).mul(q)];
        [
            d[0].mul_add(product, d[2].mul_add(sum, d[4])),
            even[0].add(odd[0]),
            even[0].sub(odd[0]),
            even[1].add(odd[1]),
            even[1].sub(odd[1]),
            d[1].mul_add(product, d[3].mul_add(sum, d[5])),
        ]
    }

    #[inline(always)]
    unsafe fn output<V: Vector>(m: Line<V>) -> Line<V> {
        // SAFETY: the caller guarantees the instruction set.
        let [p, q, p2, q2] = unsafe { [V::splat(P), V::splat(Q), V::splat(P2), V::splat(Q2)] };
        let (even, odd) = ([m[1].add(m[2]), m[3].add(m[4])], [m[1].sub(m[2]), m[3].sub(m[4])]);
        let odd = [odd[0].mul(p), odd[1].mul(q)];
        let results = [
            m[0].add(even[0]).add(even[1]),
            odd[0].add(odd[1]),
            even[0].mul_add(p2, even[1].mul(q2)),
            odd[0].mul_add(p2, odd[1].mul_add(q2, m[5])),
        ];
        line(results, m[0])
    }

    #[inline(always)]
    unsafe fn output_gradient<V: Vector>(dy: Line<V>) -> Line<V> {
        // SAFETY: the caller guarantees the instruction set.
        let [p, q, p2, q2] = unsafe { [V::splat(P), V::splat(Q), V::splat(P2), V::splat(Q2)] };
        let even = [dy[2].mul_add(p2, dy[0]), dy[2].mul_add(q2, dy[0])];
        let odd = [dy[3].mul_add(p2, dy[1]).mul(p), dy[3].mul_add(q2, dy[1]).mul(q)];
        [
            dy[0],
            even[0].add(odd[0]),
            even[0].sub(odd[0]),
            even[1].add(odd[1]),
            even[1].sub(odd[1]),
            dy[3],
        ]
    }

    #[inline(always)]
    unsafe fn weight<V: Vector>(g: [V; 3]) -> Line<V> {
        // SAFETY: the caller guarantees the instruction set.
        let [p, q, p2, q2] = unsafe { [V::splat(P), V::splat(Q), V::splat(P2), V::splat(Q2)] };
        // SAFETY: as above.
        let [at_zero, at_p, at_q] = unsafe { [V::splat(AT_ZERO), V::splat(AT_P), V::splat(AT_Q)] };
        let even = [g[2].mul_add(p2, g[0]), g[2].mul_add(q2, g[0])];
        let odd = [g[1].mul(p), g[1].mul(q)];
        [
            g[0].mul(at_zero),
            even[0].add(odd[0]).mul(at_p),
            even[0].sub(odd[0]).mul(at_p),
            even[1].add(odd[1]).mul(at_q),
            even[1].sub(odd[1]).mul(at_q),
            g[2],
        ]
    }

    #[inline(always)]
    unsafe fn weight_gradient<V: Vector>(m: Line<V>) -> [V; 3] {
        // SAFETY: the caller guarantees the instruction set.
        let [p, q, p2, q2] = unsafe { [V::splat(P), V::splat(Q), V::splat(P2), V::splat(Q2)] };
        // SAFETY: as above.
        let [at_zero, at_p, at_q] = unsafe { [V::splat(AT_ZERO), V::splat(AT_P), V::splat(AT_Q)] };
        let even = [m[1].add(m[2]).mul(at_p), m[3].add(m[4]).mul(at_q)];
        let odd = [m[1].sub(m[2]).mul(at_p), m[3].sub(m[4]).mul(at_q)];
        [
            m[0].mul_add(at_zero, even[0].add(even[1])),
            odd[0].mul_add(p, odd[1].mul(q)),
            even[0].mul_add(p2, even[1].mul_add(q2, m[5])),
        ]
    }
}

/// A line that starts with `results`; the rest is not used.
#[inline(always)]
fn line<V: Vector, const N: usize>(results: [V; N], rest: V) -> Line<V> {
    let mut line = [rest; 6];
    let mut i = 0;
    while i < N {
        line[i] = results[i];
        i += 1;
    }
    line
}
