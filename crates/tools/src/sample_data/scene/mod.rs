//! Scenes: backdrop and clutter.
//!
//! Scenes do not depend on the class (except that fish and boats are mostly near water), so that the backdrop does not reveal the class.

mod backdrop;
mod clutter;

pub(super) use backdrop::{Habitat, backdrop};
pub(super) use clutter::{before, behind, branch};

use super::draw_rng::DrawRng;
use super::paint::Colour;

/// A colour of petals: for blossoms, flowers and some feathers.
pub(super) fn blossom(rng: &mut DrawRng) -> Colour {
    let hue = rng.pick(&[
        0.0, 0.02, 0.07, 0.13, 0.15, 0.16, 0.6, 0.68, 0.75, 0.82, 0.88, 0.92, 0.95,
    ]);
    let colour = Colour::hsv(
        hue + rng.wobble(0.02),
        rng.between(0.35, 0.95),
        rng.between(0.7, 1.0),
    );
    if rng.bernoulli(0.2) {
        colour.lighter(rng.between(0.7, 0.95))
    } else {
        colour
    }
}

/// A green of leaves: from fresh through olive to nearly brown.
pub(super) fn green(rng: &mut DrawRng) -> Colour {
    Colour::hsv(
        rng.between(0.17, 0.4),
        rng.between(0.3, 0.8),
        rng.between(0.2, 0.7),
    )
}

/// A colour of earth, bark or stone.
pub(super) fn earth(rng: &mut DrawRng) -> Colour {
    Colour::hsv(
        rng.between(0.04, 0.13),
        rng.between(0.1, 0.55),
        rng.between(0.2, 0.75),
    )
}

/// A colour of sky or water.
pub(super) fn blue(rng: &mut DrawRng) -> Colour {
    Colour::hsv(
        rng.between(0.5, 0.63),
        rng.between(0.1, 0.7),
        rng.between(0.5, 1.0),
    )
}
