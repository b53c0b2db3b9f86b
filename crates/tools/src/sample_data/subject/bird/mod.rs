//! Birds: perching, standing, pecking, flying past and soaring.

mod parts;
mod plumage;

use super::{Painter, Style, turned};
use crate::sample_data::dice::Dice;
use crate::sample_data::paint::outline::{around, circle, ellipse, lines, polygon, ribbon};
use crate::sample_data::paint::{Canvas, Colour, Ink, Placement, Point, polar};
use crate::sample_data::scene;
use parts::{folded_wing, head_of, spread_wing, tail, throat, torso};
use plumage::Plumage;

#[derive(Clone, Copy, PartialEq)]
enum Pose {
    Perching,
    Standing,
    Pecking,
    Flying,
    Soaring,
}

pub(super) fn species(dice: &mut Dice, style: Style) -> Painter {
    let plumage = Plumage::new(dice, style);
    let poses = [
        Pose::Perching,
        Pose::Perching,
        Pose::Perching,
        Pose::Standing,
        Pose::Pecking,
        Pose::Flying,
        Pose::Soaring,
    ];
    let pose = dice.pick(&poses);
    let facing = dice.sign();
    Box::new(move |layer, dice, at| {
        let facing = if dice.chance(0.8) { facing } else { -facing };
        let at = at.stretched(0.8 * facing, 0.8);
        match pose {
            Pose::Soaring => soaring(&plumage, layer, dice, at),
            Pose::Flying => flying(&plumage, layer, dice, at),
            _ => sitting(&plumage, layer, dice, (pose, at)),
        }
    })
}

/// A bird on its legs: on a branch, or on the ground.
fn sitting(bird: &Plumage, layer: &mut Canvas, dice: &mut Dice, (pose, at): (Pose, Placement)) {
    let build = &bird.build;
    let (tilt, neck, gaze) = match pose {
        Pose::Pecking => (
            dice.between(0.06, 0.13),
            dice.between(0.06, 0.14),
            dice.between(0.06, 0.16),
        ),
        Pose::Standing => (
            dice.between(-0.06, 0.0),
            dice.between(-0.2, -0.12),
            dice.wobble(0.04),
        ),
        _ => (
            dice.between(-0.14, -0.03),
            dice.between(-0.22, -0.12),
            dice.wobble(0.07),
        ),
    };
    let legs = build.leg * if pose == Pose::Perching { 0.6 } else { 1.0 };
    let hips = [0.05, -0.12].map(|x| turned((x, build.plump * 0.85), tilt));
    let feet = hips.map(|hip| (hip.0 + dice.wobble(0.06), hip.1 + legs + 0.1));
    if pose == Pose::Perching {
        perch(layer, dice, at, feet);
    } else if dice.chance(0.5) {
        stone(layer, dice, at, feet);
    }
    for (hip, foot) in hips.iter().zip(&feet) {
        let knee = (hip.0 - 0.05, (hip.1 + foot.1) * 0.5);
        layer.stroke(&lines(&[*hip, knee, *foot]), 0.05, &Ink::flat(bird.leg), at);
    }
    let body = at.turned(tilt);
    tail(bird, layer, body.turned(dice.wobble(0.03)));
    let base = (0.52, -0.5 * build.plump);
    let head = polar(base, build.neck + build.head * 0.7, neck - tilt);
    torso(bird, layer, dice, body);
    throat(bird, layer, body, head);
    folded_wing(bird, layer, body);
    head_of(bird, layer, body.moved(head.0, head.1).turned(gaze - tilt));
    for foot in feet {
        for toe in [-0.1, 0.06, 0.13] {
            layer.stroke(
                &lines(&[foot, (foot.0 + toe, foot.1 + 0.05)]),
                0.04,
                &Ink::flat(bird.leg),
                at,
            );
        }
    }
}

