//! Boats: a hull with sails or with a cabin.

use super::{Painter, Style};
use crate::sample_data::draw_rng::DrawRng;
use crate::sample_data::paint::outline::{curve, lines, polygon};
use crate::sample_data::paint::{Colour, FillStyle};
use crate::sample_data::scene::{blossom, earth};

pub(super) fn species(rng: &mut DrawRng, style: Style) -> Painter {
    let hull = style.tint(if rng.bernoulli(0.5) {
        blossom(rng)
    } else {
        earth(rng).darker(0.2)
    });
    let sail = if rng.bernoulli(0.6) {
        Colour::grey(0.95)
    } else {
        style.tint(blossom(rng))
    };
    let (sails, tall) = (rng.count(0, 2), rng.between(1.0, 1.4) * style.stretch);
    let facing = rng.sign();
    Box::new(move |layer, rng, at| {
        let at = at.stretched(facing, 1.0);
        let mast = FillStyle::flat(earth(rng).darker(0.4));
        if sails > 0 {
            layer.stroke(&lines(&[(0.05, 0.55), (0.05, 0.5 - tall)]), 0.04, &mast, at);
            let main = polygon(&[(0.0, 0.52 - tall), (0.0, 0.4), (-0.7, 0.4)]);
            layer.fill(
                &main,
                &FillStyle::ramp((0.0, 0.0), (-0.7, 0.0), &[sail, sail.darker(0.2)]),
                at,
            );
        } else {
            let cabin = polygon(&[(-0.4, 0.5), (-0.35, 0.1), (0.2, 0.1), (0.3, 0.5)]);
            layer.fill(&cabin, &FillStyle::flat(sail), at);
            for x in [-0.25, -0.05, 0.12] {
                layer.fill(
                    &polygon(&[(x, 0.18), (x + 0.1, 0.18), (x + 0.1, 0.3), (x, 0.3)]),
                    &FillStyle::flat(Colour::grey(0.2)),
                    at,
                );
            }
        }
        if sails > 1 {
            let jib = polygon(&[(0.1, 0.6 - tall), (0.1, 0.42), (0.75, 0.45)]);
            layer.fill(
                &jib,
                &FillStyle::ramp((0.1, 0.0), (0.75, 0.0), &[sail.darker(0.1), sail]),
                at,
            );
        }
        let body = polygon(&[(-0.9, 0.45), (0.05, 0.52), (1.0, 0.4), (0.65, 0.85), (-0.7, 0.85)]);
        layer.fill(
            &body,
            &FillStyle::ramp((0.0, 0.4), (0.0, 0.85), &[hull, hull.darker(0.4)]),
            at,
        );
        layer.stroke(
            &lines(&[(-0.9, 0.47), (0.05, 0.54), (1.0, 0.42)]),
            0.04,
            &FillStyle::flat(hull.lighter(0.6)),
            at,
        );
        for i in 0..3 {
            let y = 0.86 + 0.06 * i as f32;
            let wake = curve(&[(-1.0, y), (-0.3, y + 0.03), (0.3, y - 0.02), (0.9, y + 0.02)]);
            layer.stroke(&wake, 0.03, &FillStyle::veil(Colour::WHITE, 0.35), at);
        }
    })
}
