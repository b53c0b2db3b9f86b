//! RandAugment and TrivialAugment: operations drawn from a fixed list.

use rand_chacha::ChaCha8Rng;

use super::affine_op::{AffineOp, Length};
use crate::pixel_ops::PixelOp;
use crate::random::below;

/// Number of magnitude bins.
pub(super) const BINS: u32 = 31;

/// Parameters of RandAugment.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct RandAugment {
    /// Operations per image; an integer.
    pub n: f32,
    /// Magnitude bin; an integer in 0..=30.
    pub m: f32,
    /// Probability.
    pub p: f32,
}

impl RandAugment {
    /// Disabled.
    pub const OFF: Self = Self {
        n: 1.0,
        m: 0.0,
        p: 0.0,
    };

    pub(super) fn normalized(self) -> Self {
        if self.p == 0.0 { Self::OFF } else { self }
    }

    /// Draws `n` operations of magnitude `m` and appends them.
    ///
    /// # Source
    ///
    /// Cubuk et al., *RandAugment*, 2020, with the operations and magnitudes of torchvision's `RandAugment`.
    pub(super) fn draw(self, generator: &mut ChaCha8Rng, drawn: &mut DrawnOps<'_>) {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small integers, checked by `Recipe::validate`"
        )]
        let (n, m) = (self.n as u32, self.m as u32);
        for _ in 0..n {
            drawn.operation(generator, m, &MODERATE);
        }
    }
}

/// Draws one operation with a uniformly random magnitude and appends it.
///
/// # Source
///
/// Müller and Hutter, *TrivialAugment*, 2021, with the wide magnitudes of torchvision's `TrivialAugmentWide`.
pub(super) fn draw_trivial(generator: &mut ChaCha8Rng, drawn: &mut DrawnOps<'_>) {
    let bin = below(generator, BINS);
    drawn.operation(generator, bin, &WIDE);
}

/// Maximum magnitudes.
struct MagnitudeRanges {
    shear: f64,
    translate: Length,
    degrees: f64,
    /// Maximum distance of an enhancement factor from 1.
    enhance: f32,
    /// Maximum number of bits that posterize removes.
    bits: f64,
}

const MODERATE: MagnitudeRanges = MagnitudeRanges {
    shear: 0.3,
    translate: Length::Fraction(150.0 / 331.0),
    degrees: 30.0,
    enhance: 0.9,
    bits: 4.0,
};

const WIDE: MagnitudeRanges = MagnitudeRanges {
    shear: 0.99,
    translate: Length::Pixels(32.0),
    degrees: 135.0,
    enhance: 0.99,
    bits: 6.0,
};

/// The lists to which drawn operations are appended.
pub(super) struct DrawnOps<'a> {
    pub(super) affine_ops: &'a mut Vec<AffineOp>,
    pub(super) pixel_ops: &'a mut Vec<PixelOp>,
}

impl DrawnOps<'_> {
    /// Draws one of the fourteen operations and a sign, and appends it.
    fn operation(&mut self, generator: &mut ChaCha8Rng, bin: u32, limits: &MagnitudeRanges) {
        let fraction = f64::from(bin) / f64::from(BINS - 1);
        let (op, is_negative) = (below(generator, 14), below(generator, 2) == 1);
        let sign = if is_negative { -1.0 } else { 1.0 };
        let signed = sign * fraction;
        let length = match limits.translate {
            Length::Pixels(pixels) => Length::Pixels(signed * pixels),
            Length::Fraction(fraction) => Length::Fraction(signed * fraction),
        };
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "pixel operations have single-precision parameters; 2 to 8 bits"
        )]
        let (factor, threshold, bits) = (
            1.0 + signed as f32 * limits.enhance,
            (255.0 * (1.0 - fraction)) as f32,
            (8.0 - (fraction * limits.bits).round()) as u8,
        );
        match op {
            1 => self.affine_ops.push(AffineOp::ShearX(signed * limits.shear)),
            2 => self.affine_ops.push(AffineOp::ShearY(signed * limits.shear)),
            3 => self.affine_ops.push(AffineOp::TranslateX(length)),
            4 => self.affine_ops.push(AffineOp::TranslateY(length)),
            5 => self.affine_ops.push(AffineOp::Rotate(signed * limits.degrees)),
            6 => self.pixel_ops.push(PixelOp::Brightness(factor)),
            7 => self.pixel_ops.push(PixelOp::Saturation(factor)),
            8 => self.pixel_ops.push(PixelOp::Contrast(factor)),
            9 => self.pixel_ops.push(PixelOp::Sharpness(factor)),
            10 => self.pixel_ops.push(PixelOp::Posterize(bits)),
            11 => self.pixel_ops.push(PixelOp::Solarize(threshold)),
            12 => self.pixel_ops.push(PixelOp::AutoContrast),
            13 => self.pixel_ops.push(PixelOp::Equalize),
            // 0 is the identity.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::random::{Purpose, generator};

    fn drawn(count: u64, draw: impl Fn(&mut ChaCha8Rng, &mut DrawnOps<'_>)) -> (Vec<AffineOp>, Vec<PixelOp>) {
        let (mut affine_ops, mut pixel_ops) = (vec![], vec![]);
        for seed in 0..count {
            let mut drawn = DrawnOps {
                affine_ops: &mut affine_ops,
                pixel_ops: &mut pixel_ops,
            };
            draw(&mut generator(seed, Purpose::AUGMENT, &[]), &mut drawn);
        }
        (affine_ops, pixel_ops)
    }

    #[test]
    fn all_operations_are_equally_likely() {
        let (affine_ops, pixel_ops) = drawn(14_000, draw_trivial);
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        let names =
            (affine_ops.iter().map(|m| format!("{m:?}"))).chain(pixel_ops.iter().map(|t| format!("{t:?}")));
        for name in names {
            let name = name.split('(').next().unwrap_or_default().to_owned();
            *counts.entry(name).or_default() += 1;
        }
        assert_eq!(counts.len(), 13, "{counts:?}");
        assert!(
            counts.values().all(|count| (850..1150).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn magnitudes_match_the_reference() {
        let draw = RandAugment {
            n: 2.0,
            m: 9.0,
            p: 1.0,
        };
        let (affine_ops, pixel_ops) = drawn(400, |generator, drawn| draw.draw(generator, drawn));
        for found in affine_ops {
            match found {
                AffineOp::ShearX(level) | AffineOp::ShearY(level) => {
                    assert!((level.abs() - 0.09).abs() < 1e-12);
                }
                AffineOp::Rotate(degrees) => assert!((degrees.abs() - 9.0).abs() < 1e-12),
                AffineOp::TranslateX(Length::Fraction(part))
                | AffineOp::TranslateY(Length::Fraction(part)) => {
                    assert!((part.abs() - 0.3 * 150.0 / 331.0).abs() < 1e-12);
                }
                other => panic!("{other:?}"),
            }
        }
        for found in pixel_ops {
            match found {
                PixelOp::Brightness(factor)
                | PixelOp::Saturation(factor)
                | PixelOp::Contrast(factor)
                | PixelOp::Sharpness(factor) => {
                    assert!(((factor - 1.0).abs() - 0.27).abs() < 1e-6, "{factor}");
                }
                PixelOp::Posterize(bits) => assert_eq!(bits, 7),
                PixelOp::Solarize(threshold) => assert!((threshold - 178.5).abs() < 1e-4),
                PixelOp::AutoContrast | PixelOp::Equalize => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
