//! Batch norm in NCHWc layout: the parts that are not fused into convolutions.

use super::Extent;
use super::destination::Destination;
use super::epilogue::{Epilogue, GradEpilogue, GradWriter};
use super::exec_context::ExecContext;
use super::instructions::Kernel;
use super::partial_sums::{PartialSumTable, reduce};
use super::prologue::ScaleShift;
use super::unsafe_slice::UnsafeSlice;
use super::vector::{LANES, Vector};

/// Mean and biased variance of each channel from its sum and sum of squares over `count` pixels.
pub fn mean_and_variance(sums: &[[f64; 2]], count: usize, mean: &mut [f32], variance: &mut [f32]) {
    let count = count as f64;
    for ((sums, mean), variance) in sums.iter().zip(mean).zip(variance) {
        let centre = sums[0] / count;
        *mean = centre as f32;
        let difference = sums[1] / count - centre * centre;
        // Rounding can make it negative. NaN is kept, so that a diverged loss is detected.
        *variance = if difference < 0.0 { 0.0 } else { difference as f32 };
    }
}

/// Scale and batch statistics of a batch norm, per channel.
#[derive(Clone, Copy, Debug)]
pub struct Statistics<'a> {
    /// γ.
    pub scale: &'a [f32],
    /// Batch mean.
    pub mean: &'a [f32],
    /// Biased batch variance.
    pub variance: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

impl Statistics<'_> {
    /// `1 / √(variance + ε)`.
    fn reciprocal(&self, channel: usize) -> f64 {
        1.0 / (f64::from(self.variance[channel]) + f64::from(self.epsilon)).sqrt()
    }
}

/// Batch norm as one scale and shift per channel: `γ·r` and `β − mean·γ·r`, where `r = 1/√(variance + ε)`.
///
/// # Shapes
/// All `[C]` → `[2, C]`.
pub fn scale_shift(statistics: &Statistics<'_>, bias: &[f32], scale_shift: &mut [f32]) {
    let (scales, shifts) = scale_shift.split_at_mut(bias.len());
    for (channel, (scale, shift)) in scales.iter_mut().zip(shifts).enumerate() {
        let factor = f64::from(statistics.scale[channel]) * statistics.reciprocal(channel);
        *scale = factor as f32;
        // Uses the rounded scale, so that the mean is mapped to β as exactly as possible.
        *shift =
            f64::from(*scale).mul_add(-f64::from(statistics.mean[channel]), f64::from(bias[channel])) as f32;
    }
}

/// Shortcut of a residual block, added to the normalised value.
#[derive(Clone, Copy, Debug)]
pub enum Shortcut<'a> {
    /// No shortcut.
    None,
    /// The identity shortcut.
    Identity(&'a [f32]),
    /// A projection shortcut: a value, and scale and shift `[2, C]` of its batch norm.
    ScaleShift(&'a [f32], &'a [f32]),
}

/// `y = scale · x + shift + shortcut`, with an optional ReLU.
#[derive(Clone, Copy, Debug)]
pub struct Normalization<'a> {
    /// Input.
    pub x: &'a [f32],
    /// Scale and shift, `[2, C]`.
    pub scale_shift: &'a [f32],
    /// Shortcut.
    pub shortcut: Shortcut<'a>,
    /// Upper bound of the ReLU that follows, if one does: ∞, or 6 for ReLU6.
    pub high: Option<f32>,
}

/// Computes a [`Normalization`].
///
/// # Panics
/// If a length is wrong.
pub fn normalize(exec: &ExecContext<'_>, extent: Extent, normalization: &Normalization<'_>, y: &mut [f32]) {
    let Normalization {
        x,
        scale_shift,
        shortcut,
        ..
    } = normalization;
    assert!(x.len() == extent.elements() && y.len() == extent.elements());
    assert_eq!(scale_shift.len(), 2 * extent.channels());
    match shortcut {
        Shortcut::None => {}
        Shortcut::Identity(addend) => assert_eq!(addend.len(), extent.elements()),
        Shortcut::ScaleShift(addend, scale_shift) => {
            assert!(addend.len() == extent.elements() && scale_shift.len() == 2 * extent.channels());
        }
    }
    let work = Normalize {
        extent,
        normalization,
        y: Destination::new(y),
    };
    exec.set.run(exec.pool, extent.images * extent.blocks, &work);
}

