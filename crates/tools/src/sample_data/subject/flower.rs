//! Flowers: open heads, cups and sprays, on stems with leaves.

use super::{Painter, Style};
use crate::sample_data::dice::Dice;
use crate::sample_data::paint::outline::{Outline, blob, circle, curve, leaf, ribbon};
use crate::sample_data::paint::{Canvas, Colour, Ink, Placement, Point, polar, unit};
use crate::sample_data::scene::{blossom, earth, green};

#[derive(Clone, Copy)]
enum Form {
    /// An open head, seen from above or aslant.
    Open,
    /// A cup seen from the side, such as a tulip.
    Cup,
    /// Many small heads on one stem.
    Spray,
}

#[derive(Clone, Copy)]
enum Petal {
    Round,
    Pointed,
    Strap,
    Heart,
}

#[derive(Clone, Copy)]
struct Species {
    form: Form,
    petal: Petal,
    petals: usize,
    /// Rings of petals, one within the other.
    rings: usize,
    /// Width of a petal as a multiple of what just fills the ring.
    width: f32,
    tip: Colour,
    base: Colour,
    centre: Colour,
    /// Radius of the centre.
    heart: f32,
    /// Height of the head as it is seen, as a part of its width: 1 from above.
    squash: f32,
    stem: Colour,
    stretch: f32,
}

pub(super) fn species(dice: &mut Dice, style: Style) -> Painter {
    let petal = dice.pick(&[Petal::Round, Petal::Pointed, Petal::Strap, Petal::Heart]);
    let petals = match petal {
        Petal::Strap => dice.count(8, 12),
        Petal::Pointed => dice.count(5, 9),
        _ => dice.count(4, 7),
    };
    let tip = style.tint(blossom(dice));
    let base = match dice.count(0, 3) {
        0 => tip.lighter(dice.between(0.4, 0.9)),
        1 => style.tint(blossom(dice)),
        2 => tip.darker(dice.between(0.2, 0.6)),
        _ => tip,
    };
    let centre = match dice.count(0, 3) {
        0 => earth(dice).darker(0.4),
        1 => green(dice),
        _ => Colour::hsv(dice.between(0.1, 0.16), 0.85, dice.between(0.7, 1.0)),
    };
    let flower = Species {
        form: dice.pick(&[Form::Open, Form::Open, Form::Open, Form::Cup, Form::Spray]),
        petal,
        petals,
        rings: dice.pick(&[1, 1, 1, 2, 2, 3]),
        width: dice.between(0.75, 1.35),
        tip,
        base,
        centre,
        heart: dice.between(0.12, 0.34),
        squash: if dice.chance(0.45) {
            dice.between(0.85, 1.0)
        } else {
            dice.between(0.4, 0.85)
        },
        stem: green(dice),
        stretch: style.stretch,
    };
    Box::new(move |layer, dice, at| flower.draw(layer, dice, at))
}

impl Species {
    fn draw(&self, layer: &mut Canvas, dice: &mut Dice, at: Placement) {
        let lean = dice.wobble(0.5);
        let foot = (lean + dice.wobble(0.8), dice.between(2.5, 6.0));
        if dice.chance(0.85) {
            self.stem(
                layer,
                dice,
                at,
                &[(0.0, 0.0), (lean * 0.4, 0.9), (lean, 2.0), foot],
            );
        }
        let at = at.turned(dice.wobble(0.1));
        match self.form {
            Form::Open => self.head(layer, dice, at.stretched(1.0, self.squash)),
            Form::Cup => self.cup(layer, dice, at),
            Form::Spray => self.spray(layer, dice, at),
        }
    }

    fn stem(&self, layer: &mut Canvas, dice: &mut Dice, at: Placement, path: &[Point]) {
        let width = dice.between(0.05, 0.12);
        layer.fill(&ribbon(path, width, width * 1.5), &Ink::flat(self.stem), at);
        layer.stroke(
            &curve(path),
            width * 0.25,
            &Ink::veil(self.stem.lighter(0.4), 0.5),
            at,
        );
        for _ in 0..dice.count(0, 4) {
            let from = path[dice.count(1, path.len() - 1)];
            let side = if dice.chance(0.5) {
                dice.between(-0.17, -0.02)
            } else {
                dice.between(-0.48, -0.33)
            };
            let blade = at.moved(from.0, from.1).turned(side);
            let size = dice.between(0.6, 1.5);
            let blade = blade.stretched(size, size);
            let ink = Ink::ramp(
                (0.0, -0.2),
                (0.0, 0.2),
                &[self.stem.lighter(0.2), self.stem.darker(0.2)],
            );
            layer.fill(&leaf(dice.between(0.2, 0.55), 0.4), &ink, blade);
            layer.stroke(
                &curve(&[(0.0, 0.0), (0.9, 0.0)]),
                0.03,
                &Ink::veil(self.stem.darker(0.4), 0.5),
                blade,
            );
        }
    }

    fn head(&self, layer: &mut Canvas, dice: &mut Dice, at: Placement) {
        let start = dice.unit();
        for ring in 0..self.rings {
            let size = 1.0 - 0.28 * ring as f32;
            let offset = start + ring as f32 * 0.5 / self.petals as f32;
            for i in 0..self.petals {
                let turns = offset + i as f32 / self.petals as f32 + dice.wobble(0.012);
                let length = size * dice.between(0.9, 1.05);
                let petal = at.turned(turns).stretched(length, length * self.stretch);
                self.petal(layer, dice, petal, 0.12 * ring as f32);
            }
        }
        self.heart(layer, dice, at);
    }

