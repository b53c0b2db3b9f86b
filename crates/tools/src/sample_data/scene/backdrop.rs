//! What lies far behind: sky, meadow, foliage, earth, water, wall, discs of light, or a plain studio.

use super::{blossom, blue, earth, green};
use crate::sample_data::dice::Dice;
use crate::sample_data::paint::outline::{around, blob, circle, curve, ellipse, leaf, polygon, ribbon};
use crate::sample_data::paint::{Canvas, Colour, Ink, Placement, Point};

/// Where a kind is at home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sample_data) enum Habitat {
    /// Anywhere.
    Land,
    /// Mostly on or in water.
    Water,
}

/// Paints the backdrop, more or less out of focus.
pub(in crate::sample_data) fn backdrop(canvas: &mut Canvas, dice: &mut Dice, habitat: Habitat) {
    const LAND: [fn(&mut Canvas, &mut Dice); 12] = [
        sky, sky, meadow, meadow, foliage, foliage, foliage, lights, lights, ground, wall, studio,
    ];
    let paint = match habitat {
        Habitat::Water if dice.chance(0.75) => water,
        _ if dice.chance(0.07) => water,
        _ => dice.pick(&LAND),
    };
    paint(canvas, dice);
    let soft = if dice.chance(0.3) {
        dice.between(0.0, 2.0)
    } else {
        dice.between(2.0, 12.0)
    };
    canvas.blur(soft as usize);
}

fn anywhere(canvas: &Canvas, dice: &mut Dice) -> Point {
    (
        dice.between(-0.05, 1.05) * canvas.width(),
        dice.between(-0.05, 1.05) * canvas.height(),
    )
}

fn upright(canvas: &mut Canvas, colours: &[Colour]) {
    let bottom = canvas.height();
    canvas.flood(&Ink::ramp((0.0, 0.0), (0.0, bottom), colours));
}

fn sky(canvas: &mut Canvas, dice: &mut Dice) {
    let high = blue(dice);
    let low = match dice.count(0, 3) {
        0 => Colour::hsv(
            dice.between(0.02, 0.12),
            dice.between(0.2, 0.6),
            dice.between(0.8, 1.0),
        ),
        1 => Colour::grey(dice.between(0.6, 0.9)),
        _ => high.lighter(dice.between(0.3, 0.8)),
    };
    let high = if dice.chance(0.25) {
        high.mixed(Colour::grey(0.7), 0.8)
    } else {
        high
    };
    upright(canvas, &[high, low]);
    let (soft, clouds) = (dice.count(6, 14), dice.count(0, 5));
    let mut layer = canvas.layer();
    for _ in 0..clouds {
        let (x, y) = anywhere(canvas, dice);
        let size = canvas.short() * dice.between(0.08, 0.25);
        let shade = Colour::grey(dice.between(0.8, 1.0));
        for _ in 0..dice.count(3, 8) {
            let puff = (x + dice.wobble(2.2) * size, y + dice.wobble(0.5) * size);
            let outline = ellipse(puff, size * dice.between(0.4, 1.0), size * dice.between(0.2, 0.5));
            layer.fill(
                &outline,
                &Ink::veil(shade, dice.between(0.3, 0.7)),
                Placement::at(0.0, 0.0, 1.0),
            );
        }
    }
    layer.blur(soft);
    canvas.lay(&layer);
    if dice.chance(0.3) {
        hills(canvas, dice);
    }
}

fn hills(canvas: &mut Canvas, dice: &mut Dice) {
    let (width, height) = (canvas.width(), canvas.height());
    let horizon = dice.between(0.55, 0.95) * height;
    let mut points: Vec<Point> = (0..=6)
        .map(|i| {
            (
                width * (i as f32 / 4.0 - 0.25),
                horizon + dice.wobble(0.08) * height,
            )
        })
        .collect();
    points.extend([(width * 1.3, height * 1.4), (-width * 0.3, height * 1.4)]);
    let colour = green(dice).mixed(blue(dice), dice.between(0.0, 0.5));
    let ink = Ink::ramp((0.0, horizon), (0.0, height), &[colour, colour.darker(0.4)]);
    canvas.fill(&blob(&points), &ink, Placement::at(0.0, 0.0, 1.0));
}

