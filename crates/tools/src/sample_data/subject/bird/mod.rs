//! Birds: perching, standing, pecking, flying past and soaring.

mod parts;
mod plumage;

use super::{Painter, Style, turned};
use crate::sample_data::draw_rng::DrawRng;
use crate::sample_data::paint::outline::{around, circle, ellipse, lines, polygon, ribbon};
use crate::sample_data::paint::{Canvas, Colour, FillStyle, Placement, Point, polar};
use crate::sample_data::scene;
use parts::{folded_wing, head_of, spread_wing, tail, tail_style, throat, torso};
use plumage::Plumage;

#[derive(Clone, Copy, PartialEq)]
enum Pose {
    Perching,
    Standing,
    Pecking,
    Flying,
    Soaring,
}

pub(super) fn species(rng: &mut DrawRng, style: Style) -> Painter {
    let plumage = Plumage::new(rng, style);
    let poses = [
        Pose::Perching,
        Pose::Perching,
        Pose::Perching,
        Pose::Standing,
        Pose::Pecking,
        Pose::Flying,
        Pose::Soaring,
    ];
    let pose = rng.pick(&poses);
    let facing = rng.sign();
    Box::new(move |layer, rng, at| {
        let facing = if rng.bernoulli(0.8) { facing } else { -facing };
        let at = at.stretched(0.8 * facing, 0.8);
        match pose {
            Pose::Soaring => soaring(&plumage, layer, rng, at),
            Pose::Flying => flying(&plumage, layer, rng, at),
            _ => sitting(&plumage, layer, rng, (pose, at)),
        }
    })
}

/// A bird on its legs: on a branch, or on the ground.
fn sitting(bird: &Plumage, layer: &mut Canvas, rng: &mut DrawRng, (pose, at): (Pose, Placement)) {
    let build = &bird.build;
    let (tilt, neck, gaze) = match pose {
        Pose::Pecking => (
            rng.between(0.06, 0.13),
            rng.between(0.06, 0.14),
            rng.between(0.06, 0.16),
        ),
        Pose::Standing => (
            rng.between(-0.06, 0.0),
            rng.between(-0.2, -0.12),
            rng.wobble(0.04),
        ),
        _ => (
            rng.between(-0.14, -0.03),
            rng.between(-0.22, -0.12),
            rng.wobble(0.07),
        ),
    };
    let legs = build.leg * if pose == Pose::Perching { 0.6 } else { 1.0 };
    let hips = [0.05, -0.12].map(|x| turned((x, build.plump * 0.85), tilt));
    let feet = hips.map(|hip| (hip.0 + rng.wobble(0.06), hip.1 + legs + 0.1));
    if pose == Pose::Perching {
        perch(layer, rng, at, feet);
    } else if rng.bernoulli(0.5) {
        stone(layer, rng, at, feet);
    }
    for (hip, foot) in hips.iter().zip(&feet) {
        let knee = (hip.0 - 0.05, (hip.1 + foot.1) * 0.5);
        layer.stroke(&lines(&[*hip, knee, *foot]), 0.05, &FillStyle::flat(bird.leg), at);
    }
    let body = at.turned(tilt);
    tail(bird, layer, body.turned(rng.wobble(0.03)));
    let base = (0.52, -0.5 * build.plump);
    let head = polar(base, build.neck + build.head * 0.7, neck - tilt);
    torso(bird, layer, rng, body);
    throat(bird, layer, body, head);
    folded_wing(bird, layer, body);
    head_of(bird, layer, body.moved(head.0, head.1).turned(gaze - tilt));
    for foot in feet {
        for toe in [-0.1, 0.06, 0.13] {
            layer.stroke(
                &lines(&[foot, (foot.0 + toe, foot.1 + 0.05)]),
                0.04,
                &FillStyle::flat(bird.leg),
                at,
            );
        }
    }
}

