//! Backdrops: sky, meadow, foliage, earth, water, wall, bokeh, or a plain studio.

use super::{blossom, blue, earth, green};
use crate::sample_data::draw_rng::DrawRng;
use crate::sample_data::paint::outline::{around, blob, circle, curve, ellipse, leaf, polygon, ribbon};
use crate::sample_data::paint::{Canvas, Colour, FillStyle, Placement, Point};

/// Preferred backdrop of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sample_data) enum Habitat {
    /// Anywhere.
    Land,
    /// Mostly on or in water.
    Water,
}

/// Paints the backdrop, with a random blur.
pub(in crate::sample_data) fn backdrop(canvas: &mut Canvas, rng: &mut DrawRng, habitat: Habitat) {
    const LAND: [fn(&mut Canvas, &mut DrawRng); 12] = [
        sky, sky, meadow, meadow, foliage, foliage, foliage, lights, lights, ground, wall, studio,
    ];
    let paint = match habitat {
        Habitat::Water if rng.bernoulli(0.75) => water,
        _ if rng.bernoulli(0.07) => water,
        _ => rng.pick(&LAND),
    };
    paint(canvas, rng);
    let soft = if rng.bernoulli(0.3) {
        rng.between(0.0, 2.0)
    } else {
        rng.between(2.0, 12.0)
    };
    canvas.blur(soft as usize);
}

fn anywhere(canvas: &Canvas, rng: &mut DrawRng) -> Point {
    (
        rng.between(-0.05, 1.05) * canvas.width(),
        rng.between(-0.05, 1.05) * canvas.height(),
    )
}

fn upright(canvas: &mut Canvas, colours: &[Colour]) {
    let bottom = canvas.height();
    canvas.flood(&FillStyle::ramp((0.0, 0.0), (0.0, bottom), colours));
}

fn sky(canvas: &mut Canvas, rng: &mut DrawRng) {
    let high = blue(rng);
    let low = match rng.count(0, 3) {
        0 => Colour::hsv(
            rng.between(0.02, 0.12),
            rng.between(0.2, 0.6),
            rng.between(0.8, 1.0),
        ),
        1 => Colour::grey(rng.between(0.6, 0.9)),
        _ => high.lighter(rng.between(0.3, 0.8)),
    };
    let high = if rng.bernoulli(0.25) {
        high.mixed(Colour::grey(0.7), 0.8)
    } else {
        high
    };
    upright(canvas, &[high, low]);
    let (soft, clouds) = (rng.count(6, 14), rng.count(0, 5));
    let mut layer = canvas.layer();
    for _ in 0..clouds {
        let (x, y) = anywhere(canvas, rng);
        let size = canvas.short() * rng.between(0.08, 0.25);
        let shade = Colour::grey(rng.between(0.8, 1.0));
        for _ in 0..rng.count(3, 8) {
            let puff = (x + rng.wobble(2.2) * size, y + rng.wobble(0.5) * size);
            let outline = ellipse(puff, size * rng.between(0.4, 1.0), size * rng.between(0.2, 0.5));
            layer.fill(
                &outline,
                &FillStyle::veil(shade, rng.between(0.3, 0.7)),
                Placement::at(0.0, 0.0, 1.0),
            );
        }
    }
    layer.blur(soft);
    canvas.lay(&layer);
    if rng.bernoulli(0.3) {
        hills(canvas, rng);
    }
}

fn hills(canvas: &mut Canvas, rng: &mut DrawRng) {
    let (width, height) = (canvas.width(), canvas.height());
    let horizon = rng.between(0.55, 0.95) * height;
    let mut points: Vec<Point> = (0..=6)
        .map(|i| {
            (
                width * (i as f32 / 4.0 - 0.25),
                horizon + rng.wobble(0.08) * height,
            )
        })
        .collect();
    points.extend([(width * 1.3, height * 1.4), (-width * 0.3, height * 1.4)]);
    let colour = green(rng).mixed(blue(rng), rng.between(0.0, 0.5));
    let style = FillStyle::ramp((0.0, horizon), (0.0, height), &[colour, colour.darker(0.4)]);
    canvas.fill(&blob(&points), &style, Placement::at(0.0, 0.0, 1.0));
}

