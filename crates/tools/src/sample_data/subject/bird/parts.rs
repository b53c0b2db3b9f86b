//! The parts of a bird that looks to the right, each in the units of the body: half of it is 0.8 long.

use super::plumage::Plumage;
use crate::sample_data::draw_rng::DrawRng;
use crate::sample_data::paint::outline::{blob, circle, curve, ellipse, lines, polygon, ribbon};
use crate::sample_data::paint::{Canvas, Colour, FillStyle, Placement, Point};

pub(super) fn torso(bird: &Plumage, layer: &mut Canvas, rng: &mut DrawRng, body: Placement) {
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
        &FillStyle::ramp(
            (0.0, -h),
            (0.0, h),
            &[bird.back.lighter(0.1), bird.back.darker(0.1)],
        ),
        body,
    );
    let belly = FillStyle::ramp((0.0, 0.0), (0.0, h), &[bird.belly, bird.belly.darker(0.25)]).inside();
    layer.fill(&ellipse((0.2, 0.52 * h), 0.8, 0.5 * h), &belly, body);
    if bird.speckled {
        for _ in 0..rng.count(14, 30) {
            let spot = (rng.between(-0.3, 0.75), rng.between(0.1, 0.95) * h);
            layer.fill(
                &ellipse(spot, 0.03, 0.02),
                &FillStyle::veil(bird.back.darker(0.5), 0.7).inside(),
                body,
            );
        }
    }
}

pub(super) fn throat(bird: &Plumage, layer: &mut Canvas, body: Placement, head: Point) {
    let build = &bird.build;
    let root = (0.42, -0.2 * build.plump);
    let middle = (
        (root.0 + head.0) * 0.5 + 0.12 * build.neck,
        (root.1 + head.1) * 0.5 + 0.1 * build.neck,
    );
    let neck = ribbon(&[root, middle, head], build.plump * 1.15, build.head * 1.35);
    layer.fill(
        &neck,
        &FillStyle::linear(
            root,
            head,
            [(bird.belly.mixed(bird.back, 0.5), 1.0), (bird.head, 1.0)],
        ),
        body,
    );
}

pub(super) fn head_of(bird: &Plumage, layer: &mut Canvas, at: Placement) {
    let r = bird.build.head;
    let (length, thickness) = bird.build.beak;
    if bird.crested {
        let crest = polygon(&[(0.3 * r, -0.8 * r), (-0.9 * r, -1.7 * r), (-0.8 * r, -0.3 * r)]);
        layer.fill(&crest, &FillStyle::flat(bird.cap.unwrap_or(bird.head)), at);
    }
    let (top, low) = (-thickness * 0.55, thickness * 0.45);
    let upper = blob(&[
        (r * 0.75, top),
        (r + length * 0.5, top * 0.7),
        (r + length, low * 0.6),
        (r * 0.8, 0.0),
    ]);
    let lower = polygon(&[(r * 0.75, 0.0), (r + length * 0.85, low * 0.4), (r * 0.75, low)]);
    layer.fill(&lower, &FillStyle::flat(bird.beak.darker(0.3)), at);
    layer.fill(&upper, &FillStyle::flat(bird.beak), at);
    let skull = ellipse((0.0, 0.0), r * 1.06, r);
    layer.fill(
        &skull,
        &FillStyle::ramp(
            (0.0, -r),
            (0.0, r),
            &[bird.head.lighter(0.1), bird.head.darker(0.15)],
        ),
        at,
    );
    if let Some(cap) = bird.cap {
        layer.fill(
            &ellipse((-0.1 * r, -0.62 * r), 0.8 * r, 0.36 * r),
            &FillStyle::flat(cap),
            at,
        );
    }
    if let Some(stripe) = bird.stripe {
        layer.stroke(
            &curve(&[(0.85 * r, -0.05 * r), (0.3 * r, -0.12 * r), (-0.8 * r, 0.1 * r)]),
            0.2 * r,
            &FillStyle::flat(stripe),
            at,
        );
    }
    let eye = (0.38 * r, -0.18 * r);
    layer.fill(
        &circle(eye, 0.2 * r),
        &FillStyle::veil(bird.head.lighter(0.6), 0.8),
        at,
    );
    layer.fill(&circle(eye, 0.15 * r), &FillStyle::flat(Colour::grey(0.05)), at);
    layer.fill(
        &circle((eye.0 + 0.05 * r, eye.1 - 0.06 * r), 0.05 * r),
        &FillStyle::flat(Colour::WHITE),
        at,
    );
}

