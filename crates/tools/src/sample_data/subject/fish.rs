//! Fish from the side.

use super::{Painter, Style};
use crate::sample_data::draw_rng::DrawRng;
use crate::sample_data::paint::outline::{blob, circle, curve, polygon};
use crate::sample_data::paint::{Colour, FillStyle};
use crate::sample_data::scene::{blossom, blue};

pub(super) fn species(rng: &mut DrawRng, style: Style) -> Painter {
    let back = style.tint(if rng.bernoulli(0.6) {
        blossom(rng)
    } else {
        blue(rng).darker(0.3)
    });
    let belly = back.lighter(rng.between(0.3, 0.8));
    let fin = style.tint(blossom(rng)).mixed(back, rng.unit());
    let h = rng.between(0.3, 0.65) * style.stretch;
    let stripes = if rng.bernoulli(0.5) { rng.count(2, 5) } else { 0 };
    let stripe = if rng.bernoulli(0.5) {
        Colour::grey(0.1)
    } else {
        Colour::grey(0.95)
    };
    let facing = rng.sign();
    Box::new(move |layer, rng, at| {
        let at = at.stretched(if rng.bernoulli(0.8) { facing } else { -facing }, 1.0);
        let bend = rng.wobble(0.15);
        let tail = polygon(&[
            (-0.6, 0.0),
            (-1.1, -0.5 + bend),
            (-0.95, bend),
            (-1.1, 0.5 + bend),
        ]);
        let fins = [
            polygon(&[(0.3, -0.8 * h), (-0.35, -1.6 * h), (-0.5, -0.5 * h)]),
            polygon(&[(0.1, 0.8 * h), (-0.3, 1.4 * h), (-0.4, 0.6 * h)]),
        ];
        for outline in [&tail, &fins[0], &fins[1]] {
            layer.fill(
                outline,
                &FillStyle::linear((0.0, 0.0), (-1.0, 0.0), [(fin.darker(0.2), 1.0), (fin, 0.9)]),
                at,
            );
        }
        let body = blob(&[
            (0.95, 0.03),
            (0.55, 0.75 * h),
            (0.0, h),
            (-0.7, 0.16),
            (-0.7, -0.16),
            (0.0, -h),
            (0.6, -0.7 * h),
        ]);
        layer.fill(
            &body,
            &FillStyle::ramp((0.0, -h), (0.0, h), &[back.darker(0.15), back, belly]),
            at,
        );
        for i in 0..stripes {
            let x = 0.45 - 0.22 * i as f32;
            let line = curve(&[(x, -h), (x + 0.06, 0.0), (x, h)]);
            layer.stroke(&line, 0.07, &FillStyle::veil(stripe, 0.8).inside(), at);
        }
        layer.stroke(
            &curve(&[(0.5, -0.5 * h), (0.42, 0.0), (0.5, 0.5 * h)]),
            0.03,
            &FillStyle::veil(back.darker(0.5), 0.7),
            at,
        );
        layer.fill(
            &polygon(&[(0.25, 0.1 * h), (-0.15, 0.45 * h), (-0.1, 0.0)]),
            &FillStyle::flat(fin),
            at,
        );
        layer.fill(
            &circle((0.68, -0.15 * h), 0.09),
            &FillStyle::flat(Colour::grey(0.95)),
            at,
        );
        layer.fill(
            &circle((0.7, -0.15 * h), 0.055),
            &FillStyle::flat(Colour::grey(0.05)),
            at,
        );
    })
}
