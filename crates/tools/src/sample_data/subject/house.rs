//! Houses: a front with roof, door, windows and perhaps a chimney.

use super::{Painter, Style};
use crate::sample_data::draw_rng::DrawRng;
use crate::sample_data::paint::outline::{Outline, lines, polygon};
use crate::sample_data::paint::{Canvas, Colour, FillStyle, Placement};
use crate::sample_data::scene::{blossom, blue, earth};

pub(super) fn species(rng: &mut DrawRng, style: Style) -> Painter {
    let wall = style.tint(if rng.bernoulli(0.4) {
        blossom(rng).lighter(0.5)
    } else {
        earth(rng).lighter(0.4)
    });
    let roof = style.tint(Colour::hsv(
        rng.between(0.0, 0.1),
        rng.between(0.1, 0.7),
        rng.between(0.25, 0.7),
    ));
    let door = style.tint(blossom(rng)).darker(0.4);
    let storeys = rng.count(1, 2);
    let windows = rng.count(1, 3);
    let gable = rng.between(0.35, 0.8) * style.stretch;
    let side = rng.between(0.25, 0.7) * rng.sign();
    Box::new(move |layer, rng, at| {
        let front = 0.6;
        let top = 0.9 - 0.55 * storeys as f32;
        if rng.bernoulli(0.6) {
            layer.fill(
                &rect(0.2, top - gable - 0.05, 0.36, top),
                &FillStyle::flat(wall.darker(0.4)),
                at,
            );
        }
        let edge = side.signum() * front;
        let wing = polygon(&[
            (edge, top),
            (edge + side, top + 0.06),
            (edge + side, 0.85),
            (edge, 0.9),
        ]);
        layer.fill(&wing, &FillStyle::flat(wall.darker(0.35)), at);
        let slope = polygon(&[
            (0.0, top - gable),
            (side, top - gable + 0.08),
            (edge + side * 1.1, top + 0.1),
            (edge, top),
        ]);
        layer.fill(&slope, &FillStyle::flat(roof.darker(0.15)), at);
        let face = polygon(&[
            (-front, 0.9),
            (-front, top),
            (0.0, top - gable),
            (front, top),
            (front, 0.9),
        ]);
        layer.fill(
            &face,
            &FillStyle::ramp((0.0, top), (0.0, 0.9), &[wall, wall.darker(0.12)]),
            at,
        );
        let eaves = lines(&[
            (-front - 0.1, top + 0.08),
            (0.0, top - gable),
            (front + 0.1, top + 0.08),
        ]);
        layer.stroke(&eaves, 0.1, &FillStyle::flat(roof), at);
        layer.fill(&rect(-0.1, 0.5, 0.12, 0.9), &FillStyle::flat(door), at);
        for storey in 0..storeys {
            for window in 0..windows {
                let x = -0.42 + 0.84 * (window as f32 + 0.5) / windows as f32;
                let y = top + 0.12 + 0.5 * storey as f32;
                if storey + 1 < storeys || x.abs() > 0.22 {
                    pane(layer, rng, at.moved(x, y));
                }
            }
        }
    })
}

fn pane(layer: &mut Canvas, rng: &mut DrawRng, at: Placement) {
    let glass = if rng.bernoulli(0.2) {
        Colour::hsv(0.13, 0.6, 1.0)
    } else {
        blue(rng).darker(0.5)
    };
    layer.fill(
        &rect(-0.1, -0.02, 0.1, 0.27),
        &FillStyle::flat(Colour::grey(0.92)),
        at,
    );
    layer.fill(&rect(-0.08, 0.0, 0.08, 0.25), &FillStyle::flat(glass), at);
    layer.stroke(
        &lines(&[(0.0, 0.0), (0.0, 0.25)]),
        0.02,
        &FillStyle::flat(Colour::grey(0.92)),
        at,
    );
}

fn rect(left: f32, top: f32, right: f32, bottom: f32) -> Outline {
    polygon(&[(left, top), (right, top), (right, bottom), (left, bottom)])
}
