//! Distributions of an augmentation.

use rand::Rng;
use serde::Serialize;

use super::lighting::{draw_brightness, draw_contrast};
use super::{Crop, Draw, Rotate, SymmetricWarp, Zoom};
use crate::random::uniform;

/// Distributions that each sample's [`Draw`] is drawn from. A number of 0 switches its part off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Recipe {
    /// Mirrors left and right with probability 0.5.
    pub flip: bool,
    /// Degrees: rotation is uniform over `[-max_rotate, max_rotate]`. Range 0..=180.
    pub max_rotate: f32,
    /// Zoom is uniform over `[1, max_zoom]`, towards a uniform point; 0 and 1 mean none. Range 1..=10.
    pub max_zoom: f32,
    /// Each of four perspective magnitudes is uniform over `[-max_warp, max_warp]`. Range 0..=0.5.
    pub max_warp: f32,
    /// With L: brightness is uniform over `[0.5 (1 - L), 0.5 (1 + L)]`, contrast log-uniform over `[1 - L, 1 / (1 - L)]`. Range 0..=0.9.
    pub max_lighting: f32,
    /// Probability of each of rotation, zoom and perspective, independently. Range 0..=1.
    pub p_affine: f32,
    /// Probability of each of brightness and contrast, independently. Range 0..=1.
    pub p_lighting: f32,
    /// Cuts at a uniformly random place instead of the centre.
    pub random_crop: bool,
}

/// A recipe that cannot be drawn from.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A number outside its range, or not a number.
    #[error("recipe field {field} is {value}, outside {low}..={high}")]
    OutOfRange {
        /// As named in [`Recipe`].
        field: &'static str,
        /// What was given.
        value: f32,
        /// Least value allowed.
        low: f32,
        /// Greatest value allowed.
        high: f32,
    },
}

impl Recipe {
    /// What training uses unless told otherwise: flip, rotation to 25 degrees, zoom to 1.1, perspective 0.2, lighting 0.2, each with
    /// probability 0.75, random crop.
    #[must_use]
    pub fn reference() -> Self {
        Self {
            flip: true,
            max_rotate: 25.0,
            max_zoom: 1.1,
            max_warp: 0.2,
            max_lighting: 0.2,
            p_affine: 0.75,
            p_lighting: 0.75,
            random_crop: true,
        }
    }

    /// No augmentation: every draw is [`Draw::identity`].
    #[must_use]
    pub fn none() -> Self {
        Self {
            flip: false,
            max_rotate: 0.0,
            max_zoom: 0.0,
            max_warp: 0.0,
            max_lighting: 0.0,
            p_affine: 0.0,
            p_lighting: 0.0,
            random_crop: false,
        }
    }

    /// Checks every number.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for the first field, in the order of declaration, that is not within its range.
    pub fn validate(&self) -> Result<(), Error> {
        let zoom_low = if self.max_zoom == 0.0 { 0.0 } else { 1.0 };
        for (field, value, low, high) in [
            ("max_rotate", self.max_rotate, 0.0, 180.0),
            ("max_zoom", self.max_zoom, zoom_low, 10.0),
            ("max_warp", self.max_warp, 0.0, 0.5),
            ("max_lighting", self.max_lighting, 0.0, 0.9),
            ("p_affine", self.p_affine, 0.0, 1.0),
            ("p_lighting", self.p_lighting, 0.0, 1.0),
        ] {
            if !(low..=high).contains(&value) {
                return Err(Error::OutOfRange {
                    field,
                    value,
                    low: if field == "max_zoom" { 1.0 } else { low },
                    high,
                });
            }
        }
        Ok(())
    }