/// The colours of a tail that ends at `end`.
pub(super) fn tail_style(bird: &Plumage, end: f32) -> FillStyle {
    let colours = [(bird.back, 1.0), (bird.wing.darker(0.2), 1.0)];
    FillStyle::linear((-0.5, 0.0), (end, 0.0), colours)
}

pub(super) fn tail(bird: &Plumage, layer: &mut Canvas, body: Placement) {
    let (h, length) = (bird.build.plump, bird.build.tail);
    let end = -0.8 - length;
    let fan = polygon(&[
        (-0.45, -0.35 * h),
        (end, -0.06),
        (end - 0.06, 0.1),
        (end + 0.05, 0.26),
        (-0.45, 0.35 * h),
    ]);
    layer.fill(&fan, &tail_style(bird, end), body);
    for y in [0.02, 0.1, 0.18] {
        layer.stroke(
            &lines(&[(-0.6, y * 0.3), (end + 0.05, y)]),
            0.02,
            &FillStyle::veil(bird.wing.darker(0.6), 0.6),
            body,
        );
    }
}

pub(super) fn folded_wing(bird: &Plumage, layer: &mut Canvas, body: Placement) {
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
    let style = FillStyle::linear(
        (0.4, 0.0),
        (-1.1, 0.0),
        [(bird.wing.lighter(0.12), 1.0), (bird.wing.darker(0.3), 1.0)],
    );
    layer.fill(&outline, &style, body);
    let dark = FillStyle::veil(bird.wing.darker(0.6), 0.6);
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
            &FillStyle::flat(bar),
            body,
        );
    }
}

/// Tips of the feathers of a wing of length 1, and the notches between them, from the wing's tip to the body.
const TRAILING_EDGE: [Point; 16] = [
    (1.00, 0.00),
    (0.84, 0.04),
    (0.97, 0.13),
    (0.79, 0.14),
    (0.89, 0.24),
    (0.71, 0.21),
    (0.77, 0.33),
    (0.60, 0.27),
    (0.60, 0.38),
    (0.47, 0.31),
    (0.43, 0.41),
    (0.33, 0.33),
    (0.27, 0.42),
    (0.18, 0.34),
    (0.10, 0.40),
    (-0.06, 0.25),
];

/// A spread wing along x; `mirrored` puts its trailing edge on the other side. `shadow` darkens it.
pub(super) fn spread_wing(
    bird: &Plumage,
    layer: &mut Canvas,
    at: Placement,
    (mirrored, shadow): (bool, f32),
) {
    let length = bird.build.wing;
    let at = at.stretched(length, if mirrored { -length } else { length });
    let colour = bird.wing.darker(shadow);
    let breadth = bird.build.breadth;
    let edge = TRAILING_EDGE.map(|(x, y)| (x, y * breadth));
    let mut points = vec![(0.0, -0.1), (0.3, -0.16), (0.62, -0.13), (0.88, -0.06)];
    points.extend(edge);
    let style = FillStyle::linear(
        (0.0, -0.1),
        (0.5, 0.4),
        [
            (bird.back.darker(shadow).lighter(0.1), 1.0),
            (colour.darker(0.15), 1.0),
        ],
    );
    layer.fill(&polygon(&points), &style, at);
    for (i, &tip) in edge.iter().step_by(2).enumerate() {
        let root = (0.62 - 0.07 * i as f32, -0.04);
        layer.stroke(
            &lines(&[root, tip]),
            0.012,
            &FillStyle::veil(colour.darker(0.6), 0.5),
            at,
        );
    }
    if let Some(bar) = bird.bars {
        layer.stroke(
            &curve(&[(0.05, 0.15), (0.35, 0.12), (0.7, 0.0)]),
            0.04,
            &FillStyle::veil(bar, 0.8),
            at,
        );
    }
}