fn meadow(canvas: &mut Canvas, rng: &mut DrawRng) {
    let (far, near) = (green(rng), green(rng));
    upright(canvas, &[far.lighter(rng.between(0.1, 0.5)), far, near]);
    if rng.bernoulli(0.4) {
        let height = canvas.height() * rng.between(0.15, 0.45);
        let band = polygon(&[
            (0.0, 0.0),
            (canvas.width(), 0.0),
            (canvas.width(), height),
            (0.0, height),
        ]);
        let top = blue(rng);
        let style = FillStyle::ramp((0.0, 0.0), (0.0, height), &[top, top.lighter(0.5)]);
        canvas.fill(&band, &style, Placement::at(0.0, 0.0, 1.0));
    }
    let petals = blossom(rng);
    for _ in 0..rng.count(60, 160) {
        let (x, y) = anywhere(canvas, rng);
        let size = canvas.short() * (0.03 + 0.12 * y / canvas.height());
        let tip = (rng.wobble(0.5), -rng.between(0.6, 1.6));
        let blade = ribbon(&[(0.0, 0.0), (tip.0 * 0.3, tip.1 * 0.6), tip], 0.09, 0.01);
        let colour = near.mixed(green(rng), 0.5);
        canvas.fill(&blade, &FillStyle::flat(colour), Placement::at(x, y + size, size));
        if rng.bernoulli(0.12) {
            let style = FillStyle::flat(petals.mixed(blossom(rng), 0.2));
            canvas.fill(
                &circle(tip, rng.between(0.05, 0.2)),
                &style,
                Placement::at(x, y + size, size),
            );
        }
    }
}

fn foliage(canvas: &mut Canvas, rng: &mut DrawRng) {
    let base = green(rng);
    upright(
        canvas,
        &[
            base.darker(rng.between(0.2, 0.6)),
            base.darker(rng.between(0.4, 0.8)),
        ],
    );
    let width = rng.between(0.25, 0.8);
    let length = canvas.short() * rng.between(0.1, 0.3);
    for i in 0..rng.count(60, 180) {
        let (x, y) = anywhere(canvas, rng);
        let depth = (i as f32 / 180.0).min(1.0);
        let colour = base
            .mixed(green(rng), 0.4)
            .darker(0.6 * (1.0 - depth))
            .lighter(rng.between(0.0, 0.25));
        let at = Placement::at(x, y, length * rng.between(0.5, 1.3)).turned(rng.unit());
        let style = FillStyle::ramp(
            (0.0, -0.3),
            (0.0, 0.3),
            &[colour.lighter(0.12), colour.darker(0.25)],
        );
        canvas.fill(&leaf(width, 0.4), &style, at);
        let rib = curve(&[(0.0, 0.0), (0.95, 0.0)]);
        canvas.stroke(&rib, 0.025, &FillStyle::veil(colour.lighter(0.4), 0.5), at);
    }
    if rng.bernoulli(0.5) {
        lights_of(canvas, rng, 14);
    }
}

fn lights(canvas: &mut Canvas, rng: &mut DrawRng) {
    let first = [green, earth, blue, blossom, green][rng.count(0, 4)](rng).darker(rng.between(0.1, 0.7));
    let second = [green, earth, blue, green][rng.count(0, 3)](rng).darker(rng.between(0.0, 0.6));
    upright(canvas, &[first, second]);
    lights_of(canvas, rng, 45);
}

/// Bokeh: at most `most` discs of light.
fn lights_of(canvas: &mut Canvas, rng: &mut DrawRng, most: usize) {
    let size = canvas.short() * rng.between(0.02, 0.12);
    for _ in 0..rng.count(most / 4, most) {
        let (x, y) = anywhere(canvas, rng);
        let colour = [green, blossom, earth, blue][rng.count(0, 3)](rng).lighter(rng.between(0.0, 0.5));
        let at = Placement::at(x, y, size * rng.between(0.4, 1.6));
        let style = FillStyle::radial(
            (0.0, 0.0),
            1.0,
            [(colour, rng.between(0.1, 0.5)), (colour, rng.between(0.3, 0.8))],
        );
        canvas.fill(&circle((0.0, 0.0), 1.0), &style, at);
    }
}

