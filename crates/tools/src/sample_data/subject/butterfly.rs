//! Butterflies: wings open, seen from above.

use super::{Painter, Style};
use crate::sample_data::dice::Dice;
use crate::sample_data::paint::outline::{blob, circle, curve, ellipse};
use crate::sample_data::paint::{Canvas, Colour, Ink, Placement};
use crate::sample_data::scene::blossom;

pub(super) fn species(dice: &mut Dice, style: Style) -> Painter {
    let wing = style.tint(blossom(dice));
    let edge = if dice.chance(0.7) {
        Colour::grey(0.1)
    } else {
        wing.darker(0.6)
    };
    let spot = style.tint(blossom(dice)).lighter(0.2);
    let (spots, tall) = (dice.count(0, 5), dice.between(0.85, 1.15) * style.stretch);
    let tailed = dice.chance(0.35);
    Box::new(move |layer, dice, at| {
        let open = dice.between(0.45, 1.0);
        for side in [-1.0, 1.0] {
            let at = at.stretched(side * open, tall);
            let tail = if tailed { 1.15 } else { 0.75 };
            let hind = blob(&[(0.03, 0.0), (0.55, 0.05), (0.75, 0.4), (0.5, tail), (0.2, 0.6)]);
            let fore = blob(&[
                (0.03, 0.05),
                (0.25, -0.5),
                (0.95, -0.85),
                (1.0, -0.45),
                (0.7, 0.05),
            ]);
            for outline in [&hind, &fore] {
                let ink = Ink::radial((0.0, 0.0), 1.1, [(wing, 1.0), (wing.darker(0.3), 1.0)]);
                layer.fill(outline, &ink, at);
                layer.stroke(outline, 0.07, &Ink::flat(edge), at);
            }
            for i in 0..spots {
                let place = (0.4 + 0.1 * i as f32, -0.5 + 0.22 * i as f32);
                layer.fill(&circle(place, 0.09), &Ink::flat(spot), at);
            }
            for y in [-0.6, -0.3, 0.3] {
                layer.stroke(&curve(&[(0.05, 0.0), (0.7, y)]), 0.015, &Ink::veil(edge, 0.6), at);
            }
        }
        body(layer, at, edge);
    })
}

fn body(layer: &mut Canvas, at: Placement, colour: Colour) {
    for side in [-1.0, 1.0] {
        let feeler = curve(&[(0.0, -0.35), (side * 0.12, -0.7), (side * 0.25, -0.85)]);
        layer.stroke(&feeler, 0.025, &Ink::flat(colour), at);
    }
    layer.fill(
        &ellipse((0.0, 0.1), 0.07, 0.5),
        &Ink::flat(colour.lighter(0.1)),
        at,
    );
    layer.fill(&circle((0.0, -0.38), 0.09), &Ink::flat(colour), at);
}
