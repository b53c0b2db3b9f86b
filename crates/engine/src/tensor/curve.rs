//! Maps interpolated sums to tensor values: brightness, contrast and normalisation.

use super::grid::FRACTION_BITS;
use super::spec::{ElementType, TensorSpec};
use crate::lighting::Lighting;

/// The interpolated sum of white.
pub(super) const WHITE: i32 = 255 << FRACTION_BITS;
/// The midpoint of black and white.
pub(super) const GREY: i32 = WHITE / 2;
/// Segments of each half of the curve.
pub(super) const SEGMENTS: usize = 16;

/// The function applied to the sums of each channel.
#[derive(Clone, Debug)]
pub(super) enum Curve {
    /// Normalisation alone.
    Line(Line),
    /// With brightness or contrast.
    Quadratics(Box<Quadratics>),
}

/// `sum * scale + offset` per channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) scale: [f32; 3],
    pub(super) offset: [f32; 3],
}

/// A piecewise quadratic curve: 16 segments from black to grey and 16 from white to grey.
///
/// A contrast below 1 has infinite slope at black and white, so segments are short there and grow with the distance. The distance of a sum
/// from the nearer end, plus `bias`, is converted to single precision. Its bits shifted right by `shift` are the exponent and the leading
/// bits of the mantissa; the lowest four of these are the segment number. With this bias, the distances fall into 16 consecutive numbers,
/// so the lowest four bits are unique.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Quadratics {
    /// By channel, power of the biased distance, and segment (the white half first).
    pub(super) coefficients: [[[f32; 2 * SEGMENTS]; 3]; 3],
    pub(super) bias: i32,
    pub(super) shift: u32,
}

/// Parameters of the partition of distances into segments.
#[derive(Clone, Copy, Debug)]
struct Partition {
    bias: i32,
    shift: u32,
}

/// Four segments per octave: two grey levels wide at the ends, sixteen in the middle.
const FINE_MIDDLE: Partition = Partition {
    bias: 163_840,
    shift: 21,
};
/// Two segments per octave: a quarter of a grey level wide at the ends, 64 in the middle.
const FINE_ENDS: Partition = Partition {
    bias: 12_288,
    shift: 22,
};
/// Contrasts below this use [`FINE_ENDS`], because of their slope at the ends.
const STEEP: f32 = 0.7;

impl Curve {
    /// `lighting` followed by the normalisation of `spec`; elements of type `u8` are scaled to 0..=255 instead.
    pub(super) fn new(lighting: &Lighting, spec: &TensorSpec) -> Self {
        let normalization = match spec.element_type {
            ElementType::U8 => [(255.0, 0.0); 3],
            ElementType::F32 | ElementType::F16 => std::array::from_fn(|channel| {
                let mean = f64::from(spec.normalization.mean[channel]);
                let std = f64::from(spec.normalization.std[channel]);
                (1.0 / std, -mean / std)
            }),
        };
        if lighting.is_identity() {
            let scale = normalization.map(|(scale, _)| to_f32(scale / f64::from(WHITE)));
            return Self::Line(Line {
                scale,
                offset: normalization.map(|(_, offset)| to_f32(offset)),
            });
        }
        Self::Quadratics(Box::new(Quadratics::new(lighting, normalization)))
    }

    /// The value of `sum` in `channel`.
    pub(super) fn value(&self, channel: usize, sum: i32) -> f32 {
        match self {
            Self::Line(line) => sum as f32 * line.scale[channel] + line.offset[channel],
            Self::Quadratics(quadratics) => quadratics.value(channel, sum),
        }
    }
}

impl Quadratics {
    /// Approximates `lighting`, scaled by `normalization[channel].0` and shifted by `normalization[channel].1`.
    fn new(lighting: &Lighting, normalization: [(f64, f64); 3]) -> Self {
        let partition = if lighting.contrast.is_some_and(|contrast| contrast < STEEP) {
            FINE_ENDS
        } else {
            FINE_MIDDLE
        };
        let Partition { bias, shift } = partition;
        let mut coefficients = [[[0.0; 2 * SEGMENTS]; 3]; 3];
        let mut start = bias;
        while start <= GREY + bias {
            let number = (start as f32).to_bits() >> shift;
            let end = segment_end(number, shift).min(GREY + bias);
            for half in 0..2 {
                let value = |distance: f64| {
                    let x = (distance - f64::from(bias)) / f64::from(WHITE);
                    lighting.apply(if half == 0 { 1.0 - x } else { x })
                };
                let quadratic = interpolate(value, f64::from(start), f64::from(end.max(start + 1)));
                let segment = number as usize % SEGMENTS + half * SEGMENTS;
                for (channel, (scale, offset)) in normalization.into_iter().enumerate() {
                    let [constant, linear, square] = quadratic.map(|coefficient| coefficient * scale);
                    let moved = [constant + offset, linear, square];
                    for (power, coefficient) in moved.into_iter().enumerate() {
                        coefficients[channel][power][segment] = to_f32(coefficient);
                    }
                }
            }
            start = segment_end(number, shift);
        }
        Self {
            coefficients,
            bias,
            shift,
        }
    }

