//! Trees: broad-leaved, conifers and palms.

use super::{Painter, Style};
use crate::sample_data::draw_rng::DrawRng;
use crate::sample_data::paint::outline::{around, curve, polygon, ribbon};
use crate::sample_data::paint::{Canvas, Colour, FillStyle, Placement, polar};
use crate::sample_data::scene::{blossom, earth, green};

#[derive(Clone, Copy)]
enum Form {
    Broad,
    Conifer,
    Palm,
}

pub(super) fn species(rng: &mut DrawRng, style: Style) -> Painter {
    let form = rng.pick(&[Form::Broad, Form::Broad, Form::Conifer, Form::Palm]);
    let leaves = style.tint(if rng.bernoulli(0.2) {
        blossom(rng).darker(0.2)
    } else {
        green(rng)
    });
    let bark = earth(rng).darker(0.3);
    Box::new(move |layer, rng, at| {
        let at = at.stretched(1.0, style.stretch);
        let lean = rng.wobble(0.2);
        let trunk = ribbon(
            &[(0.0, 1.0), (lean * 0.4, 0.4), (lean, -0.3)],
            rng.between(0.16, 0.3),
            0.08,
        );
        layer.fill(
            &trunk,
            &FillStyle::ramp((-0.2, 0.0), (0.2, 0.0), &[bark.lighter(0.2), bark.darker(0.3)]),
            at,
        );
        let crown = at.moved(lean, -0.3);
        match form {
            Form::Broad => broad(layer, rng, crown, leaves),
            Form::Conifer => conifer(layer, rng, at, leaves),
            Form::Palm => palm(layer, rng, crown, leaves),
        }
    })
}

fn broad(layer: &mut Canvas, rng: &mut DrawRng, at: Placement, leaves: Colour) {
    for i in 0..rng.count(9, 22) {
        let place = polar((0.0, 0.0), rng.between(0.0, 0.55), rng.unit());
        let tuft = around(9, |_| rng.between(0.75, 1.1));
        let size = rng.between(0.2, 0.38);
        let colour = leaves.darker(0.35 - 0.02 * i as f32).lighter(0.1 - 0.2 * place.1);
        let at = at.moved(place.0, place.1).stretched(size, size);
        layer.fill(
            &tuft,
            &FillStyle::ramp(
                (0.0, -1.0),
                (0.0, 1.0),
                &[colour.lighter(0.2), colour.darker(0.3)],
            ),
            at,
        );
    }
}

fn conifer(layer: &mut Canvas, rng: &mut DrawRng, at: Placement, leaves: Colour) {
    let tiers = rng.count(3, 6);
    for tier in (0..tiers).rev() {
        let part = tier as f32 / tiers as f32;
        let (top, low, half) = (-1.0 + 1.4 * part, -0.45 + 1.4 * part, 0.22 + 0.45 * part);
        let outline = polygon(&[
            (0.0, top),
            (half, low + rng.wobble(0.05)),
            (half * 0.4, low - 0.08),
            (0.0, low + 0.04),
            (-half * 0.4, low - 0.08),
            (-half, low + rng.wobble(0.05)),
        ]);
        layer.fill(
            &outline,
            &FillStyle::ramp(
                (0.0, top),
                (0.0, low),
                &[leaves.lighter(0.12), leaves.darker(0.4)],
            ),
            at,
        );
    }
}

fn palm(layer: &mut Canvas, rng: &mut DrawRng, at: Placement, leaves: Colour) {
    for _ in 0..rng.count(7, 12) {
        let (end, rise) = (
            polar((0.0, 0.0), rng.between(0.6, 0.9), rng.unit()),
            rng.between(0.1, 0.3),
        );
        let frond = [
            (0.0, 0.0),
            (end.0 * 0.5, end.1 * 0.5 - rise),
            (end.0, end.1 * 0.5 + rise),
        ];
        layer.fill(
            &ribbon(&frond, 0.14, 0.02),
            &FillStyle::flat(leaves.darker(rng.between(0.0, 0.4))),
            at,
        );
        layer.stroke(&curve(&frond), 0.015, &FillStyle::flat(leaves.lighter(0.3)), at);
    }
}
