//! Flowers: open heads, cups and sprays, on stems with leaves.

use super::{Painter, Style};
use crate::sample_data::draw_rng::DrawRng;
use crate::sample_data::paint::outline::{Outline, blob, circle, curve, leaf, ribbon};
use crate::sample_data::paint::{Canvas, Colour, FillStyle, Placement, Point, polar, unit};
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

pub(super) fn species(rng: &mut DrawRng, style: Style) -> Painter {
    let petal = rng.pick(&[Petal::Round, Petal::Pointed, Petal::Strap, Petal::Heart]);
    let petals = match petal {
        Petal::Strap => rng.count(8, 12),
        Petal::Pointed => rng.count(5, 9),
        _ => rng.count(4, 7),
    };
    let tip = style.tint(blossom(rng));
    let base = match rng.count(0, 3) {
        0 => tip.lighter(rng.between(0.4, 0.9)),
        1 => style.tint(blossom(rng)),
        2 => tip.darker(rng.between(0.2, 0.6)),
        _ => tip,
    };
    let centre = match rng.count(0, 3) {
        0 => earth(rng).darker(0.4),
        1 => green(rng),
        _ => Colour::hsv(rng.between(0.1, 0.16), 0.85, rng.between(0.7, 1.0)),
    };
    let flower = Species {
        form: rng.pick(&[Form::Open, Form::Open, Form::Open, Form::Cup, Form::Spray]),
        petal,
        petals,
        rings: rng.pick(&[1, 1, 1, 2, 2, 3]),
        width: rng.between(0.75, 1.35),
        tip,
        base,
        centre,
        heart: rng.between(0.12, 0.34),
        squash: if rng.bernoulli(0.45) {
            rng.between(0.85, 1.0)
        } else {
            rng.between(0.4, 0.85)
        },
        stem: green(rng),
        stretch: style.stretch,
    };
    Box::new(move |layer, rng, at| flower.draw(layer, rng, at))
}

impl Species {
    fn draw(&self, layer: &mut Canvas, rng: &mut DrawRng, at: Placement) {
        let lean = rng.wobble(0.5);
        let foot = (lean + rng.wobble(0.8), rng.between(2.5, 6.0));
        if rng.bernoulli(0.85) {
            self.stem(
                layer,
                rng,
                at,
                &[(0.0, 0.0), (lean * 0.4, 0.9), (lean, 2.0), foot],
            );
        }
        let at = at.turned(rng.wobble(0.1));
        match self.form {
            Form::Open => self.head(layer, rng, at.stretched(1.0, self.squash)),
            Form::Cup => self.cup(layer, rng, at),
            Form::Spray => self.spray(layer, rng, at),
        }
    }

    fn stem(&self, layer: &mut Canvas, rng: &mut DrawRng, at: Placement, path: &[Point]) {
        let width = rng.between(0.05, 0.12);
        layer.fill(&ribbon(path, width, width * 1.5), &FillStyle::flat(self.stem), at);
        layer.stroke(
            &curve(path),
            width * 0.25,
            &FillStyle::veil(self.stem.lighter(0.4), 0.5),
            at,
        );
        for _ in 0..rng.count(0, 4) {
            let from = path[rng.count(1, path.len() - 1)];
            let side = if rng.bernoulli(0.5) {
                rng.between(-0.17, -0.02)
            } else {
                rng.between(-0.48, -0.33)
            };
            let blade = at.moved(from.0, from.1).turned(side);
            let size = rng.between(0.6, 1.5);
            let blade = blade.stretched(size, size);
            let style = FillStyle::ramp(
                (0.0, -0.2),
                (0.0, 0.2),
                &[self.stem.lighter(0.2), self.stem.darker(0.2)],
            );
            layer.fill(&leaf(rng.between(0.2, 0.55), 0.4), &style, blade);
            layer.stroke(
                &curve(&[(0.0, 0.0), (0.9, 0.0)]),
                0.03,
                &FillStyle::veil(self.stem.darker(0.4), 0.5),
                blade,
            );
        }
    }

    fn head(&self, layer: &mut Canvas, rng: &mut DrawRng, at: Placement) {
        let start = rng.unit();
        for ring in 0..self.rings {
            let size = 1.0 - 0.28 * ring as f32;
            let offset = start + ring as f32 * 0.5 / self.petals as f32;
            for i in 0..self.petals {
                let turns = offset + i as f32 / self.petals as f32 + rng.wobble(0.012);
                let length = size * rng.between(0.9, 1.05);
                let petal = at.turned(turns).stretched(length, length * self.stretch);
                self.petal(layer, rng, petal, 0.12 * ring as f32);
            }
        }
        self.heart(layer, rng, at);
    }

