//! Trees: broad-leaved, conifers and palms.

use super::{Painter, Style};
use crate::sample_data::dice::Dice;
use crate::sample_data::paint::outline::{around, curve, polygon, ribbon};
use crate::sample_data::paint::{Canvas, Colour, Ink, Placement, polar};
use crate::sample_data::scene::{blossom, earth, green};

#[derive(Clone, Copy)]
enum Form {
    Broad,
    Conifer,
    Palm,
}

pub(super) fn species(dice: &mut Dice, style: Style) -> Painter {
    let form = dice.pick(&[Form::Broad, Form::Broad, Form::Conifer, Form::Palm]);
    let leaves = style.tint(if dice.chance(0.2) {
        blossom(dice).darker(0.2)
    } else {
        green(dice)
    });
    let bark = earth(dice).darker(0.3);
    Box::new(move |layer, dice, at| {
        let at = at.stretched(1.0, style.stretch);
        let lean = dice.wobble(0.2);
        let trunk = ribbon(
            &[(0.0, 1.0), (lean * 0.4, 0.4), (lean, -0.3)],
            dice.between(0.16, 0.3),
            0.08,
        );
        layer.fill(
            &trunk,
            &Ink::ramp((-0.2, 0.0), (0.2, 0.0), &[bark.lighter(0.2), bark.darker(0.3)]),
            at,
        );
        let crown = at.moved(lean, -0.3);
        match form {
            Form::Broad => broad(layer, dice, crown, leaves),
            Form::Conifer => conifer(layer, dice, at, leaves),
            Form::Palm => palm(layer, dice, crown, leaves),
        }
    })
}

fn broad(layer: &mut Canvas, dice: &mut Dice, at: Placement, leaves: Colour) {
    for i in 0..dice.count(9, 22) {
        let place = polar((0.0, 0.0), dice.between(0.0, 0.55), dice.unit());
        let tuft = around(9, |_| dice.between(0.75, 1.1));
        let size = dice.between(0.2, 0.38);
        let colour = leaves.darker(0.35 - 0.02 * i as f32).lighter(0.1 - 0.2 * place.1);
        let at = at.moved(place.0, place.1).stretched(size, size);
        layer.fill(
            &tuft,
            &Ink::ramp(
                (0.0, -1.0),
                (0.0, 1.0),
                &[colour.lighter(0.2), colour.darker(0.3)],
            ),
            at,
        );
    }
}

fn conifer(layer: &mut Canvas, dice: &mut Dice, at: Placement, leaves: Colour) {
    let tiers = dice.count(3, 6);
    for tier in (0..tiers).rev() {
        let part = tier as f32 / tiers as f32;
        let (top, low, half) = (-1.0 + 1.4 * part, -0.45 + 1.4 * part, 0.22 + 0.45 * part);
        let outline = polygon(&[
            (0.0, top),
            (half, low + dice.wobble(0.05)),
            (half * 0.4, low - 0.08),
            (0.0, low + 0.04),
            (-half * 0.4, low - 0.08),
            (-half, low + dice.wobble(0.05)),
        ]);
        layer.fill(
            &outline,
            &Ink::ramp(
                (0.0, top),
                (0.0, low),
                &[leaves.lighter(0.12), leaves.darker(0.4)],
            ),
            at,
        );
    }
}

fn palm(layer: &mut Canvas, dice: &mut Dice, at: Placement, leaves: Colour) {
    for _ in 0..dice.count(7, 12) {
        let (end, rise) = (
            polar((0.0, 0.0), dice.between(0.6, 0.9), dice.unit()),
            dice.between(0.1, 0.3),
        );
        let frond = [
            (0.0, 0.0),
            (end.0 * 0.5, end.1 * 0.5 - rise),
            (end.0, end.1 * 0.5 + rise),
        ];
        layer.fill(
            &ribbon(&frond, 0.14, 0.02),
            &Ink::flat(leaves.darker(dice.between(0.0, 0.4))),
            at,
        );
        layer.stroke(&curve(&frond), 0.015, &Ink::flat(leaves.lighter(0.3)), at);
    }
}
