//! Houses: a front with roof, door, windows and perhaps a chimney.

use super::{Painter, Style};
use crate::sample_data::dice::Dice;
use crate::sample_data::paint::outline::{Outline, lines, polygon};
use crate::sample_data::paint::{Canvas, Colour, Ink, Placement};
use crate::sample_data::scene::{blossom, blue, earth};

pub(super) fn species(dice: &mut Dice, style: Style) -> Painter {
    let wall = style.tint(if dice.chance(0.4) {
        blossom(dice).lighter(0.5)
    } else {
        earth(dice).lighter(0.4)
    });
    let roof = style.tint(Colour::hsv(
        dice.between(0.0, 0.1),
        dice.between(0.1, 0.7),
        dice.between(0.25, 0.7),
    ));
    let door = style.tint(blossom(dice)).darker(0.4);
    let storeys = dice.count(1, 2);
    let windows = dice.count(1, 3);
    let gable = dice.between(0.35, 0.8) * style.stretch;
    let side = dice.between(0.25, 0.7) * dice.sign();
    Box::new(move |layer, dice, at| {
        let front = 0.6;
        let top = 0.9 - 0.55 * storeys as f32;
        if dice.chance(0.6) {
            layer.fill(
                &rect(0.2, top - gable - 0.05, 0.36, top),
                &Ink::flat(wall.darker(0.4)),
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
        layer.fill(&wing, &Ink::flat(wall.darker(0.35)), at);
        let slope = polygon(&[
            (0.0, top - gable),
            (side, top - gable + 0.08),
            (edge + side * 1.1, top + 0.1),
            (edge, top),
        ]);
        layer.fill(&slope, &Ink::flat(roof.darker(0.15)), at);
        let face = polygon(&[
            (-front, 0.9),
            (-front, top),
            (0.0, top - gable),
            (front, top),
            (front, 0.9),
        ]);
        layer.fill(
            &face,
            &Ink::ramp((0.0, top), (0.0, 0.9), &[wall, wall.darker(0.12)]),
            at,
        );
        let eaves = lines(&[
            (-front - 0.1, top + 0.08),
            (0.0, top - gable),
            (front + 0.1, top + 0.08),
        ]);
        layer.stroke(&eaves, 0.1, &Ink::flat(roof), at);
        layer.fill(&rect(-0.1, 0.5, 0.12, 0.9), &Ink::flat(door), at);
        for storey in 0..storeys {
            for window in 0..windows {
                let x = -0.42 + 0.84 * (window as f32 + 0.5) / windows as f32;
                let y = top + 0.12 + 0.5 * storey as f32;
                if storey + 1 < storeys || x.abs() > 0.22 {
                    pane(layer, dice, at.moved(x, y));
                }
            }
        }
    })
}

fn pane(layer: &mut Canvas, dice: &mut Dice, at: Placement) {
    let glass = if dice.chance(0.2) {
        Colour::hsv(0.13, 0.6, 1.0)
    } else {
        blue(dice).darker(0.5)
    };
    layer.fill(&rect(-0.1, -0.02, 0.1, 0.27), &Ink::flat(Colour::grey(0.92)), at);
    layer.fill(&rect(-0.08, 0.0, 0.08, 0.25), &Ink::flat(glass), at);
    layer.stroke(
        &lines(&[(0.0, 0.0), (0.0, 0.25)]),
        0.02,
        &Ink::flat(Colour::grey(0.92)),
        at,
    );
}

fn rect(left: f32, top: f32, right: f32, bottom: f32) -> Outline {
    polygon(&[(left, top), (right, top), (right, bottom), (left, bottom)])
}