/// A branch under the feet, from beyond one border of the picture to somewhere on the other side.
fn perch(layer: &mut Canvas, dice: &mut Dice, at: Placement, feet: [Point; 2]) {
    let under = at
        .moved((feet[0].0 + feet[1].0) * 0.5, feet[0].1.max(feet[1].1) + 0.06)
        .origin();
    let slope = dice.wobble(0.45);
    let width = at.scale() * dice.between(0.12, 0.3);
    let reach = layer.width();
    let (left, right) = (dice.between(0.3, 1.0) * reach, dice.between(0.3, 1.0) * reach);
    let point = |x: f32, dice: &mut Dice| (under.0 + x, under.1 + x * slope + dice.wobble(0.05) * reach);
    let path = [
        point(-left, dice),
        point(-left * 0.4, dice),
        under,
        point(right * 0.4, dice),
        point(right, dice),
    ];
    scene::branch(layer, dice, &path, width);
}

/// A stone to stand on.
fn stone(layer: &mut Canvas, dice: &mut Dice, at: Placement, feet: [Point; 2]) {
    let (wide, high) = (dice.between(0.6, 1.8), dice.between(0.3, 1.2));
    let under = at.moved(
        (feet[0].0 + feet[1].0) * 0.5,
        feet[0].1.max(feet[1].1) + 0.92 * high,
    );
    let colour = scene::earth(dice).mixed(Colour::grey(0.5), dice.unit());
    let outline = around(9, |_| dice.between(0.9, 1.1));
    let ink = Ink::ramp(
        (0.0, -1.0),
        (0.0, 1.0),
        &[colour.lighter(0.25), colour.darker(0.4)],
    );
    layer.fill(&outline, &ink, under.stretched(wide, high));
}

/// Seen from the side in flight.
fn flying(bird: &Plumage, layer: &mut Canvas, dice: &mut Dice, at: Placement) {
    let body = at.turned(dice.between(-0.08, 0.04));
    let beat = if dice.chance(0.65) {
        dice.between(-0.38, -0.2)
    } else {
        dice.between(0.14, 0.3)
    };
    let root = body.moved(0.15, -0.2 * bird.build.plump);
    spread_wing(
        bird,
        layer,
        root.moved(0.12, -0.03).turned(beat + dice.between(0.02, 0.07)),
        (beat < 0.0, 0.3),
    );
    tail(bird, layer, body);
    torso(bird, layer, dice, body);
    let head = polar(
        (0.55, -0.35 * bird.build.plump),
        bird.build.neck + bird.build.head * 0.6,
        -0.06,
    );
    throat(bird, layer, body, head);
    head_of(bird, layer, body.moved(head.0, head.1));
    spread_wing(bird, layer, root.turned(beat), (beat < 0.0, 0.0));
}

/// Seen from above or below in flight.
fn soaring(bird: &Plumage, layer: &mut Canvas, dice: &mut Dice, at: Placement) {
    let at = at.turned(dice.wobble(0.3));
    let sweep = dice.between(-0.02, 0.07);
    let h = bird.build.plump * 0.75;
    let end = -0.7 - bird.build.tail * 0.7;
    let fan = polygon(&[
        (-0.5, -0.12),
        (end, -0.34),
        (end - 0.08, 0.0),
        (end, 0.34),
        (-0.5, 0.12),
    ]);
    layer.fill(
        &fan,
        &Ink::linear(
            (-0.5, 0.0),
            (end, 0.0),
            [(bird.back, 1.0), (bird.wing.darker(0.2), 1.0)],
        ),
        at,
    );
    for side in [true, false] {
        let turns = if side { -0.25 - sweep } else { 0.25 + sweep };
        spread_wing(bird, layer, at.moved(0.25, 0.0).turned(turns), (side, 0.0));
    }
    layer.fill(
        &ellipse((-0.05, 0.0), 0.75, h),
        &Ink::ramp((0.0, -h), (0.0, h), &[bird.back, bird.belly]),
        at,
    );
    let head = (0.68 + bird.build.neck * 0.6, 0.0);
    let neck = ribbon(&[(0.3, 0.0), head], h * 1.4, bird.build.head * 1.2);
    layer.fill(&neck, &Ink::flat(bird.back.mixed(bird.head, 0.5)), at);
    let r = bird.build.head * 0.85;
    let beak = polygon(&[
        (head.0 + r * 0.7, -0.08),
        (head.0 + r + bird.build.beak.0, 0.0),
        (head.0 + r * 0.7, 0.08),
    ]);
    layer.fill(&beak, &Ink::flat(bird.beak), at);
    layer.fill(&circle(head, r), &Ink::flat(bird.head), at);
}
