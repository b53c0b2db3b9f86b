//! Draws of a recipe.

use rand::Rng;

use super::lighting::{draw_brightness, draw_contrast};
use super::policy::{DrawnOps, draw_trivial};
use super::{AffineOp, Crop, Draw, Recipe, ResizedCrop, Rotate, SymmetricWarp, Zoom};
use crate::pixel_ops::PixelOp;
use crate::random::{below, fork, uniform};

impl Recipe {
    /// Draws the augmentation of one sample.
    ///
    /// # Determinism
    ///
    /// Always consumes the same 18 numbers in this order, independent of the recipe and of the Bernoulli draws: perspective (right, left,
    /// bottom, top, Bernoulli), rotation (degrees, Bernoulli), zoom (scale, row, column, Bernoulli), brightness (value, Bernoulli),
    /// contrast (value, Bernoulli), flip (Bernoulli), crop (row, column). So disabling a part, or changing its probability, does not affect
    /// the others. If a recipe has any of the parts after `crop` in [`Recipe`], each of them has its own generator, forked from this one in
    /// the order of the fields.
    #[must_use]
    pub fn draw(&self, generator: &mut impl Rng) -> Draw {
        let warp = SymmetricWarp::draw(generator, self.warp.max.into());
        let warp = bernoulli(generator, self.warp.p).then_some(warp);
        let rotate = Rotate::draw(generator, self.rotate.max.into());
        let rotate = bernoulli(generator, self.rotate.p).then_some(rotate);
        let zoom = Zoom::draw(generator, &self.zoom, &self.focus);
        let zoom = bernoulli(generator, self.zoom.p).then_some(zoom);
        let brightness = draw_brightness(generator, self.brightness.max.into());
        let brightness = bernoulli(generator, self.brightness.p).then_some(brightness);
        let contrast = draw_contrast(generator, self.contrast.max.into());
        let contrast = bernoulli(generator, self.contrast.p).then_some(contrast);
        let flip = bernoulli(generator, self.flip);
        let crop = Crop::draw(generator, &self.crop);
        let mut draw = Draw {
            warp,
            rotate,
            zoom,
            brightness,
            contrast,
            flip,
            crop,
            ..Draw::identity()
        };
        if self.has_extended_ops() {
            self.draw_extended_ops(generator, &mut draw);
        }
        draw
    }

    /// Whether the recipe has a part beyond fastai's `get_transforms`.
    fn has_extended_ops(&self) -> bool {
        [
            self.resized_crop.p,
            self.flip_vertical,
            self.dihedral,
            self.randaugment.p,
            self.trivialaugment,
            self.jitter.p,
            self.grayscale,
            self.blur.p,
            self.erase.p,
            self.pad.p,
        ]
        .iter()
        .any(|p| *p > 0.0)
    }

    fn draw_extended_ops(&self, generator: &mut impl Rng, draw: &mut Draw) {
        let mut part = |p: f32| {
            let mut own = fork(generator);
            bernoulli(&mut own, p).then_some(own)
        };
        if let Some(mut own) = part(self.resized_crop.p) {
            draw.resized_crop = Some(ResizedCrop::draw(&mut own, &self.resized_crop));
        }
        if part(self.flip_vertical).is_some() {
            draw.affine_ops.push(AffineOp::Dihedral(2));
        }
        if let Some(mut own) = part(self.dihedral) {
            draw.affine_ops.push(AffineOp::Dihedral(below(&mut own, 8) as u8));
        }
        let mut drawn = DrawnOps {
            affine_ops: &mut draw.affine_ops,
            pixel_ops: &mut draw.pixel_ops,
        };
        if let Some(mut own) = part(self.randaugment.p) {
            self.randaugment.draw(&mut own, &mut drawn);
        }
        if let Some(mut own) = part(self.trivialaugment) {
            draw_trivial(&mut own, &mut drawn);
        }
        if let Some(mut own) = part(self.jitter.p) {
            self.jitter.draw(&mut own, &mut draw.pixel_ops);
        }
        if part(self.grayscale).is_some() {
            draw.pixel_ops.push(PixelOp::Saturation(0.0));
        }
        if let Some(mut own) = part(self.blur.p) {
            let sigma = uniform(&mut own, self.blur.min.into(), self.blur.max.into());
            #[allow(
                clippy::cast_possible_truncation,
                reason = "pixel operations have single-precision parameters"
            )]
            draw.pixel_ops.push(PixelOp::Blur(sigma as f32));
        }
        if let Some(mut own) = part(self.erase.p) {
            self.erase.draw(&mut own, &mut draw.pixel_ops);
        }
        draw.pad = part(self.pad.p).map(|_| self.pad.grey());
    }
}

