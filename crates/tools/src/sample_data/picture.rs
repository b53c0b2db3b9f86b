//! Composes one image: backdrop, clutter, subjects, foreground clutter.

use image::ImageResult;

use super::draw_rng::DrawRng;
use super::kind::Subject;
use super::paint::Canvas;
use super::photo;
use super::scene;
use super::subject;
use equibatch_engine::random::{Purpose, generator};

/// Identifies an image: all that its bytes depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coordinates {
    pub(super) seed: u64,
    pub(super) subject: Subject,
    /// Number within its part, from 0.
    pub(super) index: u64,
    /// 0 for the class folder, 1 for the test folder.
    pub(super) part: u64,
}

/// Side lengths of every image, in pixels, in either orientation.
const SIDES: (u32, u32) = (375, 500);

/// Draws and encodes the image.
pub(super) fn jpeg(coordinates: &Coordinates) -> ImageResult<Vec<u8>> {
    let Coordinates {
        seed,
        subject,
        index,
        part,
    } = *coordinates;
    let mut rng = DrawRng::new(generator(
        seed,
        Purpose::DRAWING,
        &[subject.number(), index, part],
    ));
    photo::encode_photo(draw(subject, &mut rng), &mut rng)
}

fn draw(subject: Subject, rng: &mut DrawRng) -> Canvas {
    let (width, height) = if rng.bernoulli(0.5) {
        SIDES
    } else {
        (SIDES.1, SIDES.0)
    };
    let mut canvas = Canvas::new(width, height);
    scene::backdrop(&mut canvas, rng, subject::habitat(subject.kind));
    scene::behind(&mut canvas, rng);
    subject::group(&mut canvas, rng, subject);
    scene::before(&mut canvas, rng);
    canvas
}
