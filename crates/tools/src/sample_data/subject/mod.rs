//! Subjects, one file per kind, and their arrangement on an image.
//!
//! A subject is drawn around the origin, within about one unit, y down; [`group`] places it on the image.

mod bird;
mod boat;
mod butterfly;
mod cat;
mod fish;
mod flower;
mod house;
mod tree;

use super::draw_rng::DrawRng;
use super::kind::{Subject, SubjectKind};
use super::paint::{Canvas, Colour, FillStyle, Placement, Point, polar};
use super::scene::Habitat;

/// Draws one individual of a species into an empty layer.
type Painter = Box<dyn Fn(&mut Canvas, &mut DrawRng, Placement)>;

/// How the individuals of a kind are arranged.
#[derive(Clone, Copy)]
struct Arrangement {
    /// Probabilities of one, and of two or three; otherwise up to `most`.
    one: f32,
    few: f32,
    most: usize,
    /// Range of one unit as a fraction of the image's shorter side, for a single individual.
    size: (f32, f32),
    /// Largest rotation from upright.
    tilt: f32,
}

/// Preferred backdrop of a kind.
pub(super) fn habitat(kind: SubjectKind) -> Habitat {
    match kind {
        SubjectKind::Fish | SubjectKind::Boats => Habitat::Water,
        _ => Habitat::Land,
    }
}

fn arrangement(kind: SubjectKind) -> Arrangement {
    let usual = Arrangement {
        one: 0.7,
        few: 0.25,
        most: 4,
        size: (0.14, 0.45),
        tilt: 0.03,
    };
    match kind {
        SubjectKind::Flowers => Arrangement {
            one: 0.5,
            few: 0.3,
            most: 9,
            tilt: 0.0,
            ..usual
        },
        SubjectKind::Birds => Arrangement {
            one: 0.82,
            few: 0.18,
            most: 3,
            size: (0.16, 0.42),
            tilt: 0.02,
        },
        SubjectKind::Butterflies => Arrangement { tilt: 0.5, ..usual },
        SubjectKind::Fish => Arrangement { tilt: 0.06, ..usual },
        _ => usual,
    }
}

/// A species of the kind: colours and proportions that are shared by all individuals of an image.
fn species(rng: &mut DrawRng, subject: Subject) -> Painter {
    let style = Style {
        hue: subject.variant as f32 * 0.382,
        stretch: [1.0, 0.75, 1.3][subject.variant as usize % 3],
    };
    match subject.kind {
        SubjectKind::Flowers => flower::species(rng, style),
        SubjectKind::Birds => bird::species(rng, style),
        SubjectKind::Butterflies => butterfly::species(rng, style),
        SubjectKind::Fish => fish::species(rng, style),
        SubjectKind::Trees => tree::species(rng, style),
        SubjectKind::Houses => house::species(rng, style),
        SubjectKind::Boats => boat::species(rng, style),
        SubjectKind::Cats => cat::species(rng, style),
    }
}

/// The parameters of a variant.
#[derive(Clone, Copy)]
struct Style {
    /// Hue rotation of all colours, in turns.
    hue: f32,
    /// Factor of the height.
    stretch: f32,
}

impl Style {
    fn tint(self, colour: Colour) -> Colour {
        if self.hue == 0.0 {
            colour
        } else {
            colour.rotated(self.hue)
        }
    }
}

/// Draws one or several individuals, the smaller ones first, each lit from one side and possibly with a shadow.
pub(super) fn group(canvas: &mut Canvas, rng: &mut DrawRng, subject: Subject) {
    let arrangement = arrangement(subject.kind);
    let paint = species(rng, subject);
    let light = rng.between(0.55, 0.95);
    let strength = rng.between(0.1, 0.5);
    let shadow = if rng.bernoulli(0.5) {
        rng.between(0.1, 0.45)
    } else {
        0.0
    };
    for (centre, size) in places(canvas, rng, arrangement) {
        let at = Placement::at(centre.0, centre.1, size).turned(rng.wobble(arrangement.tilt));
        let mut layer = canvas.layer();
        paint(&mut layer, rng, at);
        shade(&mut layer, at, light, strength);
        if shadow > 0.0 {
            let (x, y) = polar((0.0, 0.0), size * 0.2, light + 0.5);
            canvas.lay_shadow(&layer, (x as i32, y as i32), (size * 0.1) as usize, shadow);
        }
        canvas.lay(&layer);
    }
}

/// Centres and sizes in pixels.
fn places(canvas: &Canvas, rng: &mut DrawRng, arrangement: Arrangement) -> Vec<(Point, f32)> {
    let kind = rng.unit();
    let count = if kind < arrangement.one {
        1
    } else if kind < arrangement.one + arrangement.few {
        rng.count(2, 3)
    } else {
        rng.count(4, arrangement.most.max(4))
    };
    let (low, high) = arrangement.size;
    let share = [1.0, 1.0, 0.75, 0.65, 0.55, 0.5][count.min(5)];
    let mut places: Vec<(Point, f32)> = (0..count)
        .map(|_| {
            let size = canvas.short() * share * (low + (high - low) * rng.unit());
            let within = |rng: &mut DrawRng, side: f32| {
                let margin = (size * 0.8).min(side * 0.48);
                rng.between(margin, side - margin)
            };
            ((within(rng, canvas.width()), within(rng, canvas.height())), size)
        })
        .collect();
    places.sort_by(|a, b| a.1.total_cmp(&b.1));
    places
}

/// Lights the layer from the direction `light` (turns, clockwise from the right).
fn shade(layer: &mut Canvas, at: Placement, light: f32, strength: f32) {
    let (centre, reach) = (at.origin(), at.scale() * 1.2);
    let (bright, dark) = (polar(centre, reach, light), polar(centre, reach, light + 0.5));
    let warm = Colour {
        red: 1.0,
        green: 0.97,
        blue: 0.85,
    };
    layer.flood(&FillStyle::linear(bright, centre, [(warm, strength * 0.6), (warm, 0.0)]).inside());
    layer.flood(&FillStyle::linear(centre, dark, [(Colour::BLACK, 0.0), (Colour::BLACK, strength)]).inside());
}

/// Rotates `point` clockwise around the origin.
fn turned(point: Point, turns: f32) -> Point {
    let (cos, sin) = super::paint::unit(turns);
    (point.0 * cos - point.1 * sin, point.0 * sin + point.1 * cos)
}