/// `true` with the given probability.
fn bernoulli(generator: &mut impl Rng, probability: f32) -> bool {
    uniform(generator, 0.0, 1.0) < f64::from(probability)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::{Augment, Magnitude, ZoomRange};
    use crate::random::{Purpose, generator};

    fn draws(recipe: &Recipe, count: u64) -> Vec<Draw> {
        (0..count)
            .map(|position| recipe.draw(&mut generator(3, Purpose::AUGMENT, &[0, position])))
            .collect()
    }

    #[test]
    fn no_augmentation_draws_the_identity() {
        assert!(
            draws(&Recipe::none(), 50)
                .iter()
                .all(|draw| *draw == Draw::identity())
        );
    }

    #[test]
    fn parts_are_drawn_with_their_probability() {
        let draws = draws(&Recipe::reference(), 4000);
        let fraction =
            |is: &dyn Fn(&Draw) -> bool| draws.iter().filter(|draw| is(draw)).count() as f64 / 4000.0;
        for (name, fraction, expected) in [
            ("warp", fraction(&|d| d.warp.is_some()), 0.75),
            ("rotate", fraction(&|d| d.rotate.is_some()), 0.75),
            ("zoom", fraction(&|d| d.zoom.is_some()), 0.75),
            ("brightness", fraction(&|d| d.brightness.is_some()), 0.75),
            ("contrast", fraction(&|d| d.contrast.is_some()), 0.75),
            ("flip", fraction(&|d| d.flip), 0.5),
            (
                "warp and rotate",
                fraction(&|d| d.warp.is_some() && d.rotate.is_some()),
                0.5625,
            ),
        ] {
            assert!((fraction - expected).abs() < 0.03, "{name}: {fraction}");
        }
    }

    #[test]
    fn parameters_stay_within_the_recipe() {
        for draw in draws(&Recipe::reference(), 2000) {
            assert!(
                draw.warp
                    .is_none_or(|warp| warp.magnitudes.iter().all(|m| m.abs() <= 0.2001)),
                "{draw:?}"
            );
            assert!(
                draw.rotate.is_none_or(|rotate| rotate.degrees.abs() <= 25.0),
                "{draw:?}"
            );
            assert!(
                draw.zoom.is_none_or(|zoom| (1.0..1.1001).contains(&zoom.scale)),
                "{draw:?}"
            );
            assert!(
                (0.0..1.0).contains(&draw.crop.row) && (0.0..1.0).contains(&draw.crop.column),
                "{draw:?}"
            );
        }
    }

    #[test]
    fn changing_one_part_does_not_affect_the_others() {
        let changed = Recipe {
            warp: Magnitude::OFF,
            contrast: Magnitude { max: 0.2, p: 0.1 },
            flip: 0.0,
            ..Recipe::reference()
        };
        for (a, b) in draws(&Recipe::reference(), 200).iter().zip(&draws(&changed, 200)) {
            assert_eq!((a.rotate, a.zoom, a.crop), (b.rotate, b.zoom, b.crop));
            assert!(b.contrast.is_none() || a.contrast == b.contrast);
            assert!(b.warp.is_none() && !b.flip);
        }
    }

    #[test]
    fn extended_parts_do_not_affect_the_others() {
        let text =
            "fastai flip_vertical dihedral randaugment trivialaugment jitter grayscale blur erase(p=0.5)";
        let extended: Recipe = text.parse().unwrap();
        let fewer: Recipe = text.replace("randaugment trivialaugment", "").parse().unwrap();
        let all = draws(&extended, 300);
        for ((a, b), c) in draws(&Recipe::reference(), 300)
            .iter()
            .zip(&all)
            .zip(draws(&fewer, 300))
        {
            assert_eq!(
                (a.warp, a.zoom, a.contrast, a.crop),
                (b.warp, b.zoom, b.contrast, b.crop)
            );
            assert!(b.pixel_ops.ends_with(&c.pixel_ops) && b.affine_ops.starts_with(&c.affine_ops));
        }
        let blurred = |draw: &&Draw| draw.pixel_ops.iter().any(|op| matches!(op, PixelOp::Blur(_)));
        let count = all.iter().filter(blurred).count();
        assert!((120..180).contains(&count), "{count} of 300");
    }

    #[test]
    fn a_model_is_evaluated_on_padded_images_if_it_was_trained_on_some() {
        for (text, value) in [
            ("fastai", None),
            ("pad(7,p=0)", None),
            ("fastai pad", Some(0)),
            ("pad(7,p=0.2)", Some(7)),
        ] {
            let recipe: Recipe = text.parse().expect("a recipe");
            assert_eq!(recipe.evaluation_pad(), value, "{text}");
            let expected = Draw {
                pad: value,
                ..Draw::identity()
            };
            assert!(
                draws(&Recipe::padded(value), 20)
                    .iter()
                    .all(|draw| *draw == expected)
            );
        }
    }

    #[test]
    fn all_forms_of_a_disabled_part_are_normalized_alike() {
        for recipe in [
            Recipe {
                rotate: Magnitude { max: 0.0, p: 0.75 },
                contrast: Magnitude { max: 0.5, p: 0.0 },
                ..Recipe::none()
            },
            Recipe {
                zoom: ZoomRange {
                    p: 0.5,
                    ..ZoomRange::OFF
                },
                augment: Augment::Repeats,
                ..Recipe::none()
            },
        ] {
            assert_eq!(recipe.normalized(), Recipe::none());
            assert!(
                draws(&recipe, 50)
                    .iter()
                    .all(|draw| draw.rotate.is_none_or(|rotate| rotate.degrees == 0.0))
            );
        }
    }
}