    /// Draws every parameter of one sample.
    ///
    /// # Determinism
    ///
    /// Always takes the same 18 numbers, in this order, whatever the recipe says and whichever coin says no: perspective (right, left,
    /// bottom, top, coin), rotation (degrees, coin), zoom (scale, row, column, coin), brightness (value, coin), contrast (value, coin),
    /// flip (coin), crop (row, column). So switching one part off, or changing its probability, leaves the numbers of all others alone.
    #[must_use]
    pub fn draw(&self, generator: &mut impl Rng) -> Draw {
        let [p_affine, p_lighting] = [self.p_affine, self.p_lighting].map(f64::from);
        let lighting = f64::from(self.max_lighting);

        let warp = SymmetricWarp::draw(generator, f64::from(self.max_warp));
        let warp = coin(generator, p_affine)
            .then_some(warp)
            .filter(|_| self.max_warp > 0.0);
        let rotate = Rotate::draw(generator, f64::from(self.max_rotate));
        let rotate = coin(generator, p_affine)
            .then_some(rotate)
            .filter(|_| self.max_rotate > 0.0);
        let zoom = Zoom::draw(generator, f64::from(self.max_zoom.max(1.0)));
        let zoom = coin(generator, p_affine)
            .then_some(zoom)
            .filter(|_| self.max_zoom > 1.0);
        let brightness = draw_brightness(generator, lighting);
        let brightness = coin(generator, p_lighting)
            .then_some(brightness)
            .filter(|_| self.max_lighting > 0.0);
        let contrast = draw_contrast(generator, lighting);
        let contrast = coin(generator, p_lighting)
            .then_some(contrast)
            .filter(|_| self.max_lighting > 0.0);
        let flip = coin(generator, 0.5) && self.flip;
        let crop = Crop::draw(generator);
        let crop = if self.random_crop { crop } else { Crop::CENTER };
        Draw {
            warp,
            rotate,
            zoom,
            brightness,
            contrast,
            flip,
            crop,
        }
    }
}

fn coin(generator: &mut impl Rng, probability: f64) -> bool {
    uniform(generator, 0.0, 1.0) < probability
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, generator};

    fn draws(recipe: Recipe, count: u64) -> Vec<Draw> {
        (0..count)
            .map(|position| recipe.draw(&mut generator(3, Purpose::Augment, &[0, position])))
            .collect()
    }

    #[test]
    fn no_augmentation_draws_the_identity() {
        assert!(
            draws(Recipe::none(), 50)
                .iter()
                .all(|draw| *draw == Draw::identity())
        );
    }

    #[test]
    fn parts_run_as_often_as_their_probability_says() {
        let draws = draws(Recipe::reference(), 4000);
        let share = |is: &dyn Fn(&Draw) -> bool| draws.iter().filter(|draw| is(draw)).count() as f64 / 4000.0;
        for (name, share, expected) in [
            ("warp", share(&|d| d.warp.is_some()), 0.75),
            ("rotate", share(&|d| d.rotate.is_some()), 0.75),
            ("zoom", share(&|d| d.zoom.is_some()), 0.75),
            ("brightness", share(&|d| d.brightness.is_some()), 0.75),
            ("contrast", share(&|d| d.contrast.is_some()), 0.75),
            ("flip", share(&|d| d.flip), 0.5),
            (
                "warp and rotate",
                share(&|d| d.warp.is_some() && d.rotate.is_some()),
                0.5625,
            ),
        ] {
            assert!((share - expected).abs() < 0.03, "{name}: {share}");
        }
    }

    #[test]
    fn parameters_stay_within_the_recipe() {
        for draw in draws(Recipe::reference(), 2000) {
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
    fn changing_one_part_leaves_the_numbers_of_the_others_alone() {
        let changed = Recipe {
            max_warp: 0.0,
            p_lighting: 0.1,
            flip: false,
            ..Recipe::reference()
        };
        for (a, b) in draws(Recipe::reference(), 200).iter().zip(&draws(changed, 200)) {
            assert_eq!((a.rotate, a.zoom, a.crop), (b.rotate, b.zoom, b.crop));
            assert!(b.contrast.is_none() || a.contrast == b.contrast);
            assert!(b.warp.is_none() && !b.flip);
        }
    }

    #[test]
    fn bad_numbers_are_refused_by_name() {
        let base = Recipe::reference();
        assert_eq!(base.validate(), Ok(()));
        assert_eq!(Recipe::none().validate(), Ok(()));
        for (recipe, name) in [
            (
                Recipe {
                    max_rotate: 181.0,
                    ..base
                },
                "max_rotate",
            ),
            (
                Recipe {
                    max_zoom: 0.5,
                    ..base
                },
                "max_zoom",
            ),
            (
                Recipe {
                    max_warp: -0.1,
                    ..base
                },
                "max_warp",
            ),
            (
                Recipe {
                    max_lighting: 1.0,
                    ..base
                },
                "max_lighting",
            ),
            (
                Recipe {
                    p_affine: f32::NAN,
                    ..base
                },
                "p_affine",
            ),
            (
                Recipe {
                    p_lighting: 1.5,
                    ..base
                },
                "p_lighting",
            ),
        ] {
            let Err(Error::OutOfRange { field, .. }) = recipe.validate() else {
                panic!("{name} was accepted")
            };
            assert_eq!(field, name);
        }
        let error = Recipe {
            max_zoom: 0.5,
            ..base
        }
        .validate()
        .unwrap_err();
        assert_eq!(error.to_string(), "recipe field max_zoom is 0.5, outside 1..=10");
    }
}
