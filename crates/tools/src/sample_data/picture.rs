//! Puts one picture together: backdrop, clutter, subjects, clutter before them.

use image::ImageResult;

use super::dice::Dice;
use super::finish;
use super::kind::Subject;
use super::paint::Canvas;
use super::scene;
use super::subject;
use equibatch_engine::random::{Purpose, generator};

/// Which picture: everything that its bytes depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coordinates {
    pub(super) seed: u64,
    pub(super) subject: Subject,
    /// Number within its part, from 0.
    pub(super) index: u64,
    /// 0 for the class folder, 1 for the test folder.
    pub(super) part: u64,
}

/// Sides of every picture: one of them is the width.
const SIDES: (u32, u32) = (375, 500);

/// Draws the picture and encodes it.
pub(super) fn jpeg(coordinates: &Coordinates) -> ImageResult<Vec<u8>> {
    let Coordinates {
        seed,
        subject,
        index,
        part,
    } = *coordinates;
    let mut dice = Dice::new(generator(
        seed,
        Purpose::DRAWING,
        &[subject.number(), index, part],
    ));
    finish::develop(draw(subject, &mut dice), &mut dice)
}

fn draw(subject: Subject, dice: &mut Dice) -> Canvas {
    let (width, height) = if dice.chance(0.5) {
        SIDES
    } else {
        (SIDES.1, SIDES.0)
    };
    let mut canvas = Canvas::new(width, height);
    scene::backdrop(&mut canvas, dice, subject::habitat(subject.kind));
    scene::behind(&mut canvas, dice);
    subject::group(&mut canvas, dice, subject);
    scene::before(&mut canvas, dice);
    canvas
}
