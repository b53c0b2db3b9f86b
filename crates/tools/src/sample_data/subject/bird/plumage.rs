//! What a bird species looks like: build and colours.

use super::super::Style;
use crate::sample_data::draw_rng::DrawRng;
use crate::sample_data::paint::Colour;
use crate::sample_data::scene::{blossom, blue, earth, green};

/// Proportions. Half the body is 0.8 long.
#[derive(Clone, Copy)]
pub(super) struct Build {
    /// Half the body's height.
    pub(super) plump: f32,
    pub(super) neck: f32,
    /// Radius of the head.
    pub(super) head: f32,
    /// Length and thickness of the beak.
    pub(super) beak: (f32, f32),
    pub(super) tail: f32,
    pub(super) leg: f32,
    /// Length of a spread wing.
    pub(super) wing: f32,
    /// Breadth of a spread wing as a multiple of the usual.
    pub(super) breadth: f32,
}

/// Sparrow, finch, tit, crow, gull, heron, duck, parrot, pigeon, wagtail.
const BUILDS: [Build; 10] = [
    Build {
        plump: 0.50,
        neck: 0.05,
        head: 0.36,
        beak: (0.22, 0.13),
        tail: 0.70,
        leg: 0.36,
        wing: 1.3,
        breadth: 1.0,
    },
    Build {
        plump: 0.56,
        neck: 0.02,
        head: 0.39,
        beak: (0.20, 0.20),
        tail: 0.60,
        leg: 0.32,
        wing: 1.2,
        breadth: 1.0,
    },
    Build {
        plump: 0.62,
        neck: 0.00,
        head: 0.43,
        beak: (0.15, 0.10),
        tail: 0.60,
        leg: 0.30,
        wing: 1.1,
        breadth: 1.1,
    },
    Build {
        plump: 0.46,
        neck: 0.10,
        head: 0.34,
        beak: (0.42, 0.17),
        tail: 0.75,
        leg: 0.45,
        wing: 1.6,
        breadth: 1.1,
    },
    Build {
        plump: 0.42,
        neck: 0.10,
        head: 0.31,
        beak: (0.34, 0.12),
        tail: 0.45,
        leg: 0.45,
        wing: 1.9,
        breadth: 0.7,
    },
    Build {
        plump: 0.38,
        neck: 0.85,
        head: 0.23,
        beak: (0.60, 0.11),
        tail: 0.30,
        leg: 1.10,
        wing: 1.7,
        breadth: 1.1,
    },
    Build {
        plump: 0.48,
        neck: 0.32,
        head: 0.33,
        beak: (0.38, 0.17),
        tail: 0.35,
        leg: 0.24,
        wing: 1.4,
        breadth: 0.8,
    },
    Build {
        plump: 0.45,
        neck: 0.05,
        head: 0.41,
        beak: (0.22, 0.28),
        tail: 1.15,
        leg: 0.22,
        wing: 1.4,
        breadth: 0.8,
    },
    Build {
        plump: 0.52,
        neck: 0.15,
        head: 0.28,
        beak: (0.18, 0.09),
        tail: 0.65,
        leg: 0.32,
        wing: 1.5,
        breadth: 0.9,
    },
    Build {
        plump: 0.41,
        neck: 0.05,
        head: 0.31,
        beak: (0.24, 0.08),
        tail: 1.10,
        leg: 0.46,
        wing: 1.3,
        breadth: 1.0,
    },
];

/// Build and colours of a species.
#[derive(Clone, Copy)]
pub(super) struct Plumage {
    pub(super) build: Build,
    pub(super) back: Colour,
    pub(super) belly: Colour,
    pub(super) head: Colour,
    pub(super) wing: Colour,
    pub(super) beak: Colour,
    pub(super) leg: Colour,
    pub(super) cap: Option<Colour>,
    pub(super) stripe: Option<Colour>,
    pub(super) bars: Option<Colour>,
    pub(super) speckled: bool,
    pub(super) crested: bool,
}

impl Plumage {
    pub(super) fn new(rng: &mut DrawRng, style: Style) -> Self {
        let mut build = rng.pick(&BUILDS);
        for part in [
            &mut build.plump,
            &mut build.head,
            &mut build.beak.0,
            &mut build.tail,
            &mut build.wing,
        ] {
            *part *= rng.between(0.88, 1.12);
        }
        build.plump *= style.stretch;
        let [back, belly, head, wing] = colours(rng).map(|colour| style.tint(colour));
        let contrast = if rng.bernoulli(0.5) {
            Colour::grey(0.08)
        } else {
            Colour::grey(0.93)
        };
        let accent = |rng: &mut DrawRng, probability: f32| rng.bernoulli(probability).then_some(contrast);
        Self {
            build,
            back,
            belly,
            head,
            wing,
            beak: match rng.count(0, 3) {
                0 => Colour::grey(0.12),
                1 => earth(rng).darker(0.2),
                _ => Colour::hsv(rng.between(0.03, 0.14), 0.85, rng.between(0.7, 1.0)),
            },
            leg: Colour::hsv(
                rng.between(0.0, 0.1),
                rng.between(0.2, 0.7),
                rng.between(0.2, 0.7),
            ),
            cap: if rng.bernoulli(0.2) {
                Some(style.tint(blossom(rng)))
            } else {
                accent(rng, 0.25)
            },
            stripe: accent(rng, 0.35),
            bars: accent(rng, 0.4),
            speckled: rng.bernoulli(0.25),
            crested: rng.bernoulli(0.15),
        }
    }
}

/// Colours of back, belly, head and wing.
fn colours(rng: &mut DrawRng) -> [Colour; 4] {
    match rng.count(0, 7) {
        0 | 1 => {
            let brown = earth(rng);
            [
                brown,
                brown.lighter(rng.between(0.3, 0.8)),
                brown.darker(rng.between(0.0, 0.4)),
                brown.darker(0.35),
            ]
        }
        2 => {
            let grey = Colour::grey(rng.between(0.35, 0.65));
            [
                grey,
                grey.lighter(rng.between(0.2, 0.7)),
                grey.darker(rng.between(0.0, 0.6)),
                grey.darker(0.3),
            ]
        }
        3 => {
            let black = Colour::hsv(0.62, 0.2, rng.between(0.08, 0.2));
            let belly = if rng.bernoulli(0.5) {
                black
            } else {
                Colour::grey(0.9)
            };
            [black, belly, black, black.lighter(0.1)]
        }
        4 => {
            let white = Colour::grey(rng.between(0.85, 0.97));
            [white, white, white, white.darker(rng.between(0.05, 0.6))]
        }
        5 => {
            let bright = blossom(rng);
            [
                bright,
                bright.lighter(0.2),
                bright,
                bright.darker(rng.between(0.3, 0.8)),
            ]
        }
        6 => {
            let (back, breast) = (earth(rng), blossom(rng));
            [
                back,
                breast,
                if rng.bernoulli(0.5) { back } else { breast },
                back.darker(0.3),
            ]
        }
        _ => {
            let back = if rng.bernoulli(0.5) { green(rng) } else { blue(rng) };
            [
                back,
                blossom(rng).lighter(0.2),
                back,
                back.darker(rng.between(0.1, 0.5)),
            ]
        }
    }
}
