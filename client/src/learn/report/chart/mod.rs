//! Charts: curves over a common axis, and bars.
//!
//! A chart is data; [`canvas`](super::canvas) turns it into a part of a page, an SVG file or a PNG file.

mod axis;
mod bars;
mod curves;
mod downsample;

pub use axis::{Axis, Scale, Unit};
pub use bars::{BarGroup, Bars};
pub use curves::{Chart, LineStyle, Series};

/// Height of the letters of axes and legends.
const FONT_SIZE: f64 = 15.0;
/// Between things that belong together.
const GAP: f64 = 6.0;

#[cfg(test)]
mod tests;
