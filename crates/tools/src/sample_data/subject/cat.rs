//! Cats: sitting and lying.

use super::{Painter, Style};
use crate::sample_data::draw_rng::DrawRng;
use crate::sample_data::paint::outline::{blob, circle, curve, ellipse, polygon, ribbon};
use crate::sample_data::paint::{Canvas, Colour, FillStyle, Placement};
use crate::sample_data::scene::earth;

#[derive(Clone, Copy)]
struct Coat {
    fur: Colour,
    chest: Colour,
    stripes: Option<Colour>,
    eyes: Colour,
}

pub(super) fn species(rng: &mut DrawRng, style: Style) -> Painter {
    let fur = match rng.count(0, 3) {
        0 => Colour::grey(rng.between(0.1, 0.5)),
        1 => Colour::hsv(0.08, 0.65, rng.between(0.7, 0.95)),
        2 => Colour::grey(rng.between(0.8, 0.95)),
        _ => earth(rng),
    };
    let fur = style.tint(fur);
    let coat = Coat {
        fur,
        chest: if rng.bernoulli(0.4) {
            Colour::grey(0.92)
        } else {
            fur.lighter(0.15)
        },
        stripes: rng.bernoulli(0.5).then(|| fur.darker(0.5)),
        eyes: Colour::hsv(rng.between(0.13, 0.5), 0.7, 0.85),
    };
    let lying = rng.bernoulli(0.35);
    let facing = rng.sign();
    Box::new(move |layer, rng, at| {
        let at = at.stretched(facing, style.stretch);
        if lying {
            lie(&coat, layer, rng, at);
        } else {
            sit(&coat, layer, rng, at);
        }
    })
}

fn sit(coat: &Coat, layer: &mut Canvas, rng: &mut DrawRng, at: Placement) {
    let curl = rng.between(-0.3, 0.5);
    let tail = ribbon(
        &[
            (-0.3, 0.85),
            (-0.75, 0.8),
            (-0.9, 0.45 - curl * 0.4),
            (-0.75, 0.2 - curl),
        ],
        0.16,
        0.1,
    );
    layer.fill(&tail, &FillStyle::flat(coat.fur.darker(0.15)), at);
    let body = blob(&[
        (0.0, -0.35),
        (0.32, 0.0),
        (0.42, 0.85),
        (0.0, 0.95),
        (-0.55, 0.9),
        (-0.58, 0.4),
        (-0.28, -0.1),
    ]);
    layer.fill(
        &body,
        &FillStyle::ramp((-0.5, 0.0), (0.4, 0.0), &[coat.fur.darker(0.15), coat.fur]),
        at,
    );
    stripes(coat, layer, at, (-0.4, 0.1));
    layer.fill(
        &ellipse((0.12, 0.25), 0.18, 0.4),
        &FillStyle::flat(coat.chest).inside(),
        at,
    );
    for x in [0.05, 0.28] {
        layer.fill(&ellipse((x, 0.92), 0.13, 0.07), &FillStyle::flat(coat.chest), at);
    }
    head(coat, layer, at.moved(0.08, -0.5).turned(rng.wobble(0.05)));
}

fn lie(coat: &Coat, layer: &mut Canvas, rng: &mut DrawRng, at: Placement) {
    let tail = ribbon(&[(-0.8, 0.4), (-1.1, 0.5), (-0.9, 0.7), (-0.5, 0.68)], 0.15, 0.1);
    layer.fill(&tail, &FillStyle::flat(coat.fur.darker(0.15)), at);
    let body = blob(&[
        (0.6, 0.1),
        (0.65, 0.6),
        (0.0, 0.7),
        (-0.8, 0.65),
        (-0.95, 0.3),
        (-0.5, -0.1),
        (0.1, -0.05),
    ]);
    layer.fill(
        &body,
        &FillStyle::ramp((0.0, -0.1), (0.0, 0.7), &[coat.fur, coat.fur.darker(0.2)]),
        at,
    );
    stripes(coat, layer, at, (-0.5, 0.05));
    layer.fill(
        &ribbon(&[(0.45, 0.6), (1.0, 0.64)], 0.16, 0.14),
        &FillStyle::flat(coat.chest),
        at,
    );
    head(coat, layer, at.moved(0.62, -0.15).turned(rng.wobble(0.06)));
}

fn stripes(coat: &Coat, layer: &mut Canvas, at: Placement, (x, y): (f32, f32)) {
    let Some(colour) = coat.stripes else { return };
    for i in 0..4 {
        let x = x - 0.1 + 0.16 * i as f32;
        let line = curve(&[(x, y - 0.3), (x + 0.05, y), (x - 0.02, y + 0.25)]);
        layer.stroke(&line, 0.05, &FillStyle::veil(colour, 0.6).inside(), at);
    }
}

fn head(coat: &Coat, layer: &mut Canvas, at: Placement) {
    for side in [-1.0, 1.0] {
        let at = at.stretched(side, 1.0);
        layer.fill(
            &polygon(&[(0.05, -0.2), (0.3, -0.58), (0.36, -0.05)]),
            &FillStyle::flat(coat.fur.darker(0.1)),
            at,
        );
        let inner = Colour::hsv(0.98, 0.4, 0.8);
        layer.fill(
            &polygon(&[(0.14, -0.22), (0.28, -0.46), (0.31, -0.12)]),
            &FillStyle::flat(inner),
            at,
        );
    }
    let skull = ellipse((0.0, 0.0), 0.38, 0.33);
    layer.fill(
        &skull,
        &FillStyle::ramp(
            (0.0, -0.3),
            (0.0, 0.3),
            &[coat.fur.lighter(0.08), coat.fur.darker(0.08)],
        ),
        at,
    );
    layer.fill(
        &ellipse((0.0, 0.17), 0.16, 0.12),
        &FillStyle::flat(coat.chest),
        at,
    );
    for side in [-1.0, 1.0] {
        let at = at.stretched(side, 1.0);
        layer.fill(
            &ellipse((0.16, -0.04), 0.08, 0.065),
            &FillStyle::flat(coat.eyes),
            at,
        );
        layer.fill(
            &ellipse((0.16, -0.04), 0.025, 0.06),
            &FillStyle::flat(Colour::grey(0.04)),
            at,
        );
        for y in [0.1, 0.16, 0.22] {
            let whisker = curve(&[(0.1, 0.16), (0.5, y)]);
            layer.stroke(&whisker, 0.01, &FillStyle::veil(Colour::grey(0.95), 0.8), at);
        }
    }
    layer.fill(
        &circle((0.0, 0.1), 0.04),
        &FillStyle::flat(Colour::hsv(0.97, 0.45, 0.6)),
        at,
    );
}