struct Normalize<'a> {
    extent: Extent,
    normalization: &'a Normalization<'a>,
    y: Destination<'a>,
}

impl Kernel for Normalize<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let &Normalization {
            x,
            scale_shift,
            shortcut,
            high,
        } = self.normalization;
        let (start, block) = (number * self.extent.plane(), number % self.extent.blocks);
        // SAFETY: the caller guarantees the instruction set and a number below that of the planes. `normalize` found operands and
        // result to have all planes, and scales and shifts to have all channels; this task alone writes its plane of y.
        unsafe {
            let own = ScaleShift::<V>::of(scale_shift, block);
            let (addend, addend_scale_shift) = match shortcut {
                Shortcut::None => (None, own),
                Shortcut::Identity(addend) => (Some((addend, false)), own),
                Shortcut::ScaleShift(addend, scale_shift) => {
                    (Some((addend, true)), ScaleShift::of(scale_shift, block))
                }
            };
            let bounds = high.map(|high| [0.0, high]);
            let to = self.y;
            for offset in (start..start + self.extent.plane()).step_by(LANES) {
                let mut y = own.apply(V::load(x.as_ptr().add(offset)));
                if let Some((addend, is_scaled)) = addend {
                    let addend = V::load(addend.as_ptr().add(offset));
                    y = y.add(if is_scaled {
                        addend_scale_shift.apply(addend)
                    } else {
                        addend
                    });
                }
                if let Some([low, high]) = bounds {
                    y = V::splat(high).min(V::splat(low).max(y));
                }
                to.put(offset, y);
            }
        }
    }
}

/// `g = (dy + addend) · mask`, for a gradient `dy` that no convolution computes; returns `Σ g` and `Σ g·(x − mean)` of each channel if the
/// epilogue has a [`BatchMean`](super::BatchMean), and zeros otherwise. Without `g`, only the sums are computed.
///
/// # Panics
/// If a length is wrong.
pub fn apply_grad_epilogue(
    exec: &mut ExecContext<'_>,
    extent: Extent,
    dy: &[f32],
    grad_epilogue: GradEpilogue<'_>,
    g: Option<&mut [f32]>,
) -> Vec<[f64; 2]> {
    assert_eq!(dy.len(), extent.elements());
    assert!(g.as_ref().is_none_or(|g| g.len() == extent.elements()));
    grad_epilogue.check(extent);
    let sums = exec
        .workspace
        .sums
        .slice(PartialSumTable::length(extent.images, extent.blocks));
    let work = ApplyGradEpilogue {
        extent,
        dy,
        epilogue: GradWriter {
            grad_epilogue,
            g: g.map(Destination::new),
        },
        partial_sums: PartialSumTable::new(UnsafeSlice::new(sums), extent.blocks),
    };
    exec.set.run(exec.pool, extent.images * extent.blocks, &work);
    reduce(sums, extent.blocks)
}

struct ApplyGradEpilogue<'a> {
    extent: Extent,
    dy: &'a [f32],
    epilogue: GradWriter<'a>,
    partial_sums: PartialSumTable<'a>,
}

impl Kernel for ApplyGradEpilogue<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let start = number * self.extent.plane();
        let (image, block) = (number / self.extent.blocks, number % self.extent.blocks);
        // SAFETY: the caller guarantees the instruction set and a number below that of the planes. `apply_grad_epilogue` found dy and the epilogue's
        // operands to have all planes; this task alone writes its plane, and the partial sums of its image and block.
        unsafe {
            let mut registers = self.epilogue.block::<V>(block);
            for offset in (start..start + self.extent.plane()).step_by(LANES) {
                let dy = V::load(self.dy.as_ptr().add(offset));
                self.epilogue.put(&mut registers, offset, dy);
            }
            self.partial_sums
                .put(image, block, GradWriter::partial_sums(registers));
        }
    }
}

