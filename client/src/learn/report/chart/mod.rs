//! Charts: lines and bars.
//!
//! A chart is data; [`canvas`](super::canvas) renders it as inline SVG, SVG file or PNG file.

mod axis;
mod bars;
mod curves;
mod downsample;

pub use axis::{Axis, Scale, Unit};
pub use bars::{BarGroup, Bars};
pub use curves::{Chart, LineStyle, Series};

/// Font size of axes and legends.
const FONT_SIZE: f64 = 15.0;
/// Space between related elements.
const GAP: f64 = 6.0;

#[cfg(test)]
mod tests;