    fn petal(&self, layer: &mut Canvas, rng: &mut DrawRng, at: Placement, lighter: f32) {
        let ring = self.petals as f32;
        let (_, sin) = unit(0.5 / ring);
        let width = (2.0 * sin * self.width).min(1.1);
        let outline = self.petal.outline(width);
        let jitter = rng.wobble(0.12);
        let colour = |colour: Colour| {
            if jitter < 0.0 {
                colour.darker(-jitter)
            } else {
                colour.lighter(jitter)
            }
            .lighter(lighter)
        };
        let style = FillStyle::radial(
            (0.0, 0.0),
            1.0,
            [(colour(self.base), 1.0), (colour(self.tip), 1.0)],
        );
        layer.fill(&outline, &style, at);
        layer.stroke(&outline, 0.02, &FillStyle::veil(self.tip.darker(0.5), 0.45), at);
        for side in [-0.5, 0.0, 0.5] {
            let vein = curve(&[
                (0.15, 0.0),
                (0.5, side * width * 0.4),
                (0.85, side * width * 0.45),
            ]);
            layer.stroke(&vein, 0.012, &FillStyle::veil(self.base.darker(0.4), 0.35), at);
        }
    }

    fn heart(&self, layer: &mut Canvas, rng: &mut DrawRng, at: Placement) {
        let disc = circle((0.0, 0.0), self.heart);
        let style = FillStyle::radial(
            (0.0, 0.0),
            self.heart,
            [(self.centre.lighter(0.2), 1.0), (self.centre.darker(0.35), 1.0)],
        );
        layer.fill(&disc, &style, at);
        for _ in 0..rng.count(6, 26) {
            let spot = polar((0.0, 0.0), self.heart * rng.between(0.1, 1.15), rng.unit());
            let colour = if rng.bernoulli(0.5) {
                self.centre.lighter(0.4)
            } else {
                self.centre.darker(0.5)
            };
            layer.fill(&circle(spot, 0.025), &FillStyle::flat(colour), at);
        }
    }

    /// Petals that stand in a fan, the middle ones in front.
    fn cup(&self, layer: &mut Canvas, rng: &mut DrawRng, at: Placement) {
        let open = rng.between(0.03, 0.16);
        let height = rng.between(1.2, 1.7) * self.stretch;
        let base = at.moved(0.0, 0.6);
        for spread in [-0.6_f32, 0.6, -1.0, 1.0, -0.35, 0.35, 0.0] {
            let turns = -0.25 + spread * open + rng.wobble(0.01);
            let length = height * (1.0 - 0.1 * spread.abs());
            let petal = base.turned(turns).stretched(length, length);
            let outline = match self.petal {
                Petal::Strap | Petal::Pointed => leaf(0.5, 0.4),
                _ => self.petal.outline(0.55),
            };
            let shadow = 0.25 * (1.0 - spread.abs());
            let style = FillStyle::linear(
                (0.0, 0.0),
                (1.0, 0.0),
                [(self.base, 1.0), (self.tip.lighter(shadow), 1.0)],
            );
            layer.fill(&outline, &style, petal);
            layer.stroke(&outline, 0.02, &FillStyle::veil(self.tip.darker(0.5), 0.5), petal);
        }
    }

    /// Small heads around the top of the stem.
    fn spray(&self, layer: &mut Canvas, rng: &mut DrawRng, at: Placement) {
        let (heads, size) = (rng.count(5, 11), rng.between(0.28, 0.42));
        let tall = rng.between(0.6, 1.5);
        for _ in 0..heads {
            let (x, y) = polar((0.0, 0.0), rng.between(0.2, 0.85), rng.unit());
            let y = y * tall;
            layer.stroke(
                &curve(&[(0.0, 1.0), (x * 0.5, y * 0.3 + 0.5), (x, y)]),
                0.03,
                &FillStyle::flat(self.stem),
                at,
            );
            let head = at
                .moved(x, y)
                .turned(rng.wobble(0.3))
                .stretched(size, size * rng.between(0.5, 1.0));
            self.head(layer, rng, head);
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
