//! Birds: perching, standing, pecking, flying past and soaring.

use super::super::dice::Dice;
use super::super::paint::outline::{around, blob, circle, curve, ellipse, lines, polygon, ribbon};
use super::super::paint::{Canvas, Colour, Ink, Placement, Point, polar};
use super::super::scene;
use super::plumage::Plumage;
use super::{Painter, Style, turned};

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
    if pose == Pose::Perching {
        perch(layer, dice, at, feet);
    } else if dice.chance(0.5) {
        stone(layer, dice, at, feet);
    }
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
    let (wide, high) = (dice.between(0.5, 1.3), dice.between(0.15, 0.5));
    let under = at.moved(
        (feet[0].0 + feet[1].0) * 0.5,
        feet[0].1.max(feet[1].1) + 0.9 * high,
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

fn torso(bird: &Plumage, layer: &mut Canvas, dice: &mut Dice, body: Placement) {
    let h = bird.build.plump;
    let outline = blob(&[
        (0.80, -0.05 * h),
        (0.58, 0.75 * h),
        (0.05, 1.0 * h),
        (-0.5, 0.65 * h),
        (-0.92, 0.05 * h),
        (-0.75, -0.35 * h),
        (-0.25, -0.8 * h),
        (0.25, -0.95 * h),
        (0.62, -0.65 * h),
    ]);
    layer.fill(
        &outline,
        &Ink::ramp(
            (0.0, -h),
            (0.0, h),
            &[bird.back.lighter(0.1), bird.back.darker(0.1)],
        ),
        body,
    );
    let belly = Ink::ramp((0.0, 0.0), (0.0, h), &[bird.belly, bird.belly.darker(0.25)]).inside();
    layer.fill(&ellipse((0.22, 0.62 * h), 0.85, 0.62 * h), &belly, body);
    if bird.speckled {
        for _ in 0..dice.count(14, 30) {
            let spot = (dice.between(-0.3, 0.75), dice.between(0.1, 0.95) * h);
            layer.fill(
                &ellipse(spot, 0.03, 0.02),
                &Ink::veil(bird.back.darker(0.5), 0.7).inside(),
                body,
            );
        }
    }
}

fn throat(bird: &Plumage, layer: &mut Canvas, body: Placement, head: Point) {
    let build = &bird.build;
    let root = (0.42, -0.2 * build.plump);
    let middle = (
        (root.0 + head.0) * 0.5 + 0.12 * build.neck,
        (root.1 + head.1) * 0.5 + 0.1 * build.neck,
    );
    let neck = ribbon(&[root, middle, head], build.plump * 1.15, build.head * 1.35);
    layer.fill(
        &neck,
        &Ink::linear(
            root,
            head,
            [(bird.belly.mixed(bird.back, 0.5), 1.0), (bird.head, 1.0)],
        ),
        body,
    );
}

fn head_of(bird: &Plumage, layer: &mut Canvas, at: Placement) {
    let r = bird.build.head;
    let (length, thickness) = bird.build.beak;
    if bird.crested {
        let crest = polygon(&[(0.3 * r, -0.8 * r), (-0.9 * r, -1.7 * r), (-0.8 * r, -0.3 * r)]);
        layer.fill(&crest, &Ink::flat(bird.cap.unwrap_or(bird.head)), at);
    }
    let (top, low) = (-thickness * 0.55, thickness * 0.45);
    let upper = blob(&[
        (r * 0.75, top),
        (r + length * 0.5, top * 0.7),
        (r + length, low * 0.6),
        (r * 0.8, 0.0),
    ]);
    let lower = polygon(&[(r * 0.75, 0.0), (r + length * 0.85, low * 0.4), (r * 0.75, low)]);
    layer.fill(&lower, &Ink::flat(bird.beak.darker(0.3)), at);
    layer.fill(&upper, &Ink::flat(bird.beak), at);
    let skull = ellipse((0.0, 0.0), r * 1.06, r);
    layer.fill(
        &skull,
        &Ink::ramp(
            (0.0, -r),
            (0.0, r),
            &[bird.head.lighter(0.1), bird.head.darker(0.15)],
        ),
        at,
    );
    if let Some(cap) = bird.cap {
        layer.fill(
            &ellipse((-0.1 * r, -0.62 * r), 0.8 * r, 0.36 * r),
            &Ink::flat(cap),
            at,
        );
    }
    if let Some(stripe) = bird.stripe {
        layer.stroke(
            &curve(&[(0.85 * r, -0.05 * r), (0.3 * r, -0.12 * r), (-0.8 * r, 0.1 * r)]),
            0.2 * r,
            &Ink::flat(stripe),
            at,
        );
    }
    let eye = (0.38 * r, -0.18 * r);
    layer.fill(&circle(eye, 0.2 * r), &Ink::veil(bird.head.lighter(0.6), 0.8), at);
    layer.fill(&circle(eye, 0.15 * r), &Ink::flat(Colour::grey(0.05)), at);
    layer.fill(
        &circle((eye.0 + 0.05 * r, eye.1 - 0.06 * r), 0.05 * r),
        &Ink::flat(Colour::WHITE),
        at,
    );
}

fn tail(bird: &Plumage, layer: &mut Canvas, body: Placement) {
    let (h, length) = (bird.build.plump, bird.build.tail);
    let end = -0.8 - length;
    let fan = polygon(&[
        (-0.45, -0.35 * h),
        (end, -0.06),
        (end - 0.06, 0.1),
        (end + 0.05, 0.26),
        (-0.45, 0.35 * h),
    ]);
    layer.fill(
        &fan,
        &Ink::linear(
            (-0.5, 0.0),
            (end, 0.0),
            [(bird.back, 1.0), (bird.wing.darker(0.2), 1.0)],
        ),
        body,
    );
    for y in [0.02, 0.1, 0.18] {
        layer.stroke(
            &lines(&[(-0.6, y * 0.3), (end + 0.05, y)]),
            0.02,
            &Ink::veil(bird.wing.darker(0.6), 0.6),
            body,
        );
    }
}

fn folded_wing(bird: &Plumage, layer: &mut Canvas, body: Placement) {
    let h = bird.build.plump;
    let outline = blob(&[
        (0.40, -0.35 * h),
        (0.36, 0.2 * h),
        (0.0, 0.5 * h),
        (-0.55, 0.4 * h),
        (-1.15, 0.12 * h),
        (-0.7, -0.35 * h),
        (-0.1, -0.7 * h),
    ]);
    let ink = Ink::linear(
        (0.4, 0.0),
        (-1.1, 0.0),
        [(bird.wing.lighter(0.12), 1.0), (bird.wing.darker(0.3), 1.0)],
    );
    layer.fill(&outline, &ink, body);
    let dark = Ink::veil(bird.wing.darker(0.6), 0.6);
    for i in 0..4 {
        let y = (-0.25 + 0.2 * i as f32) * h;
        layer.stroke(
            &curve(&[(0.1 - 0.12 * i as f32, y), (-0.5, y + 0.1 * h), (-1.05, 0.1 * h)]),
            0.022,
            &dark,
            body,
        );
    }
    if let Some(bar) = bird.bars {
        layer.stroke(
            &curve(&[(0.05, -0.45 * h), (-0.1, 0.0), (-0.12, 0.4 * h)]),
            0.06,
            &Ink::flat(bar),
            body,
        );
    }
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

/// A spread wing along x; `mirrored` puts its trailing edge on the other side. `shadow` darkens it.
fn spread_wing(bird: &Plumage, layer: &mut Canvas, at: Placement, (mirrored, shadow): (bool, f32)) {
    let length = bird.build.wing;
    let at = at.stretched(length, if mirrored { -length } else { length });
    let colour = bird.wing.darker(shadow);
    let feathers: Vec<Point> = (0..5)
        .flat_map(|i| {
            let turns = 0.02 + 0.045 * i as f32;
            [
                polar((0.25, 0.0), 0.78 - 0.06 * i as f32, turns),
                polar((0.25, 0.0), 0.6 - 0.05 * i as f32, turns + 0.022),
            ]
        })
        .collect();
    let mut points = vec![(0.0, -0.12), (0.4, -0.2), (0.75, -0.13)];
    points.extend(feathers);
    points.extend([(0.05, 0.42), (-0.06, 0.2)]);
    let ink = Ink::linear(
        (0.0, -0.1),
        (0.5, 0.4),
        [
            (bird.back.darker(shadow).lighter(0.1), 1.0),
            (colour.darker(0.15), 1.0),
        ],
    );
    layer.fill(&polygon(&points), &ink, at);
    for i in 0..6 {
        let rib = lines(&[
            (0.12 + 0.08 * i as f32, 0.0),
            polar((0.25, 0.0), 0.6 - 0.04 * i as f32, 0.02 + 0.04 * i as f32),
        ]);
        layer.stroke(&rib, 0.012, &Ink::veil(colour.darker(0.6), 0.5), at);
    }
    if let Some(bar) = bird.bars {
        layer.stroke(
            &curve(&[(0.05, 0.15), (0.35, 0.12), (0.7, 0.0)]),
            0.04,
            &Ink::veil(bar, 0.8),
            at,
        );
    }
}
