//! Layer norm over the last axis, and its gradient, one row after the other.

use super::exec_context::ExecContext;
use super::instructions::Kernel;
use super::unsafe_slice::UnsafeSlice;
use super::vector::{LANES, Vector, lanes_below, load_first, store_first, total};

/// Rows per task.
const ROWS: usize = 32;

/// `y = (x − mean)·r·scale + bias` for each row, with `r = 1/√(variance + ε)`.
///
/// # Shapes
/// `x: [rows, C]`, `scale, bias: [C]` → `y: [rows, C]`.
///
/// # Panics
/// If a length is wrong.
pub fn forward(exec: &ExecContext<'_>, [x, scale, bias]: [&[f32]; 3], epsilon: f32, y: &mut [f32]) {
    let rows = rows(x, scale);
    assert!(bias.len() == scale.len() && y.len() == x.len());
    let work = Forward {
        x,
        scale,
        bias,
        epsilon,
        rows,
        y: UnsafeSlice::new(y),
    };
    exec.set.run(exec.pool, rows.div_ceil(ROWS), &work);
}

/// With `x̂ = (x − mean)·r` and `g = dy·scale`: `dx = r·(g − mean(g) − x̂·mean(g·x̂))` for each row, `dscale = Σ dy·x̂` and `dbias = Σ dy`.
///
/// # Shapes
/// `x, dy: [rows, C]`, `scale: [C]` → `dx: [rows, C]`, `dscale, dbias: [C]`.
///
/// # Panics
/// If a length is wrong.
pub fn gradient(
    exec: &mut ExecContext<'_>,
    [x, dy, scale]: [&[f32]; 3],
    epsilon: f32,
    [dx, to_scale, to_bias]: [&mut [f32]; 3],
) {
    let (rows, channels) = (rows(x, scale), scale.len());
    assert!(dy.len() == x.len() && dx.len() == x.len());
    assert!(to_scale.len() == channels && to_bias.len() == channels);
    let (tasks, padded) = (rows.div_ceil(ROWS), channels.next_multiple_of(LANES));
    let sums = exec.workspace.sums.slice(tasks * 2 * padded);
    sums.fill(0.0);
    let work = Gradient {
        x,
        dy,
        scale,
        epsilon,
        rows,
        padded,
        dx: UnsafeSlice::new(dx),
        sums: UnsafeSlice::new(sums),
    };
    exec.set.run(exec.pool, tasks, &work);
    // In the order of the tasks.
    let mut totals = vec![0.0_f64; 2 * padded];
    for sums in sums.chunks_exact(2 * padded) {
        for (total, &sum) in totals.iter_mut().zip(sums) {
            *total += f64::from(sum);
        }
    }
    for (results, totals) in [to_scale, to_bias].into_iter().zip(totals.chunks_exact(padded)) {
        for (result, &total) in results.iter_mut().zip(totals) {
            *result = total as f32;
        }
    }
}

/// Number of rows of `x`.
fn rows(x: &[f32], scale: &[f32]) -> usize {
    let rows = x.len() / scale.len().max(1);
    assert_eq!(rows * scale.len(), x.len());
    rows
}

/// Mean and `1/√(variance + ε)` of a row.
///
/// # Safety
/// The CPU supports the instruction set of `V`.
#[inline(always)]
unsafe fn statistics<V: Vector>(row: &[f32], epsilon: f32) -> [f32; 2] {
    let channels = row.len() as f32;
    // SAFETY: the caller guarantees the instruction set, and all accesses lie within the row.
    unsafe {
        let mut sum = V::splat(0.0);
        for at in (0..row.len()).step_by(LANES) {
            sum = sum.add(load_first(row, at));
        }
        let mean = total(sum) / channels;
        let (centre, mut squares) = (V::splat(mean), V::splat(0.0));
        for at in (0..row.len()).step_by(LANES) {
            let mut difference = load_first::<V>(row, at).sub(centre);
            if at + LANES > row.len() {
                difference = difference.mul(lanes_below(row.len() - at));
            }
            squares = difference.mul_add(difference, squares);
        }
        [mean, 1.0 / (total(squares) / channels + epsilon).sqrt()]
    }
}

struct Forward<'a> {
    x: &'a [f32],
    scale: &'a [f32],
    bias: &'a [f32],
    epsilon: f32,
    rows: usize,
    y: UnsafeSlice<'a>,
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let channels = self.scale.len();
        for row in number * ROWS..((number + 1) * ROWS).min(self.rows) {
            let x = &self.x[row * channels..][..channels];
            // SAFETY: the caller guarantees the instruction set and that this task alone writes its rows; accesses lie within one row.
            unsafe {
                let [mean, r] = statistics::<V>(x, self.epsilon);
                let [mean, r] = [V::splat(mean), V::splat(r)];
                for at in (0..channels).step_by(LANES) {
                    let normal = load_first::<V>(x, at).sub(mean).mul(r);
                    let y = normal.mul_add(load_first(self.scale, at), load_first(self.bias, at));
                    store_first(y, self.y.at(row * channels + at), channels - at);
                }
            }
        }
    }
}

struct Gradient<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    scale: &'a [f32],
    epsilon: f32,
    rows: usize,
    /// Channels of `sums`.
    padded: usize,
    dx: UnsafeSlice<'a>,
    /// The parameters' gradients of each task: `[tasks, 2, padded]`.
    sums: UnsafeSlice<'a>,
}

impl Kernel for Gradient<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let channels = self.scale.len();
        for row in number * ROWS..((number + 1) * ROWS).min(self.rows) {
            let x = &self.x[row * channels..][..channels];
            let dy = &self.dy[row * channels..][..channels];
            // SAFETY: the caller guarantees the instruction set and that this task alone writes its rows and its sums, which are of whole
            // vectors; all other accesses lie within one row.
            unsafe {
                let [mean, r] = statistics::<V>(x, self.epsilon);
                let [centre, factor] = [V::splat(mean), V::splat(r)];
                let (mut sum, mut product) = (V::splat(0.0), V::splat(0.0));
                for at in (0..channels).step_by(LANES) {
                    let normal = load_first::<V>(x, at).sub(centre).mul(factor);
                    let dy = load_first::<V>(dy, at);
                    let g = dy.mul(load_first(self.scale, at));
                    sum = sum.add(g);
                    product = g.mul_add(normal, product);
                    let to_scale = self.sums.at(number * 2 * self.padded + at);
                    let to_bias = self.sums.at((number * 2 + 1) * self.padded + at);
                    dy.mul_add(normal, V::load(to_scale)).store(to_scale);
                    V::load(to_bias).add(dy).store(to_bias);
                }
                let count = channels as f32;
                let [sum, product] = [V::splat(total(sum) / count), V::splat(total(product) / count)];
                for at in (0..channels).step_by(LANES) {
                    let normal = load_first::<V>(x, at).sub(centre).mul(factor);
                    let g = load_first::<V>(dy, at).mul(load_first(self.scale, at));
                    let dx = g.sub(sum).sub(normal.mul(product)).mul(factor);
                    store_first(dx, self.dx.at(row * channels + at), channels - at);
                }
            }
        }
    }
}