fn meadow(canvas: &mut Canvas, dice: &mut Dice) {
    let (far, near) = (green(dice), green(dice));
    upright(canvas, &[far.lighter(dice.between(0.1, 0.5)), far, near]);
    if dice.chance(0.4) {
        let height = canvas.height() * dice.between(0.15, 0.45);
        let band = polygon(&[
            (0.0, 0.0),
            (canvas.width(), 0.0),
            (canvas.width(), height),
            (0.0, height),
        ]);
        let top = blue(dice);
        let ink = Ink::ramp((0.0, 0.0), (0.0, height), &[top, top.lighter(0.5)]);
        canvas.fill(&band, &ink, Placement::at(0.0, 0.0, 1.0));
    }
    let petals = blossom(dice);
    for _ in 0..dice.count(60, 160) {
        let (x, y) = anywhere(canvas, dice);
        let size = canvas.short() * (0.03 + 0.12 * y / canvas.height());
        let tip = (dice.wobble(0.5), -dice.between(0.6, 1.6));
        let blade = ribbon(&[(0.0, 0.0), (tip.0 * 0.3, tip.1 * 0.6), tip], 0.09, 0.01);
        let colour = near.mixed(green(dice), 0.5);
        canvas.fill(&blade, &Ink::flat(colour), Placement::at(x, y + size, size));
        if dice.chance(0.12) {
            let ink = Ink::flat(petals.mixed(blossom(dice), 0.2));
            canvas.fill(
                &circle(tip, dice.between(0.05, 0.2)),
                &ink,
                Placement::at(x, y + size, size),
            );
        }
    }
}

fn foliage(canvas: &mut Canvas, dice: &mut Dice) {
    let base = green(dice);
    upright(
        canvas,
        &[
            base.darker(dice.between(0.2, 0.6)),
            base.darker(dice.between(0.4, 0.8)),
        ],
    );
    let width = dice.between(0.25, 0.8);
    let length = canvas.short() * dice.between(0.1, 0.3);
    for i in 0..dice.count(60, 180) {
        let (x, y) = anywhere(canvas, dice);
        let depth = (i as f32 / 180.0).min(1.0);
        let colour = base
            .mixed(green(dice), 0.4)
            .darker(0.6 * (1.0 - depth))
            .lighter(dice.between(0.0, 0.25));
        let at = Placement::at(x, y, length * dice.between(0.5, 1.3)).turned(dice.unit());
        let ink = Ink::ramp(
            (0.0, -0.3),
            (0.0, 0.3),
            &[colour.lighter(0.12), colour.darker(0.25)],
        );
        canvas.fill(&leaf(width, 0.4), &ink, at);
        let rib = curve(&[(0.0, 0.0), (0.95, 0.0)]);
        canvas.stroke(&rib, 0.025, &Ink::veil(colour.lighter(0.4), 0.5), at);
    }
    if dice.chance(0.5) {
        lights_of(canvas, dice, 14);
    }
}

fn lights(canvas: &mut Canvas, dice: &mut Dice) {
    let first = [green, earth, blue, blossom, green][dice.count(0, 4)](dice).darker(dice.between(0.1, 0.7));
    let second = [green, earth, blue, green][dice.count(0, 3)](dice).darker(dice.between(0.0, 0.6));
    upright(canvas, &[first, second]);
    lights_of(canvas, dice, 45);
}

/// Discs of light out of focus, at most `most`.
fn lights_of(canvas: &mut Canvas, dice: &mut Dice, most: usize) {
    let size = canvas.short() * dice.between(0.02, 0.12);
    for _ in 0..dice.count(most / 4, most) {
        let (x, y) = anywhere(canvas, dice);
        let colour = [green, blossom, earth, blue][dice.count(0, 3)](dice).lighter(dice.between(0.0, 0.5));
        let at = Placement::at(x, y, size * dice.between(0.4, 1.6));
        let ink = Ink::radial(
            (0.0, 0.0),
            1.0,
            [(colour, dice.between(0.1, 0.5)), (colour, dice.between(0.3, 0.8))],
        );
        canvas.fill(&circle((0.0, 0.0), 1.0), &ink, at);
    }
}

