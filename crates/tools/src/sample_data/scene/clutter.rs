//! Clutter behind and in front of the subject: branches, grass, leaves, blossoms and stones.

use super::{blossom, earth, green};
use crate::sample_data::draw_rng::DrawRng;
use crate::sample_data::paint::outline::{circle, curve, leaf, ribbon};
use crate::sample_data::paint::{Canvas, Colour, FillStyle, Placement, Point, between, polar};

/// Draws one kind of clutter.
type Sort = fn(&mut Canvas, &mut DrawRng);

/// Adds clutter behind the subject: each kind in its own layer, with its own blur.
pub(in crate::sample_data) fn behind(canvas: &mut Canvas, rng: &mut DrawRng) {
    const SORTS: [(f32, Sort); 4] = [(0.35, twigs), (0.35, grass), (0.35, sprigs), (0.4, blossoms)];
    for (probability, sort) in SORTS {
        if rng.bernoulli(probability) {
            let mut layer = canvas.layer();
            sort(&mut layer, rng);
            layer.blur(rng.count(0, 6));
            canvas.lay(&layer);
        }
    }
}

/// Adds foreground clutter: a little at the borders, mostly blurred.
pub(in crate::sample_data) fn before(canvas: &mut Canvas, rng: &mut DrawRng) {
    if !rng.bernoulli(0.4) {
        return;
    }
    let mut layer = canvas.layer();
    for _ in 0..rng.count(1, 5) {
        let start = border(canvas, rng);
        let centre = (canvas.width() * 0.5, canvas.height() * 0.5);
        let inward = between(start, centre, rng.between(0.25, 0.6));
        let length = distance(start, inward);
        match rng.count(0, 2) {
            0 => {
                let bend = (rng.wobble(0.3) * length, rng.wobble(0.3) * length);
                let middle = between(start, inward, 0.5);
                let path = [start, (middle.0 + bend.0, middle.1 + bend.1), inward];
                let blade = ribbon(&path, canvas.short() * rng.between(0.01, 0.05), 1.0);
                layer.fill(&blade, &FillStyle::flat(green(rng)), Placement::at(0.0, 0.0, 1.0));
            }
            1 => {
                let at = Placement::at(inward.0, inward.1, length).turned(rng.unit());
                layer.fill(
                    &leaf(rng.between(0.3, 0.7), 0.4),
                    &FillStyle::flat(green(rng)),
                    at,
                );
            }
            _ => {
                let disc = circle(start, length * rng.between(0.3, 0.8));
                layer.fill(
                    &disc,
                    &FillStyle::veil(blossom(rng), 0.7),
                    Placement::at(0.0, 0.0, 1.0),
                );
            }
        }
    }
    layer.blur(rng.count(2, 12));
    canvas.lay(&layer);
}

/// A branch along `path`, in pixels, with bark, and twigs with leaves or blossoms.
pub(in crate::sample_data) fn branch(canvas: &mut Canvas, rng: &mut DrawRng, path: &[Point], width: f32) {
    let page = Placement::at(0.0, 0.0, 1.0);
    let bark = earth(rng).darker(rng.between(0.1, 0.5));
    canvas.fill(
        &ribbon(path, width, width * rng.between(0.4, 0.9)),
        &FillStyle::flat(bark),
        page,
    );
    let lit: Vec<Point> = path.iter().map(|&(x, y)| (x, y - width * 0.2)).collect();
    canvas.stroke(
        &curve(&lit),
        width * 0.25,
        &FillStyle::veil(bark.lighter(0.5), 0.5),
        page,
    );
    let carries = rng.count(0, 2);
    let (petal, foliage) = (blossom(rng), green(rng));
    for _ in 0..rng.count(0, 9) {
        let i = rng.count(0, path.len() - 2);
        let from = between(path[i], path[i + 1], rng.unit());
        let tip = polar(from, width * rng.between(1.5, 6.0), rng.unit());
        canvas.stroke(
            &curve(&[from, tip]),
            width * 0.22,
            &FillStyle::flat(bark.darker(0.2)),
            page,
        );
        let size = width * rng.between(1.2, 3.5);
        for _ in 0..rng.count(1, 3) {
            let at = Placement::at(tip.0, tip.1, size).turned(rng.unit());
            match carries {
                0 => {}
                1 => small_leaf(canvas, rng, at, foliage),
                _ => small_blossom(canvas, rng, at.stretched(0.5, 0.5), petal),
            }
        }
    }
}