    fn petal(&self, layer: &mut Canvas, dice: &mut Dice, at: Placement, lighter: f32) {
        let ring = self.petals as f32;
        let (_, sin) = unit(0.5 / ring);
        let width = (2.0 * sin * self.width).min(1.1);
        let outline = self.petal.outline(width);
        let jitter = dice.wobble(0.12);
        let colour = |colour: Colour| {
            if jitter < 0.0 {
                colour.darker(-jitter)
            } else {
                colour.lighter(jitter)
            }
            .lighter(lighter)
        };
        let ink = Ink::radial(
            (0.0, 0.0),
            1.0,
            [(colour(self.base), 1.0), (colour(self.tip), 1.0)],
        );
        layer.fill(&outline, &ink, at);
        layer.stroke(&outline, 0.02, &Ink::veil(self.tip.darker(0.5), 0.45), at);
        for side in [-0.5, 0.0, 0.5] {
            let vein = curve(&[
                (0.15, 0.0),
                (0.5, side * width * 0.4),
                (0.85, side * width * 0.45),
            ]);
            layer.stroke(&vein, 0.012, &Ink::veil(self.base.darker(0.4), 0.35), at);
        }
    }

    fn heart(&self, layer: &mut Canvas, dice: &mut Dice, at: Placement) {
        let disc = circle((0.0, 0.0), self.heart);
        let ink = Ink::radial(
            (0.0, 0.0),
            self.heart,
            [(self.centre.lighter(0.2), 1.0), (self.centre.darker(0.35), 1.0)],
        );
        layer.fill(&disc, &ink, at);
        for _ in 0..dice.count(6, 26) {
            let spot = polar((0.0, 0.0), self.heart * dice.between(0.1, 1.15), dice.unit());
            let colour = if dice.chance(0.5) {
                self.centre.lighter(0.4)
            } else {
                self.centre.darker(0.5)
            };
            layer.fill(&circle(spot, 0.025), &Ink::flat(colour), at);
        }
    }

    /// Petals that stand in a fan, the middle ones in front.
    fn cup(&self, layer: &mut Canvas, dice: &mut Dice, at: Placement) {
        let open = dice.between(0.03, 0.16);
        let height = dice.between(1.2, 1.7) * self.stretch;
        let base = at.moved(0.0, 0.6);
        for spread in [-0.6_f32, 0.6, -1.0, 1.0, -0.35, 0.35, 0.0] {
            let turns = -0.25 + spread * open + dice.wobble(0.01);
            let length = height * (1.0 - 0.1 * spread.abs());
            let petal = base.turned(turns).stretched(length, length);
            let outline = match self.petal {
                Petal::Strap | Petal::Pointed => leaf(0.5, 0.4),
                _ => self.petal.outline(0.55),
            };
            let shadow = 0.25 * (1.0 - spread.abs());
            let ink = Ink::linear(
                (0.0, 0.0),
                (1.0, 0.0),
                [(self.base, 1.0), (self.tip.lighter(shadow), 1.0)],
            );
            layer.fill(&outline, &ink, petal);
            layer.stroke(&outline, 0.02, &Ink::veil(self.tip.darker(0.5), 0.5), petal);
        }
    }

    /// Small heads around the top of the stem.
    fn spray(&self, layer: &mut Canvas, dice: &mut Dice, at: Placement) {
        let (heads, size) = (dice.count(5, 11), dice.between(0.28, 0.42));
        let tall = dice.between(0.6, 1.5);
        for _ in 0..heads {
            let (x, y) = polar((0.0, 0.0), dice.between(0.2, 0.85), dice.unit());
            let y = y * tall;
            layer.stroke(
                &curve(&[(0.0, 1.0), (x * 0.5, y * 0.3 + 0.5), (x, y)]),
                0.03,
                &Ink::flat(self.stem),
                at,
            );
            let head = at
                .moved(x, y)
                .turned(dice.wobble(0.3))
                .stretched(size, size * dice.between(0.5, 1.0));
            self.head(layer, dice, head);
        }
    }
}

impl Petal {
    /// Along x from 0 to 1, `width` across.
    fn outline(self, width: f32) -> Outline {
        let w = width * 0.5;
        match self {
            Self::Round => blob(&[
                (0.0, 0.0),
                (0.45, -w * 0.8),
                (0.8, -w),
                (1.0, 0.0),
                (0.8, w),
                (0.45, w * 0.8),
            ]),
            Self::Pointed => leaf(width * 1.1, 0.4),
            Self::Strap => blob(&[
                (0.0, 0.0),
                (0.3, -w * 0.6),
                (0.9, -w),
                (1.0, 0.0),
                (0.9, w),
                (0.3, w * 0.6),
            ]),
            Self::Heart => blob(&[
                (0.0, 0.0),
                (0.45, -w * 0.7),
                (0.85, -w),
                (1.02, -w * 0.5),
                (0.88, 0.0),
                (1.02, w * 0.5),
                (0.85, w),
                (0.45, w * 0.7),
            ]),
        }
    }
}
