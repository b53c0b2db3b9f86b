//! The drawing surface.

use super::color::Color;

/// The drawing library failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot draw: {0}")]
pub struct Error(String);

impl Error {
    #[allow(
        clippy::needless_pass_by_value,
        reason = "it is a function from one error to another"
    )]
    pub(super) fn new(reason: impl ToString) -> Self {
        Self(reason.to_string())
    }
}

/// Horizontal alignment of text relative to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Starts at the point.
    Start,
    /// Centred on the point.
    Middle,
    /// Ends at the point.
    End,
}

/// Style of text, which is centred vertically on its point.
#[derive(Clone, Copy, Debug)]
pub struct Font {
    /// Font size.
    pub size: f64,
    /// Colour.
    pub color: Color,
    /// Horizontal alignment.
    pub align: Align,
    /// Whether it is rotated to read from bottom to top.
    pub is_upright: bool,
}

impl Font {
    /// Horizontal text.
    #[must_use]
    pub fn new(size: f64, color: Color, align: Align) -> Self {
        Self {
            size,
            color,
            align,
            is_upright: false,
        }
    }
}

/// Style of a line.
#[derive(Clone, Copy, Debug)]
pub struct Stroke {
    /// Colour.
    pub color: Color,
    /// Width.
    pub width: f64,
    /// Opacity, 0 to 1.
    pub opacity: f64,
}

/// A point `(x, y)`, y down.
pub type Point = (f64, f64);

/// A drawing surface. Lengths are in CSS pixels at the picture's default size.
pub trait Canvas {
    /// Draws a line through points.
    ///
    /// # Errors
    ///
    /// [`Error`] if the drawing library fails.
    fn line(&self, points: &[Point], stroke: Stroke) -> Result<(), Error>;
    /// Draws a filled rectangle between two corners.
    ///
    /// # Errors
    ///
    /// [`Error`] if the drawing library fails.
    fn rectangle(&self, corners: [Point; 2], color: Color) -> Result<(), Error>;
    /// Draws a filled circle.
    ///
    /// # Errors
    ///
    /// [`Error`] if the drawing library fails.
    fn disc(&self, centre: Point, radius: f64, color: Color) -> Result<(), Error>;
    /// Draws text.
    ///
    /// # Errors
    ///
    /// [`Error`] if the drawing library fails.
    fn word(&self, text: &str, at: Point, font: Font) -> Result<(), Error>;
}

/// A picture that can be drawn on any canvas.
pub trait Picture {
    /// Width and height.
    fn size(&self) -> (f64, f64);
    /// Draws the picture on a filled background.
    ///
    /// # Errors
    ///
    /// [`Error`] if the drawing library fails.
    fn draw(&self, canvas: &dyn Canvas) -> Result<(), Error>;
}
