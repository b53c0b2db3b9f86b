//! Augmentation by a few operations of a fixed list: RandAugment and TrivialAugment.

use rand_chacha::ChaCha8Rng;

use super::moves::{Length, Move};
use crate::random::below;
use crate::retouch::Touch;

/// Magnitudes are numbered from 0 to one less than this.
pub(super) const BINS: u32 = 31;

/// How many operations of which magnitude, and how often.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct RandAugment {
    /// Operations for an image, whole.
    pub n: f32,
    /// Magnitude, whole, 0..=30.
    pub m: f32,
    /// Probability.
    pub p: f32,
}

impl RandAugment {
    /// Never.
    pub const OFF: Self = Self {
        n: 1.0,
        m: 0.0,
        p: 0.0,
    };

    pub(super) fn settled(self) -> Self {
        if self.p == 0.0 { Self::OFF } else { self }
    }

    /// Appends what is drawn.
    ///
    /// # Source
    ///
    /// Cubuk et al., *RandAugment*, 2020, with the operations and magnitudes of torchvision's `RandAugment`.
    pub(super) fn draw(self, generator: &mut ChaCha8Rng, drawn: &mut Drawn<'_>) {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole and small, as checked with the recipe"
        )]
        let (n, m) = (self.n as u32, self.m as u32);
        for _ in 0..n {
            drawn.operation(generator, m, &MODERATE);
        }
    }
}

/// Appends one operation of any magnitude.
///
/// # Source
///
/// Müller and Hutter, *TrivialAugment*, 2021, with the wide magnitudes of torchvision's `TrivialAugmentWide`.
pub(super) fn trivial(generator: &mut ChaCha8Rng, drawn: &mut Drawn<'_>) {
    let bin = below(generator, BINS);
    drawn.operation(generator, bin, &WIDE);
}

/// Greatest magnitudes.
struct Limits {
    shear: f64,
    translate: Length,
    degrees: f64,
    /// Distance of an enhancement's factor from 1.
    enhance: f32,
    /// Bits that posterising takes.
    bits: f64,
}

const MODERATE: Limits = Limits {
    shear: 0.3,
    translate: Length::Part(150.0 / 331.0),
    degrees: 30.0,
    enhance: 0.9,
    bits: 4.0,
};

const WIDE: Limits = Limits {
    shear: 0.99,
    translate: Length::Pixels(32.0),
    degrees: 135.0,
    enhance: 0.99,
    bits: 6.0,
};

/// Where drawn operations are put.
pub(super) struct Drawn<'a> {
    pub(super) moves: &'a mut Vec<Move>,
    pub(super) touches: &'a mut Vec<Touch>,
}

impl Drawn<'_> {
    /// Draws one of the fourteen operations and a sign.
    fn operation(&mut self, generator: &mut ChaCha8Rng, bin: u32, limits: &Limits) {
        let part = f64::from(bin) / f64::from(BINS - 1);
        let (operation, is_negative) = (below(generator, 14), below(generator, 2) == 1);
        let sign = if is_negative { -1.0 } else { 1.0 };
        let signed = sign * part;
        let length = match limits.translate {
            Length::Pixels(pixels) => Length::Pixels(signed * pixels),
            Length::Part(side) => Length::Part(signed * side),
        };
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "single precision is what a touch holds; 2 to 8 bits"
        )]
        let (factor, threshold, bits) = (
            1.0 + signed as f32 * limits.enhance,
            (255.0 * (1.0 - part)) as f32,
            (8.0 - (part * limits.bits).round()) as u8,
        );
        match operation {
            1 => self.moves.push(Move::ShearX(signed * limits.shear)),
            2 => self.moves.push(Move::ShearY(signed * limits.shear)),
            3 => self.moves.push(Move::TranslateX(length)),
            4 => self.moves.push(Move::TranslateY(length)),
            5 => self.moves.push(Move::Turn(signed * limits.degrees)),
            6 => self.touches.push(Touch::Brightness(factor)),
            7 => self.touches.push(Touch::Saturation(factor)),
            8 => self.touches.push(Touch::Contrast(factor)),
            9 => self.touches.push(Touch::Sharpness(factor)),
            10 => self.touches.push(Touch::Posterize(bits)),
            11 => self.touches.push(Touch::Solarize(threshold)),
            12 => self.touches.push(Touch::AutoContrast),
            13 => self.touches.push(Touch::Equalize),
            // The identity is one of them.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::random::{Purpose, generator};

    fn drawn(count: u64, draw: impl Fn(&mut ChaCha8Rng, &mut Drawn<'_>)) -> (Vec<Move>, Vec<Touch>) {
        let (mut moves, mut touches) = (vec![], vec![]);
        for seed in 0..count {
            let mut drawn = Drawn {
                moves: &mut moves,
                touches: &mut touches,
            };
            draw(&mut generator(seed, Purpose::AUGMENT, &[]), &mut drawn);
        }
        (moves, touches)
    }

    #[test]
    fn each_operation_is_drawn_as_often_as_any() {
        let (moves, touches) = drawn(14_000, trivial);
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        let names = (moves.iter().map(|m| format!("{m:?}"))).chain(touches.iter().map(|t| format!("{t:?}")));
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
    fn magnitudes_are_those_of_the_reference() {
        let draw = RandAugment {
            n: 2.0,
            m: 9.0,
            p: 1.0,
        };
        let (moves, touches) = drawn(400, |generator, drawn| draw.draw(generator, drawn));
        for found in moves {
            match found {
                Move::ShearX(level) | Move::ShearY(level) => assert!((level.abs() - 0.09).abs() < 1e-12),
                Move::Turn(degrees) => assert!((degrees.abs() - 9.0).abs() < 1e-12),
                Move::TranslateX(Length::Part(part)) | Move::TranslateY(Length::Part(part)) => {
                    assert!((part.abs() - 0.3 * 150.0 / 331.0).abs() < 1e-12);
                }
                other => panic!("{other:?}"),
            }
        }
        for found in touches {
            match found {
                Touch::Brightness(factor)
                | Touch::Saturation(factor)
                | Touch::Contrast(factor)
                | Touch::Sharpness(factor) => {
                    assert!(((factor - 1.0).abs() - 0.27).abs() < 1e-6, "{factor}");
                }
                Touch::Posterize(bits) => assert_eq!(bits, 7),
                Touch::Solarize(threshold) => assert!((threshold - 178.5).abs() < 1e-4),
                Touch::AutoContrast | Touch::Equalize => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