/// Writes two sums per channel as `[2, C]`.
pub fn write_sums(partial_sums: &[[f64; 2]], sums: &mut [f32]) {
    let (first, second) = sums.split_at_mut(partial_sums.len());
    for ((partial_sums, first), second) in partial_sums.iter().zip(first).zip(second) {
        *first = partial_sums[0] as f32;
        *second = partial_sums[1] as f32;
    }
}

/// `dγ = r · Σ g·(x − mean)` and `dβ = Σ g`.
///
/// # Shapes
/// `sums: [2, C]`, `dγ, dβ: [C]`.
///
/// # Panics
/// If a length is wrong.
pub fn parameter_gradients(statistics: &Statistics<'_>, sums: &[f32], [scale, bias]: [&mut [f32]; 2]) {
    let (partial_sums, correlations) = sums.split_at(bias.len());
    bias.copy_from_slice(partial_sums);
    for (channel, (to, &correlation)) in scale.iter_mut().zip(correlations).enumerate() {
        *to = (statistics.reciprocal(channel) * f64::from(correlation)) as f32;
    }
}

/// Gradient of a batch norm with respect to its input, from the output gradient `g` and its sums:
/// `dx = γ·r · (g − Σ g / M − r²·(x − mean) · Σ g·(x − mean) / M)`.
///
/// # Shapes
/// `g, x, dx: [N, C, H, W]` in NCHWc layout, `sums: [2, C]`.
///
/// # Panics
/// If a length is wrong.
pub fn gradient(
    exec: &ExecContext<'_>,
    extent: Extent,
    (statistics, sums): (&Statistics<'_>, &[f32]),
    [g, x]: [&[f32]; 2],
    dx: &mut [f32],
) {
    let channels = extent.channels();
    assert!(g.len() == extent.elements() && x.len() == extent.elements() && dx.len() == extent.elements());
    assert!(sums.len() == 2 * channels && statistics.scale.len() == channels);
    let count = extent.pixels() as f64;
    // dx = factors[0]·g + factors[1]·x + factors[2].
    let mut factors = vec![0.0; 3 * channels];
    for channel in 0..channels {
        let (total, correlation) = (f64::from(sums[channel]), f64::from(sums[channels + channel]));
        let r = statistics.reciprocal(channel);
        let a = f64::from(statistics.scale[channel]) * r;
        let k1 = -a * r * r * correlation / count;
        let k0 = -a * total / count - f64::from(statistics.mean[channel]) * k1;
        for (row, factor) in [a, k1, k0].into_iter().enumerate() {
            factors[row * channels + channel] = factor as f32;
        }
    }
    let work = Gradient {
        extent,
        factors: &factors,
        operands: [g, x],
        dx: Destination::new(dx),
    };
    exec.set.run(exec.pool, extent.images * extent.blocks, &work);
}

struct Gradient<'a> {
    extent: Extent,
    factors: &'a [f32],
    operands: [&'a [f32]; 2],
    dx: Destination<'a>,
}

impl Kernel for Gradient<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let (start, block) = (number * self.extent.plane(), number % self.extent.blocks);
        let channels = self.extent.channels();
        let [g, x] = self.operands;
        // SAFETY: the caller guarantees the instruction set and a number below that of the planes. `gradient` found operands and
        // result to have all planes, and made three factors for each channel; this task alone writes its plane of dx.
        unsafe {
            let mut factors = [V::splat(0.0); 3];
            for (row, factor) in factors.iter_mut().enumerate() {
                *factor = V::load(self.factors.as_ptr().add(row * channels + block * LANES));
            }
            let dx = self.dx;
            for offset in (start..start + self.extent.plane()).step_by(LANES) {
                let (g, x) = (V::load(g.as_ptr().add(offset)), V::load(x.as_ptr().add(offset)));
                let shifted = x.mul_add(factors[1], factors[2]);
                dx.put(offset, g.mul_add(factors[0], shifted));
            }
        }
    }
}
