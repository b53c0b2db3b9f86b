//! Vector graphics: colours, outlines, angles and the canvas.

mod angle;
mod blur;
mod canvas;
mod colour;
pub(super) mod outline;

pub(super) use angle::{Placement, unit};
pub(super) use canvas::{Canvas, FillStyle};
pub(super) use colour::Colour;

/// A point or vector, y down.
pub(super) type Point = (f32, f32);

/// The point at `distance` from `from` in the direction of `turns` (clockwise on the picture).
pub(super) fn polar(from: Point, distance: f32, turns: f32) -> Point {
    let (cos, sin) = unit(turns);
    (from.0 + distance * cos, from.1 + distance * sin)
}

/// The point at `part` of the way from `a` to `b`.
pub(super) fn between(a: Point, b: Point, part: f32) -> Point {
    (a.0 + (b.0 - a.0) * part, a.1 + (b.1 - a.1) * part)
}