/// A branch under the feet, from beyond one border of the picture to somewhere on the other side.
fn perch(layer: &mut Canvas, rng: &mut DrawRng, at: Placement, feet: [Point; 2]) {
    let under = at
        .moved((feet[0].0 + feet[1].0) * 0.5, feet[0].1.max(feet[1].1) + 0.06)
        .origin();
    let slope = rng.wobble(0.45);
    let width = at.scale() * rng.between(0.12, 0.3);
    let reach = layer.width();
    let (left, right) = (rng.between(0.3, 1.0) * reach, rng.between(0.3, 1.0) * reach);
    let point = |x: f32, rng: &mut DrawRng| (under.0 + x, under.1 + x * slope + rng.wobble(0.05) * reach);
    let path = [
        point(-left, rng),
        point(-left * 0.4, rng),
        under,
        point(right * 0.4, rng),
        point(right, rng),
    ];
    scene::branch(layer, rng, &path, width);
}

/// A stone to stand on.
fn stone(layer: &mut Canvas, rng: &mut DrawRng, at: Placement, feet: [Point; 2]) {
    let (wide, high) = (rng.between(0.6, 1.8), rng.between(0.3, 1.2));
    let under = at.moved(
        (feet[0].0 + feet[1].0) * 0.5,
        feet[0].1.max(feet[1].1) + 0.92 * high,
    );
    let colour = scene::earth(rng).mixed(Colour::grey(0.5), rng.unit());
    let outline = around(9, |_| rng.between(0.9, 1.1));
    let style = FillStyle::ramp(
        (0.0, -1.0),
        (0.0, 1.0),
        &[colour.lighter(0.25), colour.darker(0.4)],
    );
    layer.fill(&outline, &style, under.stretched(wide, high));
}

/// Seen from the side in flight.
fn flying(bird: &Plumage, layer: &mut Canvas, rng: &mut DrawRng, at: Placement) {
    let body = at.turned(rng.between(-0.08, 0.04));
    let beat = if rng.bernoulli(0.65) {
        rng.between(-0.38, -0.2)
    } else {
        rng.between(0.14, 0.3)
    };
    let root = body.moved(0.15, -0.2 * bird.build.plump);
    spread_wing(
        bird,
        layer,
        root.moved(0.12, -0.03).turned(beat + rng.between(0.02, 0.07)),
        (beat < 0.0, 0.3),
    );
    tail(bird, layer, body);
    torso(bird, layer, rng, body);
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
fn soaring(bird: &Plumage, layer: &mut Canvas, rng: &mut DrawRng, at: Placement) {
    let at = at.turned(rng.wobble(0.3));
    let sweep = rng.between(-0.02, 0.07);
    let h = bird.build.plump * 0.75;
    let end = -0.7 - bird.build.tail * 0.7;
    let fan = polygon(&[
        (-0.5, -0.12),
        (end, -0.34),
        (end - 0.08, 0.0),
        (end, 0.34),
        (-0.5, 0.12),
    ]);
    layer.fill(&fan, &tail_style(bird, end), at);
    for side in [true, false] {
        let turns = if side { -0.25 - sweep } else { 0.25 + sweep };
        spread_wing(bird, layer, at.moved(0.25, 0.0).turned(turns), (side, 0.0));
    }
    layer.fill(
        &ellipse((-0.05, 0.0), 0.75, h),
        &FillStyle::ramp((0.0, -h), (0.0, h), &[bird.back, bird.belly]),
        at,
    );
    let head = (0.68 + bird.build.neck * 0.6, 0.0);
    let neck = ribbon(&[(0.3, 0.0), head], h * 1.4, bird.build.head * 1.2);
    layer.fill(&neck, &FillStyle::flat(bird.back.mixed(bird.head, 0.5)), at);
    let r = bird.build.head * 0.85;
    let beak = polygon(&[
        (head.0 + r * 0.7, -0.08),
        (head.0 + r + bird.build.beak.0, 0.0),
        (head.0 + r * 0.7, 0.08),
    ]);
    layer.fill(&beak, &FillStyle::flat(bird.beak), at);
    layer.fill(&circle(head, r), &FillStyle::flat(bird.head), at);
}
