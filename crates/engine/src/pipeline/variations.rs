//! Several augmentations of one image, to preview a recipe.

use super::render::render;
use crate::{
    augment::{Draw, Recipe},
    decode::{canonical, canonical_short_side},
    image::Image,
    random::{Purpose, generator},
    tensor::{ElementType, Layout, Normalization, TensorSpec},
};

/// An image as a model gets it.
#[derive(Clone, Debug)]
pub struct Variation {
    /// The drawn augmentation.
    pub draw: Draw,
    /// The pixels: `u8[S, S, 3]`.
    pub pixels: Vec<u8>,
}

/// `image` as in validation, then `times` augmentations as in training, each `size` pixels square.
///
/// # Determinism
///
/// A pure function of its arguments. Uses the keys of the first images of epoch 0 of a stream with that seed.
#[must_use]
pub fn variations(image: Image, recipe: &Recipe, (seed, times): (u64, u64), size: u32) -> Vec<Variation> {
    let image = canonical(image, Some(canonical_short_side(size)));
    let spec = TensorSpec {
        size,
        element_type: ElementType::U8,
        layout: Layout::Nhwc,
        normalization: Normalization::IMAGENET,
    };
    let drawn = (0..times).map(|place| recipe.draw(&mut generator(seed, Purpose::AUGMENT, &[0, place])));
    let plain = Draw::unaugmented(recipe.evaluation_pad());
    std::iter::once(plain)
        .chain(drawn)
        .map(|draw| {
            let mut pixels = vec![0; spec.image_bytes()];
            render(&image, &draw, &spec, &mut pixels);
            Variation { draw, pixels }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_not_augmented_and_the_others_differ() {
        let pixels = (0..60 * 40 * 3_u32).map(|at| (at * 37 % 251) as u8).collect();
        let image = Image::new(60, 40, pixels);
        let recipe: Recipe = "fastai".parse().expect("a recipe");
        let seen = variations(image.clone(), &recipe, (3, 4), 32);
        assert_eq!(seen.len(), 5);
        assert_eq!(seen[0].draw, Draw::identity());
        for (place, variation) in seen.iter().enumerate() {
            assert_eq!(variation.pixels.len(), 32 * 32 * 3);
            assert!(
                seen[..place].iter().all(|other| other.pixels != variation.pixels),
                "{place}"
            );
        }
        let again = variations(image, &recipe, (3, 4), 32);
        assert!(
            seen.iter()
                .zip(&again)
                .all(|(one, other)| one.pixels == other.pixels)
        );
    }
}
