//! Random resized crop: a region of the source of random area and aspect ratio, resized to the square.

use rand::Rng;

use crate::geometry::Projective;
use crate::random::uniform;

/// Attempts to find a rectangle that fits, as in the reference.
const TRIES: usize = 10;

/// The distribution of a [`ResizedCrop`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ResizedCropRange {
    /// Minimum area, as a fraction of the source.
    pub scale_min: f32,
    /// Maximum area.
    pub scale_max: f32,
    /// Minimum of width divided by height.
    pub ratio_min: f32,
    /// Maximum of width divided by height.
    pub ratio_max: f32,
    /// Probability.
    pub p: f32,
}

impl ResizedCropRange {
    /// Disabled.
    pub const OFF: Self = Self {
        scale_min: 1.0,
        scale_max: 1.0,
        ratio_min: 1.0,
        ratio_max: 1.0,
        p: 0.0,
    };

    pub(super) fn normalized(self) -> Self {
        if self.p == 0.0 { Self::OFF } else { self }
    }
}

/// A crop of the source; its rectangle also depends on the size of the source.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ResizedCrop {
    /// Candidate areas (fractions of the source) and ratios of width to height; the first that fits is used.
    pub tries: [(f64, f64); TRIES],
    /// Vertical position: 0 at the top, 1 at the bottom.
    pub row: f64,
    /// Horizontal position: 0 at the left, 1 at the right.
    pub column: f64,
    /// Minimum and maximum ratio, used if no candidate fits.
    pub ratios: (f64, f64),
}

impl ResizedCrop {
    pub(super) fn draw(generator: &mut impl Rng, range: &ResizedCropRange) -> Self {
        let ratios = (f64::from(range.ratio_min), f64::from(range.ratio_max));
        let logarithms = (libm::log(ratios.0), libm::log(ratios.1));
        let tries = std::array::from_fn(|_| {
            let area = uniform(generator, range.scale_min.into(), range.scale_max.into());
            let ratio = libm::exp(uniform(generator, logarithms.0, logarithms.1));
            (area, ratio)
        });
        Self {
            tries,
            row: uniform(generator, 0.0, 1.0),
            column: uniform(generator, 0.0, 1.0),
            ratios,
        }
    }

    /// Left, top, width and height in a source of `(width, height)` pixels; not rounded, since the source may be a reduced image.
    ///
    /// # Source
    ///
    /// torchvision's `RandomResizedCrop.get_params`: if no candidate fits, a centre crop with the allowed ratio nearest to that of the
    /// source.
    #[must_use]
    pub fn rectangle(&self, source: (u32, u32)) -> [f64; 4] {
        let (across, down) = (f64::from(source.0), f64::from(source.1));
        let shape = |(fraction, ratio): (f64, f64)| {
            let area = fraction * across * down;
            ((area * ratio).sqrt(), (area / ratio).sqrt())
        };
        let fits = |(width, height): &(f64, f64)| *width <= across && *height <= down;
        if let Some((width, height)) = self.tries.into_iter().map(shape).find(fits) {
            let (left, top) = ((across - width) * self.column, (down - height) * self.row);
            return [left, top, width, height];
        }
        let ratio = (across / down).clamp(self.ratios.0, self.ratios.1);
        let (width, height) = if across / down < ratio {
            (across, across / ratio)
        } else {
            (down * ratio, down)
        };
        [(across - width) / 2.0, (down - height) / 2.0, width, height]
    }

    /// The map from pixels of the result to pixels of the source.
    pub(super) fn map(&self, source: (u32, u32), target: u32) -> Projective {
        let [left, top, width, height] = self.rectangle(source);
        let (x, y) = (width / f64::from(target), height / f64::from(target));
        Projective::scale_then_offset([x, y], [left + x / 2.0 - 0.5, top + y / 2.0 - 0.5])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::{Purpose, generator};

    const INCEPTION: ResizedCropRange = ResizedCropRange {
        scale_min: 0.08,
        scale_max: 1.0,
        ratio_min: 0.75,
        ratio_max: 4.0 / 3.0,
        p: 1.0,
    };

    proptest! {
        #[test]
        fn the_crop_lies_within_the_source_and_its_ratio_within_the_limits(
            seed in any::<u64>(), width in 1u32..600, height in 1u32..600,
        ) {
            let crop = ResizedCrop::draw(&mut generator(seed, Purpose::AUGMENT, &[]), &INCEPTION);
            let [left, top, across, down] = crop.rectangle((width, height));
            prop_assert!(left >= 0.0 && top >= 0.0 && across > 0.0 && down > 0.0);
            prop_assert!(left + across <= f64::from(width) + 1e-9 && top + down <= f64::from(height) + 1e-9);
            prop_assert!((0.75 - 1e-6..=4.0 / 3.0 + 1e-6).contains(&(across / down)), "{}", across / down);
        }
    }

    #[test]
    fn areas_are_uniform_if_every_candidate_fits() {
        let range = ResizedCropRange {
            scale_max: 0.5,
            ..INCEPTION
        };
        let areas: Vec<f64> = (0..2000)
            .map(|seed| {
                let crop = ResizedCrop::draw(&mut generator(seed, Purpose::AUGMENT, &[]), &range);
                let [_, _, width, height] = crop.rectangle((100, 100));
                width * height / 10_000.0
            })
            .collect();
        assert!(areas.iter().all(|area| (0.08 - 1e-6..=0.5 + 1e-6).contains(area)));
        let mean = areas.iter().sum::<f64>() / 2000.0;
        assert!((mean - 0.29).abs() < 0.01, "{mean}");
    }

    #[test]
    fn the_edges_of_the_crop_are_the_edges_of_the_result() {
        let crop = ResizedCrop {
            tries: [(0.25, 1.0); TRIES],
            row: 0.0,
            column: 1.0,
            ratios: (1.0, 1.0),
        };
        assert_eq!(crop.rectangle((80, 80)), [40.0, 0.0, 40.0, 40.0]);
        let map = crop.map((80, 80), 20);
        let (x, y) = map.apply(-0.5, 19.5);
        assert!((x - 39.5).abs() < 1e-9 && (y - 39.5).abs() < 1e-9, "{x} {y}");
    }
}