fn twigs(layer: &mut Canvas, rng: &mut DrawRng) {
    for _ in 0..rng.count(1, 3) {
        let (start, end) = (border(layer, rng), border(layer, rng));
        let bend = layer.short() * 0.2;
        let path: Vec<Point> = (0..=4)
            .map(|i| {
                let (x, y) = between(start, end, i as f32 / 4.0);
                (x + rng.wobble(bend), y + rng.wobble(bend))
            })
            .collect();
        let width = layer.short() * rng.between(0.008, 0.06);
        branch(layer, rng, &path, width);
    }
}

fn grass(layer: &mut Canvas, rng: &mut DrawRng) {
    let base = green(rng);
    let tall = layer.height() * rng.between(0.15, 0.6);
    for _ in 0..rng.count(20, 90) {
        let x = rng.between(-0.05, 1.05) * layer.width();
        let tip = (rng.wobble(0.5), -rng.between(0.4, 1.0));
        let blade = ribbon(
            &[(0.0, 0.1), (tip.0 * 0.25, tip.1 * 0.55), tip],
            rng.between(0.02, 0.06),
            0.004,
        );
        let colour = base.mixed(green(rng), 0.4);
        let at = Placement::at(x, layer.height(), tall);
        layer.fill(
            &blade,
            &FillStyle::ramp((0.0, 0.0), tip, &[colour.darker(0.5), colour.lighter(0.2)]),
            at,
        );
    }
}

fn sprigs(layer: &mut Canvas, rng: &mut DrawRng) {
    let colour = green(rng);
    for _ in 0..rng.count(2, 7) {
        let (x, y) = border(layer, rng);
        let (x, y) = between(
            (x, y),
            (layer.width() * 0.5, layer.height() * 0.5),
            rng.between(0.0, 0.5),
        );
        let size = layer.short() * rng.between(0.1, 0.35);
        for _ in 0..rng.count(2, 6) {
            let at = Placement::at(x, y, size).turned(rng.unit());
            small_leaf(layer, rng, at, colour);
        }
    }
}

fn blossoms(layer: &mut Canvas, rng: &mut DrawRng) {
    let colour = blossom(rng);
    let size = layer.short() * rng.between(0.02, 0.09);
    for _ in 0..rng.count(4, 26) {
        let (x, y) = (rng.unit() * layer.width(), rng.unit() * layer.height());
        let at = Placement::at(x, y, size * rng.between(0.5, 1.4)).turned(rng.unit());
        small_blossom(layer, rng, at, colour);
    }
}

fn small_leaf(canvas: &mut Canvas, rng: &mut DrawRng, at: Placement, colour: Colour) {
    let colour = colour.mixed(green(rng), 0.25);
    let style = FillStyle::ramp(
        (0.0, -0.3),
        (0.0, 0.3),
        &[colour.lighter(0.15), colour.darker(0.25)],
    );
    canvas.fill(&leaf(rng.between(0.3, 0.7), 0.4), &style, at);
    canvas.stroke(
        &curve(&[(0.0, 0.0), (0.9, 0.0)]),
        0.03,
        &FillStyle::veil(colour.darker(0.4), 0.6),
        at,
    );
}

/// A blossom: a few round spots of colour, too small and plain to be mistaken for a flower subject.
fn small_blossom(canvas: &mut Canvas, rng: &mut DrawRng, at: Placement, colour: Colour) {
    for _ in 0..rng.count(2, 4) {
        let spot = circle((rng.wobble(0.7), rng.wobble(0.7)), rng.between(0.4, 0.8));
        canvas.fill(&spot, &FillStyle::veil(colour.mixed(blossom(rng), 0.1), 0.9), at);
    }
}

/// A point on the border.
fn border(canvas: &Canvas, rng: &mut DrawRng) -> Point {
    let (width, height, along) = (canvas.width(), canvas.height(), rng.unit());
    match rng.count(0, 3) {
        0 => (along * width, 0.0),
        1 => (along * width, height),
        2 => (0.0, along * height),
        _ => (width, along * height),
    }
}

fn distance(a: Point, b: Point) -> f32 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    (dx * dx + dy * dy).sqrt()
}