fn ground(canvas: &mut Canvas, rng: &mut DrawRng) {
    let base = earth(rng);
    upright(
        canvas,
        &[
            base.lighter(rng.between(0.0, 0.3)),
            base.darker(rng.between(0.0, 0.4)),
        ],
    );
    let (size, stones) = (canvas.short() * rng.between(0.02, 0.09), rng.count(40, 170));
    for _ in 0..stones {
        let (x, y) = anywhere(canvas, rng);
        let colour = base
            .mixed(earth(rng), 0.6)
            .mixed(Colour::grey(0.5), rng.between(0.0, 0.6));
        let at = Placement::at(x, y, size * rng.between(0.3, 1.6)).stretched(1.0, rng.between(0.5, 0.9));
        let stone = around(7, |_| rng.between(0.7, 1.1));
        canvas.fill(&stone, &FillStyle::veil(Colour::BLACK, 0.4), at.moved(0.12, 0.25));
        canvas.fill(
            &stone,
            &FillStyle::ramp(
                (0.0, -1.0),
                (0.0, 1.0),
                &[colour.lighter(0.3), colour.darker(0.3)],
            ),
            at,
        );
    }
}

fn water(canvas: &mut Canvas, rng: &mut DrawRng) {
    let base = blue(rng)
        .mixed(green(rng), rng.between(0.0, 0.5))
        .darker(rng.between(0.1, 0.5));
    upright(
        canvas,
        &[base.lighter(rng.between(0.1, 0.5)), base, base.darker(0.35)],
    );
    for _ in 0..rng.count(40, 140) {
        let (x, y) = anywhere(canvas, rng);
        let size = canvas.short() * (0.05 + 0.25 * y / canvas.height()) * rng.between(0.4, 1.2);
        let colour = if rng.bernoulli(0.5) {
            base.lighter(0.5)
        } else {
            base.darker(0.4)
        };
        let ripple = curve(&[
            (-1.0, 0.0),
            (-0.3, rng.wobble(0.12)),
            (0.4, rng.wobble(0.12)),
            (1.0, 0.0),
        ]);
        canvas.stroke(
            &ripple,
            rng.between(0.03, 0.1),
            &FillStyle::veil(colour, rng.between(0.1, 0.45)),
            Placement::at(x, y, size),
        );
    }
}

fn wall(canvas: &mut Canvas, rng: &mut DrawRng) {
    let base = earth(rng).mixed(Colour::grey(0.7), rng.between(0.0, 0.7));
    upright(canvas, &[base.lighter(0.15), base.darker(0.2)]);
    let (width, height) = (canvas.width(), canvas.height());
    let turn = if rng.bernoulli(0.5) { 0.25 } else { 0.0 };
    for _ in 0..rng.count(20, 90) {
        let (x, y) = anywhere(canvas, rng);
        let colour = base.mixed(earth(rng), 0.5).darker(rng.between(0.0, 0.4));
        let streak = curve(&[
            (-1.0, rng.wobble(0.05)),
            (0.0, rng.wobble(0.08)),
            (1.0, rng.wobble(0.05)),
        ]);
        let at = Placement::at(x, y, width.max(height) * rng.between(0.1, 0.7)).turned(turn);
        canvas.stroke(
            &streak,
            rng.between(0.004, 0.04),
            &FillStyle::veil(colour, rng.between(0.2, 0.7)),
            at,
        );
    }
}

fn studio(canvas: &mut Canvas, rng: &mut DrawRng) {
    let base = match rng.count(0, 3) {
        0 => Colour::grey(rng.between(0.03, 0.2)),
        1 => Colour::grey(rng.between(0.75, 0.97)),
        2 => blossom(rng).mixed(Colour::grey(0.6), 0.5),
        _ => blue(rng).mixed(Colour::grey(0.5), 0.4),
    };
    let (x, y) = anywhere(canvas, rng);
    let style = FillStyle::radial(
        (x, y),
        canvas.width() * 0.9,
        [(base.lighter(0.2), 1.0), (base.darker(0.3), 1.0)],
    );
    canvas.flood(&style);
}
