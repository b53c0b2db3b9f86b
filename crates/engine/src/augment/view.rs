//! Recipes of test-time augmentation.

use super::{Augment, CropRange, Mixing, Recipe, ResizedCropRange, ZoomRange};

/// Number of views of an image besides the plain one: four corners, each also mirrored.
pub const VIEWS: u32 = 8;

impl Recipe {
    /// The recipe of view `view` (below [`VIEWS`]) for a model trained with this recipe: zoom by `scale` towards a corner, the crop in that
    /// corner, and mirroring for views 4 to 7. The other parts of the training recipe are drawn at random as in training, except other
    /// crops, zooms and mirror images.
    ///
    /// # Source
    ///
    /// `_tta_only` of fastai 1.0, `fastai/vision/tta.py`: bit 0 of the number is the row, bit 1 the column, bit 2 the mirror image;
    /// `crop_pad`, `flip_lr`, `dihedral` and `zoom` of the training are left out. `resized_crop`, which fastai lacks, is treated as a crop,
    /// and `flip_vertical` and `dihedral` as fastai's `dihedral`. Images are not mixed.
    #[must_use]
    pub fn view(&self, view: u32, scale: f32) -> Self {
        let bit = |number: u32| if view >> number & 1 == 1 { 1.0 } else { 0.0 };
        let corner = CropRange {
            row_min: bit(0),
            row_max: bit(0),
            column_min: bit(1),
            column_max: bit(1),
        };
        Self {
            augment: Augment::All,
            zoom: ZoomRange {
                min: scale,
                max: scale,
                p: 1.0,
            },
            focus: corner,
            crop: corner,
            flip: bit(2),
            resized_crop: ResizedCropRange::OFF,
            flip_vertical: 0.0,
            dihedral: 0.0,
            mixup: Mixing::OFF,
            cutmix: Mixing::OFF,
            ..*self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::Draw;
    use crate::random::{Purpose, generator};

    fn draw(recipe: &Recipe, position: u64) -> Draw {
        recipe.draw(&mut generator(1, Purpose::AUGMENT, &[0, position]))
    }

    #[test]
    fn views_are_the_corners_and_their_mirror_images() {
        let corners: Vec<(f64, f64, bool)> = (0..VIEWS)
            .map(|view| {
                let draw = draw(&Recipe::reference().view(view, 1.35), u64::from(view));
                let zoom = draw.zoom.expect("always");
                assert!((zoom.scale - 1.35).abs() < 1e-6);
                assert_eq!((zoom.row, zoom.column), (draw.crop.row, draw.crop.column));
                (zoom.row, zoom.column, draw.flip)
            })
            .collect();
        let half = |flip| {
            [
                (0.0, 0.0, flip),
                (1.0, 0.0, flip),
                (0.0, 1.0, flip),
                (1.0, 1.0, flip),
            ]
        };
        assert_eq!(corners, [half(false), half(true)].concat());
    }

    #[test]
    fn the_other_parts_are_drawn_as_in_training() {
        let training: Recipe =
            "fastai jitter resized_crop(p=0) dihedral flip_vertical mixup cutmix augment=repeats"
                .parse()
                .expect("a recipe");
        for position in 0..50 {
            let (plain, view) = (draw(&training, position), draw(&training.view(6, 1.35), position));
            assert_eq!((plain.warp, plain.rotate), (view.warp, view.rotate));
            assert_eq!(
                (plain.brightness, plain.contrast),
                (view.brightness, view.contrast)
            );
            assert_eq!(plain.pixel_ops, view.pixel_ops);
            assert!(view.affine_ops.is_empty() && view.flip);
            assert!(!training.view(6, 1.35).mixes());
        }
    }

    /// Requests carry recipes as text.
    #[test]
    fn views_can_be_printed_and_parsed() {
        for view in 0..VIEWS {
            let recipe = Recipe::reference().view(view, 1.35);
            assert_eq!(recipe.to_string().parse::<Recipe>(), Ok(recipe.normalized()));
        }
    }
}
