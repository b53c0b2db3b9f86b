//! Butterflies: wings open, seen from above.

use super::{Painter, Style};
use crate::sample_data::draw_rng::DrawRng;
use crate::sample_data::paint::outline::{blob, circle, curve, ellipse};
use crate::sample_data::paint::{Canvas, Colour, FillStyle, Placement};
use crate::sample_data::scene::blossom;

pub(super) fn species(rng: &mut DrawRng, style: Style) -> Painter {
    let wing = style.tint(blossom(rng));
    let edge = if rng.bernoulli(0.7) {
        Colour::grey(0.1)
    } else {
        wing.darker(0.6)
    };
    let spot = style.tint(blossom(rng)).lighter(0.2);
    let (spots, tall) = (rng.count(0, 5), rng.between(0.85, 1.15) * style.stretch);
    let tailed = rng.bernoulli(0.35);
    Box::new(move |layer, rng, at| {
        let open = rng.between(0.45, 1.0);
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
                let style = FillStyle::radial((0.0, 0.0), 1.1, [(wing, 1.0), (wing.darker(0.3), 1.0)]);
                layer.fill(outline, &style, at);
                layer.stroke(outline, 0.07, &FillStyle::flat(edge), at);
            }
            for i in 0..spots {
                let place = (0.4 + 0.1 * i as f32, -0.5 + 0.22 * i as f32);
                layer.fill(&circle(place, 0.09), &FillStyle::flat(spot), at);
            }
            for y in [-0.6, -0.3, 0.3] {
                layer.stroke(
                    &curve(&[(0.05, 0.0), (0.7, y)]),
                    0.015,
                    &FillStyle::veil(edge, 0.6),
                    at,
                );
            }
        }
        body(layer, at, edge);
    })
}

fn body(layer: &mut Canvas, at: Placement, colour: Colour) {
    for side in [-1.0, 1.0] {
        let feeler = curve(&[(0.0, -0.35), (side * 0.12, -0.7), (side * 0.25, -0.85)]);
        layer.stroke(&feeler, 0.025, &FillStyle::flat(colour), at);
    }
    layer.fill(
        &ellipse((0.0, 0.1), 0.07, 0.5),
        &FillStyle::flat(colour.lighter(0.1)),
        at,
    );
    layer.fill(&circle((0.0, -0.38), 0.09), &FillStyle::flat(colour), at);
}