fn ground(canvas: &mut Canvas, dice: &mut Dice) {
    let base = earth(dice);
    upright(
        canvas,
        &[
            base.lighter(dice.between(0.0, 0.3)),
            base.darker(dice.between(0.0, 0.4)),
        ],
    );
    let (size, stones) = (canvas.short() * dice.between(0.02, 0.09), dice.count(40, 170));
    for _ in 0..stones {
        let (x, y) = anywhere(canvas, dice);
        let colour = base
            .mixed(earth(dice), 0.6)
            .mixed(Colour::grey(0.5), dice.between(0.0, 0.6));
        let at = Placement::at(x, y, size * dice.between(0.3, 1.6)).stretched(1.0, dice.between(0.5, 0.9));
        let stone = around(7, |_| dice.between(0.7, 1.1));
        canvas.fill(&stone, &Ink::veil(Colour::BLACK, 0.4), at.moved(0.12, 0.25));
        canvas.fill(
            &stone,
            &Ink::ramp(
                (0.0, -1.0),
                (0.0, 1.0),
                &[colour.lighter(0.3), colour.darker(0.3)],
            ),
            at,
        );
    }
}

fn water(canvas: &mut Canvas, dice: &mut Dice) {
    let base = blue(dice)
        .mixed(green(dice), dice.between(0.0, 0.5))
        .darker(dice.between(0.1, 0.5));
    upright(
        canvas,
        &[base.lighter(dice.between(0.1, 0.5)), base, base.darker(0.35)],
    );
    for _ in 0..dice.count(40, 140) {
        let (x, y) = anywhere(canvas, dice);
        let size = canvas.short() * (0.05 + 0.25 * y / canvas.height()) * dice.between(0.4, 1.2);
        let colour = if dice.chance(0.5) {
            base.lighter(0.5)
        } else {
            base.darker(0.4)
        };
        let ripple = curve(&[
            (-1.0, 0.0),
            (-0.3, dice.wobble(0.12)),
            (0.4, dice.wobble(0.12)),
            (1.0, 0.0),
        ]);
        canvas.stroke(
            &ripple,
            dice.between(0.03, 0.1),
            &Ink::veil(colour, dice.between(0.1, 0.45)),
            Placement::at(x, y, size),
        );
    }
}

fn wall(canvas: &mut Canvas, dice: &mut Dice) {
    let base = earth(dice).mixed(Colour::grey(0.7), dice.between(0.0, 0.7));
    upright(canvas, &[base.lighter(0.15), base.darker(0.2)]);
    let (width, height) = (canvas.width(), canvas.height());
    let turn = if dice.chance(0.5) { 0.25 } else { 0.0 };
    for _ in 0..dice.count(20, 90) {
        let (x, y) = anywhere(canvas, dice);
        let colour = base.mixed(earth(dice), 0.5).darker(dice.between(0.0, 0.4));
        let streak = curve(&[
            (-1.0, dice.wobble(0.05)),
            (0.0, dice.wobble(0.08)),
            (1.0, dice.wobble(0.05)),
        ]);
        let at = Placement::at(x, y, width.max(height) * dice.between(0.1, 0.7)).turned(turn);
        canvas.stroke(
            &streak,
            dice.between(0.004, 0.04),
            &Ink::veil(colour, dice.between(0.2, 0.7)),
            at,
        );
    }
}

fn studio(canvas: &mut Canvas, dice: &mut Dice) {
    let base = match dice.count(0, 3) {
        0 => Colour::grey(dice.between(0.03, 0.2)),
        1 => Colour::grey(dice.between(0.75, 0.97)),
        2 => blossom(dice).mixed(Colour::grey(0.6), 0.5),
        _ => blue(dice).mixed(Colour::grey(0.5), 0.4),
    };
    let (x, y) = anywhere(canvas, dice);
    let ink = Ink::radial(
        (x, y),
        canvas.width() * 0.9,
        [(base.lighter(0.2), 1.0), (base.darker(0.3), 1.0)],
    );
    canvas.flood(&ink);
}
