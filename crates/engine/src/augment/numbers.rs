//! A recipe as the eight numeric fields of the protocol's `Recipe` message.

use super::{CropRange, Error, Magnitude, Recipe, ZoomRange};

/// The parameters of fastai's `get_transforms`, with the names of the protocol's `Recipe` message. 0 disables a part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Numbers {
    /// Mirrors left to right with probability 0.5.
    pub flip: bool,
    /// Degrees: rotation is uniform over `[-max_rotate, max_rotate]`. Range 0..=180.
    pub max_rotate: f32,
    /// Zoom is uniform over `[1, max_zoom]`; 0 and 1 disable it. Range 1..=10.
    pub max_zoom: f32,
    /// Each of four perspective magnitudes is uniform over `[-max_warp, max_warp]`. Range 0..=0.5.
    pub max_warp: f32,
    /// Magnitude of brightness and of contrast. Range 0..=0.9.
    pub max_lighting: f32,
    /// Probability of each of rotation, zoom and perspective, independently. Range 0..=1.
    pub p_affine: f32,
    /// Probability of each of brightness and contrast, independently. Range 0..=1.
    pub p_lighting: f32,
    /// Crops at a uniformly random position instead of the centre.
    pub random_crop: bool,
}

impl TryFrom<Numbers> for Recipe {
    type Error = Error;

    /// # Errors
    ///
    /// [`Error::OutOfRange`] for the first field, in the order of declaration, that is outside its range.
    fn try_from(numbers: Numbers) -> Result<Self, Error> {
        numbers.check()?;
        let Numbers {
            p_affine, p_lighting, ..
        } = numbers;
        let lighting = Magnitude {
            max: numbers.max_lighting,
            p: p_lighting,
        };
        Ok(Self {
            flip: if numbers.flip { 0.5 } else { 0.0 },
            rotate: Magnitude {
                max: numbers.max_rotate,
                p: p_affine,
            },
            zoom: ZoomRange {
                min: 1.0,
                max: numbers.max_zoom.max(1.0),
                p: p_affine,
            },
            warp: Magnitude {
                max: numbers.max_warp,
                p: p_affine,
            },
            brightness: lighting,
            contrast: lighting,
            crop: if numbers.random_crop {
                CropRange::ANYWHERE
            } else {
                CropRange::CENTER
            },
            ..Self::none()
        }
        .normalized())
    }
}

impl Numbers {
    fn check(&self) -> Result<(), Error> {
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
                let low = if field == "max_zoom" { 1.0 } else { low };
                return Err(Error::OutOfRange {
                    field: field.to_owned(),
                    value,
                    low,
                    high,
                });
            }
        }
        Ok(())
    }

    /// The numeric form of `recipe`; `None` if it has parts or values that the numeric fields cannot express.
    #[must_use]
    pub fn of(recipe: &Recipe) -> Option<Self> {
        let recipe = recipe.normalized();
        let numbers = Self {
            flip: recipe.flip > 0.0,
            max_rotate: recipe.rotate.max,
            max_zoom: recipe.zoom.max,
            max_warp: recipe.warp.max,
            max_lighting: recipe.brightness.max,
            p_affine: recipe.rotate.p.max(recipe.zoom.p).max(recipe.warp.p),
            p_lighting: recipe.brightness.p,
            random_crop: recipe.crop != CropRange::CENTER,
        };
        Recipe::try_from(numbers)
            .is_ok_and(|converted| converted == recipe)
            .then_some(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: Numbers = Numbers {
        flip: true,
        max_rotate: 25.0,
        max_zoom: 1.1,
        max_warp: 0.2,
        max_lighting: 0.2,
        p_affine: 0.75,
        p_lighting: 0.75,
        random_crop: true,
    };

    #[test]
    fn numbers_and_recipes_convert_to_one_another() {
        assert_eq!(Recipe::try_from(REFERENCE), Ok(Recipe::reference()));
        assert_eq!(Numbers::of(&Recipe::reference()), Some(REFERENCE));
        assert_eq!(Recipe::try_from(Numbers::default()), Ok(Recipe::none()));
    }

    #[test]
    fn recipes_beyond_the_numeric_fields_have_no_numbers() {
        let with = |text: &str| text.parse::<Recipe>().unwrap();
        assert_eq!(Numbers::of(&with("flip(0.4)")), None);
        assert_eq!(Numbers::of(&with("rotate(10,p=0.5) zoom(1.1,p=0.4)")), None);
        assert_eq!(Numbers::of(&with("fastai augment=repeats")), None);
    }

    #[test]
    fn out_of_range_numbers_are_rejected_by_name() {
        let bad = |change: fn(&mut Numbers)| {
            let mut numbers = REFERENCE;
            change(&mut numbers);
            Recipe::try_from(numbers).unwrap_err().to_string()
        };
        for (message, name) in [
            (bad(|n| n.max_rotate = 181.0), "max_rotate"),
            (bad(|n| n.max_warp = -0.1), "max_warp"),
            (bad(|n| n.max_lighting = 1.0), "max_lighting"),
            (bad(|n| n.p_affine = f32::NAN), "p_affine"),
            (bad(|n| n.p_lighting = 1.5), "p_lighting"),
        ] {
            assert!(message.contains(name), "{message}");
        }
        assert_eq!(
            bad(|n| n.max_zoom = 0.5),
            "recipe field max_zoom is 0.5, outside 1..=10"
        );
    }
}