    fn value(&self, channel: usize, sum: i32) -> f32 {
        let signed = sum - GREY;
        let distance = (GREY + self.bias - signed.abs()) as f32;
        let half = usize::from(signed < 0) * SEGMENTS;
        let segment = (distance.to_bits() >> self.shift) as usize % SEGMENTS + half;
        let [constant, linear, square] = &self.coefficients[channel];
        (square[segment] * distance + linear[segment]) * distance + constant[segment]
    }
}

/// The first distance after the segment with this number.
fn segment_end(number: u32, shift: u32) -> i32 {
    let end = f32::from_bits((number + 1) << shift);
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a small integer: few bits of mantissa"
    )]
    let end = end as i32;
    end
}

/// The quadratic through three points of `function` between `start` and `end`: constant, linear and quadratic coefficient.
///
/// Both ends are among the points, so that the curve is exact at black, white and segment boundaries.
fn interpolate(function: impl Fn(f64) -> f64, start: f64, end: f64) -> [f64; 3] {
    let middle = f64::midpoint(start, end);
    let [low, mid, high] = [start, middle, end].map(function);
    let first = (mid - low) / (middle - start);
    let second = (high - mid) / (end - middle);
    let square = (second - first) / (end - start);
    // Newton's form, expanded.
    let linear = first - square * (start + middle);
    let constant = low - first * start + square * start * middle;
    [constant, linear, square]
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the specified rounding to single precision"
)]
fn to_f32(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Layout, Normalization};

    /// Maximum and mean error of the curve over every 16th sum and the ends, in grey levels.
    fn errors(lighting: Lighting) -> (f64, f64) {
        let spec = TensorSpec {
            size: 1,
            element_type: ElementType::F32,
            layout: Layout::Nchw,
            normalization: Normalization::NONE,
        };
        let curve = Curve::new(&lighting, &spec);
        let (mut greatest, mut total, mut count) = (0.0f64, 0.0, 0.0);
        for sum in (0..=WHITE)
            .step_by(16)
            .chain([1, 2, 3, WHITE - 1, GREY - 1, GREY, GREY + 1])
        {
            let want = lighting.apply(f64::from(sum) / f64::from(WHITE));
            let error = (f64::from(curve.value(1, sum)) - want).abs() * 255.0;
            greatest = greatest.max(error);
            total += error;
            count += 1.0;
        }
        (greatest, total / count)
    }

    #[test]
    fn the_curve_is_exact_enough_for_the_reference_recipe() {
        for brightness in [None, Some(0.4), Some(0.5), Some(0.6)] {
            for contrast in [None, Some(0.8), Some(0.9), Some(1.0), Some(1.25)] {
                let lighting = Lighting { brightness, contrast };
                let (greatest, mean) = errors(lighting);
                assert!(greatest < 0.3 && mean < 0.01, "{lighting:?}: {greatest} {mean}");
            }
        }
    }

    #[test]
    fn the_curve_is_exact_enough_for_strong_lighting() {
        for brightness in [None, Some(0.3), Some(0.7)] {
            for contrast in [None, Some(0.6), Some(0.65), Some(0.75), Some(1.0 / 0.6)] {
                let lighting = Lighting { brightness, contrast };
                let (greatest, mean) = errors(lighting);
                assert!(greatest < 0.7 && mean < 0.06, "{lighting:?}: {greatest} {mean}");
            }
        }
    }

    #[test]
    fn segments_are_numbered_without_collision() {
        for Partition { bias, shift } in [FINE_MIDDLE, FINE_ENDS] {
            let number = |distance: i32| ((distance + bias) as f32).to_bits() >> shift;
            assert_eq!(number(GREY) - number(0), 15, "16 numbers in a row");
        }
    }
}
